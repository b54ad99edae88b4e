from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "cem_portal"
    verbose_name = "CEM Portal"

    def ready(self) -> None:
        from cem_portal import checks  # noqa: F401  (registers the system checks)
