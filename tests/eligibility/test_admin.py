"""Policies change by new rows only; metrics are added; the evidence of the weeks is read."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

from eligibility.calendar import takes_effect_at
from eligibility.models import Evaluation, Metrics, Policy
from eligibility.policy_changes import SETTINGS, change_policy, standing_policy
from sellers.models import Seller
from tests.factories import MarketFactory, PolicyFactory, SellerFactory, open_week

pytestmark = pytest.mark.django_db
ADD = "admin:eligibility_policy_add"


def form_of(response):
    """What the browser would send back of the page's form."""
    form = response.context["adminform"].form
    return {name: form[name].value() if form[name].value() is not None else "" for name in form.fields}


def changed(client, market, **changes):
    form = form_of(client.get(reverse(ADD), {"market": market.pk}))
    return client.post(f"{reverse(ADD)}?market={market.pk}", form | {"note": "why not"} | changes)


def test_the_form_is_filled_with_the_policy_in_force(as_admin):
    policy = PolicyFactory(min_followers=77)
    form = form_of(as_admin.get(reverse(ADD), {"market": policy.market.pk}))
    assert form["min_followers"] == 77
    assert set(SETTINGS) <= set(form)


def test_without_a_market_staff_are_asked_for_one(as_admin):
    PolicyFactory()
    response = as_admin.get(reverse(ADD), follow=True)
    assert "Choose the market" in response.content.decode()


def test_a_change_begins_at_the_next_evaluation_and_leaves_the_old_row_alone(as_admin):
    policy = PolicyFactory()
    now = timezone.now()
    assert changed(as_admin, policy.market, min_followers=60).status_code == 302
    new = Policy.objects.latest("id")
    assert new.effective_from == takes_effect_at(policy.market, now) > now
    assert (new.min_followers, new.note) == (60, "why not")
    assert Policy.objects.in_force(policy.market, timezone.now()) == policy
    assert Policy.objects.in_force(policy.market, new.effective_from) == new
    policy.refresh_from_db()
    assert policy.min_followers == 50


def test_a_change_that_waits_is_shown_and_superseded_by_a_newer_one(as_admin):
    policy = PolicyFactory()
    changed(as_admin, policy.market, min_followers=60)
    page = as_admin.get(reverse(ADD), {"market": policy.market.pk})
    assert form_of(page)["min_followers"] == 60
    assert "yours replaces it" in page.content.decode()
    changed(as_admin, policy.market, min_followers=70)
    assert Policy.objects.filter(market=policy.market).count() == 3
    begins = Policy.objects.latest("id").effective_from
    assert Policy.objects.in_force(policy.market, begins).min_followers == 70
    states = [row.split(">")[1].split("<")[0] for row in _states(as_admin)]
    assert states == ["comes next", "replaced", "in force"]


def _states(client):
    response = client.get(reverse("admin:eligibility_policy_changelist"))
    admin = response.context["cl"].model_admin
    return [str(admin.state(policy)) for policy in Policy.objects.order_by("-effective_from", "-id")]


def test_the_weekly_jobs_take_the_newer_of_two_waiting_policies():
    policy = PolicyFactory()
    now = timezone.now()
    for clock in (21, 22):
        row = Policy(market=policy.market, refresh_time=f"{clock}:00")
        change_policy(row, now=now)
    assert standing_policy(policy.market, now).refresh_time.hour == 22


def test_the_same_policy_again_is_refused(as_admin):
    policy = PolicyFactory()
    response = changed(as_admin, policy.market)
    assert "This is what holds already" in response.content.decode()
    assert Policy.objects.count() == 1


def test_half_quiet_hours_are_refused_readably(as_admin):
    policy = PolicyFactory()
    response = changed(as_admin, policy.market, quiet_from="", quiet_until="08:00")
    assert "Give both ends of the quiet hours, or neither." in response.content.decode()


def test_a_policy_is_read_only_once_written(as_admin):
    policy = PolicyFactory()
    address = reverse("admin:eligibility_policy_change", args=[policy.pk])
    assert as_admin.get(address).status_code == 200
    assert as_admin.post(address, {"min_followers": 1}).status_code == 403
    assert as_admin.post(reverse("admin:eligibility_policy_delete", args=[policy.pk])).status_code == 403


def test_metrics_are_added_by_hand_and_never_changed(as_admin):
    seller = SellerFactory()
    form = {"seller": seller.pk, "as_of_0": "2026-11-20", "as_of_1": "10:00", "rating": "92.5"}
    add = reverse("admin:eligibility_metrics_add")
    assert as_admin.post(add, form).status_code == 302
    told = Metrics.objects.get()
    assert (told.seller, told.rating, told.response_rate) == (seller, 92.5, None)
    assert "already exists" in as_admin.post(add, form).content.decode()
    page = reverse("admin:eligibility_metrics_change", args=[told.pk])
    assert as_admin.post(page, form | {"rating": "1"}).status_code == 403


def upload(client, folder, *rows):
    file = folder / "metrics.csv"
    file.write_text("market,seller,as_of,rating,response_rate,followers\n" + "\n".join(rows))
    with file.open("rb") as content:
        return client.post(
            reverse("admin:eligibility_metrics_import"), {"import_file": content, "format": "0"}
        )


