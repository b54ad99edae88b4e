"""Is the portal well? In one line, for machines."""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cem_portal import readiness


@login_not_required
@never_cache
@require_safe
def answer_healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when this process reaches its database, 503 when it does not."""
    try:
        readiness.database_answers()
    except DatabaseError:
        return JsonResponse({"status": "unwell", "database": "cannot be reached"}, status=503)
    return JsonResponse({"status": "ok", "database": "ok"})


@login_not_required
@never_cache
@require_safe
def answer_readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the whole portal does its work, 503 when any of it is behind; each part with its age.

    It tells no address, no name and no error's words: anybody may ask.
    """
    checks = readiness.examine(now=timezone.now())
    ready = all(check.ok for check in checks)
    answer = {
        "status": "ready" if ready else "not ready",
        "checks": {check.name: check.as_json() for check in checks},
    }
    return JsonResponse(answer, status=200 if ready else 503)
