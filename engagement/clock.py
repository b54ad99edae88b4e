"""The clock that all hosts share is the database's.

Periodic work does things that are never undone: it freezes a week, refuses what is late, drops what is old. So it
goes by this clock, and a host whose own is wrong does no harm.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone()
    assert isinstance(moment, datetime)
    return moment
