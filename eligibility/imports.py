"""The marketplace's metrics in: metrics.csv, a row for each seller and time (R3, R4)."""

from pathlib import Path

from customers.sheets import Sheet

METRICS = Sheet(
    "metrics",
    ("market", "seller", "as_of", "rating", "response_rate", "followers"),
    Path(__file__).parent / "sql",
    ("check_market", "check_seller"),
)
