from django.contrib import admin

from catalog.models import Attribute, AttributeOption, Category, Family, Product
from jobs.resource_admin import ResourceAdmin


@admin.register(Category)
class CategoryAdmin(ResourceAdmin):
    list_display = ("code", "__str__", "parent")
    list_select_related = ("parent",)
    search_fields = ("code",)
    autocomplete_fields = ("parent",)


@admin.register(Attribute)
class AttributeAdmin(ResourceAdmin):
    list_display = ("code", "__str__", "type", "group", "localizable", "scopable")
    list_filter = ("type", "group")
    search_fields = ("code",)


@admin.register(AttributeOption)
class AttributeOptionAdmin(ResourceAdmin):
    list_display = ("code", "__str__", "attribute")
    list_select_related = ("attribute",)
    search_fields = ("code", "attribute__code")
    autocomplete_fields = ("attribute",)


@admin.register(Family)
class FamilyAdmin(ResourceAdmin):
    list_display = ("code", "__str__")
    search_fields = ("code",)
    autocomplete_fields = ("attributes", "attribute_as_label", "attribute_as_image")


@admin.register(Product)
class ProductAdmin(ResourceAdmin):
    list_display = ("sku", "name", "family", "enabled", "price_eur", "updated_at")
    list_select_related = ("family",)
    list_filter = ("enabled", "family")
    search_fields = ("sku", "name")
    autocomplete_fields = ("family", "categories")
    show_full_result_count = False  # counting a large table takes longer than the page
