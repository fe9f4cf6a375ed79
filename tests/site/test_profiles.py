"""The lists of profiles, imports and exports."""

from django.contrib.auth.models import Group

from jobs.models import JobProfile, ProfileGrant
from jobs.states import Status


def labels(answer):
    return [line.profile.label for line in answer.context["lines"]]


def export():
    return JobProfile.objects.create(code="out", label="Export things", job="things.export_things")


def test_imports_and_exports_are_the_list_narrowed_to_a_type(bobs, profile):
    export()
    assert labels(bobs.get("/profiles/")) == ["Export things", "Import things"]
    assert labels(bobs.get("/imports/")) == ["Import things"]
    assert labels(bobs.get("/exports/")) == ["Export things"]


def test_a_profile_is_found_by_its_name_or_its_code(bobs, profile):
    export()
    assert labels(bobs.get("/profiles/?find=OUT")) == ["Export things"]
    assert labels(bobs.get("/profiles/?find=import")) == ["Import things"]
    assert "Nothing is called" in bobs.get("/profiles/?find=zzz").content.decode()


def test_it_shows_the_last_execution_that_one_may_see(bobs, leads, bob, lead, profile, execution):
    execution(bob, Status.FAILED, profile=profile)
    execution(lead, Status.RUNNING, profile=profile)
    assert bobs.get("/imports/").context["lines"][0].last.badge.word == "Failed"
    assert leads.get("/imports/").context["lines"][0].last.badge.word == "Running"


def test_a_profile_that_was_never_run_says_so(bobs, profile):
    assert "Never run" in bobs.get("/imports/").content.decode()


def test_a_profile_one_may_not_launch_says_why(browser, person, bobs, profile):
    vera = browser(person("vera", "Viewer"))
    page = vera.get("/imports/").content.decode()
    assert "Your role does not allow you to launch imports." in page
    profile.enabled = False
    profile.save()
    assert "“Import things” is disabled." in bobs.get("/imports/").content.decode()


def test_a_profile_granted_to_other_groups_is_not_there(bobs, profile):
    ProfileGrant.objects.create(profile=profile, group=Group.objects.create(name="Others"))
    assert labels(bobs.get("/profiles/")) == []


def test_a_profile_of_a_job_that_is_gone_is_still_listed(bobs, profile):
    JobProfile.objects.update(job="gone.import_things")
    page = bobs.get("/profiles/").content.decode()
    assert "no longer installed" in page


def test_its_queries_do_not_grow_with_the_profiles(
    bobs, bob, profile, execution, django_assert_max_num_queries
):
    for number in range(20):
        made = JobProfile.objects.create(
            code=f"p{number}", label=f"P {number}", job="things.import_things"
        )
        execution(bob, Status.COMPLETED, profile=made)
    with django_assert_max_num_queries(8):
        bobs.get("/profiles/")


def test_it_is_only_read_and_only_by_people_who_are_signed_in(client, bobs, browser, person):
    for path in ("/profiles/", "/imports/", "/exports/"):
        assert bobs.post(path).status_code == 405
        assert client.get(path).status_code == 302
    assert browser(person("nora", None)).get("/profiles/").status_code == 403


def test_an_empty_list_says_what_a_profile_is(bobs):
    JobProfile.objects.all().delete()
    assert "A profile is a job with saved parameters." in bobs.get("/exports/").content.decode()
