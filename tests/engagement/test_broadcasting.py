"""From a draft to an ended broadcast, in one process."""

from datetime import timedelta

import pytest

from chat.models import Message
from customers.models import Contact
from engagement import broadcasting, scheduling
from engagement.books import discrepancies
from engagement.delivery import deliver_next_batch
from engagement.entitlement import Refused
from engagement.models import Batch, Broadcast, BuyerLoad, Recipient
from engagement.overview import look_up
from engagement.remembering import remember_messages
from engagement.settlement import settle_ended
from quotas.models import LedgerEntry, Quota, Scenario
from tests.factories import (
    NOW,
    WEEK,
    BroadcastFactory,
    ContentFactory,
    PolicyFactory,
    SellerFactory,
    days_ago,
    follow,
    open_week,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def seller():
    seller = SellerFactory()
    open_week(seller, limit=500)
    return seller


def draft(seller, code="followers", **extra):
    return BroadcastFactory(seller=seller, scenario=Scenario.objects.get(code=code), **extra)


def deliver_all(now=NOW):
    while deliver_next_batch(now=now):
        pass
    settle_ended(now=now)


def figures(seller, code="followers", now=NOW):
    return look_up(seller, now=now).survey(Scenario.objects.get(code=code)).waterfall


def quota(seller, code="followers"):
    return Quota.objects.get(seller=seller, scenario__code=code)


def test_a_broadcast_reaches_every_follower_and_charges_each_once(seller):
    follow(seller, 3)

    broadcast = broadcasting.launch(draft(seller), now=NOW)
    deliver_all()

    broadcast.refresh_from_db()
    assert broadcast.status == Broadcast.Status.SENT
    assert broadcast.ended_at == NOW
    assert Message.objects.filter(content=broadcast.content, sent_at=NOW).count() == 3
    assert quota(seller).used == 3


def test_contacts_remember_the_messages_of_ended_broadcasts_once(seller):
    contacts = follow(seller, 3)
    broadcasting.launch(draft(seller), now=NOW)
    Contact.objects.filter(pk=contacts[0].pk).update(muted_at=NOW)
    assert remember_messages() == 0  # it has not ended

    deliver_all()
    assert remember_messages() == 1
    assert remember_messages() == 0
    assert sorted(Contact.objects.values_list("messages", flat=True)) == [0, 1, 1]
    assert discrepancies() == []


def test_a_second_launch_of_the_same_broadcast_loses(seller):
    follow(seller, 1)
    broadcast = draft(seller)
    again = Broadcast.objects.get(pk=broadcast.pk)
    broadcasting.launch(broadcast, now=NOW)

    with pytest.raises(broadcasting.AlreadyLaunched):
        broadcasting.launch(again, now=NOW)

    assert again.status == Broadcast.Status.SENDING


def test_the_waterfall_before_sending_is_the_one_that_is_stored(seller):
    follow(seller, 4)
    follow(seller, 2, muted_at=days_ago(1))
    quota(seller)
    Quota.objects.filter(seller=seller, scenario__code="followers").update(limit=3)
    expected = figures(seller)

    broadcast = broadcasting.launch(draft(seller), now=NOW)

    assert (expected.matched, expected.muted, expected.over_quota) == (6, 2, 1)
    assert (expected.selected, expected.charged) == (3, 3)
    for name in ("matched", "muted", "capped_by_shop", "capped_by_market", "over_quota",
                 "over_cap", "selected", "charged"):  # fmt: skip
        assert getattr(broadcast, name) == getattr(expected, name), name


def test_the_best_are_chosen_and_the_first_left_out_is_named(seller):
    PolicyFactory(
        market=seller.market, effective_from=days_ago(1), max_recipients=2,
        quiet_from=None, quiet_until=None,
    )  # fmt: skip
    poor, best, good = follow(seller, 3)
    Contact.objects.filter(pk=best.pk).update(paid_times=[days_ago(3), days_ago(20)], orders=2, spent=500)
    Contact.objects.filter(pk=good.pk).update(paid_times=[days_ago(60)], orders=1, spent=100)

    broadcast = broadcasting.launch(draft(seller), now=NOW)

    ranked = list(broadcast.recipients().order_by("rank").values_list("rank", "buyer_id"))
    assert ranked == [(1, best.buyer_id), (2, good.buyer_id)]
    assert broadcast.over_cap == 1
    assert broadcast.left_out_id == poor.buyer_id
    assert broadcast.left_out_facts == [0, None, 40, 0, 0]
    assert broadcast.left_out_score < broadcast.recipients().get(rank=2).score


def test_a_recipient_keeps_the_facts_of_its_choice(seller):
    (contact,) = follow(seller, 1, orders=3, spent=300, messages=5, reads=4)
    Contact.objects.filter(pk=contact.pk).update(paid_times=[days_ago(12.5)])

    broadcast = broadcasting.launch(draft(seller), now=NOW)

    chosen = broadcast.recipients().get()
    assert (chosen.orders, chosen.ordered_days, chosen.messages, chosen.reads) == (3, 12, 5, 4)


def test_a_repeat_customer_of_the_week_charges_nothing(seller):
    follow(seller, 3)
    broadcasting.launch(draft(seller), now=NOW)
    deliver_all()
    follow(seller, 1)
    tomorrow = NOW + timedelta(days=1)

    second = broadcasting.launch(draft(seller), now=tomorrow)

    assert (second.selected, second.charged) == (4, 1)
    assert quota(seller).used == 4


def test_those_charged_already_come_before_others_when_quota_is_short(seller):
    held = follow(seller, 2)
    broadcasting.launch(draft(seller), now=NOW)
    deliver_all()
    better = follow(seller, 3, orders=4, spent=900)
    Contact.objects.filter(buyer__in=[c.buyer_id for c in better]).update(
        paid_times=[days_ago(1), days_ago(2)]
    )
    Quota.objects.filter(pk=quota(seller).pk).update(limit=4)

    second = broadcasting.launch(draft(seller), now=NOW + timedelta(days=1))

    chosen = set(second.recipients().values_list("buyer_id", flat=True))
    assert {contact.buyer_id for contact in held} <= chosen
    assert (second.selected, second.charged, second.over_quota) == (4, 2, 1)


def test_charges_of_a_cut_at_the_cap_are_counted_by_rank(seller):
    PolicyFactory(
        market=seller.market, effective_from=days_ago(1), max_recipients=3,
        quiet_from=None, quiet_until=None,
    )  # fmt: skip
    follow(seller, 2)
    broadcasting.launch(draft(seller), now=NOW)
    deliver_all()
    better = follow(seller, 2, orders=4, spent=900)
    Contact.objects.filter(buyer__in=[c.buyer_id for c in better]).update(paid_times=[days_ago(1)])
    tomorrow = NOW + timedelta(days=1)
    expected = figures(seller, now=tomorrow)

    second = broadcasting.launch(draft(seller), now=tomorrow)

    assert (expected.selected, expected.charged, expected.over_cap) == (3, 2, 1)
    assert (second.selected, second.charged) == (3, 2)


def test_one_message_a_buyer_a_day_from_one_seller(seller):
    follow(seller, 2)
    broadcasting.launch(draft(seller), now=NOW)
    Contact.objects.update(viewed_times=[days_ago(1)])

    fall = figures(seller, "visitors")

    assert (fall.matched, fall.capped_by_shop, fall.selected) == (2, 2, 0)
    with pytest.raises(Refused, match="enough of them"):
        broadcasting.launch(draft(seller, "visitors"), now=NOW)


def test_a_buyer_who_had_enough_from_all_sellers_is_left_out(seller):
    (contact, _) = follow(seller, 2)
    BuyerLoad.objects.create(
        buyer=contact.buyer, day=seller.market.day(NOW), day_count=3, week=WEEK, week_count=3
    )

    broadcast = broadcasting.launch(draft(seller), now=NOW)

    assert (broadcast.capped_by_market, broadcast.selected) == (1, 1)


def test_a_scenario_without_quota_charges_none(seller):
    follow(seller, 2, cart_times=[days_ago(2)])

    broadcast = broadcasting.launch(draft(seller, "cart"), now=NOW)

    assert (broadcast.selected, broadcast.charged) == (2, 0)
    assert not LedgerEntry.objects.filter(kind="charge").exists()


def test_each_scenario_twice_a_day(seller):
    follow(seller, 2)
    for _ in range(2):
        broadcasting.launch(draft(seller), now=NOW)
        Recipient.objects.all().delete()

    with pytest.raises(Refused, match="2 times today"):
        broadcasting.launch(draft(seller), now=NOW)


def test_basic_access_does_not_open_loyalty_buyers():
    seller = SellerFactory()
    open_week(seller, tier="basic", limit=10)
    follow(seller, 1, paid_times=[days_ago(1), days_ago(2)])

    with pytest.raises(Refused, match="not open to basic"):
        broadcasting.launch(draft(seller, "loyalty"), now=NOW)


def test_a_seller_without_a_standing_is_refused_and_keeps_the_draft():
    seller = SellerFactory()
    PolicyFactory(market=seller.market)
    broadcast = draft(seller)

    with pytest.raises(Refused, match="not eligible"):
        broadcasting.launch(broadcast, now=NOW)

    assert broadcast.status == Broadcast.Status.DRAFT


def test_stopping_refunds_what_was_not_delivered(seller, settings):
    settings.BATCH_SIZE = 2
    follow(seller, 5)
    broadcast = broadcasting.launch(draft(seller), now=NOW)
    deliver_next_batch(now=NOW)

    broadcasting.stop(broadcast, reason="wrong voucher", now=NOW)

    broadcast.refresh_from_db()
    totals = broadcast.batches().totals()
    assert (totals["delivered"], totals["stopped"]) == (2, 3)
    assert quota(seller).used == 2
    assert broadcast.ended_at == NOW
    assert BuyerLoad.objects.filter(day_count=0).count() == 3
    entry = LedgerEntry.objects.get(kind="refund")
    assert (entry.amount, entry.reference) == (3, broadcast.reference)


def test_who_muted_after_the_launch_is_skipped_with_the_reason_and_refunded(seller):
    contact, _ = follow(seller, 2)
    broadcast = broadcasting.launch(draft(seller), now=NOW)
    Contact.objects.filter(pk=contact.pk).update(muted_at=NOW)

    deliver_all()

    skipped = broadcast.recipients().get(buyer=contact.buyer)
    assert skipped.outcome == Recipient.Outcome.MUTED
    assert quota(seller).used == 1
    assert not Message.objects.filter(buyer=contact.buyer).exists()


def test_an_order_paid_after_the_launch_is_skipped_with_the_reason(seller):
    contact, _ = follow(seller, 2, unpaid_times=[NOW + timedelta(days=1)])
    broadcast = broadcasting.launch(draft(seller, "unpaid"), now=NOW)
    Contact.objects.filter(pk=contact.pk).update(unpaid_times=[])

    deliver_all()

    assert broadcast.recipients().get(buyer=contact.buyer).outcome == Recipient.Outcome.CHANGED
    assert broadcast.batches().totals()["delivered"] == 1


def test_a_customer_held_by_another_broadcast_is_not_refunded_until_that_ends(seller):
    (contact,) = follow(seller, 1)
    first = broadcasting.launch(draft(seller), now=NOW)
    tomorrow = NOW + timedelta(days=1)
    second = broadcasting.launch(draft(seller), now=tomorrow)
    Contact.objects.filter(pk=contact.pk).update(muted_at=tomorrow)
    assert (first.charged, second.charged, quota(seller).used) == (1, 0, 1)

    deliver_all(now=tomorrow)

    assert quota(seller).used == 0
    assert LedgerEntry.objects.filter(kind="refund").count() == 1


def test_small_broadcasts_do_not_wait_for_large_ones(seller, settings):
    settings.BATCH_SIZE = 1
    follow(seller, 3)
    large = broadcasting.launch(draft(seller), now=NOW)
    other = SellerFactory(market=seller.market)
    open_week(other, limit=10)
    follow(other, 1)
    small = broadcasting.launch(draft(other), now=NOW + timedelta(seconds=0.5))

    order = [deliver_next_batch(now=NOW).broadcast_id for _ in range(4)]

    assert order == [large.pk, small.pk, large.pk, large.pk]


def test_no_batch_of_a_market_whose_switch_is_off_is_sent(seller):
    follow(seller, 1)
    broadcasting.launch(draft(seller), now=NOW)
    seller.market.sending_stopped_at = NOW
    seller.market.save()

    assert deliver_next_batch(now=NOW) is None
    assert Batch.objects.get().status == Batch.Status.OPEN
    with pytest.raises(Refused, match="Sending is paused"):
        broadcasting.launch(draft(seller), now=NOW)


def test_quiet_hours_postpone_and_say_when(seller):
    PolicyFactory(market=seller.market, effective_from=days_ago(1))
    follow(seller, 1)
    late = NOW.replace(hour=15)  # 23:00 in Manila

    broadcast = broadcasting.submit(draft(seller), send_at=None, now=late)

    assert broadcast.status == Broadcast.Status.SCHEDULED
    assert seller.market.local(broadcast.send_at).strftime("%H:%M") == "08:00"
    assert scheduling.launch_due(now=late) == 0
    assert scheduling.launch_due(now=broadcast.send_at) == 1


def test_a_broadcast_that_another_host_calls_due_is_due(seller):
    follow(seller, 1)
    broadcasting.submit(draft(seller), send_at=NOW + timedelta(seconds=1), now=NOW)
    assert scheduling.launch_due(now=NOW) == 1


def test_more_than_a_day_late_is_not_sent_and_says_so(seller):
    follow(seller, 1)
    broadcast = broadcasting.submit(draft(seller), send_at=NOW + timedelta(hours=1), now=NOW)

    scheduling.launch_due(now=NOW + timedelta(hours=26))

    broadcast.refresh_from_db()
    assert broadcast.status == Broadcast.Status.REFUSED
    assert "24 hours" in broadcast.reason


def test_due_broadcasts_of_one_minute_go_by_priority(seller):
    contact = follow(seller, 1, cart_times=[days_ago(1)])[0]
    at = NOW + timedelta(hours=1)
    followers = broadcasting.submit(draft(seller), send_at=at, now=NOW)
    cart = broadcasting.submit(draft(seller, "cart"), send_at=at + timedelta(seconds=30), now=NOW)

    scheduling.launch_due(now=at + timedelta(minutes=1))

    assert cart.recipients().model.objects.get().broadcast_id == cart.pk
    followers.refresh_from_db()
    assert followers.status == Broadcast.Status.REFUSED
    assert contact.buyer_id == Recipient.objects.get().buyer_id


def test_a_spent_voucher_skips_the_batch_with_the_reason(seller):
    from tests.factories import VoucherFactory

    voucher = VoucherFactory(seller=seller, quantity=1)
    follow(seller, 1)
    content = ContentFactory(seller=seller, voucher=voucher)
    broadcast = broadcasting.launch(draft(seller, content=content), now=NOW)
    voucher.claimed = 1
    voucher.save()

    deliver_all()

    assert broadcast.recipients().get().outcome == Recipient.Outcome.VOUCHER_SPENT
    assert quota(seller).used == 0


def test_a_scenario_made_this_week_opens_its_quota_at_first_use(seller):
    from quotas.models import Condition
    from tests.factories import LONG_AGO

    scenario = Scenario.objects.create(code="eleventh", name="Readers", description="They read.")
    Condition.objects.create(scenario=scenario, fact="read", within_days=30)
    seller.market.allowances.create(scenario=scenario, base=7, effective_from=LONG_AGO)
    follow(seller, 1, read_times=[days_ago(1)])

    broadcast = broadcasting.launch(draft(seller, "eleventh"), now=NOW)

    assert broadcast.charged == 1
    assert (quota(seller, "eleventh").limit, quota(seller, "eleventh").used) == (7, 1)
