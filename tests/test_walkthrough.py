"""The whole flow, in order, as docs/architecture.md tells it. A newcomer's first page.

Facts come in; a Sunday and a Monday pass; a seller composes, launches; batches are delivered, the
broadcast settles; buyers respond; orders are credited; the next Monday the quota grows.
Only the clock is ours: every step is the function that the portal itself calls.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chat.models import Message
from chat.receipts import Kind, Receipt
from customers import feed
from customers.feed import SignalRow
from customers.models import Buyer, Contact, Signal
from eligibility.models import Evaluation, Metrics, Standing, Tier
from engagement import attribution, books, broadcasting, responses, weekly_review
from engagement.delivery import deliver_next_batch
from engagement.models import Broadcast
from engagement.overview import look_up
from engagement.reasons import explain
from engagement.settlement import settle_ended
from quotas.defaults import open_market
from quotas.models import Growth, LedgerEntry, Quota, Scenario
from tests.factories import BroadcastFactory, MarketFactory, SellerFactory

pytestmark = pytest.mark.django_db

SUNDAY = datetime(2026, 11, 15, 12, 0, tzinfo=UTC)  # 20:00 in Manila: the evaluation
MONDAY = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)  # 14:00 in Manila: the refresh
TUESDAY = MONDAY + timedelta(days=1)


def test_from_a_marketplaces_facts_to_next_weeks_quota():
    # 1. Facts in: 60 buyers follow a shop, 30 of them bought, one mutes it
    market = MarketFactory(code="ph", time_zone="Asia/Manila")
    open_market(market, quiet_hours=False)
    seller = SellerFactory(market=market)
    buyers = Buyer.objects.bulk_create(
        Buyer(market=market, code=f"b{n}", name=f"Buyer {n}") for n in range(60)
    )
    Metrics.objects.create(seller=seller, as_of=SUNDAY - timedelta(days=1), rating=96, response_rate=91)
    told = feed.apply(history(seller, buyers), now=SUNDAY)
    assert (told.applied, told.refusals) == (60 + 2 * 30, ())
    assert feed.apply(history(seller, buyers), now=SUNDAY).applied == 0  # told twice: nothing new
    responses.mute_shop(seller_id=seller.pk, buyer_id=buyers[-1].pk, at=SUNDAY)

    # 2. The week: Sunday freezes the evidence, Monday publishes the standing and opens the quotas
    weekly_review.run_due(now=SUNDAY)
    evaluation = Evaluation.objects.filter(seller=seller).latest("week")
    assert (evaluation.followers, evaluation.tier) == (60, Tier.ADVANCE)
    assert not Standing.objects.filter(week=evaluation.week).exists()
    weekly_review.run_due(now=MONDAY)
    assert Standing.objects.get(seller=seller, week=evaluation.week).tier == Tier.ADVANCE
    assert quota_of(seller, "past_buyers", MONDAY).limit == 500

    # 3. Compose: who could be reached, and what it costs
    past_buyers = Scenario.objects.get(code="past_buyers")
    planned = look_up(seller, now=TUESDAY).survey(past_buyers).waterfall
    assert (planned.matched, planned.muted, planned.selected, planned.charged) == (30, 1, 29, 29)

    # 4. Admit: one transaction chooses, ranks, charges
    draft = BroadcastFactory(seller=seller, scenario=past_buyers)
    broadcast = broadcasting.submit(draft, send_at=None, now=TUESDAY)
    assert (broadcast.selected, broadcast.charged) == (29, 29)
    best = broadcast.recipients().get(rank=1)
    assert "Ordered" in explain(best)

    # 5. Deliver: batch after batch, each message once
    while deliver_next_batch(now=TUESDAY):
        pass
    assert Message.objects.filter(content=broadcast.content).count() == 29

    # 6. Settle: the broadcast has ended, nothing is left to refund
    assert settle_ended(now=TUESDAY) == 1
    broadcast.refresh_from_db()
    assert broadcast.status == Broadcast.Status.SENT
    assert quota_of(seller, "past_buyers", MONDAY).used == 29

    # 7. Responses: three read, one clicks, and orders the next day
    readers = [row.buyer_id for row in broadcast.recipients().order_by("rank")[:3]]
    receipts = [read(broadcast, buyer_id) for buyer_id in readers]
    assert responses.apply([*receipts, *receipts]) == 3
    feed.apply(order(seller, readers[0], "o-after", TUESDAY + timedelta(days=1)), now=SUNDAY + WEEK)

    # 8. Performance: every figure is the sum of the batches, and the books agree
    attribution.credit_orders(since=TUESDAY, now=SUNDAY + WEEK)
    totals = broadcast.batches().totals()
    assert (totals["delivered"], totals["reads"], totals["sales"]) == (29, 3, 1)
    assert Contact.objects.get(seller=seller, buyer_id=readers[0]).reads == 1
    assert books.discrepancies() == []

    # 9. The next week: 3 of 29 read, more than 9 %, so every limit grows by a fifth (R10)
    weekly_review.run_due(now=SUNDAY + WEEK)
    weekly_review.run_due(now=MONDAY + WEEK)
    growth = Growth.objects.filter(seller=seller).latest("week")
    assert (growth.delivered, growth.read, growth.reached) == (29, 3, True)
    grown = quota_of(seller, "past_buyers", MONDAY + WEEK)
    assert (grown.base, grown.limit, grown.used) == (500, 600, 0)
    assert LedgerEntry.objects.get(quota=grown).kind == LedgerEntry.Kind.GRANT
    assert books.discrepancies() == []


WEEK = timedelta(weeks=1)


def history(seller, buyers):
    for n, buyer in enumerate(buyers):
        yield SignalRow(f"f{n}", Signal.Kind.FOLLOWED, SUNDAY - timedelta(days=60), seller.pk, buyer.pk)
    for n, buyer in enumerate(buyers[30:]):
        yield from order(seller, buyer.pk, f"o{n}", SUNDAY - timedelta(days=10 + n))


def order(seller, buyer_id, code, at):
    shared = {"seller_id": seller.pk, "buyer_id": buyer_id, "order_code": code}
    yield SignalRow(f"{code}-ordered", Signal.Kind.ORDERED, at, amount=Decimal(250), **shared)
    yield SignalRow(f"{code}-paid", Signal.Kind.PAID, at + timedelta(minutes=5), **shared)


def read(broadcast, buyer_id):
    return Receipt(
        Kind.READ,
        broadcast.seller_id,
        buyer_id,
        TUESDAY + timedelta(hours=2),
        content_id=broadcast.content_id,
    )


def quota_of(seller, code, monday):
    return Quota.objects.get(seller=seller, scenario__code=code, week=seller.market.day(monday))
