"""Home: where you are, what the state is, what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import cast

from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from chat.inbox import list_threads
from customers.models import Contact, Order
from eligibility.calendar import Timetable
from eligibility.criteria import Criterion
from eligibility.criteria import criteria as list_criteria
from eligibility.models import Evaluation, Job, Standing, Tier
from engagement.models import Broadcast
from engagement.navigation import remember_for_navigation
from engagement.performance import Figures, figures_by_broadcast
from quotas.models import Quota
from sellers.access import SellerRequest, seller_required, staff_start_in_the_admin
from sellers.models import ChatUser, Market, Seller
from sellers.templatetags.portal import local_time, local_weekday, money

THREADS = 5  # chats named on the page
FIGURE_DAYS = 7


@dataclass(frozen=True, slots=True)
class EngagementCard:
    """The state of Customer Engagement for a master account's home page (R14)."""

    tier: str
    week: date | None
    quota_left: int
    quota_limit: int
    sending: int
    paused: int
    scheduled: int
    latest: Broadcast | None
    latest_delivered: int
    latest_reads: int
    evaluation: Evaluation | None
    criteria: list[Criterion]
    coming: Evaluation | None  # Sunday's verdict while its Monday is still ahead (R5)
    next_refresh: datetime

    @property
    def quota_figure(self) -> str:
        return f"{self.quota_left:,} of {self.quota_limit:,} customers"

    def quota_words(self, market: Market) -> str:
        return (
            f"Over all scenarios with a quota; resets {local_weekday(self.next_refresh, market)}. "
            "Cart, wishlist and unpaid orders need none."
        )


def sum_up_engagement(seller: Seller, *, now: datetime) -> EngagementCard:
    """Tier with its evidence, quota left this week over all scenarios, and the latest broadcast."""
    timetable = Timetable.read(seller.market, now=now)
    week = timetable.week
    of_week = Quota.objects.filter(seller=seller, week=week) if week else Quota.objects.none()
    quotas = of_week.aggregate(limit=Sum("limit", default=0), used=Sum("used", default=0))
    mine = Broadcast.objects.filter(seller=seller)
    states = mine.aggregate(
        sending=Count("pk", filter=Q(status=Broadcast.Status.SENDING)),
        paused=Count("pk", filter=Q(status=Broadcast.Status.PAUSED)),
        scheduled=Count("pk", filter=Q(status=Broadcast.Status.SCHEDULED)),
    )
    latest = (
        mine.filter(admitted_at__isnull=False).select_related("scenario").order_by("-admitted_at").first()
    )
    totals = _totals(latest)
    standings = Standing.objects.filter(seller=seller).select_related("evaluation__policy")
    standing = standings.filter(week=week).first() if week else None
    newest = Evaluation.objects.filter(seller=seller).select_related("policy").order_by("-week").first()
    evaluation = standing.evaluation if standing else None
    return EngagementCard(
        tier=standing.tier if standing else Tier.NONE,
        week=week,
        quota_left=quotas["limit"] - quotas["used"],
        quota_limit=quotas["limit"],
        sending=states["sending"],
        paused=states["paused"],
        scheduled=states["scheduled"],
        latest=latest,
        latest_delivered=totals.delivered,
        latest_reads=totals.reads,
        evaluation=evaluation,
        criteria=list_criteria(evaluation) if evaluation else [],
        coming=newest if newest and (week is None or newest.week > week) else None,
        next_refresh=timetable.next(Job.Kind.REFRESH),
    )


def _totals(broadcast: Broadcast | None) -> Figures:
    found = figures_by_broadcast([broadcast] if broadcast else [])
    return next(iter(found.values()), Figures())


@require_safe
@staff_start_in_the_admin
@seller_required
def show_home(request: HttpRequest) -> HttpResponse:
    """The shop's state today: Customer Engagement (master accounts only, R2), chats, figures."""
    user, seller = cast(ChatUser, request.user), cast(SellerRequest, request).seller
    inbox = list_threads(user, show="", q="", page="1")
    now = timezone.now()
    engagement = sum_up_engagement(seller, now=now) if user.is_master else None
    remember_for_navigation(request, tier=engagement.tier if engagement else None, unread=inbox.unread)
    context = {
        "seller": seller,
        "market": seller.market,
        "now": now,
        "inbox": inbox,
        "lines": [line for line in inbox.lines if line.unread or line.waiting][:THREADS],
        "engagement": engagement,
        "quota_words": engagement.quota_words(seller.market) if engagement else "",
    }
    return render(request, "engagement/home.html", context)


@seller_required
@require_safe
def show_figures(request: HttpRequest) -> HttpResponse:
    """The shop's figures, loaded after the page: counting a large shop takes a moment."""
    seller, now = cast(SellerRequest, request).seller, timezone.now()
    since = now - timedelta(days=FIGURE_DAYS)
    contacts = Contact.objects.filter(seller=seller).aggregate(
        known=Count("buyer_id"),
        followers=Count("buyer_id", filter=Q(followed_times__len__gt=0)),
        new=Count("buyer_id", filter=Q(followed_times__0__gte=since)),
    )
    orders = Order.objects.filter(seller=seller, placed_at__gte=since).aggregate(
        placed=Count("pk"),
        paid=Count("pk", filter=Q(paid_at__isnull=False, cancelled_at__isnull=True)),
        amount=Sum("amount", filter=Q(paid_at__isnull=False, cancelled_at__isnull=True), default=0),
    )
    context = {
        "contacts": contacts,
        "orders": orders,
        "followers_meaning": f"{contacts['new']:,} new in the last {FIGURE_DAYS} days",
        "orders_meaning": f"{orders['paid']:,} of them paid",
        "paid": money(orders["amount"], seller.market),
        "counted_at": f"counted {local_time(now, seller.market)}",
    }
    return render(request, "engagement/_figures.html", context)
