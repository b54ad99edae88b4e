"""What the environment says of the servers that the portal speaks with: its database, and foreign chats."""

from typing import Any

from environ import Env


def describe_database(env: Env, *, process: str, pooler: bool) -> dict[str, Any]:
    """Give the connection its pool and timeouts, by the kind of process."""
    database: dict[str, Any] = env.db_url("DATABASE_URL", default="postgres://portal@localhost:5432/portal")
    options = database.setdefault("OPTIONS", {})
    # A connection that died meanwhile, as all do with a restarted server, is replaced and not handed out.
    database["CONN_HEALTH_CHECKS"] = True
    database["DISABLE_SERVER_SIDE_CURSORS"] = pooler
    session: dict[str, str] = {}
    if process == "web":
        options["pool"] = {"min_size": 1, "max_size": env.int("POOL_SIZE", default=8), "timeout": 5}
        session = {"statement_timeout": "5s", "lock_timeout": "2s"}
    else:
        # A worker keeps its connection; one that hangs in a transaction loses it.
        database["CONN_MAX_AGE"] = 0 if process == "tests" else 600
        if process == "worker":
            session = {"idle_in_transaction_session_timeout": "60s"}
    if session and not pooler:
        options["options"] = " ".join(f"-c {name}={value}" for name, value in session.items())
    return database


def describe_gateways(env: Env) -> dict[str, dict[str, Any]]:
    """The foreign chats that CHAT_GATEWAYS names, each by its own CHAT_GATEWAY_NAME_… variables."""
    found = {}
    for name in env.list("CHAT_GATEWAYS", default=[]):
        prefix = f"CHAT_GATEWAY_{name.upper()}"
        found[name] = {
            "url": env.str(f"{prefix}_URL", default=""),
            "token": env.str(f"{prefix}_TOKEN", default=""),
            "timeout": env.float(f"{prefix}_TIMEOUT", default=10.0),
            "at_once": env.int(f"{prefix}_AT_ONCE", default=200),
            "observes_reads": env.bool(f"{prefix}_READS", default=True),
            "receipts_secret": env.str(f"{prefix}_RECEIPTS_SECRET", default=""),
        }
    return found
