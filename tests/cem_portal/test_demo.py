"""The demo marketplace: believable, lived through by the product's own functions, never mixed with other data."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import Count, Q

from cem_portal.demo.founding import DEMO_PASSWORD
from cem_portal.demo.letters import ANSWERS, BAD_LETTER, LETTERS, QUESTIONS
from cem_portal.demo.making import make
from cem_portal.demo.names import PLACES
from cem_portal.demo.world import FULL, SMALL, plan
from chat.models import MAX_TEXT, Conversation, Message
from customers.models import Contact, Order, Signal
from eligibility.calendar import current_week
from eligibility.models import Evaluation, Job, Metrics, Standing, Tier
from engagement import books
from engagement.links import find_links
from engagement.models import Attribution, Broadcast
from quotas.models import Growth, Quota
from sellers.models import ChatUser, Market, Seller
from tests.factories import MarketFactory

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)  # a Sunday before the evaluation


@pytest.fixture(scope="module")
def demo(django_db_setup, django_db_blocker):
    """The small demo, made once for the tests that only look."""
    with django_db_blocker.unblock(), transaction.atomic():
        make(size=SMALL, seed=7, now=NOW, say=lambda text: None, at_once=False)
        yield
        transaction.set_rollback(True)


@pytest.fixture
def look(demo, django_db_blocker):
    with django_db_blocker.unblock():
        yield


def test_the_books_of_its_history_are_right(look):
    assert books.discrepancies() == []
    assert Broadcast.objects.filter(status="sent").count() > 20
    assert Attribution.objects.exists()


def test_every_sign_in_of_the_contract_opens(look):
    home = Market.objects.get(code="demo-ph")
    for name in ("advance", "basic", "almost", "nodata"):
        user = ChatUser.objects.get(username=name)
        assert user.is_master
        assert user.seller.market == home
        assert user.check_password(DEMO_PASSWORD)
    sub = ChatUser.objects.get(username="advance-sub")
    assert (sub.is_master, sub.seller) == (False, ChatUser.objects.get(username="advance").seller)
    assert ChatUser.objects.get(username="support").is_staff
    assert ChatUser.objects.get(username="support").groups.exists()
    assert ChatUser.objects.get(username="admin").is_superuser


def test_the_sign_ins_have_the_tiers_that_their_names_promise(look):
    def standing(name):
        return Standing.objects.filter(seller__chat_users__username=name).latest("week")

    assert standing("advance").tier == Tier.ADVANCE
    assert standing("basic").tier == Tier.BASIC
    assert standing("almost").tier == Tier.NONE
    assert standing("nodata").tier == Tier.NONE
    almost = standing("almost").evaluation
    assert (almost.rating >= 85, 84 < almost.response_rate < 85) == (True, True)
    assert Evaluation.objects.filter(seller__chat_users__username="nodata", rating__isnull=False).count() == 0
    basic = Seller.objects.get(chat_users__username="basic")
    assert Contact.objects.filter(seller=basic, followed_times__0__isnull=False).count() == 47


def test_the_shop_advance_meets_its_limits(look):
    contacts = Contact.objects.filter(seller__chat_users__username="advance")
    figures = contacts.aggregate(
        followers=Count("buyer_id", filter=Q(followed_times__0__isnull=False)),
        past_buyers=Count("buyer_id", filter=Q(paid_times__0__isnull=False)),
        unpaid=Count("buyer_id", filter=Q(unpaid_times__0__gt=NOW)),
    )
    assert abs(figures["followers"] - SMALL.followers) <= 20
    assert abs(figures["past_buyers"] - SMALL.past_buyers) <= 12
    assert figures["unpaid"] >= SMALL.unpaid
    drafts = Broadcast.objects.filter(seller__chat_users__username="advance")
    assert drafts.filter(status="draft").count() == 2
    assert drafts.filter(status="scheduled", send_at__gt=NOW).exists()
    assert Conversation.objects.filter(seller__chat_users__username="advance", seen_at__isnull=True).exists()


def test_every_market_has_a_week_in_force_and_only_the_first_has_no_quiet_hours(look):
    for place in PLACES:
        market = Market.objects.get(code=place.code)
        assert current_week(market) == datetime(2026, 11, 16).date()
        assert Job.objects.filter(market=market).count() == 2 * (SMALL.weeks + 1)
        assert (market.policies.get().quiet_from is not None) == place.quiet_hours
    assert not Job.objects.filter(done_at__isnull=True).exists()
    assert Quota.objects.filter(week=datetime(2026, 11, 16).date(), used__gt=0).exists()
    assert Growth.objects.filter(delivered__gte=20).exists()


def test_nothing_lies_in_the_future_and_orders_take_their_course(look):
    assert not Signal.objects.filter(at__gt=NOW).exists()
    assert not Message.objects.filter(Q(sent_at__gt=NOW) | Q(read_at__gt=NOW)).exists()
    assert not Metrics.objects.filter(as_of__gt=NOW).exists()
    unpaid = Order.objects.filter(paid_at__isnull=True, cancelled_at__isnull=True)
    assert not unpaid.filter(pay_by__lt=NOW - timedelta(minutes=5)).exists()


def test_buyers_write_and_shops_answer(look):
    assert Message.objects.filter(from_buyer=True).exists()
    assert Message.objects.filter(replied_at__isnull=False).exists()
    assert Message.objects.filter(claimed_at__isnull=False).exists()


@pytest.mark.django_db
def test_it_refuses_a_database_that_holds_anything_else():
    MarketFactory(code="ph")
    with pytest.raises(CommandError, match="never mixes with other data"):
        call_command("demo", size="small")
    call_command("demo", size="small", if_empty=True)
    assert list(Market.objects.values_list("code", flat=True)) == ["ph"]


def test_the_same_seed_plans_the_same_marketplace():
    assert plan(FULL, seed=3) == plan(FULL, seed=3)
    assert plan(FULL, seed=3) != plan(FULL, seed=4)


@pytest.mark.parametrize("seed", range(5))
def test_the_plan_has_the_sizes_and_the_variety_that_the_domain_asks_for(seed):
    shops = plan(FULL, seed=seed).shops
    tiers = [shop.tier for shop in shops]
    counts = [tiers.count(tier) for tier in (Tier.ADVANCE, Tier.BASIC, Tier.NONE, "nodata")]
    assert counts == [26, 12, 18, 4]
    largest = sorted((shop.contacts for shop in shops), reverse=True)
    assert 190_000 < sum(largest) < 210_000
    assert 0.45 < sum(largest[:6]) / sum(largest) < 0.56
    assert len({shop.name for shop in shops}) == len({shop.sign_in for shop in shops}) == 60
    assert sum(shop.broadcasts == 0 for shop in shops) in range(9, 15)
    for week in range(1, FULL.weeks + 1):
        assert 2 <= sum(shop.tiers[week] != shop.tiers[week - 1] for shop in shops) <= 4


def test_the_letters_are_short_enough_and_name_no_outside_links():
    texts = [text for language in LETTERS.values() for letters in language.values() for _, text in letters]
    texts += [
        BAD_LETTER[1],
        *(text for part in (QUESTIONS, ANSWERS) for all_ in part.values() for text in all_),
    ]
    for text in texts:
        assert len(text) <= MAX_TEXT
        assert find_links(text) == [], text
