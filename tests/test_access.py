"""Who may open what: every address, method and role against a declared table (R2, R3, D8, I7).

A route that nobody declared here fails. Roles: nobody signed in; the master account of a shop with
access, which owns the rows in the addresses; of a shop without access, asking for its own rows; of
another shop with access, asking for the first one's rows; a sub-account of the first shop; staff.
"""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from chat.buyer_links import sign
from eligibility.models import Tier
from tests.factories import (
    BroadcastFactory,
    ChatUserFactory,
    ContactFactory,
    ConversationFactory,
    MasterFactory,
    ProductFactory,
    StaffFactory,
    VoucherFactory,
    cem_message,
    open_week,
)

ROLES = ("anonymous", "master", "ineligible", "other", "sub", "support", "admin")
SIGN_IN, FORBIDDEN, UNKNOWN, NO_METHOD = 302, 403, 404, 405
TO_THE_ADMIN = 302


def public(get, post):
    """The same for everybody, signed in or not."""
    return {"GET": dict.fromkeys(ROLES, get), "POST": dict.fromkeys(ROLES, post)}


def people(get, post, *, other=None):
    """Open to a seller's people; staff are told why not. `other`: asking for a foreign row."""
    return {
        "GET": _row(get, other=other if get != NO_METHOD else None),
        "POST": _row(post, other=other if post != NO_METHOD else None),
    }


def masters(get, post, *, other=None):
    """Open to master accounts, with access or without (R2, D8)."""
    table = people(get, post, other=other)
    return {method: row | {"sub": FORBIDDEN} for method, row in table.items()}


def eligible(get, post, *, other=None):
    """Open to master accounts with access this week (R3)."""
    table = masters(get, post, other=other)
    return {method: row | {"ineligible": FORBIDDEN} for method, row in table.items()}


def _row(code, *, other):
    people = dict.fromkeys(("master", "ineligible", "other", "sub"), code)
    if other is not None:
        people["other"] = other
    return {"anonymous": SIGN_IN, "support": FORBIDDEN, "admin": FORBIDDEN} | people


TABLE = {
    "healthz": public(200, NO_METHOD),
    "metrics": public(200, NO_METHOD),  # to this machine, as tests ask; test_metrics.py asks from elsewhere
    "readyz": public(503, NO_METHOD),  # no broker answers here
    "sign-in": {
        "GET": {"anonymous": 200} | dict.fromkeys(ROLES[1:], 302),
        "POST": {"anonymous": 200} | dict.fromkeys(ROLES[1:], 302),
    },
    "sign-out": public(NO_METHOD, 302) | {"GET": {"anonymous": 302} | dict.fromkeys(ROLES[1:], NO_METHOD)},
    "home": {
        "GET": people(200, NO_METHOD)["GET"] | dict.fromkeys(("support", "admin"), TO_THE_ADMIN),
        "POST": {"anonymous": SIGN_IN} | dict.fromkeys(ROLES[1:], NO_METHOD),
    },
    "home-figures": people(200, NO_METHOD),
    "chat": people(200, NO_METHOD),
    "chat-settings": people(200, NO_METHOD),
    "chat-rate": people(200, NO_METHOD),
    "chat-thread": people(200, NO_METHOD, other=UNKNOWN),
    "chat-messages": people(200, NO_METHOD, other=UNKNOWN),
    "chat-reply": people(NO_METHOD, 302, other=UNKNOWN),
    "chat-seen": people(NO_METHOD, 204, other=UNKNOWN),
    "foreign-receipts": public(NO_METHOD, UNKNOWN),  # of no chat here; test_foreign_receipts.py signs
    "buyer": public(200, NO_METHOD),
    "buyer-mute-all": public(NO_METHOD, 302),
    "buyer-shop": public(200, NO_METHOD),
    "buyer-read": public(NO_METHOD, 204),
    "buyer-write": public(NO_METHOD, 302),
    "buyer-mute-shop": public(NO_METHOD, 302),
    "buyer-click": public(NO_METHOD, 302),
    "buyer-claim": public(NO_METHOD, 302),
    "buyer-report": public(NO_METHOD, 302),
    "buyer-product": public(200, NO_METHOD),
    "engagement:center": masters(200, NO_METHOD),
    "engagement:customers": masters(200, NO_METHOD),
    "engagement:rooms": eligible(200, NO_METHOD),
    "engagement:compose": eligible(200, 200),
    "engagement:audience": eligible(200, NO_METHOD),
    "engagement:preview": eligible(NO_METHOD, 200),
    "engagement:products": eligible(200, NO_METHOD),
    "engagement:broadcast": masters(200, NO_METHOD, other=UNKNOWN),
    "engagement:progress": masters(200, NO_METHOD, other=UNKNOWN),
    "engagement:export": masters(200, NO_METHOD, other=UNKNOWN),
    "engagement:edit": eligible(200, 200, other=UNKNOWN),
    "engagement:stop": masters(302, 302, other=UNKNOWN),
    "engagement:pause": masters(NO_METHOD, 302, other=UNKNOWN),
    "engagement:resume": masters(NO_METHOD, 302, other=UNKNOWN),
    "engagement:wake": masters(NO_METHOD, 302, other=UNKNOWN),
    "engagement:cancel": masters(200, 302, other=UNKNOWN),
    "engagement:duplicate": eligible(NO_METHOD, 302, other=UNKNOWN),
    "engagement:performance": masters(302, NO_METHOD),
    "engagement:performance-broadcasts": masters(200, NO_METHOD),
    "engagement:performance-export": masters(200, NO_METHOD),
    "engagement:performance-seller": masters(200, NO_METHOD),
    "engagement:performance-today": masters(200, NO_METHOD),
}
ADMIN_OPEN = {"admin:login", "admin:logout"}  # to everybody: they are the admin's door


