"""Every address of the portal."""

from django.contrib import admin
from django.urls import path

from cem_portal import health

urlpatterns = [
    path("healthz", health.answer_healthz, name="healthz"),
    path("admin/", admin.site.urls),
]
