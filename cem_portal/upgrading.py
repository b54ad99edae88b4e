"""Whether a database can be brought up to date: not when it was made by migrations that are no more."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor


class CannotUpgrade(Exception):
    """The message names what to do."""


def count_missing() -> int:
    """Count the migrations that the database lacks.

    Raises CannotUpgrade when it also has some that this version does not know: then it is neither
    older nor newer, and whatever ran next would stop half-way. One that is only newer lacks none.
    """
    executor = MigrationExecutor(connection)
    loader = executor.loader
    plan = executor.migration_plan(loader.graph.leaf_nodes())
    applied = set(loader.applied_migrations) - set(loader.disk_migrations)
    unknown = sorted(f"{app}.{name}" for app, name in applied if app in loader.migrated_apps)
    if plan and unknown:
        raise CannotUpgrade(
            f"This database was made by another version of the portal, whose migrations are no more"
            f" ({unknown[0]}{f' and {len(unknown) - 1:,} more' if unknown[1:] else ''})."
            " Nothing was changed. If it is the embedded one, `make reset` deletes it and `make run` makes it"
            " anew; otherwise name an empty database in DATABASE_URL."
        )
    return len(plan)
