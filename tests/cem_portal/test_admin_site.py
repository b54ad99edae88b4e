"""The admin as a whole: who may do what, how staff get in, and that no page breaks the browser's rules."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from eligibility.models import Evaluation, Metrics
from engagement import broadcasting, delivery
from quotas.models import Allowance, Growth, Scenario
from sellers.models import ChatUser
from tests.factories import (
    NOW,
    PASSWORD,
    WEEK,
    BroadcastFactory,
    ChatUserFactory,
    MasterFactory,
    StaffFactory,
    follow,
    open_week,
)

# What an administrator may do beyond viewing; support may do none of it.
CHANGED_BY_ADMINISTRATORS = {
    "auth.Group": "add change delete",
    "sellers.Market": "change",
    "sellers.Seller": "add change",
    "sellers.ChatUser": "add change",
    "eligibility.Policy": "add",
    "eligibility.Metrics": "add",
    "quotas.Scenario": "add change",
    "quotas.Allowance": "add",
    "axes.AccessAttempt": "change delete",
    "axes.AccessFailureLog": "change delete",
    "axes.AccessLog": "change delete",
    "django_celery_beat.PeriodicTask": "add change delete",
    "django_celery_beat.ClockedSchedule": "add change delete",
    "django_celery_beat.CrontabSchedule": "add change delete",
    "django_celery_beat.SolarSchedule": "add change delete",
    "django_celery_beat.IntervalSchedule": "add change delete",
}
READ_ONLY = {
    "customers.Buyer", "eligibility.Job", "eligibility.Evaluation", "eligibility.Standing", "quotas.Quota",
    "quotas.LedgerEntry", "quotas.Growth", "engagement.Broadcast",
}  # fmt: skip
# Each deed, and whether support may do it.
DEEDS = {
    ("sellers.Market", "stop-sending"): True,
    ("sellers.Market", "resume-sending"): True,
    ("sellers.ChatUser", "close"): False,
    ("quotas.Quota", "adjust"): True,
    ("engagement.Broadcast", "stop"): True,
    ("engagement.Broadcast", "pause"): True,
    ("engagement.Broadcast", "resume"): True,
    ("engagement.Broadcast", "wake"): True,
    ("customers.Buyer", "erase"): False,
}
TABLES = {model._meta.label: model for model in admin.site._registry}


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def support(**options):
    user = StaffFactory(**options)
    user.groups.add(Group.objects.get(name="Support"))
    return user


def grow(seller):
    """A week in which the seller reached the read rate."""
    Growth.objects.create(
        seller=seller, week=WEEK, delivered=100, read=9, target=9,
        reached=True, weeks_reached=1, multiplier="1.2",
    )  # fmt: skip


@pytest.fixture
def marketplace(db):
    """A row in every table that the admin shows, but the foreign ones."""
    seller = MasterFactory().seller
    open_week(seller, limit=10)
    follow(seller, 3)
    broadcast = BroadcastFactory(seller=seller)
    broadcasting.launch(broadcast, now=NOW)
    delivery.deliver_next_batch(now=NOW)
    Metrics.objects.create(seller=seller, as_of=NOW, rating=90)
    grow(seller)
    return broadcast


# --- Permissions


def test_every_table_of_the_admin_is_declared():
    assert set(TABLES) == set(CHANGED_BY_ADMINISTRATORS) | READ_ONLY


def test_every_deed_is_declared():
    found = {
        (model._meta.label, deed.slug)
        for model, model_admin in admin.site._registry.items()
        for deed in getattr(model_admin, "deeds", ())
    }
    assert found == set(DEEDS)


def test_tables_with_composite_keys_stay_out():
    assert not [m for m in TABLES.values() if isinstance(m._meta.pk, models.CompositePrimaryKey)]


@pytest.mark.parametrize("label", sorted(TABLES))
@pytest.mark.django_db
def test_support_views_every_table_and_changes_none(label, client, rf):
    model = TABLES[label]
    request = rf.get("/")
    request.user = support()
    found = admin.site._registry[model].get_model_perms(request)
    assert found == {"add": False, "change": False, "delete": False, "view": True}
    client.force_login(request.user)
    assert client.get(address(model, "changelist")).status_code == 200
    assert client.get(address(model, "add")).status_code == 403
    assert client.post(address(model, "add"), {}).status_code == 403


@pytest.mark.parametrize("label", sorted(TABLES))
@pytest.mark.django_db
def test_administrators_change_what_is_declared_and_no_more(label, rf):
    request = rf.get("/")
    request.user = StaffFactory(is_superuser=True)
    found = admin.site._registry[TABLES[label]].get_model_perms(request)
    allowed = set(CHANGED_BY_ADMINISTRATORS.get(label, "").split())
    assert {name for name, may in found.items() if may} == {"view"} | allowed


@pytest.mark.parametrize(
    "label", sorted(READ_ONLY | {"eligibility.Policy", "quotas.Allowance", "quotas.Scenario"})
)
def test_support_opens_each_page_and_cannot_post_to_it(label, client, marketplace):
    model = TABLES[label]
    row = model._default_manager.first()
    client.force_login(support())
    page = address(model, "change", row.pk)
    assert client.get(page).status_code == 200
    assert client.post(page, {}).status_code == 403
    assert client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert client.get(address(model, "history", row.pk)).status_code == 200


@pytest.mark.parametrize(("label", "slug"), sorted(DEEDS))
def test_support_does_only_its_deeds(label, slug, client, marketplace):
    model = TABLES[label]
    row = model._default_manager.first()
    client.force_login(support())
    url = f"{address(model, slug)}?{urlencode({'ids': row.pk})}"
    expected = {200, 302} if DEEDS[label, slug] else {403}
    assert client.get(url).status_code in expected
    assert client.post(url, {}).status_code in expected
    page = client.get(address(model, "change", row.pk)).content.decode()
    deed = next(d for d in admin.site._registry[model].deeds if d.slug == slug)
    assert (url.replace("&", "&amp;") in page) == (DEEDS[label, slug] and not deed.closed(row))


def test_support_changes_no_password_and_no_user(client, marketplace):
    client.force_login(support())
    master = ChatUser.objects.get(is_master=True)
    set_password = reverse("admin:auth_user_password_change", args=[master.pk])
    assert client.get(set_password).status_code == 403
    assert client.post(set_password, {"password1": "x", "password2": "x"}).status_code == 403
    assert set_password not in client.get(address(ChatUser, "change", master.pk)).content.decode()
    assert "password/" not in client.get(address(ChatUser, "change", master.pk)).content.decode()
    assert client.post(address(ChatUser, "change", master.pk), {"is_staff": "on"}).status_code == 403
    for page in ("import", "process_import"):
        assert client.post(address(Metrics, page), {}).status_code == 403


def test_staff_of_no_group_see_nothing(client, marketplace):
    client.force_login(StaffFactory())
    assert "You may not view anything here" in client.get(reverse("admin:index")).content.decode()
    for model in TABLES.values():
        assert client.get(address(model, "changelist")).status_code == 403


@pytest.mark.django_db
def test_what_is_append_only_has_no_bulk_deletion(rf):
    request = rf.get("/")
    request.user = StaffFactory(is_superuser=True)
    for model in (Evaluation, Allowance, Scenario, ChatUser):
        assert "delete_selected" not in admin.site._registry[model].get_actions(request)


# --- What no link leads to

NO_KEYS = ["x", "\0", "²", "-1", str(2**63), "9" * 5000]


@pytest.mark.parametrize("label", sorted(TABLES))
def test_a_form_with_what_is_no_key_is_shown_again(label, client, marketplace):
    """Every field that chooses another row, by a search or from a list."""
    model = TABLES[label]
    client.force_login(StaffFactory(is_superuser=True))
    market = f"?market={marketplace.seller.market_id}" if label == "eligibility.Policy" else ""
    for field in model._meta.get_fields():
        if getattr(field, "editable", False) and (field.many_to_one or field.many_to_many):
            for key in NO_KEYS:
                for row in [(), (model._default_manager.first(),)]:
                    page = address(model, "change", row[0].pk) if row and row[0] else address(model, "add")
                    answer = client.post(page + market, {field.name: key})
                    assert answer.status_code in (200, 302, 403), (field.name, key[:9])


@pytest.mark.parametrize("label", sorted(label for label in TABLES if CHANGED_BY_ADMINISTRATORS.get(label)))
def test_an_address_that_fills_a_form_with_what_is_no_key_is_answered(label, client, marketplace):
    model = TABLES[label]
    client.force_login(StaffFactory(is_superuser=True))
    for field in model._meta.get_fields():
        if getattr(field, "editable", False) and (field.many_to_one or field.many_to_many):
            for key in NO_KEYS:
                answer = client.get(address(model, "add"), {field.name: key})
                assert answer.status_code in (200, 302, 400, 403), (field.name, key[:9])


@pytest.mark.parametrize(("label", "slug"), sorted(DEEDS))
def test_a_deed_on_what_is_no_key_finds_nothing(label, slug, client, marketplace):
    client.force_login(StaffFactory(is_superuser=True))
    for key in ["x", "²", "-1", str(2**63), "9" * 5000]:
        answer = client.get(address(TABLES[label], slug), {"ids": key}, follow=True)
        assert "is not there any more" in answer.content.decode()


@pytest.mark.parametrize("label", ["engagement.Broadcast", "eligibility.Metrics"])
@pytest.mark.parametrize(
    "query", ["market=1", "nothing=1", "id__exact=x", "id__year=1", "o=x.y", "seller__market__id__exact=x",
              "created_at__year=99999", "as_of__year=99999"],
)  # fmt: skip
def test_an_export_that_no_list_can_show_is_refused(label, query, client, marketplace):
    client.raise_request_exception = False
    client.force_login(StaffFactory(is_superuser=True))
    export = address(TABLES[label], "export")
    sent = {"format": "0", "resource": "0"} | {
        name: "on" for name in client.get(export).context["form"].fields if "_" in name
    }
    assert client.get(f"{export}?{query}").status_code in (200, 400)
    assert client.post(f"{export}?{query}", sent).status_code in (200, 400)
    assert client.get(f"{export}?market=1").status_code == 400


# --- Getting in


def sign_in(client, user):
    return client.post("/sign-in/", {"username": user.username, "password": PASSWORD}, follow=True)


@pytest.mark.django_db
def test_staff_sign_in_at_the_common_page_and_land_in_the_admin(client):
    response = sign_in(client, support())
    assert response.redirect_chain[-1][0] == "/admin/"
    assert "Find a seller" in response.content.decode()


@pytest.mark.parametrize("page", ["/admin/", "/admin/login/", "/admin/sellers/seller/"])
@pytest.mark.parametrize("factory", [MasterFactory, ChatUserFactory])
@pytest.mark.django_db
def test_a_sellers_person_gets_a_page_that_says_why_not(client, page, factory):
    client.force_login(factory())
    response = client.get(page)
    assert response.status_code == 403
    assert "The admin is for the marketplace&#x27;s staff" in response.content.decode()


@pytest.mark.parametrize("page", ["/admin/", "/admin/login/", "/admin/quotas/quota/"])
@pytest.mark.django_db
def test_a_stranger_is_asked_to_sign_in_once(client, page):
    response = client.get(page, follow=True)
    assert response.redirect_chain[-1][0].startswith("/sign-in/?next=/admin/")
    assert response.status_code == 200


@pytest.mark.django_db
def test_signing_out_leads_back_to_the_common_page(client):
    client.force_login(support())
    response = client.post(reverse("admin:logout"))
    assert (response.status_code, response.url) == (302, "/sign-in/")


@pytest.mark.django_db
def test_a_deed_is_logged_with_its_reason(client, marketplace):
    chief = StaffFactory(is_superuser=True)
    client.force_login(chief)
    market = marketplace.seller.market
    client.post(f"{address(type(market), 'stop-sending')}?ids={market.pk}", {"reason": "a test"})
    assert LogEntry.objects.get(user=chief).get_change_message() == "Stop all sending: a test"


# --- What it shows loudly


@pytest.mark.django_db
def test_a_silent_beat_sounds_an_alarm_on_every_page_until_it_ticks(client):
    client.force_login(support())
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(minutes=14, seconds=5))
    for page in ("/admin/", "/admin/sellers/market/", "/admin/engagement/broadcast/"):
        assert "14 minutes ago" in client.get(page).text, page
    PeriodicTask.objects.update(last_run_at=None)
    assert "has not ticked yet" in client.get("/admin/").text
    PeriodicTask.objects.filter(name__startswith="Deliver").update(last_run_at=timezone.now())
    assert "stands still" not in client.get("/admin/").text
    PeriodicTask.objects.update(last_run_at=timezone.now() + timedelta(hours=1, seconds=30))
    assert "60 minutes from now: a clock was set back" in client.get("/admin/").text
    PeriodicTask.objects.update(enabled=False)
    assert "stands still" in client.get("/admin/").text, "an entry that is switched off does not tick"


# --- In the browser


def pages_of_the_admin():
    """Every kind of page: lists, new, one row, its history, its deeds, imports and exports."""
    yield from ("/admin/", "/admin/password_change/", "/admin/sellers/")
    for model, model_admin in admin.site._registry.items():
        row = model._default_manager.first()
        yield address(model, "changelist")
        if model_admin.has_add_permission(_Everything):
            market = f"?market={row.market_id}" if model._meta.label == "eligibility.Policy" else ""
            yield address(model, "add") + market
        if row is not None:
            yield address(model, "change", row.pk)
            yield address(model, "history", row.pk)
        for deed in getattr(model_admin, "deeds", ()):
            if row is not None and not deed.closed(row):
                yield f"{address(model, deed.slug)}?ids={row.pk}"
        for page in ("import", "export"):
            if hasattr(model_admin, f"{page}_action") and (page == "export" or model is Metrics):
                yield address(model, page)
    yield reverse("admin:auth_user_password_change", args=[ChatUser.objects.first().pk])


class _Everything:
    """A request of somebody who may do everything."""

    class user:
        has_perm = staticmethod(lambda *args: True)


@pytest.fixture
def signed_in(page, live_server, transactional_db):
    seller = MasterFactory().seller
    open_week(seller, limit=10)
    follow(seller, 3)
    broadcasting.launch(BroadcastFactory(seller=seller), now=NOW)
    Metrics.objects.create(seller=seller, as_of=NOW, rating=90)
    grow(seller)
    StaffFactory(username="chief", is_superuser=True)
    page.goto(f"{live_server.url}/sign-in/")
    page.fill("#id_username", "chief")
    page.fill("#id_password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/admin/")
    return page


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_page_of_the_admin_breaks_the_content_security_policy(signed_in, live_server):
    page, complaints = signed_in, []
    page.on(
        "console", lambda message: message.type == "error" and complaints.append((page.url, message.text))
    )
    page.on("pageerror", lambda error: complaints.append((page.url, str(error))))
    addresses = list(pages_of_the_admin())
    assert len(addresses) > 60
    for path in addresses:
        response = page.goto(f"{live_server.url}{path}")
        assert response.status == 200, path
        assert "default-src 'self'" in response.headers["content-security-policy"]
    assert complaints == []


def test_support_stops_a_market_by_hand(signed_in, live_server):
    page = signed_in
    page.goto(f"{live_server.url}{reverse('admin:sellers_market_changelist')}")
    page.click("#result_list tbody th a")
    page.click("text=Stop all sending…")
    page.fill("#id_reason", "phishing wave")
    page.click("input[type=submit]")
    page.wait_for_selector(".alarm:has-text('phishing wave')")


# --- The clockwork


def ask_of_the_clockwork(client, action):
    task = PeriodicTask.objects.get(task="engagement.tasks.sweep")
    chosen = {"action": action, "_selected_action": [task.pk]}
    client.post(reverse("admin:django_celery_beat_periodictask_changelist"), chosen)
    task.refresh_from_db()
    return task


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["disable_tasks", "toggle_tasks", "enable_tasks", "run_tasks"])
def test_who_may_only_look_at_the_clockwork_does_nothing_to_it(client, action, monkeypatch):
    monkeypatch.setattr("celery.app.task.Task.apply_async", lambda *_, **__: pytest.fail("it was run"))
    client.force_login(support())
    PeriodicTask.objects.filter(task="engagement.tasks.sweep").update(enabled=action != "enable_tasks")
    assert ask_of_the_clockwork(client, action).enabled is (action != "enable_tasks")
    assert not LogEntry.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("action", "enabled", "told"),
    [
        ("disable_tasks", False, "Disabled"),
        ("toggle_tasks", False, "Disabled"),
        ("enable_tasks", True, "Enabled"),
    ],
)
def test_what_an_administrator_does_to_the_clockwork_stands_in_its_history(as_admin, action, enabled, told):
    task = ask_of_the_clockwork(as_admin, action)
    assert task.enabled is enabled
    page = as_admin.get(reverse("admin:django_celery_beat_periodictask_history", args=[task.pk])).text
    assert f"{told} in the list." in page
    assert "chief" in page
