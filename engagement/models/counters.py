"""What came of some recipients, as columns that batches and totals share."""

from __future__ import annotations

from django.db import models


class Counters(models.Model):
    """What came of some recipients: how many were delivered or missed, and what they did (I4, I9)."""

    delivered = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    stopped = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    reads = models.PositiveIntegerField(default=0)
    clicks = models.PositiveIntegerField(default=0)
    claims = models.PositiveIntegerField(default=0)
    replies = models.PositiveIntegerField(default=0)
    mutes = models.PositiveIntegerField(default=0)
    reports = models.PositiveIntegerField(default=0)
    sales = models.PositiveIntegerField(default=0)  # attributed orders (D9)
    gmv = models.DecimalField(max_digits=32, decimal_places=2, default=0)  # net of vouchers

    class Meta:
        abstract = True
