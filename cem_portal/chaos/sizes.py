"""How much goes on while a fault strikes: a little for each change, more by night."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """How much goes on while a fault strikes, and how often it does."""

    shops: int
    abroad: int  # shops whose messages a foreign chat carries
    customers: int  # of each shop: the shops of a market share them
    each: int  # broadcasts a shop
    batch: int
    deaths: int  # of worker processes, at all failpoints together
    crashes: int  # of whole workers
    hits: int  # on PostgreSQL
    requests: int  # while the broker is away
    charges: int  # races for the last of a quota
    paths: int  # rounds of races between every two paths
    clients: int  # of each race
    weeks: int


QUICK = Size(
    shops=2,
    abroad=1,
    customers=48,
    each=2,
    batch=12,
    deaths=12,
    crashes=1,
    hits=3,
    requests=8,
    charges=4,
    paths=1,
    clients=6,
    weeks=14,
)
WHOLE = Size(
    shops=8,
    abroad=2,
    customers=500,
    each=2,
    batch=100,
    deaths=60,
    crashes=5,
    hits=10,
    requests=40,
    charges=200,
    paths=2,
    clients=32,
    weeks=56,
)
