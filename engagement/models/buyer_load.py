"""How much a buyer gets from all sellers together."""

from __future__ import annotations

from django.db import models

from customers.models import Buyer


class BuyerLoad(models.Model):
    """How many CEM messages a buyer got today and this week from all sellers (D4)."""

    buyer = models.OneToOneField(
        Buyer, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+"
    )
    day = models.DateField()  # in the market's time zone
    day_count = models.PositiveSmallIntegerField()
    week = models.DateField()  # the CEM week
    week_count = models.PositiveSmallIntegerField()
