"""Every page in a real browser: accessible, usable by keyboard, and fitting a phone."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from jobs import control
from jobs.models import (
    Attempt,
    ConsoleText,
    ExecutionFile,
    JobExecution,
    JobProfile,
    Notification,
    Schedule,
    StatusChange,
    StepExecution,
    StepWarning,
)
from jobs.states import FINISHED, HELD, Status
from tests.e2e.looks import serious, wrong_in_any_theme

FUTURE = timezone.timedelta(days=1)
QUEUE = "night"  # no worker takes from it


def show(user: User, code: str, status: Status, minutes: float, **fields: object) -> JobExecution:
    """An execution that is looked at and never worked on."""
    profile = JobProfile.objects.get(code=code)
    begun = timezone.now() - timezone.timedelta(minutes=minutes)
    values = {"name": profile.label, "job": profile.job, "type": profile.type, "queue": QUEUE,
              "created_at": begun, "queued_at": begun, "node": "web-2", "trigger": "web",
              "job_version": "8d1c0f92a4be", "profile_version": 1}  # fmt: skip
    if status in HELD:
        values |= {"lease_expires_at": begun + FUTURE, "pid": 4117, "worker": "w1@web-2"}
    if status in HELD | FINISHED | {Status.PAUSED}:
        values |= {"started_at": begun, "attempt": 1}
    if status in FINISHED:
        values |= {"finished_at": begun + timezone.timedelta(seconds=4 + minutes / 3)}
    found = JobExecution.objects.create(
        user=user, profile=profile, status=status, **(values | fields)
    )
    StatusChange.objects.create(execution=found, event="launch", after="queued", by=user, at=begun)
    if found.started_at:
        StatusChange.objects.create(
            execution=found, event="start", before="queued", after="running", at=begun
        )
        Attempt.objects.create(execution=found, number=1, worker="w1@web-2", node="web-2")
    return found


def step(execution: JobExecution, order: int, label: str, status: str, **fields: object) -> None:
    begun = execution.started_at if status != "pending" else None
    values = {"label": label, "status": status, "started_at": begun}
    values |= {"finished_at": execution.finished_at, **fields}
    StepExecution.objects.create(execution=execution, order=order, name=f"step{order}", **values)


@pytest.fixture
def shown(person: Callable[[str, str], User]) -> Iterator[JobExecution]:
    """A tracker as it looks on a working day; returns the import that runs in it."""
    julia, leo = person("julia", "User"), person("leo", "Lead")
    for minutes, code, status, done in (
        (1500, "import_attributes", Status.COMPLETED, 288),
        (1440, "import_products", Status.ABORTED, 5210),
        (190, "import_families", Status.COMPLETED, 53),
        (130, "export_products", Status.COMPLETED, 12_388),
        (95, "import_products", Status.FAILED, 4000),
        (61, "import_categories", Status.COMPLETED, 168),
        (44, "import_attribute_options", Status.STOPPED, 412),
    ):
        old = show(julia, code, status, minutes)
        ended = status if status in {Status.COMPLETED, Status.FAILED} else Status.STOPPED
        step(old, 0, old.name, ended, total=int(done * 1.6), created=done)
    JobExecution.objects.filter(queue=QUEUE, status=Status.FAILED).update(
        error="The file has no column “sku”. It has: code, name, price-EUR."
    )
    running = show(julia, "import_products", Status.RUNNING, 1.4, warnings_count=12)
    checked = running.started_at + timezone.timedelta(seconds=2)
    step(running, 0, "Check the file", "completed", done=1, finished_at=checked)
    step(running, 1, "Import products", "running", total=12_400, created=3661, updated=1046,
         unchanged=524, failed=12, warnings_count=12)  # fmt: skip
    step(running, 2, "Count again", "pending")
    _contents(running)
    exporting = show(leo, "export_products", Status.RUNNING, 0.3)
    step(exporting, 0, "Export products", "running", done=4200)
    stopping = show(julia, "import_attribute_options", Status.STOPPING, 0.6, stop_level="graceful",
                    stop_requested_at=timezone.now(), stop_requested_by=julia,
                    stop_deadline_at=timezone.now() + FUTURE)  # fmt: skip
    step(stopping, 0, "Import options", "running", total=900, created=640)
    paused = show(leo, "import_families", Status.PAUSED, 12)
    step(paused, 0, "Import families", "running", total=400, created=120)
    show(julia, "import_categories", Status.QUEUED, 0.2)
    _planned(julia, leo)
    yield running
    Schedule.objects.filter(code="night").delete()
    Notification.objects.all().delete()
    JobExecution.objects.filter(queue=QUEUE).delete()


def _planned(julia: User, leo: User) -> None:
    """A schedule with what came of its times, and what leo was told."""
    night = Schedule(code="night", label="Nightly export", cron="30 2 * * *", run_as=julia,
                     profile=JobProfile.objects.get(code="export_products"),
                     time_zone="Europe/Berlin")  # fmt: skip
    control.save_schedule(night)
    now = timezone.now()
    for days, outcome, reason in (
        (1, "launched", ""),
        (2, "skipped", "“Export products”, launched before it, has not ended."),
        (3, "refused", "The profile “Export products” is disabled."),
        (4, "missed", "3 times from 2026-10-11 02:30 Europe/Berlin on passed."),
    ):  # fmt: skip
        night.firings.create(
            scheduled_for=now - timezone.timedelta(days=days), outcome=outcome, reason=reason
        )
    failed = JobExecution.objects.filter(queue=QUEUE, status=Status.FAILED).first()
    for kind, text, read_at in (
        ("finished", "“Export products” is completed.", now),
        ("failed", "“Import products” failed: The file has no column “sku”.", None),
        ("warned", "“Import products” is completed with 12 warnings.", None),
        ("not_launched", "“Nightly export” could not be launched: It is disabled.", None),
    ):  # fmt: skip
        about = {"schedule": night} if kind == "not_launched" else {"execution": failed}
        Notification.objects.create(user=leo, kind=kind, text=text, read_at=read_at, **about)


def _contents(execution: JobExecution) -> None:
    imports = execution.steps.get(order=1)
    reasons = (
        ("family", "tv_setz", "unknown_family", "There is no family “tv_setz”."),
        ("price-EUR", "12,99x", "bad_number", "“12,99x” is not a number."),
    )
    for number in range(12):
        column, value, code, message = reasons[number % 2]
        StepWarning.objects.create(
            execution=execution, step=imports, row=41 * number + 7, key=f"SKU-{number:05}",
            column=column, value=value, code=code, message=message,
        )  # fmt: skip
    lines = [f"{rows:,} rows written\n" for rows in range(500, 5500, 500)]
    text = "Reading products.csv: 18.4 MB, 42 columns\n" + "".join(lines)
    ConsoleText.objects.create(execution=execution, offset=0, text=text.encode())
    ExecutionFile.objects.create(
        execution=execution, role="input", field="file", name="products.csv", file="gone.csv",
        size=18_403_221, sha256="5" * 64,
    )  # fmt: skip


def addresses(running: JobExecution) -> dict[str, str]:
    at = running.get_absolute_url()
    failed = JobExecution.objects.get(queue=QUEUE, status=Status.FAILED).get_absolute_url()
    stopping = JobExecution.objects.get(queue=QUEUE, status=Status.STOPPING).get_absolute_url()
    tabs = ("warnings", "log", "files", "parameters", "timeline")
    return {
        "dashboard": "/",
        "tracker": "/executions/",
        "tracker, narrowed": "/executions/?group=failed&profile=import_products&name=import",
        "tracker, empty": "/executions/?name=nothing+of+that+name",
        "execution": at,
        **{tab: f"{at}?tab={tab}" for tab in tabs},
        "failed": failed,
        "stopping": stopping,
        "stop": f"{at}stop/",
        "profiles": "/profiles/",
        "imports": "/imports/",
        "profile": "/profiles/import_products/",
        "schedules": "/schedules/",
        "schedule": "/schedules/night/",
        "notifications": "/notifications/",
    }


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_and_nothing_overflows(enter: Callable, shown: JobExecution, width: int):
    page = enter("leo", "Lead", viewport={"width": width, "height": 900})
    found = []
    for address in addresses(shown).values():
        page.goto(address)
        found += wrong_in_any_theme(page)
    assert found == []


def test_axe_finds_nothing_where_nothing_runs(enter: Callable):
    page = enter()
    expect(page.get_by_text("Nothing is running.")).to_be_visible()
    assert wrong_in_any_theme(page) == []


def test_what_is_wrong_in_one_theme_is_found(enter: Callable):
    page = enter()
    page.goto("/profiles/")
    heading = page.get_by_role("heading", level=1)
    for colors, found in (("#fff, #fff", [""]), ("#000, #333", ["dark: "])):
        heading.evaluate(f"heading => heading.style.color = 'light-dark({colors})'")
        faults = wrong_in_any_theme(page)
        assert [fault.partition("http")[0] for fault in faults] == found, faults
    heading.evaluate("heading => heading.style = 'min-width: 3000px'")
    (fault,) = wrong_in_any_theme(page)
    assert fault.endswith("is wider than its window")


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_where_a_schedule_is_made(
    enter: Callable, shown: JobExecution, width: int
):
    page = enter("dora", "Data manager", viewport={"width": width, "height": 900})
    page.goto("/new-schedule/")
    page.get_by_label("When").fill("30 2 * * *")
    page.get_by_role("button", name="Show the next times").click()
    expect(page.locator("#times li")).to_have_count(10)
    expect(page.get_by_label("When")).to_have_value("30 2 * * *")
    assert wrong_in_any_theme(page) == []


def test_axe_finds_nothing_where_nobody_is_signed_in(chrome, site: str, faults: list[str]):
    page = chrome.new_page(base_url=site)
    for address in ("/login/", "/nothing/"):
        page.goto(address)
        assert wrong_in_any_theme(page) == []
    page.close()


def test_axe_finds_nothing_in_the_open_dialog(enter: Callable, shown: JobExecution):
    page = enter("leo", "Lead")
    page.goto(shown.get_absolute_url())
    page.locator("#do-stop").click()
    expect(page.get_by_role("dialog", name="Stop “Import products”?")).to_be_visible()
    assert serious(page) == []


def test_the_keyboard_reaches_everything_in_order(enter: Callable, shown: JobExecution):
    page = enter("leo", "Lead")
    page.goto(shown.get_absolute_url())
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.innerText")
        )
    assert reached[0] == "Skip to the content"
    for name in ("do-pause", "do-stop", "do-abort", "tab-warnings", "tab-timeline"):
        assert name in reached
    assert reached.index("do-stop") < reached.index("tab-warnings")


def test_a_dialog_takes_the_focus_and_gives_it_back(enter: Callable, shown: JobExecution):
    page = enter("leo", "Lead")
    page.goto(shown.get_absolute_url())
    page.locator("#do-stop").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("dialog => dialog.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "do-stop"


def test_the_focus_stays_where_it_is_when_the_live_part_changes(
    enter: Callable, shown: JobExecution
):
    page = enter("leo", "Lead")
    page.goto(shown.get_absolute_url())
    page.locator("#do-stop").focus()
    shown.steps.filter(order=1).update(created=6000)
    JobExecution.objects.filter(pk=shown.pk).update(version=shown.version + 1)
    expect(page.locator("#live table").first).to_contain_text("6,000")
    assert page.evaluate("document.activeElement.id") == "do-stop"


def test_a_live_page_rests_while_a_dialog_is_open_or_it_is_switched_off(
    enter: Callable, shown: JobExecution
):
    page = enter("leo", "Lead")
    page.goto(shown.get_absolute_url())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "since=" in request.url else 0)
    page.wait_for_timeout(2500)
    assert asked
    page.get_by_label("Refresh").select_option("off")
    page.wait_for_timeout(300)
    asked.clear()
    page.wait_for_timeout(2500)
    assert asked == []
    page.get_by_role("link", name="Refresh").click()
    page.wait_for_timeout(500)
    assert len(asked) == 1


def test_the_theme_is_switched_and_kept(enter: Callable):
    page = enter("leo", "Lead", color_scheme="light")
    page.get_by_role("button", name="Switch between light and dark").click()
    page.goto("/executions/")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
