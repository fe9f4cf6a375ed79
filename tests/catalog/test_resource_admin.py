"""Import… and Export… in Django's admin: what is exported are the rows of the list."""

import re

import pytest
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.auth.models import Group, Permission
from django.test import Client

from catalog.admin import ProductAdmin
from catalog.models import Family, Product
from jobs import resource_admin
from jobs.conditions import Condition
from jobs.models import JobExecution
from jobs.resources import RESOURCES
from jobs.selection import Selection
from jobs.selection_query import text_of
from tests.people import person  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

LIST = "/admin/catalog/product/"
EXPORT = f"{LIST}export-rows/"


@pytest.fixture
def staff(person):  # noqa: F811
    def make(role: str = "Data manager") -> Client:
        client = Client()
        client.force_login(person(role.lower(), role, is_staff=True))
        return client

    return make


@pytest.fixture
def client(staff) -> Client:
    return staff()


@pytest.fixture
def products() -> list[Product]:
    boots = Family.objects.create(code="boots")
    return [
        Product.objects.create(
            sku=f"S{number:03}",
            name=f"{'Boot' if number % 2 else 'Hat'} {number}",
            family=boots if number % 2 else None,
            enabled=number % 3 > 0,
        )
        for number in range(12)
    ]


def meant(execution: JobExecution) -> list[str]:
    """The SKUs of the rows that an export was launched for."""
    given = {name: execution.parameters[name] for name in ("filters", "search", "order")}
    selection = Selection.from_json(RESOURCES["catalog.product"], given)
    return list(selection.queryset().values_list("sku", flat=True))


def launched(client: Client, address: str, **form) -> JobExecution:
    answer = client.post(address, {"format": "csv", **form}, follow=True)
    told = [str(message) for message in answer.context["messages"]]
    execution = JobExecution.objects.first()
    assert execution, told
    assert f'<a href="{execution.get_absolute_url()}">Follow</a>' in told[0]
    return execution


def listed(client: Client, address: str) -> list[str]:
    page = client.get(address).content.decode()
    return re.findall(r'<th class="field-sku"><a href="[^"]*">([^<]*)', page)


@pytest.mark.parametrize(
    "query", ["", "?enabled__exact=1", "?q=boot", "?q=boot&enabled__exact=0", "?o=-1"]
)
def test_what_is_exported_are_the_rows_of_the_list(client, products, query):
    rows = listed(client, LIST + query)
    execution = launched(client, EXPORT + query)
    assert sorted(meant(execution)) == sorted(rows)
    assert execution.trigger == "admin"


def test_a_filter_of_ones_own_counts_too(client, products, monkeypatch):
    class Last(SimpleListFilter):
        title = parameter_name = "last"

        def lookups(self, *_):
            return [("3", "three")]

        def queryset(self, _, queryset):
            return queryset.filter(sku__gt="S008") if self.value() else queryset

    monkeypatch.setattr(ProductAdmin, "list_filter", [Last])
    assert meant(launched(client, f"{EXPORT}?last=3")) == ["S009", "S010", "S011"]


def test_the_queryset_of_the_admin_counts_too(client, products, monkeypatch):
    everything = ModelAdmin.get_queryset
    monkeypatch.setattr(
        ProductAdmin,
        "get_queryset",
        lambda self, request: everything(self, request).filter(enabled=False),
    )
    rows = ["S000", "S003", "S006", "S009"]
    assert sorted(listed(client, LIST)) == rows
    assert meant(launched(client, EXPORT)) == rows


def test_selected_rows_are_exported_alone(client, products):
    chosen = [products[number].pk for number in (7, 2)]
    form = {"action": "export_rows", "_selected_action": chosen}
    page = client.post(LIST, form).content.decode()
    assert "2 products, as listed and selected" in page
    assert f'<input type="hidden" name="_selected_action" value="{chosen[0]}">' in page
    execution = launched(client, EXPORT, _selected_action=chosen)
    assert meant(execution) == ["S002", "S007"]
    assert execution.parameters["format"] == "csv"


def test_all_across_pages_lead_to_the_filters_of_the_list(client, products):
    form = {
        "action": "export_rows",
        "select_across": "1",
        "_selected_action": [products[0].pk],
    }
    answer = client.post(f"{LIST}?enabled__exact=1", form)
    assert answer.url == f"{EXPORT}?enabled__exact=1"
    assert "8 products, as listed." in client.get(answer.url).content.decode()


