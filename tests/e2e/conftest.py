"""A real browser in front of the whole site.

Everything here is committed and nothing rolled back: the site's own processes work on it.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.models import Group, User
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from catalog import sample
from tests.e2e.site import own_database, serving

PASSWORD = "correct horse battery staple"
# Playwright's loop runs in this thread; Django would refuse to ask the database beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def _variables(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    with django_db_blocker.unblock(), own_database() as variables:
        yield variables


@pytest.fixture(scope="session")
def site(
    chromium: str, _variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the whole site."""
    with serving(_variables, tmp_path_factory.mktemp("site")) as address:
        yield address


@pytest.fixture(autouse=True)
def _on_the_site(_variables: dict[str, str], django_db_blocker: Any) -> Iterator[None]:
    """Django's connection of the test goes to the site's database."""
    with django_db_blocker.unblock():
        before = connection.settings_dict["NAME"]
        connection.close()
        connection.settings_dict["NAME"] = urlsplit(_variables["DATABASE_URL"]).path.lstrip("/")
        yield
        connection.close()
        connection.settings_dict["NAME"] = before


@pytest.fixture(scope="session")
def chrome(chromium: str) -> Iterator[Browser]:
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture
def person() -> Callable[[str, str], User]:
    """Make somebody with a role, unless there is such a one."""

    def make(name: str, role: str) -> User:
        user, new = User.objects.get_or_create(username=name)
        if new:
            hasher = Argon2PasswordHasher()  # the site's; the tests' own is quicker and weaker
            user.password = hasher.encode(PASSWORD, hasher.salt())
            user.save()
            user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def faults() -> list[str]:
    """What the browser complained about: refused by the content policy, or thrown by a script."""
    return []


@pytest.fixture
def enter(
    chrome: Browser, site: str, person: Callable[[str, str], User], faults: list[str]
) -> Iterator[Callable[..., Page]]:
    """Log somebody in, in a window of their own; the options are those of a browser context."""
    opened: list[BrowserContext] = []

    def come_in(name: str = "julia", role: str = "User", **options: Any) -> Page:
        person(name, role)
        options = {"viewport": {"width": 1280, "height": 900}, "base_url": site, **options}
        opened.append(chrome.new_context(**options))
        page = opened[-1].new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto("/login/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{site}/")
        return page

    yield come_in
    for context in opened:
        context.close()


@pytest.fixture(autouse=True)
def _browser_has_nothing_to_complain_about(faults: list[str]) -> Iterator[None]:
    yield
    assert faults == []


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small made-up catalogue in the importers' formats."""
    folder = tmp_path_factory.mktemp("catalogue")
    sample.generate(folder, products=400)
    return folder
