"""Broadcasts in the admin: looked up with their figures, stopped, and woken when they are stuck."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import (
    BooleanField,
    ExpressionWrapper,
    F,
    FloatField,
    IntegerField,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Cast, Coalesce, NullIf
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from import_export.fields import Field
from import_export.formats.base_formats import CSV
from import_export.resources import ModelResource

from customers.models import Product
from engagement import answering, broadcasting, people_admin, waking  # noqa: F401  (registers people)
from engagement.models import Batch, Broadcast
from engagement.performance import missed_by_reason, progress_of
from engagement.waking import Woken
from quotas.models import LedgerEntry
from sellers.exporting import FilteredExport
from sellers.models import ChatUser
from sellers.staff_pages import Deed, ReadOnly, ReasonForm, at, figure, link_to
from sellers.templatetags.portal import badge, rate

Status = Broadcast.Status
TONES = {
    Status.SCHEDULED: "info", Status.SENDING: "info", Status.SENT: "good", Status.STOPPED: "warn",
    Status.REFUSED: "bad",
}  # fmt: skip
BY_STAFF = "Marketplace staff: "  # before the reason that the seller reads
COUNTED = ("delivered", "reads", "mutes")  # of the batches, beside each broadcast of the list
MANY_MUTES = {0.03: "bad", 0.01: "warn"}  # an ordinary broadcast stays below 1 %


def with_counts(broadcasts: QuerySet[Broadcast]) -> QuerySet[Broadcast]:
    """Broadcasts with the sums of their batches' counters, or what those left (I9), and the mute rate."""
    of_one = Batch.objects.filter(
        week=OuterRef("week"), seller_id=OuterRef("seller_id"), broadcast_id=OuterRef("pk")
    )
    sums = {
        name: Coalesce(Subquery(of_one.values("broadcast_id").annotate(n=Sum(name)).values("n")),
                       F(f"totals__{name}"), 0, output_field=IntegerField())
        for name in COUNTED
    }  # fmt: skip
    share = Cast(F("mutes"), FloatField()) / NullIf(F("delivered"), 0)
    return broadcasts.annotate(**sums).annotate(mute_share=Coalesce(share, 0.0, output_field=FloatField()))


class StopForm(ReasonForm):
    """Room is left for the words that tell the seller who stopped it."""

    reason = forms.CharField(max_length=ReasonForm.MOST - len(BY_STAFF), widget=ReasonForm.WIDGET)


def _stop(broadcast: Broadcast, cleaned: dict[str, Any], by: ChatUser) -> str:
    broadcasting.stop(broadcast, reason=BY_STAFF + cleaned["reason"], now=timezone.now())
    totals = broadcast.batches().totals()
    return (
        f"“{broadcast}” is stopped. {totals['delivered']:,} messages had been delivered and stay; "
        f"{totals['stopped']:,} customers get none, and what they cost is refunded."
    )


STOP = Deed(
    slug="stop",
    label="Stop sending",
    permission="engagement.stop_broadcast",
    warn=lambda broadcast: (
        f"by {broadcast.seller}, to {broadcast.selected:,} customers. What is not delivered yet never will be, "
        "and is refunded; what is delivered stays. The seller reads your reason."
    ),
    perform=_stop,
    closed=lambda broadcast: (
        "" if broadcast.status == Status.SENDING
        else f"It is {broadcast.get_status_display()}: only what is being sent can be stopped."
    ),
    refusals=(broadcasting.AlreadyLaunched,),
    form=StopForm,
    hint="The seller reads this on the broadcast's page. It is kept in the history, too.",
)  # fmt: skip


class NotWoken(Exception):
    """The message says who did not answer."""


def _wake(broadcast: Broadcast, cleaned: dict[str, Any], by: ChatUser) -> str:
    match waking.wake(broadcast, now=timezone.now()):
        case Woken.ANSWERED:
            return (
                f"A worker answered for “{broadcast}”. If nothing of it moves within a minute, look for its number, "
                f"{broadcast.pk}, in the worker's log."
            )
        case Woken.NOBODY:
            raise NotWoken(
                "The bell was rung, but no worker answered. Start one; it then delivers by itself."
            )
        case Woken.UNREACHABLE:
            raise NotWoken(
                "The broker cannot be reached, so no worker heard of it. Nothing is lost: start it."
            )
        case Woken.NOT_NEEDED:
            raise NotWoken("It moved meanwhile, or has ended.")


WAKE = Deed(
    slug="wake",
    label="Wake delivery",
    permission="engagement.wake_broadcast",
    warn=lambda broadcast: (
        f"by {broadcast.seller}, to {broadcast.selected:,} customers. The bell is rung at once, and a worker asked "
        "whether it is there. Whoever hears it takes all that is open, so once is enough for every stuck "
        "broadcast; more often does no harm. Nobody gets a message twice."
    ),
    perform=_wake,
    closed=lambda broadcast: (
        "" if waking.is_stuck(broadcast, now=timezone.now())
        else "It is not stuck: it moves, waits for its market's switch, or is not being sent."
    ),
    refusals=(NotWoken,),
    hint="It is kept in the log of what staff did. Write what a colleague needs to know.",
    danger=False,
    in_list=False,
)  # fmt: skip


class Stuck(admin.SimpleListFilter):
    """Broadcasts whose delivery stands still."""

    title = "delivery"
    parameter_name = "stuck"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Stuck")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Broadcast]) -> QuerySet[Broadcast]:
        return queryset.filter(waking.stuck_condition(timezone.now())) if self.value() == "yes" else queryset


