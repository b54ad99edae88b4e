"""Every address of the portal."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from cem_portal import health, metrics, sign_in

urlpatterns = [
    path("healthz", health.answer_healthz, name="healthz"),
    path("readyz", health.answer_readyz, name="readyz"),
    path("metrics", metrics.answer_metrics, name="metrics"),
    path("sign-in/", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("admin/", admin.site.urls),
    path("", include("chat.urls")),
    path("engagement/", include("engagement.center_urls")),
    path("", include("engagement.urls")),
]