def test_a_file_of_metrics_is_checked_first_and_changes_nothing_told(as_admin, tmp_path):
    seller = SellerFactory(market=MarketFactory(code="PH"), code="s-1")
    SellerFactory(code="s-1")
    Metrics.objects.create(seller=seller, as_of=datetime(2026, 11, 19, tzinfo=UTC), rating=50)
    preview = upload(
        as_admin, tmp_path, "PH,s-1,2026-11-19T08:00:00+08:00,99,99,9", "PH,s-1,2026-11-20T10:00:00Z,91.5,,70"
    )
    assert "Confirm import" in preview.content.decode()
    assert Metrics.objects.count() == 1
    initial = preview.context["confirm_form"].initial
    confirm = {name: value for name, value in initial.items() if value is not None}
    as_admin.post(reverse("admin:eligibility_metrics_process_import"), confirm)
    told = Metrics.objects.exclude(rating=50).get()
    assert (told.seller, told.rating, told.response_rate, told.followers) == (seller, 91.5, None, 70)
    assert Metrics.objects.filter(rating=50).count() == 1


def confirmed(client, preview, **changes):
    initial = preview.context["confirm_form"].initial
    form = {name: value for name, value in initial.items() if value is not None} | changes
    return client.post(reverse("admin:eligibility_metrics_process_import"), form, follow=True)


@pytest.fixture
def preview(as_admin, tmp_path):
    SellerFactory(market=MarketFactory(code="PH"), code="s-1")
    return upload(as_admin, tmp_path, "PH,s-1,2026-11-20T10:00:00Z,91.5,,70")


def test_a_second_click_on_confirm_imports_nothing_and_says_why(as_admin, preview):
    assert confirmed(as_admin, preview).redirect_chain == [
        (reverse("admin:eligibility_metrics_changelist"), 302)
    ]
    again = confirmed(as_admin, preview)
    assert again.redirect_chain == [(reverse("admin:eligibility_metrics_import"), 302)]
    assert "it was imported already" in again.content.decode()
    assert Metrics.objects.count() == 1


@pytest.mark.parametrize(
    "changes",
    [{"import_file_name": "nowhere.csv"}, {"import_file_name": ""}, {"import_file_name": "."},
     {"format": "99"}, {"format": "x"}, {"format": ""}, {"resource": "9"}, {"resource": "x"}],
)  # fmt: skip
def test_a_confirmation_that_no_preview_wrote_imports_nothing(as_admin, preview, changes):
    answer = confirmed(as_admin, preview, **changes)
    assert answer.redirect_chain == [(reverse("admin:eligibility_metrics_import"), 302)]
    assert "choose the file again" in answer.content.decode()
    assert Metrics.objects.count() == 0


def test_no_other_file_of_the_server_is_imported_or_deleted(as_admin, preview):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as other:
        other.write("market,seller,as_of,rating\nPH,s-1,2026-11-20T10:00:00Z,1\n")
        other.flush()
        confirmed(as_admin, preview, import_file_name=other.name)
        assert Path(other.name).exists()
    assert Metrics.objects.count() == 0


def test_what_changed_after_the_preview_is_not_called_imported(as_admin, preview):
    Seller.objects.update(code="s-2")
    answer = confirmed(as_admin, preview)
    assert "Nothing was imported" in answer.content.decode()
    assert Metrics.objects.count() == 0


@pytest.mark.parametrize("key", ["9" * 5000, "9" * 19, str(2**63), "x", "-1", "²"])
def test_a_market_that_cannot_be_is_asked_for_again(as_admin, key):
    PolicyFactory()
    answer = as_admin.post(f"{reverse(ADD)}?market=1", {"market": key}, follow=True)
    assert "Choose the market" in answer.content.decode()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("XX,nobody,2026-11-20T10:00:00Z,91.5,,", "There is no seller"),
        ("PH,s-1,2026-11-20T10:00:00,91.5,,", "does not say its offset from UTC"),
        ("PH,s-1,yesterday,91.5,,", "is no time such as"),
        ("PH,s-1,2026-11-20T10:00:00Z,101,,", "less than or equal to 100"),
    ],
)
def test_a_bad_row_of_a_file_is_told_and_nothing_is_imported(as_admin, tmp_path, row, why):
    SellerFactory(market=MarketFactory(code="PH"), code="s-1")
    preview = upload(as_admin, tmp_path, row).content.decode()
    assert why in preview
    assert "Confirm import" not in preview


def test_an_evaluation_shows_each_value_with_its_threshold(as_admin):
    seller = SellerFactory()
    open_week(seller)
    evaluation = Evaluation.objects.get()
    page = as_admin.get(reverse("admin:eligibility_evaluation_change", args=[evaluation.pk])).content.decode()
    assert "Seller rating, at least 85 %" in page
    assert "95 %" in page
    listed = as_admin.get(reverse("admin:eligibility_evaluation_changelist"), {"week": "nonsense"})
    assert listed.status_code == 200
