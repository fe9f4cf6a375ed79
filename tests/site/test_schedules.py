"""The pages of schedules: who sees them, who changes them, and what they say."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, User

from jobs import control
from jobs.models import JobProfile, Schedule
from jobs.models.base import database_now
from tests.site.support import flashes

NEW = "/new-schedule/"


@pytest.fixture(autouse=True)
def _no_declared_ones(db):
    Schedule.objects.all().delete()


@pytest.fixture
def dora(person) -> User:
    return person("dora", "Data manager")


@pytest.fixture
def doras(browser, dora):
    return browser(dora)


@pytest.fixture
def nightly(profile, dora) -> Schedule:
    made = Schedule(
        code="nightly", label="Nightly things", profile=profile, cron="30 2 * * *",
        time_zone="Europe/Berlin", run_as=dora, parameters={"mode": "merge"},
    )  # fmt: skip
    control.save_schedule(made)
    return made


def entered(of: JobProfile, **values: str) -> dict[str, str]:
    return {
        "label": "Mondays", "code": "mondays", "profile": str(of.pk), "cron": "30 8 * * 1",
        "time_zone": "Europe/Berlin", "missed": "once", "overlap": "skip",
        "parameters": '{"mode": "merge"}', "enabled": "on", **values,
    }  # fmt: skip


def test_the_list_says_when_in_words_and_what_came_of_it(doras, nightly, execution, dora):
    run = execution(dora)
    nightly.firings.create(scheduled_for=database_now(), outcome="launched", execution=run)
    page = doras.get("/schedules/").content.decode()
    assert "every day at 02:30" in page
    assert "Europe/Berlin" in page
    assert "Launched" in page
    assert run.get_absolute_url() in page
    assert 'aria-current="page">Schedules' in page


def test_an_empty_list_says_what_a_schedule_is(doras, bobs):
    assert "A schedule launches a profile by itself" in doras.get("/schedules/").content.decode()
    assert NEW in doras.get("/schedules/").content.decode()
    assert NEW not in bobs.get("/schedules/").content.decode()


def test_the_list_takes_few_queries_however_long_it_is(
    doras, profile, dora, execution, django_assert_max_num_queries
):
    for number in range(30):
        made = Schedule(
            code=f"s{number}", label=f"S{number}", profile=profile, cron="0 2 * * *", run_as=dora,
            parameters={"mode": "merge"},
        )  # fmt: skip
        control.save_schedule(made)
        made.firings.create(
            scheduled_for=database_now(), outcome="launched", execution=execution(dora)
        )
    with django_assert_max_num_queries(8):
        doras.get("/schedules/")


def test_one_page_shows_the_next_times_and_the_last_firings(bobs, nightly):
    nightly.firings.create(scheduled_for=database_now(), outcome="missed", reason="3 times passed.")
    page = bobs.get("/schedules/nightly/").content.decode()
    assert page.count("for you</span>") == 10
    assert "3 times passed." in page
    assert "Your role does not allow you to manage schedules." in page
    assert "Change</a>" not in page


def test_a_schedule_of_a_profile_that_one_may_not_see_is_not_found(bobs, doras, nightly, profile):
    profile.grants.create(group=Group.objects.get(name="Lead"))
    for client in (bobs, doras):
        assert client.get("/schedules/nightly/").status_code == 404
        assert "Nightly" not in client.get("/schedules/").content.decode()
        assert client.post("/schedules/nightly/switch/", {"on": "0"}).status_code == 404


def test_a_new_one_is_in_the_time_zone_of_the_site(doras):
    page = doras.get("/new-schedule/").content.decode()
    assert '<option value="UTC" selected>' in page


def test_a_new_one_runs_as_who_made_it_whatever_the_form_says(doras, dora, profile, bob):
    answer = doras.post(NEW, entered(profile, run_as=str(bob.pk)), follow=True)
    assert flashes(answer) == ["“Mondays” is saved."]
    made = Schedule.objects.get(code="mondays")
    assert (made.run_as, made.parameters) == (dora, {"mode": "merge"})
    local = made.next_at.astimezone(UTC)
    assert local > datetime.now(UTC)
    assert local - datetime.now(UTC) <= timedelta(days=8)


def test_an_administrator_chooses_whom_it_runs_as(browser, person, profile, bob):
    admins = browser(person("adam", "Administrator"))
    admins.post(NEW, entered(profile, run_as=str(bob.pk)))
    assert Schedule.objects.get().run_as == bob
    admins.post(NEW, entered(profile, run_as="", code="platform"))
    assert Schedule.objects.get(code="platform").run_as is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cron": "whenever"}, "is no cron expression"),
        ({"cron": "* * 31 2 *"}, "Bad day-of-month"),
        ({"parameters": "[1]"}, "Parameters are a JSON object"),
        ({"parameters": '{"mode": "explode"}'}, "explode is not one of the available choices"),
        ({"time_zone": "Mars/Base"}, "Select a valid choice"),
        ({"profile": "0"}, "Select a valid choice"),
        ({"code": "nightly"}, "already exists"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(doras, profile, nightly, wrong, said):
    answer = doras.post(NEW, entered(profile, **wrong))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert Schedule.objects.count() == 1


def test_a_look_at_the_next_times_saves_nothing(doras, profile):
    values = entered(profile, cron="*/20 * * * *", preview="1", label="")
    page = doras.post(NEW, values)
    assert page.status_code == 200
    text = page.content.decode()
    assert text.count("for you</span>") == 10
    assert "every 20 minutes" in text
    assert not Schedule.objects.exists()
    assert "None." in doras.post(NEW, values | {"cron": "x"}).content.decode()


def test_a_change_is_saved_and_a_code_stays(doras, profile, nightly):
    answer = doras.post(
        "/schedules/nightly/change/", entered(profile, label="Later", code="other"), follow=True
    )
    assert answer.redirect_chain == [("/schedules/nightly/", 302)]
    nightly.refresh_from_db()
    assert (nightly.label, nightly.code, nightly.cron) == ("Later", "nightly", "30 8 * * 1")


def test_it_is_switched_off_and_on(doras, nightly):
    answer = doras.post("/schedules/nightly/switch/", {"on": "0"}, follow=True)
    assert flashes(answer) == ["“Nightly things” is switched off."]
    assert "what passes meanwhile is not made up for" in answer.content.decode()
    nightly.refresh_from_db()
    assert (nightly.enabled, nightly.next_at) == (False, None)
    doras.post("/schedules/nightly/switch/", {"on": "1"})
    nightly.refresh_from_db()
    assert nightly.next_at > database_now()


def test_who_may_not_is_refused_on_every_address(bobs, person, browser, nightly, profile):
    emil = browser(person("emil", "Data manager"))
    assert bobs.get(NEW).status_code == 403
    assert bobs.post(NEW, entered(profile)).status_code == 403
    for client, switches in ((bobs, 403), (emil, 302)):
        assert client.get("/schedules/nightly/change/").status_code == 403
        assert client.post("/schedules/nightly/change/", entered(profile)).status_code == 403
        assert client.post("/schedules/nightly/delete/").status_code == 403
        assert client.post("/schedules/nightly/switch/", {"on": "1"}).status_code == switches
    assert Schedule.objects.get().label == "Nightly things"


def test_it_is_deleted_by_who_may(doras, nightly):
    assert flashes(doras.post("/schedules/nightly/delete/", follow=True)) == [
        "“Nightly things” is deleted. Its executions stay."
    ]
    assert not Schedule.objects.exists()


def test_nothing_is_changed_by_looking(doras, nightly):
    for address in ("switch", "delete"):
        assert doras.get(f"/schedules/nightly/{address}/").status_code == 405


# --- In the admin ----------------------------------------------------------------------------

ADMIN = "/admin/jobs/schedule/"


@pytest.fixture
def staff(browser, person):
    """Log in a member of the staff with a role."""

    def make(name: str, role: str | None, **more):
        return browser(person(name, role, is_staff=True, **more))

    return make


def test_the_admin_checks_as_the_page_does(staff, profile, bob):
    admins = staff("root", None, is_superuser=True)
    values = entered(profile, run_as=str(bob.pk))
    answer = admins.post(f"{ADMIN}add/", values | {"cron": "whenever"})
    assert "is no cron expression" in answer.content.decode()
    assert admins.post(f"{ADMIN}add/", values).status_code == 302
    made = Schedule.objects.get()
    assert made.next_at
    assert "Mondays at 08:30" in admins.get(ADMIN).content.decode()
    answer = admins.post(f"{ADMIN}{made.pk}/change/", values | {"parameters": '{"mode": "no"}'})
    assert "not one of the available choices" in answer.content.decode()
    admins.post(f"{ADMIN}{made.pk}/change/", values | {"label": "Later"})
    made.refresh_from_db()
    assert made.label == "Later"


def test_the_admin_lets_nobody_run_as_another(staff, profile, nightly, bob):
    emils = staff("emil", "Data manager")
    answer = emils.post(f"{ADMIN}add/", entered(profile, run_as=str(bob.pk)))
    assert "It runs as bob: only an administrator may change it." in answer.content.decode()
    values = entered(profile, run_as=str(User.objects.get(username="emil").pk))
    assert emils.post(f"{ADMIN}{nightly.pk}/change/", values).status_code == 403
    assert emils.post(f"{ADMIN}{nightly.pk}/delete/", {"post": "yes"}).status_code == 403
    assert emils.post(f"{ADMIN}add/", values).status_code == 302
    assert staff("una", "User").post(f"{ADMIN}add/", values).status_code == 403


def test_a_new_schedule_shows_no_code_of_nothing(doras, profile):
    page = doras.get(NEW).content.decode()
    assert "null" not in page
    assert "Fill in When" in page
