"""The Files tab offers the rows that failed, and takes them back corrected."""

import pytest
from django.core.files.base import ContentFile

from jobs import control
from jobs.definition import register
from jobs.models import ExecutionFile, JobExecution, JobProfile, RejectedRow, StepWarning, Upload
from jobs.states import Status
from tests.site.support import body, flashes
from tests.site.test_mapping import ImportProducts


@pytest.fixture
def importing(db):
    register("shop.import_products", ImportProducts, type="import")
    JobProfile.objects.all().delete()
    return JobProfile.objects.create(
        code="products", label="Import products", job="shop.import_products"
    )


@pytest.fixture
def imported(importing, execution, bob):
    """An import of bob's with two failed rows."""

    def make(status=Status.COMPLETED, user=bob, **parameters):
        done = execution(
            user, status, profile=importing, job="shop.import_products",
            parameters={"file": "x", "delimiter": ";", "mode": "create"} | parameters,
        )  # fmt: skip
        step = done.steps.get()
        step.columns, step.failed = ["sku", "name"], 2
        step.save()
        for row in (3, 5):
            RejectedRow.objects.create(execution=done, step=step, row=row, cells=[f"A-{row}", "x"])
        sent = control.upload(ContentFile(b"sku;name\n", name="spring.csv"), user=user)
        ExecutionFile.objects.create(
            execution=done, role="input", field="file", name="spring.csv", file=sent.file.name,
            size=sent.size, sha256=sent.sha256,
        )  # fmt: skip
        Upload.objects.all().delete()
        return done

    return make


def files(client, execution):
    return client.get(f"/executions/{execution.pk}/?tab=files").content.decode()


def send(client, execution, content=b"sku;name\nA-3;Three\n", **more):
    file = ContentFile(content, name="corrected.csv")
    return client.post(
        f"/executions/{execution.pk}/send-back/", {"file": file, **more}, follow=True
    )


def test_rows_that_failed_are_offered_with_the_way_back(bobs, imported):
    page = files(bobs, imported())
    assert "2 rows failed." in page
    assert "Fix and send back" in page
    assert "Send it back</button>" in page


def test_while_it_runs_they_are_offered_but_not_yet_taken_back(bobs, imported):
    page = files(bobs, imported(Status.RUNNING))
    assert "2 rows failed so far." in page
    assert "Send it back when this has ended." in page
    assert "Send it back</button>" not in page


def test_where_nothing_failed_nothing_is_offered(bobs, imported):
    done = imported()
    done.steps.update(failed=0)
    assert "Rejected rows" not in files(bobs, done)


def test_the_corrected_file_is_imported_with_the_same_parameters(bobs, imported):
    first = imported()
    answer = send(bobs, first)
    second = JobExecution.objects.latest("pk")
    assert answer.redirect_chain[-1][0] == second.get_absolute_url()
    assert second.profile == first.profile
    assert second.parameters["mode"] == "create"
    assert second.parameters["delimiter"] == ";"
    assert second.parameters["format"] == ""  # a CSV file may come back as a workbook
    assert second.files.get().name == "corrected.csv"
    assert second.note == f"Corrected rows of {first.pk}"


def test_what_the_profile_locks_stays(bobs, imported, importing):
    importing.parameters, importing.locked = {"delimiter": ";"}, ["delimiter"]
    importing.save()
    send(bobs, imported())
    assert JobExecution.objects.latest("pk").parameters["delimiter"] == ";"


def test_rejected_rows_are_downloaded_with_number_and_reason(bobs, imported):
    done = imported()
    StepWarning.objects.create(
        execution=done, step=done.steps.get(), row=3, code="x", column="name", message="Not good."
    )
    answer = bobs.get(f"/executions/{done.pk}/rejected/")
    assert answer["Content-Disposition"] == 'attachment; filename="spring-rejected.csv"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    lines = body(answer).decode("utf-8-sig").splitlines()
    assert lines[:2] == ["sku;name;__row;__reason", "A-3;x;3;name: Not good."]
    book = bobs.get(f"/executions/{done.pk}/rejected/?format=xlsx")
    assert body(book).startswith(b"PK")


