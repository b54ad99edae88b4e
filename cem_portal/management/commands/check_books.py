"""`manage.py check_books`: do quotas, broadcasts and batches agree with their rows?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engagement import books

SHOWN = 20


class Command(BaseCommand):
    help = "Compare every figure of quotas, broadcasts and batches with the rows that it counts (I2, I4, I9)."

    def handle(self, *args: Any, **options: Any) -> None:
        found = books.discrepancies()
        for discrepancy in found[:SHOWN]:
            self.stderr.write(str(discrepancy))
        if found:
            more = f", of which {SHOWN} are shown" if len(found) > SHOWN else ""
            raise CommandError(f"{len(found):,} figures disagree with their rows{more}.")
        self.stdout.write("The books are right.")
