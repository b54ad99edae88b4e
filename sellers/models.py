"""Who signs in: markets, sellers and their chat users. Facts that the marketplace tells us."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pghistory
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q


def validate_time_zone(name: str) -> None:
    """Refuse a name that is no IANA time zone."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"“{name}” is no time zone. Write one such as Asia/Manila.")


if TYPE_CHECKING:
    Text = models.CharField[str, str]
else:
    Text = models.CharField


class TimeZoneField(Text):
    """An IANA time zone's name. A migration sees the text only, so that it needs none of our code."""

    default_validators = [validate_time_zone]

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.CharField", arguments, options


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class Market(models.Model):
    """A country of the marketplace."""

    code = models.CharField(max_length=8, unique=True)
    name = models.CharField(max_length=80)
    time_zone = TimeZoneField(max_length=64)
    currency = models.CharField(max_length=3, help_text="ISO 4217 code, such as PHP")
    language = models.CharField(max_length=8, default="en")
    sending_stopped_at = models.DateTimeField(
        null=True, blank=True, help_text="While set, no batch of this market is sent."
    )
    sending_stopped_reason = models.CharField(max_length=200, blank=True)
    chat_gateway = models.CharField(
        "carried by", max_length=32, blank=True, default="", db_default="",
        help_text="The chat for broadcasts from now on, one that CHAT_GATEWAYS names; what is under way stays.",
    )  # fmt: skip

    class Meta:
        ordering = ["code"]
        permissions = [("switch_sending", "Can stop and resume all sending in a market")]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def zone(self) -> tzinfo:
        return zoneinfo.ZoneInfo(self.time_zone)

    @property
    def place(self) -> str:
        """The city of the time zone, as shown after a time: "14:00 Manila time"."""
        return self.time_zone.rsplit("/", 1)[-1].replace("_", " ")

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def day(self, moment: datetime) -> date:
        """The local calendar day of a moment."""
        return self.local(moment).date()

    def stop_sending(self, *, reason: str, now: datetime) -> bool:
        """Stop all sending in this market from the next batch on (D16). False when it was stopped."""
        running = Market.objects.filter(pk=self.pk, sending_stopped_at__isnull=True)
        return bool(running.update(sending_stopped_at=now, sending_stopped_reason=reason[:200]))

    def resume_sending(self) -> bool:
        """Let sending go on: the sweep finds the batches that waited. False when it was running."""
        stopped = Market.objects.filter(pk=self.pk, sending_stopped_at__isnull=False)
        return bool(stopped.update(sending_stopped_at=None, sending_stopped_reason=""))


M = TypeVar("M", bound=models.Model, covariant=True)


class SellerOwned(models.QuerySet[M]):
    """Rows with a `seller`: every page looks them up through `visible_to` (I7)."""

    def visible_to(self, user: ChatUser) -> Self:
        """The rows of the user's own shop; none for staff, who belong to no seller."""
        return self.filter(seller_id=user.seller_id) if user.seller_id else self.none()


class SellerQuerySet(models.QuerySet["Seller"]):
    def locked(self, pk: int) -> Seller:
        """The seller's row, locked: the first lock of launch, stop and settle, one of them at a
        time per seller. Foreign keys to it can still be checked meanwhile (NO KEY)."""
        rows = self.select_for_update(of=("self",), no_key=True).select_related("market")
        return rows.get(pk=pk)

    def is_free(self, pk: int) -> bool:
        """Whether nobody holds the seller's row locked at this moment."""
        with transaction.atomic():
            rows = self.select_for_update(no_key=True, skip_locked=True).filter(pk=pk)
            return rows.values_list("pk").first() is not None


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())
class Seller(models.Model):
    """A shop in one market."""

    market = models.ForeignKey(Market, on_delete=models.PROTECT, related_name="sellers")
    code = models.CharField(max_length=64, help_text="The marketplace's own id of the shop")
    name = models.CharField(max_length=120)
    opened_on = models.DateField(null=True, blank=True)

    objects = SellerQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["market", "code"], name="seller_code_per_market")]

    def __str__(self) -> str:
        return self.name


@pghistory.track(
    pghistory.InsertEvent(),
    pghistory.UpdateEvent(),
    pghistory.UpdateEvent("password_set", condition=pghistory.AnyChange("password")),
    pghistory.DeleteEvent(),
    exclude=["password", "last_login"],
)
class ChatUser(AbstractUser):
    """A person who signs in: a seller's master account or sub-account, or a member of staff."""

    seller = models.ForeignKey(
        Seller, null=True, blank=True, on_delete=models.PROTECT, related_name="chat_users"
    )
    is_master = models.BooleanField(
        "master account", default=False, help_text="Only the master account reaches CEM."
    )

    class Meta(AbstractUser.Meta):
        verbose_name = "chat user"
        verbose_name_plural = "chat users"
        constraints = [
            models.UniqueConstraint(
                fields=["seller"],
                condition=Q(is_master=True, is_active=True),
                name="one_active_master_per_seller",
                violation_error_message="This seller has an active master account already (I1).",
            ),
            models.CheckConstraint(
                condition=Q(is_staff=False) | Q(seller__isnull=True),
                name="staff_belong_to_no_seller",
                violation_error_message="Staff belong to no seller (I1).",
            ),
            models.CheckConstraint(
                condition=Q(is_master=False) | Q(seller__isnull=False),
                name="master_account_has_seller",
                violation_error_message="A master account needs a seller.",
            ),
        ]


@pghistory.track(
    pghistory.InsertEvent("joined"),
    pghistory.DeleteEvent("left"),
    obj_field=None,
    model_name="GroupMembershipEvent",
)
class GroupMembership(ChatUser.groups.through):  # type: ignore[misc, name-defined]
    """A member of staff in a group such as Support: named here for the audit trail alone."""

    class Meta:
        proxy = True
