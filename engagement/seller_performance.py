"""Seller Performance: the week's quota with its arithmetic, the read rate, the weeks before (R9, R10, D11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from django.db.models import Q

from chat.models import Message, MessageQuerySet
from eligibility.models import Policy, Standing
from engagement.delivery import recipients_of
from engagement.models import Batch, Broadcast
from engagement.overview import Situation, quotas_of
from engagement.performance import ledger_of
from engagement.weekly_review import COUNTED_DAYS, TIME_TO_READ
from quotas.growth import limit_of, multipliers
from quotas.models import Growth, LedgerEntry, Quota, Scenario

WEEKS = 12  # shown of the past
ENTRIES = 40  # of the ledger
POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
TINY = Decimal("0.00005")  # what four shown places cannot tell apart
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 200, 72, 28, 12  # of the chart, in its own units


@dataclass(frozen=True, slots=True)
class QuotaLine:
    """A scenario's quota: what is left, how the limit came about, and what the next would be."""

    scenario: Scenario
    quota: Quota | None  # None: it consumes none, or is not open
    locked: bool
    sum: str  # "2,000 × 1.44 = 2,880", with adjustments if there were any
    next_limit: int | None  # when this week reaches the suggested read rate


@dataclass(frozen=True, slots=True)
class Week:
    """One past week: its tier, and the read rate that it was opened with."""

    week: date
    tier: str
    growth: Growth | None

    @property
    def rate(self) -> Decimal | None:
        """Per cent, unrounded; None where nothing was delivered."""
        if self.growth is None or not self.growth.delivered:
            return None
        return Decimal(self.growth.read) * 100 / self.growth.delivered

    @property
    def times(self) -> str:
        return plain(self.growth.multiplier) if self.growth else ""