def routes(resolver=None, prefix="", namespace="") -> Iterator[tuple[str, str, URLPattern]]:
    """Every (name, route, pattern) of the whole URLconf."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from routes(entry, route, inner)
        else:
            yield f"{namespace}{entry.name}", route, entry


@pytest.fixture
def world(db):
    """For each role its user, and the arguments of every address that it asks for."""
    return World()


class World:
    def __init__(self) -> None:
        owner, closed, other = MasterFactory(), MasterFactory(), MasterFactory()
        for user, tier in ((owner, Tier.ADVANCE), (closed, Tier.NONE), (other, Tier.ADVANCE)):
            open_week(user.seller, tier=tier)
        support = StaffFactory(username="support")
        support.groups.set(Group.objects.filter(name__iexact="support"))
        self.users = {
            "anonymous": None, "master": owner, "ineligible": closed, "other": other,
            "sub": ChatUserFactory(seller=owner.seller), "support": support,
            "admin": StaffFactory(is_superuser=True),
        }  # fmt: skip
        of_owner, of_closed = self._rows(owner.seller), self._rows(closed.seller)
        self.rows = {role: of_closed if role == "ineligible" else of_owner for role in ROLES}

    def _rows(self, seller):
        contact = ContactFactory(seller=seller)
        message = cem_message(
            seller, contact.buyer, sent_at=timezone.now() - timedelta(hours=1), text="Hi",
            product_ids=[ProductFactory(seller=seller).pk], voucher=VoucherFactory(seller=seller),
        )  # fmt: skip
        return {
            "token": sign(contact.buyer),
            "gateway": "acme",
            "seller_id": seller.pk,
            "content_id": message.content_id,
            "product_id": message.content.product_ids[0],
            "broadcast": BroadcastFactory(seller=seller).pk,
            "thread": ConversationFactory(seller=seller, buyer=contact.buyer).pk,
        }

    def sent(self, name, *, role):
        """What a form of that address sends."""
        return {
            "chat-reply": {"text": "Hello"},
            "buyer-write": {"text": "Hello"},
            "buyer-read": {"through": timezone.now().isoformat()},
            "chat-seen": {"through": timezone.now().isoformat()},
            "buyer-click": {"product": self.rows[role]["product_id"]},
            "engagement:stop": {"reason": "Enough"},
        }.get(name, {})

    def address(self, name, pattern, *, role):
        rows = self.rows[role]
        pk = rows["broadcast"] if name.startswith("engagement:") else rows["thread"]
        values = rows | {"pk": pk}
        return reverse(name, kwargs={key: values[key] for key in pattern.pattern.converters})


def ask(client, method, address, data=None):
    """The answer's status, as if nothing had been asked before or after."""
    cookies = client.cookies.copy()
    with transaction.atomic():
        answer = client.generic(method, address) if method != "POST" else client.post(address, data or {})
        if answer.streaming:
            list(answer.streaming_content)
        transaction.set_rollback(True)
    client.cookies = cookies  # signing out empties them
    return answer


