"""What staff do to a broadcast, by the functions of its seller's own page: stop, pause, resume, wake."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone

from engagement import broadcasting, pausing, waking
from engagement.entitlement import Refused
from engagement.models import Broadcast
from engagement.performance import progress_of
from engagement.waking import Woken
from sellers.models import ChatUser
from sellers.staff_pages import Deed, ReasonForm
from sellers.templatetags.portal import local_time

Status = Broadcast.Status
BY_STAFF = "Marketplace staff: "  # before the reason that the seller reads


class StopForm(ReasonForm):
    """Room is left for the words that tell the seller who stopped it."""

    reason = forms.CharField(max_length=ReasonForm.MOST - len(BY_STAFF), widget=ReasonForm.WIDGET)


def _stop(broadcast: Broadcast, cleaned: dict[str, Any], by: ChatUser) -> str:
    broadcasting.stop(broadcast, reason=BY_STAFF + cleaned["reason"], now=timezone.now())
    progress = progress_of(broadcast, now=timezone.now())
    return (
        f"“{broadcast}” is stopped. {progress.figures.delivered:,} messages had been delivered and stay; "
        f"{progress.figures.stopped + progress.waiting:,} customers get none, and what they cost is refunded."
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
        "" if broadcast.status in broadcasting.STOPPABLE
        else f"It is {broadcast.get_status_display().lower()}: only what is being sent can be stopped."
    ),
    refusals=(Refused,),
    form=StopForm,
    hint="The seller reads this on the broadcast's page. It is kept in the history, too.",
)  # fmt: skip


def _pause(broadcast: Broadcast, cleaned: dict[str, Any], by: ChatUser) -> str:
    pausing.pause(broadcast, now=timezone.now(), reason=BY_STAFF + cleaned["reason"], by_staff=True)
    waiting = progress_of(broadcast, now=timezone.now()).waiting
    until = local_time(pausing.last_moment(broadcast), broadcast.seller.market)
    return f"“{broadcast}” is paused; {waiting:,} customers wait. Resume it or stop it by {until}."


def _why_not_paused(broadcast: Broadcast) -> str:
    if broadcast.status != Status.SENDING:
        return f"It is {broadcast.get_status_display().lower()}: only what is being sent can be paused."
    now = timezone.now()
    queued = progress_of(broadcast, now=now).queued
    return "" if pausing.is_worth_it(broadcast, queued=queued, now=now) else (
        "Too little of it waits, or it was accepted more than 24 hours ago: stop it, or let it go on."
    )  # fmt: skip


PAUSE = Deed(
    slug="pause",
    label="Pause sending",
    permission="engagement.pause_broadcast",
    warn=lambda broadcast: (
        f"by {broadcast.seller}, to {broadcast.selected:,} customers. Who waits is kept, with the quota. Only staff can "
        "resume it; the seller can stop it, and reads your reason. What is still paused 24 hours after it was "
        "accepted is stopped and refunded."
    ),
    perform=_pause,
    closed=_why_not_paused,
    refusals=(Refused,),
    form=StopForm,
    hint="The seller reads this on the broadcast's page. It is kept in the history, too.",
    danger=False,
)  # fmt: skip


def _resume(broadcast: Broadcast, cleaned: dict[str, Any], by: ChatUser) -> str:
    pausing.resume(broadcast, now=timezone.now(), by_staff=True)
    return f"“{broadcast}” goes on."


RESUME = Deed(
    slug="resume",
    label="Resume sending",
    permission="engagement.pause_broadcast",
    warn=lambda broadcast: (
        f"by {broadcast.seller}, to {broadcast.selected:,} customers. Who waited gets the message now"
        f"{', though its seller paused it' if not broadcast.paused_by_staff else ''}."
    ),
    perform=_resume,
    closed=lambda broadcast: (
        pausing.hindrance(broadcast, now=timezone.now(), by_staff=True) if broadcast.status == Status.PAUSED
        else f"It is {broadcast.get_status_display().lower()}, not paused."
    ),
    refusals=(Refused,),
    danger=False,
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
            raise NotWoken("It moved meanwhile, is paused, or has ended.")


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
        else "It is not stuck: it moves, is paused, waits for its market's switch, or is not being sent."
    ),
    refusals=(NotWoken,),
    hint="It is kept in the log of what staff did. Write what a colleague needs to know.",
    danger=False,
    in_list=False,
)  # fmt: skip
