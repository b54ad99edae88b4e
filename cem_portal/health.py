"""Is the portal well? One line for machines."""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@login_not_required
@never_cache
@require_safe
def answer_healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when this process reaches its database, 503 when it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "unwell", "database": "cannot be reached"}, status=503)
    return JsonResponse({"status": "ok", "database": "ok"})
