"""The rows that an import left out, as a file that it takes when they are corrected."""

import csv
import io
import json

import openpyxl
import pytest

from catalog.models import Family, Product
from jobs.models import JobProfile
from jobs.testing import run_now
from tests.api.test_files import content

pytestmark = pytest.mark.django_db
IMPORT = "catalog.product.import"
FILE = (
    "sku;name;family;price-EUR\n"
    "a;'=1+1;shoes;1\n"
    "b;'=1+1;shoez;2\n"
    'c;"semi;colon";hats;abc\n'
    "d;D;shoes;4\n"
    "e\n"
)


@pytest.fixture(autouse=True)
def two_jobs():
    """All installed jobs, and not only those of other tests."""


@pytest.fixture
def ran(bob):
    Family.objects.create(code="shoes")
    return run_now(IMPORT, files={"file": ("my products.csv", FILE.encode())}, user=bob)


def rejected(api, ran, kind: str = ""):
    return api.get(f"executions/{ran.pk}/rejected/{f'?format={kind}' if kind else ''}")


def rows(data: bytes, delimiter: str = ";") -> list[dict[str, str]]:
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, delimiter=delimiter))


def test_rejected_rows_come_in_the_format_of_the_file_with_number_and_reason(api, ran):
    answer = rejected(api, ran)
    assert answer.status_code == 200
    assert answer.streaming
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    said = answer.headers["Content-Disposition"]
    assert said == 'attachment; filename="my products-rejected.csv"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"
    b, c, e = rows(content(answer))
    assert list(b) == ["sku", "name", "family", "price-EUR", "__row", "__reason"]
    assert (b["sku"], b["name"], b["__row"]) == ("b", "'=1+1", "2")
    assert b["__reason"].startswith("family: ")
    assert "shoez" in b["__reason"]
    assert (c["name"], c["__row"]) == ("semi;colon", "3")
    assert c["__reason"].count(": ") >= 2, "both bad values are told"
    assert (e["sku"], e["name"], e["__row"]) == ("e", "", "5")


@pytest.mark.parametrize("kind", ["csv", "xlsx", "jsonl", "json", "parquet"])
def test_the_corrected_file_is_imported_as_it_is(api, ran, bob, kind):
    data = content(rejected(api, ran, kind))
    again = run_now(IMPORT, files={"file": (f"r.{kind}", data)}, user=bob)
    assert [step.failed for step in again.steps.all()] == [2], "the short row has all cells now"
    for code in ("shoez", "hats"):
        Family.objects.create(code=code)
    Product.objects.filter(sku="b").delete()
    run_now(IMPORT, files={"file": (f"r.{kind}", data)}, user=bob)
    assert Product.objects.get(sku="b").name == "=1+1"


def test_other_formats_hold_the_values_themselves(api, ran):
    lines = content(rejected(api, ran, "jsonl")).decode().splitlines()
    assert json.loads(lines[0])["name"] == "=1+1"
    book = openpyxl.load_workbook(io.BytesIO(content(rejected(api, ran, "xlsx"))))
    assert book.sheetnames == ["Rejected rows"]
    assert book.active["B2"].value == "=1+1"
    assert book.active["B2"].data_type != "f"


def test_a_file_of_another_kind_is_answered_in_its_own(api, bob):
    lines = '{"sku": "a", "family": "x"}\n{"sku": "b", "name": "\'=x", "family": "y"}\n'
    ran = run_now(IMPORT, files={"file": ("p.jsonl", lines.encode())}, user=bob)
    answer = rejected(api, ran)
    assert answer.headers["Content-Disposition"].endswith('"p-rejected.jsonl"')
    first, second = (json.loads(line) for line in content(answer).decode().splitlines())
    assert (first["sku"], first["__row"]) == ("a", "1")
    assert second["name"] == "'=x"
    (_, guarded) = rows(content(rejected(api, ran, "csv")))
    assert guarded["name"] == "''=x"


def test_delimiter_quote_and_encoding_are_those_that_were_chosen(api, bob):
    Family.objects.create(code="shoes")
    chosen = {"delimiter": "tab", "encoding": "cp1252", "quote": "'"}
    data = "sku\tname\tfamily\na\té\tx\nb\t'a\tb'\ty\n".encode("cp1252")
    ran = run_now(IMPORT, chosen, files={"file": data}, user=bob)
    sent = content(rejected(api, ran, "csv"))
    assert sent.splitlines()[1].startswith("a\té\tx\t1\t'family: ".encode("cp1252"))
    assert b"b\t'a\tb'\ty\t2\t" in sent
    again = run_now(IMPORT, chosen, files={"file": sent}, user=bob)
    assert [step.failed for step in again.steps.all()] == [2]


def test_without_rejected_rows_there_is_no_file(api, bob):
    ran = run_now(IMPORT, files={"file": b"sku\na\n"}, user=bob)
    said = api.problem(rejected(api, ran), 404, "not-found")["detail"]
    assert said == "This execution has no rejected rows."


def test_a_format_that_there_is_not_is_named(api, ran):
    found = api.problem(rejected(api, ran, "pdf"), 400, "bad-query")
    assert "There is no format 'pdf'; there are: csv, xlsx" in json.dumps(found)


def test_rejected_rows_need_the_right_to_download(ran, person, api):
    from tests.api.support import Api

    assert rejected(Api(person("other")), ran).status_code == 404
    assert rejected(Api(person("viewer", "Viewer")), ran).status_code == 403
    assert rejected(Api(person("second", "Lead")), ran).status_code == 200
    profile = JobProfile.objects.create(code="s", job=IMPORT, label="S", sensitive=True)
    type(ran).objects.filter(pk=ran.pk).update(profile=profile)
    assert rejected(Api(person("third", "Lead")), ran).status_code == 403
    assert rejected(api, ran).status_code == 200
