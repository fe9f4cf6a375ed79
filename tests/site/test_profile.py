"""The page of one profile, from which it is launched."""

import pytest
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile

from jobs.models import JobExecution, ProfileGrant
from jobs.states import Status
from tests.site.support import flashes, news, since

PAGE = "/profiles/things/"


def launch(client, **form):
    return client.post(PAGE, {"mode": "merge", "limit": "", "note": "", **form})


def once(answer):
    return answer.context["run"].once


def test_the_form_begins_with_the_profiles_values(bobs, profile):
    profile.parameters = {"mode": "replace", "limit": 12}
    profile.save()
    page = bobs.get(PAGE).content.decode()
    assert '<option value="replace" selected>' in page
    assert 'name="limit" value="12"' in page


def test_a_locked_field_is_shown_and_cannot_be_changed(bobs, profile):
    profile.parameters, profile.locked = {"mode": "replace"}, ["mode"]
    profile.save()
    page = bobs.get(PAGE).content.decode()
    assert "Locked by the profile." in page
    launch(bobs, mode="merge")
    assert JobExecution.objects.get().parameters["mode"] == "replace"


def test_a_launch_keeps_file_and_parameters_and_leads_to_the_execution(bobs, bob, profile):
    answer = launch(bobs, file=ContentFile(b"sku\n1\n", name="things.csv"), limit="7")
    launched = JobExecution.objects.get()
    assert answer["Location"] == launched.get_absolute_url()
    assert (launched.user, launched.trigger, launched.profile) == (bob, "web", profile)
    assert launched.parameters["limit"] == 7
    with launched.files.get().file.open() as file:
        assert file.read() == b"sku\n1\n"
    page = bobs.get(answer["Location"]).content.decode()
    assert '“Import things” started. <a href="/executions/">' in page
    assert "data-dialog>Stop</a>" not in page  # the page has its own buttons


def test_wrong_input_is_said_at_its_field_and_launches_nothing(bobs, profile):
    answer = launch(bobs, limit="1000")
    assert answer.status_code == 422
    assert answer.context["run"].form.errors["limit"]
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not JobExecution.objects.exists()


def test_sending_the_form_twice_launches_once(bobs, profile):
    key = once(bobs.get(PAGE))
    files = [ContentFile(b"sku\n1\n", name="things.csv") for _ in range(2)]
    first, second = (launch(bobs, _once=key, file=file) for file in files)
    assert first["Location"] == second["Location"]
    assert JobExecution.objects.count() == 1


def test_the_same_form_with_other_input_is_refused(bobs, profile):
    key = once(bobs.get(PAGE))
    launch(bobs, _once=key)
    answer = bobs.post(PAGE, {"mode": "replace", "_once": key}, follow=True)
    assert "was used for another request" in flashes(answer)[-1]
    assert JobExecution.objects.count() == 1


def test_a_launch_that_is_skipped_leads_to_the_open_one_and_says_so(bobs, profile):
    profile.concurrency, profile.overlap = 1, "skip"
    profile.save()
    first, second = launch(bobs), launch(bobs)
    assert first["Location"] == second["Location"]
    assert "Nothing was launched" in bobs.get(second["Location"]).content.decode()


def test_each_look_at_the_page_has_a_key_of_its_own(bobs, profile):
    assert once(bobs.get(PAGE)) != once(bobs.get(PAGE))


def test_htmx_is_sent_on_or_gets_the_form_with_its_errors(bobs, profile):
    wrong = bobs.post(PAGE, {"mode": "x"}, headers={"HX-Request": "true"})
    assert wrong.status_code == 200
    assert wrong.content.decode().strip().startswith('<form id="run-form"')
    right = bobs.post(PAGE, {"mode": "merge"}, headers={"HX-Request": "true"})
    assert right["HX-Redirect"] == JobExecution.objects.get().get_absolute_url()


def test_whoever_may_not_launch_sees_why_and_cannot(browser, person, profile):
    vera = browser(person("vera", "Viewer"))
    page = vera.get(PAGE).content.decode()
    assert "Your role does not allow you to launch imports." in page
    assert "Run now" not in page
    assert launch(vera).status_code == 403
    assert not JobExecution.objects.exists()


def test_a_disabled_profile_is_not_launched(bobs, profile):
    profile.enabled = False
    profile.save()
    assert "“Import things” is disabled." in bobs.get(PAGE).content.decode()
    launch(bobs)
    assert not JobExecution.objects.exists()


def test_a_profile_of_a_job_that_is_gone_can_be_read(bobs, profile):
    profile.job = "gone.import_things"
    profile.save()
    assert "no longer installed" in bobs.get(PAGE).content.decode()


def test_a_profile_one_may_not_see_does_not_exist(bobs, profile):
    ProfileGrant.objects.create(profile=profile, group=Group.objects.create(name="Others"))
    assert bobs.get(PAGE).status_code == 404
    assert launch(bobs).status_code == 404
    assert bobs.get("/profiles/nothing/").status_code == 404


def test_it_shows_its_last_execution_with_stop_and_those_before(bobs, bob, profile, execution):
    execution(bob, Status.COMPLETED, profile=profile)
    running = execution(bob, Status.RUNNING, profile=profile)
    page = bobs.get(PAGE)
    assert [row.badge.word for row in page.context["page"].rows] == ["Running", "Completed"]
    assert "Last execution" in page.content.decode()
    assert f"/executions/{running.pk}/stop/" in page.content.decode()


def test_it_shows_only_executions_that_one_may_see(bobs, lead, profile, execution):
    execution(lead, Status.RUNNING, profile=profile)
    assert bobs.get(PAGE).context["page"].rows == []


def test_whoever_may_not_launch_it_is_not_told_how(browser, person, profile):
    page = browser(person("vera", "Viewer")).get(PAGE).content.decode()
    assert "does not allow you to launch imports" in page
    assert "Run it from elsewhere" not in page


def test_it_says_how_to_launch_it_elsewhere(bobs, profile):
    page = bobs.get(PAGE)
    assert "Run it from elsewhere" in page.content.decode()
    assert max(map(len, page.context["curl"].splitlines())) < 72
    assert "/api/v1/profiles/things/executions/" in page.context["curl"]
    assert "-F file=@" in page.context["curl"]
    assert page.context["command_line"] == (
        "python3 manage.py jobs launch things --file products.csv"
    )


def test_its_live_part_is_asked_for_with_few_queries(
    bobs, bob, profile, execution, django_assert_max_num_queries
):
    execution(bob, Status.RUNNING, profile=profile)
    with django_assert_max_num_queries(10):
        page = bobs.get(PAGE).content.decode()
    with django_assert_max_num_queries(6):
        assert news(bobs, PAGE, since(page)).status_code == 204
    execution(bob, Status.RUNNING, profile=profile)
    answer = news(bobs, PAGE, since(page)).content.decode()
    assert answer.strip().startswith('<div id="live"')


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_it_is_read_and_launched(bobs, profile, method):
    assert getattr(bobs, method)(PAGE).status_code == 405


def test_nobody_launches_without_signing_in(client, profile):
    assert client.get(PAGE).status_code == 302
    assert launch(client)["Location"].startswith("/login/")
    assert not JobExecution.objects.exists()
