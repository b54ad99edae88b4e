"""How much goes on while a fault strikes: a little for each change, more by night."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """How much goes on while a fault strikes, and how often it does."""

    shops: int
    customers: int  # of each shop: the shops share them
    each: int  # broadcasts a shop
    batch: int
    deaths: int  # of worker processes, at all failpoints together
    crashes: int  # of whole workers
    hits: int  # on PostgreSQL
    charges: int  # races for the last of a quota
    paths: int  # rounds of races between every two paths
    clients: int  # of each race
    weeks: int


QUICK = Size(
    shops=3,
    customers=120,
    each=2,
    batch=15,
    deaths=7,
    crashes=1,
    hits=2,
    charges=4,
    paths=1,
    clients=8,
    weeks=14,
)
WHOLE = Size(
    shops=10,
    customers=1000,
    each=2,
    batch=100,
    deaths=50,
    crashes=10,
    hits=10,
    charges=200,
    paths=4,
    clients=32,
    weeks=104,
)
