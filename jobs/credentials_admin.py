"""Credentials in the admin: who keeps which, without a secret."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from jobs.models import Credential
from jobs.permissions import may


class CredentialAdmin(admin.ModelAdmin):
    """To read only: the page of credentials checks, tests and changes them."""

    list_display = ("name", "kind", "key_id", "updated_at", "changed_by")
    list_filter = ("kind",)
    list_select_related = ("changed_by",)
    search_fields = ("name",)
    fields = readonly_fields = (
        "page", "name", "kind", "options", "key_id", "created_at", "updated_at", "changed_by",
    )  # fmt: skip
    actions = None

    @admin.display(description="to change and test it")
    def page(self, credential: Credential) -> str:
        return format_html('<a href="{}">{}</a>', credential.get_absolute_url(), credential.name)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(may(request.user, "manage_credentials"))

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False
