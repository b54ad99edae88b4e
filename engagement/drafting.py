"""Writing a broadcast down, and changing it until it is sent (D1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from django.db import IntegrityError, transaction

from chat.models import Content
from customers.models import Voucher
from engagement.broadcasting import AlreadyLaunched, unless_being_launched
from engagement.models import Broadcast
from quotas.models import Scenario
from sellers.models import ChatUser, Seller


@dataclass(frozen=True, slots=True)
class Draft:
    """What a seller wrote: to whom, and what."""

    scenario: Scenario
    title: str
    text: str = ""
    product_ids: list[int] = field(default_factory=list)
    voucher: Voucher | None = None


def write(seller: Seller, draft: Draft, *, key: UUID, by: ChatUser) -> Broadcast:
    """The broadcast of a composer's form: made at the first click, found and revised at the next.

    Raises AlreadyLaunched when the first click sent it meanwhile.
    """
    made = Broadcast.objects.filter(seller=seller, form_key=key).first()
    if made is not None:
        return revise(made, draft, by=by)
    try:
        return _create(seller, draft, key=key, by=by)
    except IntegrityError:  # the other of two clicks came first
        return revise(Broadcast.objects.get(seller=seller, form_key=key), draft, by=by)


@transaction.atomic
def _create(seller: Seller, draft: Draft, *, key: UUID, by: ChatUser) -> Broadcast:
    content = Content.objects.create(
        seller=seller,
        text=draft.text,
        product_ids=draft.product_ids,
        voucher=draft.voucher,
        author=by,
    )
    return Broadcast.objects.create(
        seller=seller,
        scenario=draft.scenario,
        title=draft.title,
        content=content,
        created_by=by,
        form_key=key,
    )


@transaction.atomic
def revise(broadcast: Broadcast, draft: Draft, *, by: ChatUser) -> Broadcast:
    """Change a draft or a scheduled broadcast. Raises AlreadyLaunched when it is neither any more."""
    rows = Broadcast.objects.select_for_update(no_key=True, of=("self",)).select_related("content")
    with unless_being_launched():
        locked = rows.get(pk=broadcast.pk)
    if not locked.editable:
        raise AlreadyLaunched(
            f"This broadcast is {locked.get_status_display().lower()} already. "
            "Duplicate it to write a new one."
        )
    content = locked.content
    content.text, content.product_ids, content.voucher = draft.text, draft.product_ids, draft.voucher
    content.author = by
    content.save(update_fields=["text", "product_ids", "voucher", "author"])
    locked.title, locked.scenario = draft.title, draft.scenario
    locked.save(update_fields=["title", "scenario"])
    return locked
