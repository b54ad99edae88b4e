import pytest

from cem_portal.sign_in import list_demo_sign_ins
from tests.factories import PASSWORD, MasterFactory, StaffFactory

pytestmark = pytest.mark.django_db


def sign_in(client, user, password=PASSWORD, **data):
    return client.post("/sign-in/", {"username": user.username, "password": password, **data})


def test_a_sellers_person_arrives_at_home(client):
    assert sign_in(client, MasterFactory()).headers["Location"] == "/"


def test_staff_arrive_in_the_admin(client):
    assert sign_in(client, StaffFactory()).headers["Location"] == "/admin/"


def test_staff_who_came_by_the_portals_address_arrive_in_the_admin_too(client):
    answer = client.get("/", follow=True)
    assert answer.redirect_chain == [("/sign-in/?next=/", 302)]
    answer = client.post(
        "/sign-in/?next=/",
        {"username": StaffFactory().username, "password": PASSWORD, "next": "/"},
        follow=True,
    )
    assert answer.redirect_chain[-1] == ("/admin/", 302)
    assert answer.status_code == 200


def test_one_comes_back_to_the_page_that_was_asked_for(client):
    assert sign_in(client, MasterFactory(), next="/chat/").headers["Location"] == "/chat/"


def test_nobody_is_sent_to_another_site(client):
    assert sign_in(client, MasterFactory(), next="https://elsewhere.example/").headers["Location"] == "/"


def test_a_wrong_password_says_what_to_check_and_keeps_the_name(client):
    user = MasterFactory()
    response = sign_in(client, user, password="wrong")
    assert "the password is not right" in response.text
    assert f'value="{user.username}"' in response.text


# The last one grows to 1,800 letters when it is normalised.
@pytest.mark.parametrize("name", ["a" * 256, "a" * 151, "é" * 5000, "\ufdfa" * 100])
def test_a_name_longer_than_any_is_refused_like_a_wrong_one(client, settings, name):
    settings.AXES_ENABLED = True
    answer = client.post("/sign-in/", {"username": name, "password": PASSWORD})
    assert answer.status_code == 200
    assert "the password is not right" in answer.text


def test_the_demo_password_is_refused_by_name_where_others_can_reach_it(client, settings):
    settings.ALLOWED_HOSTS = ["portal.example"]
    user = MasterFactory()
    user.set_password("demo")
    user.save()
    response = client.post(
        "/sign-in/", {"username": user.username, "password": "demo"}, headers={"host": "portal.example"}
    )
    assert "demo password is refused here" in response.text


def test_too_many_wrong_passwords_close_the_sign_in_for_a_while(client, settings):
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = 3
    user = MasterFactory()
    answers = [sign_in(client, user, password="wrong") for _ in range(4)]
    assert answers[-1].status_code == 429
    assert "Too many wrong passwords" in answers[-1].text
    assert "15 minutes" in answers[-1].text
    assert sign_in(client, user).status_code == 429


def test_the_demos_sign_ins_are_listed_in_a_demo_only(client, settings):
    MasterFactory(username="advance", seller__name="Sunrise")
    assert "Demo sign-ins" not in client.get("/sign-in/").text
    settings.DEMO = True
    assert [(person.username, person.shop) for person in list_demo_sign_ins()] == [("advance", "Sunrise")]
    assert "Demo sign-ins" in client.get("/sign-in/").text


def test_signing_out_needs_a_post_and_leads_to_sign_in(client):
    client.force_login(MasterFactory())
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"


def test_a_page_that_is_not_there_says_so_in_the_shops_own_frame(client):
    client.force_login(MasterFactory(seller__name="Sunrise"))
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "Page not found" in response.text
    assert "Sunrise" in response.text


def test_an_expired_form_says_what_to_do():
    from django.test import Client

    response = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": "a", "password": "b"})
    assert response.status_code == 403
    assert "The form had expired" in response.text


@pytest.mark.parametrize("template", ["400.html", "500.html"])
def test_the_last_resort_needs_no_context(template):
    from django.template.loader import get_template

    assert "Go to the start page" in get_template(template).render()


# --- Signed out in the midst of it


def after_signing_in(client, address, **headers):
    """What somebody whose sign-in is over, and who presses a button, sees once they have signed in again."""
    master = MasterFactory()
    sent = client.post(address, {"text": "Hello"}, headers=headers)
    return client.post(sent["Location"], {"username": master.username, "password": PASSWORD})


def test_who_was_signed_out_comes_back_to_the_page_and_is_told_that_nothing_was_done(client):
    came_from = "http://testserver/engagement/broadcasts/?page=2"
    answer = after_signing_in(client, "/engagement/broadcasts/1/duplicate/", Referer=came_from)
    assert answer["Location"] == "/engagement/broadcasts/?page=2"
    assert "You were not signed in any more, so what you sent was not done." in client.get("/").text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "referer", ["", "https://evil.example/engagement/", "javascript:alert(1)", "//evil.example"]
)
def test_who_came_from_elsewhere_begins_at_home(client, referer):
    answer = after_signing_in(client, "/engagement/broadcasts/1/duplicate/", Referer=referer)
    assert answer["Location"] == "/"
