"""How people sign in: Django's own backend, with fewer queries."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db.models import Q

from jobs.models import Maintenance


class OneQueryBackend(ModelBackend):
    """Django's backend asks for a person's own rights and for those of their groups one by one.

    Every page and every look of a live page needs both.
    """

    def get_user(self, user_id: Any) -> User | None:
        """Return the person of a session, with the maintenance that every page has to tell of."""
        found = User.objects.annotate(maintenance=Maintenance.subquery()).filter(pk=user_id).first()
        return found if found and self.user_can_authenticate(found) else None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return the rights as `app.codename`; they are read once a request."""
        if obj is not None or not user_obj.is_active or user_obj.is_anonymous:
            return set()
        if user_obj.is_superuser:
            return super().get_all_permissions(user_obj)
        if not hasattr(user_obj, "known_rights"):
            user_obj.known_rights = _rights(user_obj)
        return user_obj.known_rights


def _rights(user: User | AnonymousUser) -> set[str]:
    own = Permission.objects.filter(user=user.pk).order_by().values("pk")
    of_groups = Permission.objects.filter(group__user=user.pk).order_by().values("pk")
    found = Permission.objects.filter(Q(pk__in=own) | Q(pk__in=of_groups)).order_by()
    return {
        f"{app}.{name}" for app, name in found.values_list("content_type__app_label", "codename")
    }
