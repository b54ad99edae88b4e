"""What sellers do: broadcasts, whom they select, the batches that carry them, and what came of it.

The hot tables (Recipient, Batch) have composite keys led by the week of admission, so that they can
be partitioned by week and sharded by seller; nothing refers to them by a foreign key.
"""

from engagement.lateness import ReceiptLag
from engagement.models.attribution import Attribution
from engagement.models.batch import Batch, BatchQuerySet
from engagement.models.broadcast import Broadcast, BroadcastQuerySet
from engagement.models.buyer_load import BuyerLoad
from engagement.models.counters import Counters
from engagement.models.recipient import Recipient
from engagement.models.totals import BroadcastTotals

__all__ = [
    "Attribution",
    "Batch",
    "BatchQuerySet",
    "Broadcast",
    "BroadcastQuerySet",
    "BroadcastTotals",
    "BuyerLoad",
    "Counters",
    "ReceiptLag",
    "Recipient",
]
