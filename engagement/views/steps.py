"""The waterfall and the funnel as the pages draw them: a label, a figure, a bar and a rate."""

from __future__ import annotations

from dataclasses import dataclass

from engagement.audience import Waterfall
from engagement.models import Broadcast
from engagement.performance import Figures
from sellers.templatetags.portal import rate


@dataclass(frozen=True, slots=True)
class Step:
    """One row of `components/funnel.html`; `kind` is less for what drops out, total for the sum."""

    label: str
    value: int
    max: int
    meaning: str = ""
    rate: str = ""
    tone: str = ""
    kind: str = ""


def waterfall(fall: Waterfall | Broadcast, *, cap: int | None = None) -> list[Step]:
    """matched → muted → capped → over quota → over cap → selected; steps that take nobody are left out."""

    def less(label: str, value: int, meaning: str) -> Step:
        return Step(label, value, fall.matched, meaning=meaning, tone="quiet", kind="less")

    most = f"The best {cap:,} are chosen" if cap else "More than one broadcast reaches"
    steps = [
        less("Muted", fall.muted, "They mute your shop, or all such messages"),
        less("Had a message from you today", fall.capped_by_shop, "One a day and customer"),
        less("Had enough from all shops", fall.capped_by_market, "The daily or weekly limit per customer"),
        less("Over your quota", fall.over_quota, "More than the quota has left this week"),
        less("Over the broadcast's limit", fall.over_cap, most),
    ]
    return [
        Step("Fit the scenario", fall.matched, fall.matched),
        *(step for step in steps if step.value),
        Step("Selected", fall.selected, fall.matched, rate=rate(fall.selected, fall.matched), kind="total"),
    ]


def funnel(figures: Figures, *, selected: int) -> list[Step]:
    """delivered → read → clicked → replied → claimed → ordered, each with what it is a share of."""

    def of_delivered(label: str, value: int, meaning: str) -> Step:
        share = f"{rate(value, figures.delivered)} of {figures.delivered:,} delivered"
        return Step(label, value, figures.delivered, meaning=meaning, rate=share)

    delivered = f"{rate(figures.delivered, selected)} of {selected:,} selected"
    return [
        Step("Delivered", figures.delivered, selected, meaning="Arrived in the chat", rate=delivered),
        of_delivered("Read", figures.reads, "Seen by the buyer"),
        of_delivered("Clicked", figures.clicks, "Opened a product"),
        of_delivered("Replied", figures.replies, "Wrote back"),
        of_delivered("Voucher claimed", figures.claims, "Took the voucher in the chat, which is no click"),
        of_delivered("Orders", figures.sales, "Paid within the window after reading"),
    ]
