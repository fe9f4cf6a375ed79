"""Querysets read so that reading can start again behind any row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

AnyModel = TypeVar("AnyModel", bound=Model)


def by_pk(
    queryset: QuerySet[AnyModel], after: Any = None, page: int = 500
) -> Iterator[tuple[Any, AnyModel]]:
    """Yield (primary key, object) in primary-key order, one query a page, from behind `after`."""
    queryset = queryset.order_by("pk")
    while True:
        rows = list((queryset if after is None else queryset.filter(pk__gt=after))[:page])
        for row in rows:
            after = row.pk
            yield row.pk, row
        if len(rows) < page:
            return