def test_a_format_that_is_none_is_not_there(bobs, imported):
    assert bobs.get(f"/executions/{imported().pk}/rejected/?format=exe").status_code == 404


def test_where_no_row_was_rejected_there_is_no_file(bobs, imported):
    done = imported()
    RejectedRow.objects.all().delete()
    assert bobs.get(f"/executions/{done.pk}/rejected/").status_code == 404


def test_rejected_rows_need_the_right_to_download(browser, person, imported):
    vera = browser(person("vera", "Viewer"))
    done = imported()
    assert vera.get(f"/executions/{done.pk}/rejected/").status_code == 403
    assert "role does not allow you to download files" in files(vera, done)


def test_a_template_has_the_columns_that_the_import_takes(bobs, importing):
    page = bobs.get("/profiles/products/").content.decode()
    assert "/profiles/products/template/?format=csv" in page
    answer = bobs.get("/profiles/products/template/?format=csv")
    assert answer["Content-Disposition"] == 'attachment; filename="product.csv"'
    header = answer.content.decode("utf-8-sig").splitlines()[0].split(";")
    assert {"sku", "name", "family", "price-EUR"} <= set(header)


def test_a_template_is_for_those_who_may_launch(browser, person, importing):
    vera = browser(person("vera", "Viewer"))
    assert vera.get("/profiles/products/template/").status_code == 403


def test_two_clicks_send_it_once(bobs, imported):
    first = imported()
    for _ in range(2):
        send(bobs, first, _once="the-same")
    assert JobExecution.objects.count() == 2


def test_without_a_file_it_asks_for_one(bobs, imported):
    first = imported()
    answer = bobs.post(f"/executions/{first.pk}/send-back/", follow=True)
    assert flashes(answer) == ["Choose the corrected file first."]
    assert JobExecution.objects.count() == 1


def test_sending_back_needs_the_right_to_launch(browser, person, imported):
    auditor = browser(person("vera", "Viewer"))
    first = imported()
    assert auditor.post(f"/executions/{first.pk}/send-back/").status_code == 403
    assert JobExecution.objects.count() == 1


def test_executions_of_others_are_not_there(bobs, imported, lead):
    assert bobs.post(f"/executions/{imported(user=lead).pk}/send-back/").status_code == 404


def test_a_dry_run_says_that_nothing_was_written_and_runs_for_real(bobs, imported):
    first = imported(dry_run=True)
    JobExecution.objects.filter(pk=first.pk).update(dry_run=True)
    page = bobs.get(first.get_absolute_url())
    assert "Dry run: nothing was written." in page.content.decode()
    buttons = {button.action: button.reason for button in page.context["page"].buttons}
    assert buttons == {"for_real": "", "relaunch": ""}
    answer = bobs.post(f"/executions/{first.pk}/for-real/", follow=True)
    second = JobExecution.objects.latest("pk")
    assert answer.redirect_chain[-1][0] == second.get_absolute_url()
    assert (second.dry_run, second.parameters["dry_run"]) == (False, False)
    assert second.files.get().name == "spring.csv"
    assert second.parameters["mode"] == "create"


def test_what_was_no_dry_run_is_not_run_for_real(bobs, imported):
    answer = bobs.post(f"/executions/{imported().pk}/for-real/", follow=True)
    assert "was no dry run" in flashes(answer)[0]
    assert JobExecution.objects.count() == 1


def test_what_is_only_ever_tried_is_not_run_for_real(bobs, imported, importing):
    importing.parameters, importing.locked = {"dry_run": True}, ["dry_run"]
    importing.save()
    first = imported(dry_run=True)
    JobExecution.objects.filter(pk=first.pk).update(dry_run=True)
    answer = bobs.post(f"/executions/{first.pk}/for-real/", follow=True)
    assert "only ever run dry" in flashes(answer)[0]
    assert JobExecution.objects.count() == 1
