"""What is said of a request that was refused (400 to 499): in the log one line, as nothing in the portal is broken."""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


class ShowWrongMethods:
    """A person who opens the address of a button, as after a reload, gets a page; Django's answer is empty."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 405 and request.method == "GET" and request.accepts("text/html"):
            shown = render(request, "405.html", status=405)
            shown["Allow"] = response["Allow"]
            return shown
        return response


class TellInOneLine(logging.Filter):
    """Leaves the traceback out of a refusal; an error of the portal's own keeps it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= getattr(record, "status_code", 0) < 500:
            record.exc_info = record.exc_text = None
        return True
