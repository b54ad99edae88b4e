"""Which broadcast an order is credited to."""

from __future__ import annotations

from django.db import models

from customers.models import Order
from engagement.models.broadcast import Broadcast


class Attribution(models.Model):
    """An order credited to the broadcast read last before it (D9)."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE, related_name="+")
    broadcast = models.ForeignKey(Broadcast, on_delete=models.CASCADE, related_name="+")
    batch = models.PositiveSmallIntegerField()
    amount = models.DecimalField(max_digits=24, decimal_places=2)  # net of the voucher
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"order {self.order_id} by broadcast {self.broadcast_id}"
