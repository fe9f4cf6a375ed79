"""The pages of credentials: who sees them, what they keep, and what they never show."""

import pytest
from cryptography.fernet import Fernet

from jobs import control
from jobs.credentials import unseal
from jobs.models import Credential, JobProfile
from tests.places.servers import PASSWORD, web_server
from tests.site.support import flashes

ENTERED = {
    "name": "supplier", "host": "files.example.org", "port": "2222", "user": "feeds",
    "fingerprint": "SHA256:" + "A" * 43, "folder": "/out", "password": PASSWORD,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _with_a_key(settings):
    settings.JOBS_CREDENTIAL_KEYS = [Fernet.generate_key().decode()]


@pytest.fixture
def kims(browser, person):
    return browser(person("kim", "Administrator"))


@pytest.fixture
def supplier(kims) -> Credential:
    kims.post("/new-credential/sftp/", ENTERED)
    return Credential.objects.get()


def test_an_empty_list_says_what_a_credential_is(kims, settings, tmp_path):
    settings.JOBS_FOLDERS = {"feeds": tmp_path}
    page = kims.get("/credentials/").content.decode()
    assert "There are none yet" in page
    assert "Amazon S3 or compatible" in page
    assert "folder:feeds" in page
    assert 'aria-current="page">Credentials' in page


def test_one_is_made_and_its_secret_not_shown(kims, supplier):
    assert supplier.options == {
        "host": "files.example.org", "port": 2222, "user": "feeds", "folder": "/out",
        "fingerprint": "SHA256:" + "A" * 43,
    }  # fmt: skip
    assert unseal(supplier) == {"password": PASSWORD}
    page = kims.get("/credentials/supplier/").content.decode()
    assert "files.example.org" in page
    assert "by kim" in page
    assert "Leave it empty to keep what there is" in page
    assert PASSWORD not in page
    assert "supplier" in kims.get("/credentials/").content.decode()


def test_a_secret_that_a_kind_cannot_do_without_is_asked_for(kims):
    asked = kims.get("/new-credential/s3/").context["form"].form.fields
    assert asked["secret_key"].required
    assert not kims.get("/new-credential/https/").context["form"].form.fields["password"].required
    answer = kims.post("/new-credential/s3/", {"name": "b", "bucket": "b", "access_key": "k"})
    assert answer.status_code == 422
    assert answer.context["form"].form.errors["secret_key"]


def test_a_mistake_is_told_and_the_secret_not_sent_back(kims):
    answer = kims.post("/new-credential/sftp/", ENTERED | {"fingerprint": "no"})
    assert answer.status_code == 422
    assert "A fingerprint looks like SHA256:" in answer.content.decode()
    assert PASSWORD not in answer.content.decode()
    assert not Credential.objects.exists()


def test_a_change_without_the_secret_keeps_it(kims, supplier):
    kims.post("/credentials/supplier/", ENTERED | {"folder": "/in", "password": ""})
    supplier.refresh_from_db()
    assert supplier.options["folder"] == "/in"
    assert unseal(supplier) == {"password": PASSWORD}
    moved = kims.post("/credentials/supplier/", ENTERED | {"host": "evil.org", "password": ""})
    assert moved.status_code == 422
    assert "Enter it again: host changed" in moved.content.decode()


def test_without_a_key_a_sentence_says_what_to_set(kims, settings):
    settings.JOBS_CREDENTIAL_KEYS = []
    answer = kims.post("/new-credential/sftp/", ENTERED)
    assert "set JOBS_CREDENTIAL_KEYS to a key" in answer.content.decode()


def test_the_connection_is_tested_by_a_button(kims):
    with web_server() as web:
        kims.post("/new-credential/https/", {"name": "web", "base_url": web.url})
        answer = kims.post("/credentials/web/test/", follow=True)
        assert f"{web.url} answered 404 Not Found." in flashes(answer)
    answer = kims.post("/credentials/web/test/", follow=True)
    assert f"{web.url} did not answer" in " ".join(flashes(answer))


def test_it_is_deleted_unless_a_profile_names_it(kims, supplier):
    named = JobProfile.objects.create(
        code="feed", label="Feed", job="things.import_things", parameters={"place": "supplier"}
    )
    refused = kims.post("/credentials/supplier/delete/", follow=True)
    assert "is used by “Feed”" in " ".join(flashes(refused))
    named.delete()
    kims.post("/credentials/supplier/delete/")
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/credentials/"),
        ("get", "/new-credential/s3/"),
        ("post", "/new-credential/s3/"),
        ("get", "/credentials/supplier/"),
        ("post", "/credentials/supplier/"),
        ("post", "/credentials/supplier/test/"),
        ("post", "/credentials/supplier/delete/"),
    ],
)
@pytest.mark.parametrize("role", ["Data manager", "Operator", "Lead"])
def test_they_are_only_for_those_who_may(browser, person, supplier, role, method, path):
    other = browser(person("other", role))
    assert getattr(other, method)(path).status_code == 403
    assert "Credentials</a>" not in other.get("/").content.decode()


@pytest.mark.parametrize("path", ["/new-credential/ftp/", "/credentials/none/"])
def test_what_is_not_there_is_not_found(kims, path):
    assert kims.get(path).status_code == 404


def test_strangers_are_sent_to_the_login(client):
    assert client.get("/credentials/")["Location"].startswith("/login/")


def test_the_list_costs_few_queries(kims, django_assert_max_num_queries):
    for number in range(3):
        control.save_credential(
            Credential(name=f"n{number}", kind="https"), {"base_url": "https://a.example.org"}
        )
    with django_assert_max_num_queries(8):
        kims.get("/credentials/")


def test_the_admin_shows_them_without_their_secrets(browser, person, supplier):
    staff = browser(person("ken", "Administrator", is_staff=True))
    page = staff.get("/admin/jobs/credential/").content.decode()
    assert "supplier" in page
    page = staff.get(f"/admin/jobs/credential/{supplier.pk}/change/").content.decode()
    assert "files.example.org" in page
    assert PASSWORD not in page
    assert bytes(supplier.secret).decode() not in page
    assert 'name="_save"' not in page
    other = browser(person("otto", "Operator", is_staff=True))
    assert other.get("/admin/jobs/credential/").status_code == 403
