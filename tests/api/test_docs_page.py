"""The page of the API in a real browser: it works under the site's policy, without a complaint."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def page(chromium, live_server):
    """A page of a browser in which somebody is signed in; `page.complaints` is its console.

    While the browser is there, playwright's event loop runs: no test asks the database then.
    """
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(base_url=live_server.url)
        context.add_cookies(
            [
                {"name": name, "value": cookie.value, "url": live_server.url}
                for name, cookie in client.cookies.items()
            ]
        )
        found = context.new_page()
        found.complaints = []
        found.on("console", lambda message: found.complaints.append(message.text))
        found.on("pageerror", lambda error: found.complaints.append(str(error)))
        yield found
        browser.close()


def test_it_shows_and_sends_requests(page):
    page.goto("/api/v1/docs/")
    page.wait_for_selector(".opblock")
    assert page.locator(".opblock").count() > 30
    operation = page.locator("#operations-tokens-tokens_create")
    operation.locator(".opblock-summary").click()
    operation.locator(".try-out__btn").click()
    operation.locator("textarea").fill('{"name": "made in the browser"}')
    operation.locator(".execute").click()
    answer = operation.locator(".live-responses-table .response-col_status >> text=201")
    answer.wait_for()
    assert "made in the browser" in operation.locator(".live-responses-table").inner_text()
    assert page.complaints == []
