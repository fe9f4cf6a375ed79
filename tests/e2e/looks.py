"""How a page is looked at: by axe, in both themes, and whether it fits its window."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

KEEPS_OUT = {"serious", "critical", "moderate"}
OF_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


def serious(page: Page, **options: object) -> list[str]:
    """What axe finds that keeps people from using the page as it is shown now."""
    found = Axe().run(page, options={"resultTypes": ["violations"], **options})
    return [
        f"{page.url} {fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found.response["violations"]
        if fault["impact"] in KEEPS_OUT
    ]


def wrong_in_any_theme(page: Page) -> list[str]:
    """What is wrong with the page in its window: for axe in either theme, or wider than it.

    A theme is nothing but colours, so that all else is asked about once.
    """
    page.emulate_media(color_scheme="light", reduced_motion="reduce")  # no colour in between
    found = serious(page)
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {fault}" for fault in serious(page, **OF_COLOURS)]
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [*found, f"{page.url} is wider than its window"] if wide else found
