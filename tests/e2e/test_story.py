"""The main job, as a person does it: launch an import with a file, follow it, stop it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jobs.models import JobExecution, StepWarning
from jobs.states import Status

MANY = 600_000
STOPPED_WITHIN = 15_000  # milliseconds, on a machine that has other things to do


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that takes some seconds to import."""
    path = tmp_path_factory.mktemp("long") / "products.csv"
    path.write_text("sku;enabled\n" + "".join(f"LONG-{row:07};1\n" for row in range(MANY)))
    return path


def run(page: Page, profile: str, file: Path) -> None:
    page.goto(f"/profiles/{profile}/")
    page.get_by_label("File", exact=True).set_input_files(file)
    expect(page.locator("[data-drop-text]")).to_contain_text(file.name)
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url(re.compile(r"/executions/[0-9a-f-]{36}/$"))


def badge(page: Page):
    return page.locator("h1 .badge")


def test_an_import_is_launched_followed_and_ends_before_ones_eyes(enter: Callable, files: Path):
    page = enter()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Imports").click()
    page.get_by_role("link", name="Run Import categories").click()
    run(page, "import_categories", files / "categories.csv")
    expect(page.get_by_role("status").first).to_contain_text("started.")
    expect(badge(page)).to_have_text("Completed", timeout=20_000)  # without loading the page anew
    expect(page.locator("#announce")).to_contain_text("Completed", timeout=5_000)
    page.locator("#tab-files").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download categories.csv").click()
    assert download.value.path().read_bytes() == (files / "categories.csv").read_bytes()


def test_a_row_that_cannot_be_taken_is_shown_with_its_reason(enter: Callable, files: Path):
    page = enter()
    wrong = files / "wrong.csv"
    wrong.write_text("sku;family;enabled\nGOOD-1;;1\nBAD-1;<b>sofaz</b>;1\n")
    run(page, "import_products", wrong)
    expect(badge(page)).to_have_text("Completed", timeout=20_000)
    page.get_by_role("link", name=re.compile("^Warnings")).click()
    row = page.get_by_role("row").filter(has_text="BAD-1")
    expect(row).to_contain_text("<b>sofaz</b>")
    assert StepWarning.objects.filter(key="BAD-1").exists()


def test_a_mistake_is_stopped_and_the_receipt_says_what_stays(enter: Callable, long_file: Path):
    page = enter()
    run(page, "import_products", long_file)
    expect(badge(page)).to_contain_text("Running", timeout=20_000)
    expect(page.locator(".head-numbers")).to_contain_text(re.compile(r"\d+ %"), timeout=20_000)
    page.locator("#do-stop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Stopping is not a rollback")
    dialog.get_by_label("Reason optional").fill("The wrong file")
    dialog.get_by_role("button", name="Stop it").click()
    expect(badge(page)).to_have_text("Stopped", timeout=STOPPED_WITHIN)
    expect(page.locator(".sentence")).to_contain_text("items are done and stay")
    stopped = JobExecution.objects.get(pk=page.url.rstrip("/").rsplit("/", 1)[1])
    assert stopped.status == Status.STOPPED
    assert 0 < sum(step.processed for step in stopped.steps.all()) < MANY


def test_it_is_stopped_from_the_tracker_too(enter: Callable, long_file: Path):
    page = enter("sam")
    run(page, "import_products", long_file)
    name = "Stop Import products"
    page.goto("/executions/?group=active&group=ready")
    page.get_by_role("link", name=name).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
    page.wait_for_url("**/executions/?group=active&group=ready")
    expect(page.locator(".flash").first).to_contain_text("“Import products”: Stop")
    expect(page.get_by_role("link", name=name)).to_have_count(0, timeout=STOPPED_WITHIN)


def test_without_javascript_everything_works_too(enter: Callable, files: Path):
    page = enter(java_script_enabled=False)
    page.goto("/profiles/import_categories/")
    page.get_by_label("File", exact=True).set_input_files(files / "categories.csv")
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url(re.compile(r"/executions/[0-9a-f-]{36}/$"))
    launched = JobExecution.objects.get(pk=page.url.rstrip("/").rsplit("/", 1)[1])
    page.goto(f"/executions/{launched.pk}/stop/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Stop “Import categories”?")


def test_two_clicks_launch_once(enter: Callable, files: Path):
    page = enter("twice", "User")
    page.goto("/profiles/import_categories/")
    page.get_by_label("File", exact=True).set_input_files(files / "categories.csv")
    page.get_by_role("button", name="Run now").dblclick(no_wait_after=True)
    page.wait_for_url(re.compile(r"/executions/[0-9a-f-]{36}/$"))
    assert JobExecution.objects.filter(user__username="twice").count() == 1