class BroadcastResource(ModelResource):  # type: ignore[misc]
    """The list as a file: the same figures (I9)."""

    market = Field(attribute="seller__market__code")
    seller = Field(attribute="seller__code")
    scenario = Field(attribute="scenario__code")
    delivered, reads, mutes = (Field(attribute=name) for name in COUNTED)

    class Meta:
        model = Broadcast
        fields = (
            "id", "market", "seller", "scenario", "title", "status", "admitted_at", "ended_at",
            "matched", "selected", "charged", *COUNTED,
        )  # fmt: skip
        export_order = fields


@admin.register(Broadcast)
class BroadcastAdmin(FilteredExport, ReadOnly):
    resource_classes = [BroadcastResource]
    formats = [CSV]
    list_display = [
        "title", "shop", "scenario", "state", "sent", "shown_selected", "shown_delivered",
        "read_rate", "mute_rate",
    ]  # fmt: skip
    list_filter = ["status", Stuck, "seller__market", "scenario"]
    search_fields = ["title", "seller__name", "seller__code"]
    search_help_text = "Search by title, or by shop"
    ordering = ["-id"]
    fields = ["shop", "market", "scenario", "state", "reason", "writer", "created", "planned", "sent",
              "ended", "chat", "text", "products", "voucher", "ledger"]  # fmt: skip
    deeds = [WAKE, STOP]
    created = at("created_at", lambda broadcast: broadcast.seller.market)
    planned = at("send_at", lambda broadcast: broadcast.seller.market, "planned for")
    sent = at("admitted_at", lambda broadcast: broadcast.seller.market, "accepted")
    ended = at("ended_at", lambda broadcast: broadcast.seller.market)
    shown_selected, shown_delivered = figure("selected"), figure("delivered")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Broadcast]:
        stuck = ExpressionWrapper(waking.stuck_condition(timezone.now()), output_field=BooleanField())
        return (
            with_counts(super().get_queryset(request))
            .annotate(is_stuck=stuck)
            .select_related("seller__market", "scenario", "content__voucher", "created_by")
        )

    @admin.display(description="shop", ordering="seller__name")
    def shop(self, broadcast: Broadcast) -> str:
        return link_to(broadcast.seller)

    @admin.display(description="market", ordering="seller__market")
    def market(self, broadcast: Broadcast) -> str:
        return str(broadcast.seller.market)

    @admin.display(description="status", ordering="status")
    def state(self, broadcast: Any) -> SafeString:
        if broadcast.is_stuck:
            return badge("stuck", "bad")
        return badge(broadcast.get_status_display(), TONES.get(Status(broadcast.status), ""))

    @admin.display(description="read rate")
    def read_rate(self, broadcast: Any) -> str:
        return rate(broadcast.reads, broadcast.delivered)

    @admin.display(description="mute rate", ordering="mute_share")
    def mute_rate(self, broadcast: Any) -> str:
        shown = rate(broadcast.mutes, broadcast.delivered)
        tone = next((tone for least, tone in MANY_MUTES.items() if broadcast.mute_share >= least), "")
        return badge(shown, tone) if tone else shown

    @admin.display(description="written by")
    def writer(self, broadcast: Broadcast) -> str:
        return link_to(broadcast.created_by)

    @admin.display(description="carried by")
    def chat(self, broadcast: Broadcast) -> str:
        return broadcast.gateway or "the portal's own chat"

    @admin.display(description="text")
    def text(self, broadcast: Broadcast) -> str:
        return broadcast.content.text or "–"

    @admin.display(description="products")
    def products(self, broadcast: Broadcast) -> str:
        titles = Product.objects.filter(pk__in=broadcast.content.product_ids).values_list("title", flat=True)
        return ", ".join(titles) or "–"

    @admin.display(description="voucher")
    def voucher(self, broadcast: Broadcast) -> str:
        return str(broadcast.content.voucher or "–")

    @admin.display(description="quota")
    def ledger(self, broadcast: Broadcast) -> str:
        entry = LedgerEntry.objects.filter(
            reference=broadcast.reference, quota__seller=broadcast.seller
        ).first()
        return link_to(entry.quota) if entry else "consumed none"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        broadcast = self.get_object(request, object_id)
        panel = (
            {"panel_template": "admin/broadcast_panel.html", "panel": _figures(broadcast)}
            if broadcast
            else {}
        )
        return super().change_view(request, object_id, form_url, panel | (extra_context or {}))


def _figures(broadcast: Broadcast) -> dict[str, Any]:
    """The stored waterfall, and how far the messages are: by the functions of the seller's own page."""
    return {
        "broadcast": broadcast,
        "fall": [
            ("fitted the scenario", broadcast.matched),
            ("had muted", -broadcast.muted),
            ("had a message from this shop that day", -broadcast.capped_by_shop),
            ("had enough messages from all shops", -broadcast.capped_by_market),
            ("over the week's quota", -broadcast.over_quota),
            ("over the recipients of one broadcast", -broadcast.over_cap),
            ("were selected", broadcast.selected),
        ],
        "progress": progress_of(broadcast, now=timezone.now()),
        "missed": missed_by_reason(broadcast),
        "open_batches": broadcast.batches().filter(status__in=Batch.PENDING).count(),
        "stuck": _why_stuck(broadcast),
    }


def _why_stuck(broadcast: Broadcast) -> dict[str, Any] | None:
    """What keeps a stuck broadcast, as far as it can be seen from here; None for all others."""
    if not waking.is_stuck(broadcast, now=timezone.now()):
        return None
    broker = answering.broker_answers()
    return {
        "ahead": waking.batches_ahead(broadcast),
        "broker": broker,
        "worker": broker and answering.worker_answers(),
    }
