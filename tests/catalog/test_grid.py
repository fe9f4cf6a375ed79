"""The pages of the data: which there are, what a grid shows, and exporting from it."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from catalog.models import Attribute, Category, Family, Product
from jobs import browsing
from jobs.models import JobExecution, JobProfile, Maintenance
from tests.people import person  # noqa: F401 - a fixture
from tracker.queries import grid

pytestmark = pytest.mark.django_db

PRODUCTS = "/data/catalog.product/"


@pytest.fixture(autouse=True)
def _fields_are_looked_up_anew(monkeypatch) -> None:
    monkeypatch.setattr(grid, "_kept", {})


@pytest.fixture
def browser(person) -> Callable[..., Client]:  # noqa: F811
    def make(role: str = "User", **more) -> Client:
        client = Client()
        client.force_login(person(role.lower(), role, **more))
        return client

    return make


@pytest.fixture
def bobs(browser) -> Client:
    return browser()


@pytest.fixture
def products() -> list[Product]:
    Attribute.objects.create(code="color", type="text")
    shoes = Family.objects.create(code="shoes", labels={"en_US": "Shoes"})
    Category.objects.bulk_create(Category(code=code) for code in ("spring", "sale"))
    made = [
        Product.objects.create(
            sku=f"S{number:03}",
            name=f"Boot {number}",
            family=shoes if number % 2 else None,
            enabled=number != 3,
            price_eur=number,
            values={"color": "red"} if number < 5 else {},
        )
        for number in range(60)
    ]
    made[0].categories.set(Category.objects.all())
    return made


def shown(client: Client, address: str = PRODUCTS, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer
    return answer.content.decode()


def skus(page: str) -> list[str]:
    return re.findall(r'<th scope="row">(?:<a [^>]*>)?([^<]*)', page)


def link(page: str, name: str) -> str:
    found = re.search(rf'<a id="{name}"[^>]*href="([^"]*)"', page)
    assert found, page
    return PRODUCTS + found[1].replace("&amp;", "&")


# --- The list ---------------------------------------------------------------------------------


def test_few_rows_are_counted_and_many_are_estimated(bobs, products, monkeypatch):
    def line():
        found = bobs.get("/data/").context["lines"]
        return next(one for one in found if one.resource.name == "catalog.product")

    few = line()
    assert (few.rows, few.is_exact) == (Product.objects.count(), True)
    monkeypatch.setattr("tracker.queries.resources.COUNTED", 1)
    assert not line().is_exact


def test_the_list_has_the_resources_that_one_may_view(browser, bobs):
    page = shown(bobs, "/data/")
    assert all(f'href="/data/catalog.{name}/"' in page for name in ("product", "family"))
    assert "Products of the catalogue" in page
    assert "There is no data that you may see" in shown(browser("Operator"), "/data/")


def test_what_one_may_not_view_does_not_exist(browser, bobs):
    operator = browser("Operator")
    assert operator.get(PRODUCTS).status_code == 404
    assert operator.post(f"{PRODUCTS}export/").status_code == 404
    assert bobs.get("/data/catalog.nothing/").status_code == 404
    assert bobs.post("/data/catalog.nothing/export/").status_code == 404
    assert browser("Viewer").get(f"{PRODUCTS}import/").status_code == 403


def test_strangers_are_led_to_the_login(client):
    for address in ("/data/", PRODUCTS):
        assert client.get(address).url.startswith("/login/")


def test_who_may_not_import_is_not_offered_it(browser, bobs):
    assert "Import" in shown(bobs, "/data/").split("<main")[1]
    assert "/import/" not in shown(browser("Viewer"), "/data/")


# --- Rows -------------------------------------------------------------------------------------


def test_the_grid_shows_rows_with_relations_by_their_codes(bobs, products):
    page = shown(bobs)
    assert skus(page) == [f"S{number:03}" for number in range(25)]
    assert "sale, spring" in page
    assert ">shoes<" in page
    assert re.search(r"<strong[^>]*>60</strong> rows", page)


def test_pages_lead_on_and_back(bobs, products):
    second = shown(bobs, link(shown(bobs), "later"))
    assert skus(second) == [f"S{number:03}" for number in range(25, 50)]
    third = shown(bobs, link(second, "later"))
    assert skus(third) == [f"S{number:03}" for number in range(50, 60)]
    assert 'id="later"' not in third
    assert skus(shown(bobs, link(third, "earlier"))) == skus(second)


def test_a_click_on_a_heading_orders_by_it_and_again_turns_it(bobs, products):
    page = shown(bobs, f"{PRODUCTS}?order=-price-EUR")
    assert skus(page)[0] == "S059"
    assert 'aria-sort="descending"' in page
    assert 'href="?order=price-EUR"' in page
    assert 'href="?order=-price-EUR"' in shown(bobs, f"{PRODUCTS}?order=price-EUR")


def test_filters_and_search_narrow_each_other_and_can_be_dropped(bobs, products):
    page = shown(bobs, f"{PRODUCTS}?filter=family+in+shoes&filter=enabled+is+false&search=boot")
    assert skus(page) == ["S003"]
    assert "Family is one of shoes" in page
    assert 'href="?filter=enabled+is+false&amp;search=boot"' in page
    nothing = shown(bobs, f"{PRODUCTS}?search=nowhere")
    assert "Nothing matches" in nothing
    assert skus(nothing) == []


def test_the_form_of_a_filter_fits_its_field(bobs, products):
    page = shown(bobs, f"{PRODUCTS}?by=price-EUR")
    assert 'value="between"' in page
    assert 'value="contains"' not in page
    truth = shown(bobs, f"{PRODUCTS}?by=enabled")
    assert 'value="is true"' in truth
    assert 'name="value"' not in truth
    choice = shown(bobs, "/data/catalog.attribute/?by=type")
    assert '<input type="checkbox" name="value" value="simpleselect"' in choice


@pytest.mark.parametrize(
    ("form", "filters"),
    [
        ("by=price-EUR&operator=between&value=3&until=5", ["price-EUR between 3,5"]),
        ("by=enabled&operator=is+false", ["enabled is false"]),
        ("by=sku&operator=in&value=S001,S002", ["sku in S001,S002"]),
        (
            "by=color&operator=empty&value=ignored&filter=sku+in+S001",
            ["sku in S001", "color empty"],
        ),
    ],
)
def test_the_form_leads_to_an_address_with_its_filter(bobs, products, form, filters):
    answer = bobs.get(f"{PRODUCTS}?{form}")
    assert answer.status_code == 302
    assert parse_qs(urlsplit(answer.url).query)["filter"] == filters
    assert bobs.get(answer.url).status_code == 200


def test_choices_are_ticked_together(bobs):
    Attribute.objects.create(code="a", type="text")
    Attribute.objects.create(code="b", type="date")
    Attribute.objects.create(code="c", type="price")
    data = "/data/catalog.attribute/"
    answer = bobs.get(f"{data}?by=type&operator=in&value=text&value=date")
    assert skus(shown(bobs, answer.url)) == ["a", "b"]


def test_a_value_that_does_not_fit_is_said_beside_the_form(bobs, products):
    page = shown(bobs, f"{PRODUCTS}?by=price-EUR&operator=%3E&value=cheap")
    assert "is compared by &#x27;&gt;&#x27; with a number like 1234.5" in page
    assert 'value="cheap"' in page
    assert len(skus(page)) == 25


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("filter=nothing", "A filter is written as field, operator and value"),
        ("filter=colour+in+red", "There is no field &#x27;colour&#x27;"),
        ("filter=enabled+contains+x", "cannot be compared by"),
        ("order=categories", "cannot be ordered by Categories"),
        ("after=forged", "There is no such page"),
        ("search=" + "x" * 201, "at most 200 characters"),
    ],
)
def test_an_address_that_asks_for_what_is_not_there_is_answered_in_a_sentence(bobs, query, said):
    page = shown(bobs, f"{PRODUCTS}?{query}", 400)
    assert said in page
    assert skus(page) == []


def test_text_of_rows_is_shown_as_text(bobs):
    Product.objects.create(sku="<b>1</b>", name='"><script>alert(1)</script>')
    page = shown(bobs)
    assert "<script>alert" not in page
    assert "&lt;b&gt;1&lt;/b&gt;" in page


def test_columns_are_chosen_and_kept_until_the_logout(bobs, products):
    page = shown(bobs, f"{PRODUCTS}?columns=sku&columns=color")
    assert re.findall(r'<th scope="col">\s*(?:<a[^>]*>)?([^<\n]*)', page) == ["SKU", "color"]
    again = shown(bobs)
    assert re.findall(r'<th scope="col">\s*(?:<a[^>]*>)?([^<\n]*)', again) == ["SKU", "color"]
    at_first = shown(bobs, f"{PRODUCTS}?columns=")
    assert "Categories</th>" in at_first.replace("\n", "").replace("  ", "")


def test_fields_of_models_that_one_may_not_view_are_not_there(bobs, products):
    Group.objects.get(name="User").permissions.remove(
        Permission.objects.get(codename="view_family")
    )
    page = shown(bobs)
    assert 'value="family.' not in page
    refused = shown(bobs, f"{PRODUCTS}?filter=family.attribute_as_label+empty", 400)
    assert "Your role does not allow you to view families." in refused
    hidden = shown(bobs, f"{PRODUCTS}?columns=sku,family.attribute_as_label")
    assert "attribute as label" not in hidden.lower()


def test_the_first_column_leads_staff_to_the_admin(browser, products):
    page = shown(browser("Administrator", is_staff=True, is_superuser=True))
    assert f'href="/admin/catalog/product/{products[0].pk}/change/"' in page


def test_what_takes_too_long_is_said_and_the_page_stays(bobs, products, monkeypatch):
    def give_up(*_, **__):
        raise browsing.TooSlow

    monkeypatch.setattr(browsing, "page", give_up)
    assert "took longer than 3 seconds" in shown(bobs, f"{PRODUCTS}?search=x", 400)


def test_a_count_that_takes_too_long_is_left_out(bobs, products, monkeypatch):
    monkeypatch.setattr(browsing, "count", lambda _: None)
    assert "Many rows" in shown(bobs)


def test_a_grid_asks_the_database_at_most_eight_times(
    bobs, products, django_assert_max_num_queries
):
    address = f"{PRODUCTS}?search=boot&order=-price-EUR&columns=sku,family,categories,color"
    shown(bobs, address)  # the fields are kept for a minute
    with django_assert_max_num_queries(8 + 4):  # and the beginnings and ends of two transactions
        shown(bobs, address)


# --- Quick export -----------------------------------------------------------------------------


def export(client: Client, **form) -> JobExecution:
    answer = client.post(f"{PRODUCTS}export/", {"format": "csv", **form}, follow=True)
    assert answer.status_code == 200
    flashed = [str(message) for message in answer.context["messages"]]
    launched = JobExecution.objects.first()
    assert launched, flashed
    assert f'<a href="{launched.get_absolute_url()}">Follow</a>' in flashed[0]
    return launched


def test_ticked_rows_are_exported_as_they_were_ticked(bobs, products):
    ticked = [str(products[number].pk) for number in (4, 1)]
    launched = export(
        bobs, query="search=nothing&order=-sku", scope="ticked", row=ticked, columns="shown"
    )
    assert (launched.job, launched.user.username, launched.trigger) == (
        "catalog.product.export",
        "user",
        "web",
    )
    given = launched.parameters
    assert given["filters"] == [{"field": "pk", "operator": "in", "value": ticked}]
    assert (given["search"], given["order"]) == ("", ["-sku"])
    assert given["columns"][:2] == ["sku", "name"]


def test_all_that_match_are_exported_by_what_they_match(bobs, products):
    query = "filter=enabled+is+true&search=boot&order=-sku"
    given = export(bobs, query=query, scope="all", columns="all").parameters
    assert given["filters"] == [{"field": "enabled", "operator": "is true", "value": None}]
    assert (given["search"], given["order"], given["columns"]) == ("boot", ["-sku"], [])


def test_a_form_that_is_sent_twice_exports_once(bobs, products):
    for _ in range(2):
        export(bobs, query="", scope="all", _once="the-same")
    assert JobExecution.objects.count() == 1


def test_nothing_ticked_is_said(bobs, products):
    answer = bobs.post(f"{PRODUCTS}export/", {"scope": "ticked"}, follow=True)
    assert "No row is ticked" in answer.content.decode()
    assert not JobExecution.objects.exists()


def test_who_may_not_export_is_not_offered_it_and_refused(browser, products):
    viewers = browser("Viewer")
    assert "Quick export" not in shown(viewers)
    assert viewers.post(f"{PRODUCTS}export/", {"scope": "all"}).status_code == 403
    assert not JobExecution.objects.exists()


def test_a_refused_launch_is_said_on_the_page(bobs, products):
    Maintenance.objects.update_or_create(
        pk=1, defaults={"reason": "Moving house.", "refuses_launches": True}
    )
    answer = bobs.post(f"{PRODUCTS}export/", {"scope": "all", "format": "csv"}, follow=True)
    assert "Moving house" in answer.content.decode()
    assert not JobExecution.objects.exists()


# --- Import -----------------------------------------------------------------------------------


def test_import_leads_to_the_profile_that_there_is_for_it(bobs):
    answer = bobs.get(f"{PRODUCTS}import/")
    assert answer.url == "/profiles/import_products/#run"


def test_without_a_profile_the_form_of_the_job_itself_is_shown(bobs, tmp_path):
    JobProfile.objects.all().delete()
    assert 'type="file"' in shown(bobs, f"{PRODUCTS}import/")
    file = tmp_path / "products.csv"
    file.write_text("sku;name\na;Boot\n")
    with file.open() as opened:
        answer = bobs.post(f"{PRODUCTS}import/", {"file": opened})
    launched = JobExecution.objects.get()
    assert answer.url == launched.get_absolute_url()
    assert (launched.job, launched.profile) == ("catalog.product.import", None)
    assert [each.name for each in launched.files.all()] == ["products.csv"]


def test_a_form_with_faults_is_shown_again(bobs):
    JobProfile.objects.all().delete()
    answer = bobs.post(f"{PRODUCTS}import/", {})
    assert answer.status_code == 422
    assert 'class="errorlist' in answer.content.decode()


def test_several_profiles_are_offered(bobs):
    JobProfile.objects.create(code="second", label="By night", job="catalog.product.import")
    page = shown(bobs, f"{PRODUCTS}import/")
    assert "By night" in page
    assert "/profiles/import_products/#run" in page


def test_nobody_is_asked_for_what_they_do_not_see(bobs, products):
    user = User.objects.get(username="user")
    user.groups.clear()
    assert bobs.get("/data/").status_code == 403
