"""The data grid in a real browser: filter, tick, export, download; accessible and fitting."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from catalog.models import Attribute, Family, Product
from tests.e2e.looks import wrong_in_any_theme

PRODUCTS = "/data/catalog.product/"


@pytest.fixture(autouse=True)
def _products() -> Iterator[None]:
    family, _ = Family.objects.get_or_create(code="grid_boots")
    Attribute.objects.get_or_create(code="grid_color", type="text")
    Product.objects.bulk_create(
        Product(
            sku=f"GRID-{number:02}",
            name=f"Boot {number}",
            family=family,
            price_eur=number,
            enabled=number % 2 == 0,
            values={"grid_color": "red"},
        )
        for number in range(60)
    )
    yield
    Product.objects.filter(sku__startswith="GRID-").delete()


def exported(page: Page) -> list[str]:
    """Follow the export to its end and return the SKUs in its file."""
    page.get_by_role("link", name="Follow").click()
    expect(page.locator("h1 .badge")).to_have_text("Completed", timeout=30_000)
    page.locator("#tab-files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile(r"^Download .*\.csv")).first.click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    return [row["sku"] for row in csv.DictReader(io.StringIO(text), delimiter=";")]


def test_rows_are_filtered_ticked_exported_and_downloaded(enter: Callable):
    page = enter()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Data").click()
    page.get_by_role("link", name="Products", exact=True).click()
    page.get_by_label("Filter by", exact=True).select_option("price-EUR")
    page.wait_for_url(re.compile("by=price-EUR"))  # by itself, as soon as it is chosen
    expect(page.get_by_label("and", exact=True)).to_be_hidden()
    page.get_by_label("How it is compared").select_option("between")
    page.get_by_label("Value").fill("10")
    page.get_by_label("and", exact=True).fill("12")
    page.get_by_role("button", name="Add the filter").click()
    expect(page.get_by_role("list", name="Filters in force")).to_contain_text("between 10 and 12")
    page.get_by_label("Tick GRID-10").check()
    page.get_by_label("Tick GRID-12").check()
    expect(page.locator("[data-ticked]")).to_have_text("· 2 ticked")
    page.get_by_text("Bulk actions").click()
    page.get_by_role("button", name="Export the 2 ticked").click()
    assert exported(page) == ["GRID-10", "GRID-12"]


def test_all_that_match_are_exported_in_the_order_shown(enter: Callable):
    page = enter()
    page.goto(f"{PRODUCTS}?filter=family+in+grid_boots&filter=enabled+is+true&order=-price-EUR")
    page.get_by_text("Bulk actions").click()
    page.get_by_role("button", name="Export all 30 that match").click()
    assert exported(page) == [f"GRID-{number:02}" for number in range(58, -1, -2)]


def test_shift_ticks_a_range_and_the_box_on_top_all_of_them(enter: Callable):
    page = enter()
    page.goto(f"{PRODUCTS}?search=GRID-&order=sku")
    page.get_by_label("Tick GRID-03").click()
    page.get_by_label("Tick GRID-07").click(modifiers=["Shift"])
    expect(page.locator("[data-ticked]")).to_have_text("· 5 ticked")
    page.get_by_label("Tick all on this page").click()
    expect(page.locator("[data-ticked]")).to_have_text("· 25 ticked")


def test_it_works_by_keyboard_and_without_scripts(enter: Callable, faults: list[str]):
    page = enter(java_script_enabled=False)
    page.goto(f"{PRODUCTS}?search=GRID-")
    page.get_by_label("Filter by", exact=True).select_option("enabled")
    page.get_by_role("button", name="Choose").click()
    page.get_by_label("How it is compared").select_option("is true")
    page.get_by_role("button", name="Add the filter").click()
    expect(page.get_by_role("list", name="Filters in force")).to_contain_text("Enabled is true")
    page.get_by_label("Tick GRID-04").focus()
    page.keyboard.press("Space")
    page.get_by_text("Bulk actions").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Export the ticked rows").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Follow")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_and_nothing_overflows(enter: Callable, width: int):
    page = enter("dora", "Data manager", viewport={"width": width, "height": 900})
    chosen = (
        f"{PRODUCTS}?search=GRID&filter=enabled+is+true&order=-name&columns=sku,name,grid_color"
    )
    found = []
    for address, menu in (
        ("/data/", ""),
        (PRODUCTS, "Bulk actions"),
        (chosen, "Columns"),
        (f"{PRODUCTS}?by=price-EUR&operator=%3D&value=cheap", ""),
        ("/data/catalog.attribute/?by=type", ""),
        (f"{PRODUCTS}?search=nowhere", ""),
    ):
        page.goto(address)
        if menu:
            page.locator("summary", has_text=menu).click()
        found += wrong_in_any_theme(page)
    assert found == []