def page(answer):
    """A page without the token that differs each time."""
    return re.sub(r'"x-csrftoken": "\w+"|name="csrfmiddlewaretoken" value="\w+"', "", answer.text)


def test_every_route_is_declared_and_nothing_else():
    named = {name for name, _, _ in routes() if not name.startswith("admin:")}
    assert named == set(TABLE)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_the_table_says(client, world, role):
    if world.users[role]:
        client.force_login(world.users[role])
    wrong = []
    for name, _, pattern in routes():
        if name.startswith("admin:"):
            continue
        address = world.address(name, pattern, role=role)
        expected = TABLE[name]
        for method in ("GET", "HEAD", "POST"):
            answer = ask(client, method, address, world.sent(name, role=role))
            wanted = expected["POST" if method == "POST" else "GET"][role]
            if answer.status_code != wanted:
                wrong.append((name, method, answer.status_code, wanted))
            if role == "anonymous" and wanted == SIGN_IN and name.partition("-")[0] not in ("buyer", "sign"):
                assert answer["Location"].startswith("/sign-in/"), name
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_no_page_answers_other_methods(client, world, role):
    if world.users[role]:
        client.force_login(world.users[role])
    for name, _, pattern in routes():
        if not name.startswith("admin:"):
            for method in ("PUT", "PATCH", "DELETE"):
                answer = ask(client, method, world.address(name, pattern, role=role))
                assert answer.status_code in (302, 403, 404, 405, 200 if name == "sign-in" else 405), (
                    name, method,
                )  # fmt: skip


def admin_addresses():
    """Every address of the admin, with arguments that stand for no row."""
    for name, route, pattern in routes():
        if name.startswith("admin:"):
            values = {"object_id": "1", "content_type_id": "1", "app_label": "auth", "url": "nowhere"}
            keys = pattern.pattern.regex.groupindex
            filled = {key: values.get(key, "1") for key in keys}
            if pattern.name:
                yield name, reverse(name, kwargs=filled)
            else:
                yield name, "/" + route.replace("<path:object_id>", "1").replace("(?P<url>.*)$", "nowhere")


@pytest.mark.parametrize("role", ["anonymous", "master", "ineligible", "sub"])
def test_the_admin_lets_nobody_in_but_staff(client, world, role):
    if world.users[role]:
        client.force_login(world.users[role])
    found = 0
    for name, address in admin_addresses():
        found += 1
        for method in ("GET", "POST"):
            if name not in ADMIN_OPEN:
                answer = ask(client, method, address)
                assert answer.status_code in (302, 403), (address, method)
                if answer.status_code == 302:
                    assert "/login/" in answer["Location"] or "/sign-in/" in answer["Location"], address
    assert found > 40


@pytest.mark.parametrize("role", ["support", "admin"])
def test_the_admin_answers_staff_without_failing(client, world, role):
    client.force_login(world.users[role])
    for _, address in admin_addresses():
        assert ask(client, "GET", address).status_code in (200, 302, 403, 404, 405), address


def test_a_foreign_row_and_an_unknown_one_look_alike(client, world):
    client.force_login(world.users["other"])
    for name, _, pattern in routes():
        if "pk" in pattern.pattern.converters and TABLE[name]["GET"]["other"] == UNKNOWN:
            foreign = ask(client, "GET", world.address(name, pattern, role="other"))
            unknown = ask(client, "GET", reverse(name, kwargs={"pk": 10**12}))
            assert foreign.status_code == unknown.status_code == UNKNOWN, name
            assert page(foreign) == page(unknown), name


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("sub", "master account only"),
        ("support", "Staff work in the admin"),
        ("admin", "Staff work in the admin"),
        ("ineligible", "Your shop cannot send broadcasts this week"),
    ],
)
def test_who_is_not_let_in_reads_why(client, world, role, words):
    client.force_login(world.users[role])
    answer = client.get(reverse("engagement:compose"))
    assert answer.status_code == FORBIDDEN
    assert words in answer.text