@dataclass(frozen=True, slots=True)
class Running:
    """The read rate that the next evaluation will look at, as it stands now."""

    delivered: int
    read: int
    since: datetime
    until: datetime
    needed: int  # further reads until the target, of those delivered so far
    enough: bool  # as many delivered as the policy asks for


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    middle: float
    reached: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """The read rates as bars of an SVG, with the target as a line. Everything in the SVG's units."""

    width: int
    height: int
    left: int
    floor: float
    bars: list[Bar]
    target_y: float
    target: str
    ticks: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement of the ledger, with the broadcast that it was for, if any."""

    entry: LedgerEntry
    broadcast: Broadcast | None


@dataclass(frozen=True, slots=True)
class Review:
    quotas: list[QuotaLine]
    weeks: list[Week]  # the latest first
    growth: Growth | None  # of the week in force
    running: Running
    chart: Chart | None
    entries: list[Entry]
    raise_words: str
    growth_words: str


def review(situation: Situation) -> Review:
    """All that Seller Performance shows besides the criteria, of this seller alone."""
    growths = {each.week: each for each in Growth.objects.filter(seller=situation.seller)[:WEEKS]}
    standings = Standing.objects.filter(seller=situation.seller)[:WEEKS]
    weeks = [Week(each.week, each.tier, growths.get(each.week)) for each in standings]
    growth = growths.get(situation.week) if situation.week else None
    lines, policy = _quota_lines(situation, growth), situation.policy
    return Review(
        quotas=lines,
        weeks=weeks,
        growth=growth,
        running=_running(situation),
        chart=_draw(weeks[::-1], target=situation.policy.target_read_rate),
        entries=_entries(situation, [line.quota for line in lines if line.quota]),
        raise_words=f"{plain(policy.target_read_rate)} % raises next week's limits by "
        f"{plain((policy.growth_factor - 1) * 100)} %",
        growth_words=_growth_words(policy),
    )


def _quota_lines(situation: Situation, growth: Growth | None) -> list[QuotaLine]:
    if situation.week is None:
        return []
    scenarios = list(Scenario.objects.filter(active=True))
    mine = {each.pk for each in scenarios if each.is_open_to(situation.tier)}
    quotas = quotas_of(situation, [each for each in scenarios if each.pk in mine])
    steps = multipliers(situation.policy)
    n = growth.weeks_reached if growth else 0
    following = steps[min(n + 1, len(steps) - 1)]
    factor = situation.policy.growth_factor
    return [
        QuotaLine(
            scenario=each,
            quota=(quota := quotas.get(each.pk)),
            locked=each.pk not in mine,
            sum=_arithmetic(quota, growth, factor) if quota else "",
            next_limit=limit_of(quota.base, following) if quota else None,
        )
        for each in scenarios
    ]


def _growth_words(policy: Policy) -> str:
    factor, ceiling = plain(policy.growth_factor), plain(policy.growth_ceiling)
    if policy.growth_mode == Policy.Growth.WHILE_ACHIEVED:
        return f"The week after one that does has {factor} times the base."
    return f"Each week that does multiplies the limit by {factor}, up to {ceiling} times the base."


def _arithmetic(quota: Quota, growth: Growth | None, factor: Decimal) -> str:
    """ "2,000 × 1.2² = 2,880", and what staff adjusted since."""
    multiplier = growth.multiplier if growth else Decimal(1)
    granted = limit_of(quota.base, multiplier)
    n = growth.weeks_reached if growth else 0
    power = (
        f"{plain(factor)}{str(n).translate(POWERS)}" if n > 1 and abs(factor**n - multiplier) < TINY else ""
    )
    words = f"{quota.base:,} × {power or plain(multiplier)} = {granted:,}"
    change = quota.limit - granted
    return f"{words}, adjusted by {change:+,}" if change else words


def plain(number: Decimal) -> str:
    """Without idle zeros, to four places: 1.4400 is 1.44."""
    return f"{number:.4f}".rstrip("0").rstrip(".")


def _running(situation: Situation) -> Running:
    """Of the messages that the next evaluation will count (D11): how many there are, and were read."""
    evaluation = situation.awaited_evaluation  # also one that is due and has not run
    until = evaluation - TIME_TO_READ
    since = until - COUNTED_DAYS
    monday = situation.market.day(since)
    batches = Batch.objects.filter(
        seller=situation.seller,
        week__gte=monday - timedelta(days=monday.weekday() + 7),
        closed_at__gte=since,
    )
    delivered = read = 0
    for batch in batches.filter(Q(closed_at__lt=until) | Q(handed_at__lt=until)).select_related("broadcast"):
        assert batch.closed_at is not None
        sent_within = batch.closed_at < until and (batch.handed_at is None or batch.handed_at >= since)
        if sent_within and evaluation > situation.now:
            delivered, read = delivered + batch.delivered, read + batch.reads
        else:  # told by its messages, one by one: where a boundary cuts through it, and once reads may be too late
            messages = _messages_of(batch).filter(sent_at__gte=since, sent_at__lt=until)
            delivered += messages.count()
            read += messages.filter(read_at__lt=evaluation).count()
    target = situation.policy.target_read_rate
    lacking = -(-int(delivered * target * 100) // 10_000) - read  # rounded up: 8.96 % misses 9 %
    return Running(
        delivered=delivered,
        read=read,
        since=since,
        until=until,
        needed=max(lacking, 0),
        enough=delivered >= situation.policy.growth_min_delivered,
    )


def _messages_of(batch: Batch) -> MessageQuerySet:
    """The messages that a batch brought, found by their keys."""
    buyers = recipients_of(batch).values("buyer_id")
    return Message.objects.filter(
        week=batch.week, seller_id=batch.seller_id, content_id=batch.broadcast.content_id, buyer_id__in=buyers
    )


def _entries(situation: Situation, quotas: Iterable[Quota]) -> list[Entry]:
    movements = list(ledger_of(situation.seller, quotas)[:ENTRIES])
    ids = {
        int(each.reference.removeprefix("broadcast:"))
        for each in movements
        if each.reference.startswith("broadcast:")
    }
    broadcasts = {f"broadcast:{pk}": each for pk, each in _broadcasts(situation, ids).items()}
    return [Entry(each, broadcasts.get(each.reference)) for each in movements]


def _broadcasts(situation: Situation, ids: set[int]) -> dict[int, Broadcast]:
    return Broadcast.objects.filter(seller=situation.seller).in_bulk(ids) if ids else {}


def _draw(weeks: list[Week], *, target: Decimal) -> Chart | None:
    """One bar a week, the oldest first; None where no week has a rate."""
    rates = [week.rate for week in weeks if week.rate is not None]
    if not rates:
        return None
    top = _ceiling(float(max(*rates, target, Decimal(1))))
    floor, room = float(HEIGHT - BOTTOM), HEIGHT - BOTTOM - TOP

    def y(rate: float) -> float:
        return round(floor - room * rate / top, 1)

    step = (WIDTH - LEFT) / len(weeks)
    bars = []
    for place, week in enumerate(weeks):
        rate = float(week.rate or 0)
        bars.append(
            Bar(
                x=round(LEFT + step * place + step * 0.2, 1),
                y=y(rate),
                width=round(step * 0.6, 1),
                height=round(floor - y(rate), 1),
                label=f"{week.week.day} {week.week:%b}",
                middle=round(LEFT + step * (place + 0.5), 1),
                reached=bool(week.growth and week.growth.reached),
            )
        )
    ticks = [(y(top * part / 4), f"{top * part / 4:g} %") for part in range(5)]
    return Chart(WIDTH, HEIGHT, LEFT, floor, bars, y(float(target)), f"{plain(target)} %", ticks)


def _ceiling(value: float) -> float:
    """The next round number above, of which a quarter is round too."""
    steps = (4, 8, 12, 16, 20, 24, 32, 40, 60, 80, 100)
    return float(next((high for low, high in pairwise((0, *steps)) if low < value <= high), 100))
