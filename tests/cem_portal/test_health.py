import pytest
from django.test import Client


@pytest.mark.django_db
def test_healthz_answers_without_signing_in(client: Client):
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok"}
