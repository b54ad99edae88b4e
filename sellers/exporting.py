"""Lists of the admin as files, filtered as the address says."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from import_export.admin import ExportMixin

NO_FILTER = "The address asks for what cannot be."


class FilteredExport(ExportMixin):  # type: ignore[misc]
    """Refuses an unknown filter: the list leaves it out, but a file would hold more than was asked for."""

    def get_export_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        try:
            found: QuerySet[Any] = super().get_export_queryset(request)
        except (IncorrectLookupParameters, ValueError, OverflowError) as error:
            raise BadRequest(NO_FILTER) from error
        return found

    def export_action(self, request: HttpRequest) -> HttpResponse:
        try:
            answer: HttpResponse = super().export_action(request)
        except DataError as error:  # only the database finds that a filter, such as the year 99999, cannot be
            raise BadRequest(NO_FILTER) from error
        return answer
