"""The pages of operators in a real browser: accessible, in both themes, fitting a phone."""

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from jobs import control
from jobs.models import JobExecution, PausedQueue, Worker
from jobs.states import Status
from tests.e2e.looks import serious, wrong_in_any_theme
from tests.e2e.test_pages import show, shown  # noqa: F401 - a fixture and a helper


@pytest.fixture
def fleet(shown: JobExecution) -> Iterator[JobExecution]:  # noqa: F811 (it is the fixture)
    """Workers in every state, a paused queue and maintenance; returns an import that runs."""
    now = timezone.now()
    for name, slots, drains, minutes in (
        ("w1@web-2", 4, None, 0), ("w2@web-3", 0, now, 0), ("w3@web-4", 2, None, 12),
    ):  # fmt: skip
        Worker.objects.create(
            name=name, kind="worker", node=name.partition("@")[2], pid=7, queues=["night", "io"],
            slots=slots, roles=["images"], drain_requested_at=drains,
            seen_at=now + timezone.timedelta(minutes=1 - minutes),
        )  # fmt: skip
    PausedQueue.objects.create(name="io", reason="The disk of the image server is full.")
    control.begin_maintenance("Moving the images to new disks until three o’clock.")
    shown.steps.filter(order=1).update(optional=True)
    yield shown
    control.end_maintenance()
    PausedQueue.objects.all().delete()
    Worker.objects.filter(node__startswith="web-").delete()


ADDRESSES = {
    "workers": "/workers/",
    "pause a queue": "/queues/night/pause/",
    "maintenance": "/maintenance/",
    "dashboard": "/",
}


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_is_too_wide(
    enter: Callable[..., Page], fleet: JobExecution, width: int
):
    page = enter("otto", "Operator", viewport={"width": width, "height": 900})
    profile = fleet.profile.get_absolute_url()
    stops = {"stop": f"{fleet.get_absolute_url()}stop/", "stop all": f"{profile}stop/"}
    for name, address in {**ADDRESSES, **stops, "profile": profile}.items():
        page.goto(address)
        assert wrong_in_any_theme(page) == [], name


def test_a_queue_is_paused_in_a_dialog_and_resumed(enter: Callable[..., Page], fleet: JobExecution):
    page = enter("otto", "Operator")
    page.get_by_role("link", name="Workers").click()
    page.get_by_role("link", name="Pause the queue night").click()
    dialog = page.get_by_role("dialog", name="Pause the queue “night”?")
    expect(dialog).to_be_visible()
    assert serious(page) == []
    dialog.get_by_label("Reason").fill("Night is over")
    dialog.get_by_role("button", name="Pause it").click()
    expect(page.get_by_text("By otto: Night is over")).to_be_visible()
    page.get_by_role("button", name="Resume the queue night").click()
    expect(page.get_by_role("link", name="Pause the queue night")).to_be_visible()


def test_all_of_a_profile_are_stopped_after_a_look(enter: Callable[..., Page], fleet: JobExecution):
    waiting = show(fleet.user, "import_products", Status.QUEUED, 0.1)
    page = enter("leo", "Lead")
    page.goto(fleet.profile.get_absolute_url())
    page.locator("#stop-all").click()
    dialog = page.get_by_role("dialog", name="Stop all of “Import products”?")
    expect(dialog.get_by_text("Stops at once.")).to_be_visible()
    assert serious(page) == []
    dialog.get_by_role("button", name="Stop 2").click()
    expect(page.get_by_text("2 executions of “Import products” asked to stop.")).to_be_visible()
    waiting.refresh_from_db()
    assert waiting.status == Status.STOPPED
