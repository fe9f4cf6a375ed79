"""The pictures of the documentation: real executions of the sample catalogue, on the real site.

MILLRACE_SCREENSHOTS names the folder to write them to; without it they are not taken.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from catalog import sample
from config.demo.files import IMPORTS
from jobs.models import JobExecution
from tests.e2e.site import eventually
from tests.e2e.test_story import badge, run

pytestmark = pytest.mark.skipif(
    "MILLRACE_SCREENSHOTS" not in os.environ, reason="MILLRACE_SCREENSHOTS names no folder"
)
MANY = 300_000  # products, for an import that still runs when all pictures are taken
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small sample catalogue, and a file of many products."""
    small, large = (tmp_path_factory.mktemp(name) for name in ("small", "large"))
    sample.generate(small)
    sample.generate(large, products=MANY, seed=7)
    return small, large / "products.csv"


def complete(page: Page, profile: str, file: Path) -> None:
    run(page, profile, file)
    expect(badge(page)).to_have_text("Completed", timeout=30_000)


def stop(page: Page, reason: str) -> None:
    """Stop the execution of this page once it has written something, and await the receipt."""
    expect(page.locator(".head-numbers")).to_contain_text("left", timeout=30_000)
    page.locator("#do-stop").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason optional").fill(reason)
    dialog.get_by_role("button", name="Stop it").click()
    expect(page.locator(".sentence")).to_contain_text("done and stay", timeout=30_000)
    expect(badge(page)).to_have_text("Stopped")


def export(page: Page) -> None:
    page.goto("/profiles/export_products/")
    page.get_by_role("button", name="Run now").click()
    expect(badge(page)).to_have_text("Completed", timeout=30_000)


def fail(page: Page, file: Path) -> None:
    """Import the file by a profile that is not for it."""
    run(page, "import_attribute_options", file)
    expect(badge(page)).to_have_text("Failed", timeout=30_000)


def work(page: Page, leads: Page, small: Path, many: Path) -> str:
    """A working day in short; returns the address of the import that is still running."""
    for profile, name in IMPORTS.items():
        complete(page, profile, small / name)
    fail(page, small / "categories.csv")
    run(leads, "import_products", many)
    stop(leads, "The wrong season's file")
    export(leads)
    run(page, "import_products", many)
    return page.url


def has_warnings(address: str) -> bool:
    key = address.rstrip("/").rsplit("/", 1)[1]
    return JobExecution.objects.get(pk=key).warnings_count >= 3


def take(page: Page, running: str, theme: str) -> None:
    folder = Path(os.environ["MILLRACE_SCREENSHOTS"])
    pages = {"tracker": "/executions/", "execution": running, "dashboard": "/"}
    for name, address in pages.items():
        page.goto(address)
        expect(page.get_by_role("link", name="Stop").first).to_be_visible()
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}-{theme}.png", full_page=True)


def test_pictures_for_the_documentation(enter: Callable, catalogues: tuple[Path, Path]):
    readers = {theme: enter("leo", "Lead", color_scheme=theme) for theme in THEMES}
    running = work(enter("julia", "User"), readers["light"], *catalogues)
    eventually(lambda: has_warnings(running), "the running import has met bad rows", 120)
    for theme, page in readers.items():
        take(page, running, theme)
