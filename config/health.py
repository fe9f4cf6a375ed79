"""Two addresses for machines: is this web server alive, and is the whole installation up."""

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.models import InvariantCheck, Worker
from jobs.models.base import ClockNow, seconds


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if this web server reaches its database and broker, otherwise 503."""
    return _answer({"database": _database_answers(), "broker": _broker_answers()})


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if database, broker, a worker and a controller are up, otherwise 503.

    Violated invariants are told and do not change the status: a restart would not repair them.
    """
    parts = {"database": _database_answers(), "broker": _broker_answers()}
    kinds = _kinds_seen() if parts["database"] else set()
    found = _invariants() if parts["database"] else "unknown"
    parts |= {kind: kind in kinds for kind in ("worker", "controller")}
    return _answer(parts, invariants=found)


def _answer(parts: dict[str, bool], **more: str) -> JsonResponse:
    words = {part: "up" if up else "down" for part, up in parts.items()}
    return JsonResponse(words | more, status=200 if all(parts.values()) else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _broker_answers() -> bool:
    url = settings.CELERY_BROKER_URL.replace("redis+socket://", "unix://", 1)
    client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _kinds_seen() -> set[str]:
    return set(Worker.objects.live().values_list("kind", flat=True).distinct())


def _invariants() -> str:
    """What the last look of a controller found, unless that is long ago."""
    long_ago = ClockNow() - seconds(3 * settings.JOBS_INVARIANTS_SECONDS)
    kept = InvariantCheck.objects.filter(checked_at__gt=long_ago).first()
    if kept is None:
        return "unknown"
    return "violated" if kept.found else "ok"
