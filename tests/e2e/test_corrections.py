"""Ten broken rows of a real file come back corrected in a spreadsheet; all of it is undone."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Download, Page, expect

from catalog.models import Product
from config.demo.files import IMPORTS
from jobs.models import JobExecution
from tests.e2e.test_pages import serious
from tests.e2e.test_story import badge, run

WITHIN = 60_000  # milliseconds, on a machine that has other things to do
BROKEN = {
    "family": "no_such_family",
    "categories": "no_such_category",
    "price-EUR": "twelve",
    "enabled": "perhaps",
    "main_color": "no_such_option",
}
EVERY = 97  # so many rows lie between two broken ones


@pytest.fixture(scope="module")
def icecat(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of Icecat with ten rows of its products broken on purpose."""
    folder = tmp_path_factory.mktemp("icecat")
    for name in IMPORTS.values():
        shutil.copyfile(real_data / "icecat" / name, folder / name)
    with (folder / "products.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter=";")
        header, rows = list(reader.fieldnames or []), list(reader)
    for number in range(10):
        column = list(BROKEN)[number % len(BROKEN)]
        rows[number * EVERY][column] = BROKEN[column]
    with (folder / "products.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, delimiter=";", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder


def completed(page: Page) -> JobExecution:
    """The execution of this page, once it has ended before one's eyes."""
    expect(badge(page)).to_have_text("Completed", timeout=WITHIN)
    return JobExecution.objects.get(pk=page.url.split("?")[0].rstrip("/").rsplit("/", 1)[1])


def counts(execution: JobExecution) -> dict[str, int]:
    step = execution.steps.last()
    assert step is not None
    names = ("created", "updated", "unchanged", "deleted", "failed", "skipped")
    return {name: getattr(step, name) for name in names if getattr(step, name)}


def fix(download: Download, path: Path, original: Path) -> int:
    """Correct the rejected rows in a spreadsheet, as the reasons tell; returns how many."""
    with original.open(encoding="utf-8", newline="") as file:
        good = {row["sku"]: row for row in csv.DictReader(file, delimiter=";")}
    download.save_as(path)
    book = openpyxl.load_workbook(path)
    sheet = book.active
    assert sheet is not None
    header = {str(cell.value): cell.column for cell in sheet[1]}
    assert {"__row", "__reason"} <= set(header)
    rows = 0
    for row in range(2, sheet.max_row + 1):
        assert sheet.cell(row, header["__reason"]).value
        sku = str(sheet.cell(row, header["sku"]).value)
        for column in BROKEN:
            sheet.cell(row, header[column]).value = good[sku][column] or None
        rows += 1
    book.save(path)
    return rows


def start(page: Page, profile: str, button: str, file: Path | None = None) -> None:
    page.goto(f"/profiles/{profile}/")
    if file:
        page.get_by_label("File", exact=True).set_input_files(file)
        page.get_by_label("Keep a ledger").check()
    page.get_by_role("button", name=button).click()
    page.wait_for_url(re.compile(r"/executions/[0-9a-f-]{36}/$"))


def see_what_is_wrong(page: Page) -> None:
    """The reasons, the rows of one of them, and one row as it stood in the file."""
    page.locator("#tab-warnings").click()
    reasons = page.get_by_role("list", name="Reasons")
    expect(reasons).to_contain_text("There is no family 'no_such_family'.")
    reasons.get_by_role("link").filter(has_text="no_such_family").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Show row 1", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("There is no family 'no_such_family'.")
    dialog.get_by_role("button", name="Close").click()


def fix_and_send_back(page: Page, first: JobExecution, path: Path, original: Path) -> None:
    page.locator("#tab-files").click()
    assert serious(page) == []
    with page.expect_download() as download:
        page.locator("#rejected-xlsx").click()
    assert fix(download.value, path, original) == 10
    page.get_by_label("Corrected file").set_input_files(path)
    page.get_by_role("button", name="Send it back").click()
    page.wait_for_url(lambda address: str(first.pk) not in address)


def export(page: Page, path: Path) -> None:
    start(page, "export_products", "Run now")
    completed(page)
    page.locator("#tab-files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^Download .*csv$")).click()
    download.value.save_as(path)


def undo(page: Page, imported: JobExecution) -> None:
    """What it will do is shown; then it is done, and the undone execution says so."""
    page.goto(imported.get_absolute_url())
    page.locator("#do-undo").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Undo “Import products”?")
    assert serious(page) == []
    page.get_by_role("button", name="Undo it").click()
    page.wait_for_url(re.compile(r"/executions/[0-9a-f-]{36}/$"))
    assert completed(page).undoes == imported
    page.goto(imported.get_absolute_url())
    expect(page.get_by_role("link", name="Show the undo")).to_be_visible()


def test_broken_rows_are_fixed_in_a_spreadsheet_and_the_import_is_undone(
    enter: Callable, icecat: Path, real_data: Path, tmp_path: Path
):
    page = enter("dora", "Data manager", accept_downloads=True)
    for profile, name in IMPORTS.items():
        if profile != "import_products":
            run(page, profile, icecat / name)
            completed(page)
    before = Product.objects.count()
    start(page, "import_products", "Run now", icecat / "products.csv")
    first = completed(page)
    assert counts(first)["failed"] == 10
    see_what_is_wrong(page)
    original = real_data / "icecat" / "products.csv"
    fix_and_send_back(page, first, tmp_path / "fixed.xlsx", original)
    second = completed(page)
    assert counts(second) == {"created": 10}
    assert second.warnings_count == 0
    exported = tmp_path / "exported.csv"
    export(page, exported)
    start(page, "import_products", "Dry run", exported)
    tried = completed(page)
    expect(page.locator(".dry")).to_contain_text("nothing was written")
    assert set(counts(tried)) == {"unchanged"}
    for imported in (second, first):
        undo(page, imported)
    assert Product.objects.count() == before
