"""Where a foreign chat tells what became of its messages: signed, and not a person."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from chat.gateways import signature
from chat.gateways.directory import gateway_named
from engagement import foreign_receipts
from engagement.foreign_receipts import MOST_BYTES, Malformed, TooMany

RETRY_SECONDS = 30


@csrf_exempt  # no cookie signs this: the signature does
@login_not_required
@never_cache
@require_POST
def take_in(request: HttpRequest, gateway: str) -> JsonResponse:
    """202 with what was kept; else a 4xx that says why, and nothing was."""
    if gateway not in settings.CHAT_GATEWAYS or not (secret := gateway_named(gateway).receipts_secret):
        raise Http404
    length = request.headers.get("Content-Length", "")
    if not length.isdigit():
        return _refuse(411, "The call does not say how long it is.")
    if int(length) > MOST_BYTES:
        return _refuse(413, f"A call has at most {MOST_BYTES:,} bytes.")
    now, headers = timezone.now(), request.headers
    try:
        signature.check(
            request.body,
            secret=secret,
            timestamp=headers.get("X-Timestamp", ""),
            signature=headers.get("X-Signature", ""),
            now=now,
        )
        told = foreign_receipts.take_in(request.body, gateway=gateway, now=now)
    except signature.BadSignature as error:
        return _refuse(401, str(error))
    except Malformed as error:
        return _refuse(422, str(error))
    except TooMany as error:
        answer = _refuse(429, str(error.__doc__))
        answer["Retry-After"] = str(RETRY_SECONDS)
        return answer
    return JsonResponse({"kept": told.kept, "unknown": told.unknown, "gone": told.gone}, status=202)


def _refuse(status: int, why: str) -> JsonResponse:
    return JsonResponse({"error": why}, status=status)