def test_rows_that_come_after_are_not_exported(client, products):
    execution = launched(client, f"{EXPORT}?enabled__exact=1")
    Product.objects.create(sku="later", enabled=True)
    assert "later" not in meant(execution)


def test_the_whole_list_is_not_named_row_by_row(client, products):
    assert launched(client, EXPORT).parameters["filters"] == []


def test_more_rows_than_can_be_named_are_refused_in_a_sentence(client, products, monkeypatch):
    monkeypatch.setattr(resource_admin, "MOST", 5)
    page = client.get(f"{EXPORT}?q=S0").content.decode()
    assert "These are more than 5 rows" in page
    assert 'href="/data/catalog.product/"' in page
    answer = client.post(f"{EXPORT}?q=S0", {"format": "csv"}, follow=True)
    assert "more than 5 rows" in str(next(iter(answer.context["messages"])))
    assert not JobExecution.objects.exists()
    assert launched(client, EXPORT)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("enabled__exact=1", ["enabled is true"]),
        ("family__id__exact={family}&o=-1", ["family = boots"]),
        ("enabled__exact=1&family__id__exact={family}", ["enabled is true", "family = boots"]),
    ],
)
def test_very_many_rows_are_named_by_the_filters_of_the_list(
    client, products, monkeypatch, query, words
):
    query = query.format(family=Family.objects.get().pk)
    rows = listed(client, f"{LIST}?{query}")
    monkeypatch.setattr(resource_admin, "MOST", 3)
    execution = launched(client, f"{EXPORT}?{query}")
    conditions = [Condition(**each) for each in execution.parameters["filters"]]
    assert [text_of(each) for each in conditions] == words
    assert sorted(meant(execution)) == sorted(rows)


def test_filters_that_say_other_rows_than_the_list_are_not_taken(client, products, monkeypatch):
    """The list has a queryset of its own, which its address says nothing of."""
    everything = ModelAdmin.get_queryset
    monkeypatch.setattr(
        ProductAdmin,
        "get_queryset",
        lambda self, request: everything(self, request).exclude(sku="S001"),
    )
    monkeypatch.setattr(resource_admin, "MOST", 3)
    answer = client.post(f"{EXPORT}?enabled__exact=1", {"format": "csv"}, follow=True)
    assert "more than 3 rows" in str(next(iter(answer.context["messages"])))
    assert not JobExecution.objects.exists()


def test_an_empty_list_exports_nothing(client, products):
    answer = client.post(f"{EXPORT}?q=nothing", {"format": "csv"}, follow=True)
    assert "no such rows" in str(next(iter(answer.context["messages"])))
    assert not JobExecution.objects.exists()


def test_the_list_has_both_buttons_for_those_who_may(client, staff, products):
    page = client.get(f"{LIST}?q=boot").content.decode()
    assert '<a href="/data/catalog.product/import/">Import…</a>' in page
    assert f'<a href="{EXPORT}?q=boot">Export…</a>' in page
    assert 'value="export_rows"' in page
    viewers = staff("Viewer").get(LIST).content.decode()
    assert "Import…" not in viewers
    assert "Export" not in viewers
    assert staff("Auditor").get(EXPORT).status_code == 403
    assert staff("Lead").post(EXPORT, {"format": "csv"}).status_code == 302


def test_the_right_to_launch_alone_does_not_export(staff, products):
    managers = staff()
    Group.objects.get(name="Data manager").permissions.remove(
        Permission.objects.get(codename="view_product"),
        Permission.objects.get(codename="change_product"),
    )
    assert managers.get(EXPORT).status_code == 403
    assert managers.post(EXPORT, {"format": "csv"}).status_code == 403
    assert not JobExecution.objects.exists()


def test_a_list_that_cannot_be_read_leads_back(client):
    assert client.get(f"{EXPORT}?nothing__exact=1").url.startswith(LIST)


def test_named_rows_are_a_condition_on_their_keys(client, products):
    execution = launched(client, f"{EXPORT}?q=hat+4")
    only = Condition("pk", "in", [str(products[4].pk)])
    assert execution.parameters["filters"] == [only.to_json()]
