"""Broadcasts in the admin: looked up with their figures, paused, stopped, and woken when they are stuck."""

from __future__ import annotations

from typing import Any

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
from engagement import answering, pausing, people_admin, waking  # noqa: F401  (registers people)
from engagement.broadcast_deeds import PAUSE, RESUME, STOP, WAKE
from engagement.models import Batch, Broadcast
from engagement.performance import missed_by_reason, progress_of
from quotas.models import LedgerEntry
from sellers.exporting import FilteredExport
from sellers.staff_pages import ReadOnly, at, figure, link_to
from sellers.templatetags.portal import badge, rate

Status = Broadcast.Status
TONES = {
    Status.SCHEDULED: "info", Status.SENDING: "info", Status.SENT: "good", Status.STOPPED: "warn",
    Status.PAUSED: "warn", Status.REFUSED: "bad",
}  # fmt: skip
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
    deeds = [WAKE, PAUSE, RESUME, STOP]
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
            return badge("Stuck", "bad")
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
        "paused": _until_when(broadcast),
    }


def _until_when(broadcast: Broadcast) -> dict[str, Any] | None:
    """What keeps staff from resuming a paused broadcast, and until when it may wait; None for all others."""
    if broadcast.status != Status.PAUSED:
        return None
    hindrance = pausing.hindrance(broadcast, now=timezone.now(), by_staff=True)
    return {"hindrance": hindrance, "last_moment": pausing.last_moment(broadcast)}


def _why_stuck(broadcast: Broadcast) -> dict[str, Any] | None:
    """What keeps a stuck broadcast, as far as it can be seen from here; None for all others."""
    if not waking.is_stuck(broadcast, now=timezone.now()):
        return None
    broker = answering.broker_answers()
    return {
        "ahead": waking.batches_ahead(broadcast, now=timezone.now()),
        "broker": broker,
        "worker": broker and answering.worker_answers(),
    }
