"""Refuse what no browser sends and no page can read: other character sets, and NUL in an address.

Django decodes an address by the character set that a request names, as soon as it makes the request:
one that is no text (“rot13”) fails there, others bring in lone surrogates, which PostgreSQL cannot
keep. It cannot keep NUL either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponseBase
from django.utils.http import parse_header_parameters


class PlainRequest(WSGIRequest):
    """A request that is read as UTF-8, whatever it calls itself."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class PlainHandler(WSGIHandler):
    request_class = PlainRequest


class RefuseUnreadable:
    """Answer 400, with a page that says so, before anything looks at the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        charset = (request.content_params or {}).get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            raise BadRequest("Requests must be UTF-8.")
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("An address must hold no NUL.")
        return self.get_response(request)
