"""The pages of imports in a real browser: accessible, and fitting a phone."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from playwright.sync_api import expect

from catalog.models import Product
from jobs import control
from jobs.models import JobExecution, RejectedRow, RowChange, StepExecution, StepWarning
from jobs.states import Status
from tests.e2e.looks import wrong_in_any_theme
from tests.e2e.test_pages import QUEUE, show, step

CONTENT = "SKU;Product;Price EUR;Remark\n" + "A-1;A lamp with a name;1,50;x\n" * 60


@pytest.fixture
def dora(person: Callable[[str, str], User]) -> User:
    return person("dora", "Data manager")


@pytest.fixture
def imported(dora: User) -> Iterator[JobExecution]:
    """An import with a ledger, and two rows that were rejected."""
    product = Product.objects.create(sku="LAMP-1", name="New")
    done = show(dora, "import_products", Status.COMPLETED, 9, warnings_count=2,
                parameters={"ledger": True})  # fmt: skip
    step(done, 0, "Import rows", "completed", created=1, updated=1, unchanged=3, failed=2)
    rows: StepExecution = done.steps.get()
    rows.columns = ["sku", "name", "family"]
    rows.save()
    for number in (4, 7):
        RejectedRow.objects.create(
            execution=done, step=rows, row=number, cells=[f"BAD-{number}", "A lamp", "tv_setz"]
        )
        StepWarning.objects.create(
            execution=done, step=rows, row=number, key=f"BAD-{number}", column="family",
            value="tv_setz", code="unknown_reference", message="There is no family 'tv_setz'.",
        )  # fmt: skip
    before, after = {"name": "Old"}, {"name": "New"}
    for key, target, outcome, images in (
        ("LAMP-1", product.pk, "updated", {"before": before, "after": after}),
        ("GONE-1", 99_999_999, "updated", {"before": before, "after": after}),
        ("LAMP-2", product.pk, "unchanged", {}),
    ):
        RowChange.objects.create(
            execution=done, row=1, key=key, target=target, outcome=outcome, **images
        )
    yield done
    JobExecution.objects.filter(queue=QUEUE).delete()
    product.delete()


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_on_the_pages_of_an_import(
    enter: Callable, dora: User, imported: JobExecution, width: int
):
    page = enter("dora", "Data manager", viewport={"width": width, "height": 900})
    sent = control.upload(ContentFile(CONTENT.encode(), name="spring.csv"), user=dora)
    at = imported.get_absolute_url()
    found = []
    for address in (
        "/profiles/import_products/",
        "/profiles/import_products/change/",
        "/profiles/export_products/change/",
        f"/profiles/import_products/files/{sent.pk}/",
        *(f"{at}?tab={tab}" for tab in ("summary", "rows", "warnings", "files")),
        f"{at}rejected/4/",
        f"{at}undo/",
    ):
        page.goto(address)
        for folded in page.locator("details").all():
            folded.evaluate("details => details.open = true")
        found += wrong_in_any_theme(page)
    assert found == []


def test_a_row_of_an_editor_is_added_by_a_click(enter: Callable, dora: User):
    page = enter("dora", "Data manager")
    page.goto("/profiles/export_products/change/")
    page.get_by_label("Field, filter 1").select_option("sku")
    before = page.locator("[name=filters-field]").count()
    assert before == 1
    page.get_by_role("button", name="Another filter").click()
    expect(page.locator("[name=filters-field]")).to_have_count(before + 1)
    added = page.get_by_label(f"Field, filter {before + 1}")
    expect(added).to_be_focused()
    expect(added).to_have_value("")


def test_a_file_is_looked_at_and_its_columns_led_without_javascript(
    enter: Callable, dora: User, tmp_path
):
    (tmp_path / "spring.csv").write_text(CONTENT)
    page = enter("dora", "Data manager", java_script_enabled=False)
    page.goto("/profiles/import_products/")
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "spring.csv")
    page.get_by_role("button", name="Look at the file first").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("spring.csv")
    expect(page.get_by_label("Where SKU goes")).to_have_value("sku")
    expect(page.get_by_label("Decimal separator")).to_have_value(",")
    page.get_by_label("Where Product goes").select_option("name")
    page.get_by_role("button", name="Dry run").click()
    page.wait_for_url("**/executions/*/")
    launched = JobExecution.objects.latest("pk")
    assert launched.dry_run
    assert launched.parameters["mapping"]["Product"] == "name"
