"""Places where a test may kill the process, to show that nothing is lost and nothing sent twice.

Off where DEBUG is off, whatever the environment says.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from django.conf import settings

BATCH_TAKEN = "batch-taken"
MESSAGES_INSERTED = "messages-inserted"
BATCH_CLOSED = "batch-closed"
BATCH_COMMITTED = "batch-committed"
# towards a foreign chat: between claim, call and record, and before the record's commit
BATCH_CLAIMED = "batch-claimed"
CHAT_ANSWERED = "chat-answered"
CHAT_TOLD_FATES = "chat-told-fates"
FATES_WRITTEN = "fates-written"
# before and after a launch's commit, and a settlement's
LAUNCH_WRITTEN = "launch-written"
LAUNCH_COMMITTED = "launch-committed"
SETTLEMENT_WRITTEN = "settlement-written"
SETTLEMENT_COMMITTED = "settlement-committed"


def reach(place: str) -> None:
    """Die here as by `kill -9`, once for every file in the folder FAILPOINTS that names this place."""
    if not (settings.DEBUG and settings.FAILPOINTS):
        return
    for token in Path(settings.FAILPOINTS).glob(f"{place}.*"):
        token.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)
