"""What the templates need beyond Django's own: times, icons by name, the menu's present entry."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from heroicons.templatetags.heroicons import heroicon_mini, heroicon_outline

from jobs import control, permissions
from jobs.models import Maintenance
from jobs.permissions import Decision
from tracker.queries import notifications

register = template.Library()


@register.simple_tag
def icon(name: str, *, size: int = 16) -> str:
    """An icon that says nothing a word beside it does not say."""
    return heroicon_mini(name, size=size, aria_hidden="true")


@register.simple_tag
def big_icon(name: str, *, size: int = 22) -> str:
    return heroicon_outline(name, size=size, aria_hidden="true")


@register.simple_tag(takes_context=True)
def maintenance(context: template.Context) -> Maintenance | None:
    """The maintenance that goes on: read with the person, or for strangers by a query."""
    request = context.get("request")
    if request is None:
        return None
    user: Any = getattr(request, "user", None)
    if hasattr(user, "maintenance"):
        return Maintenance.read(user.maintenance)
    return control.maintenance()


@register.simple_tag(takes_context=True)
def may(context: template.Context, action: str) -> Decision:
    """Whether the reader may do something that belongs to no one thing."""
    return permissions.may(context["request"].user, action)


@register.filter
def moment(at: dt.datetime | None) -> SafeString | str:
    """A time, as UTC until the page's script turns it into the reader's own."""
    if at is None:
        return "—"
    return _time(at, "j M H:i")


@register.filter
def to_the_second(at: dt.datetime | None) -> SafeString | str:
    """A time where seconds matter."""
    return "—" if at is None else _time(at, "j M H:i:s")


def _time(at: dt.datetime, shape: str) -> SafeString:
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        at.isoformat(),
        f"{date_format(local, 'j F Y, H:i:s')} {local.tzname()}",
        SafeString(" data-exact") if shape.endswith("s") else "",
        date_format(local, shape),
    )


@register.simple_tag(takes_context=True)
def current(context: template.Context, *names: str) -> str:
    """`aria-current` on the menu's entry for the page that is shown."""
    match = getattr(context.get("request"), "resolver_match", None)
    found = match and match.namespace == "tracker" and match.url_name in names
    return SafeString('aria-current="page"') if found else ""


@register.simple_tag(takes_context=True)
def unread_count(context: template.Context) -> str:
    """How many notifications the reader has not read, as the bell says it."""
    count = context.get("unread")
    if count is None:
        count = notifications.unread(context["request"].user)
    return notifications.bell(count)
