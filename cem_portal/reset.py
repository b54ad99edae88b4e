"""`make reset`: the embedded servers' data deleted, after asking."""

import shutil
import sys

from cem_portal.ground import name_state_folder
from cem_portal.supervisor import Supervisor, main, say


def reset() -> int:
    """Empty the data folder, after asking."""
    supervisor = Supervisor()
    supervisor.take_folder()
    say(f"This deletes the embedded database and the broker's data in {supervisor.data}: everything in them.")
    try:
        answer = input("Type yes to go on: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        say("Nothing was deleted.")
        return 1
    for name in ("postgres", "postgres.new", "valkey", "static", "log"):
        shutil.rmtree(supervisor.data / name, ignore_errors=True)
    shutil.rmtree(name_state_folder(supervisor.data / "postgres"), ignore_errors=True)
    for name in ("demo-unfinished", "prepared", "prepared.json"):
        (supervisor.data / name).unlink(missing_ok=True)
    say("Deleted. `make run` begins anew.")
    return 0


if __name__ == "__main__":
    sys.exit(main(reset))
