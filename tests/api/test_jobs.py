"""Jobs: what there is to launch, its parameters as JSON Schema, its source."""

import jsonschema
import pytest
from django import forms

from jobs.api.parameter_schema import schema_of
from jobs.definition import Job
from tests.api.support import Api
from tests.people import ImportThings

pytestmark = pytest.mark.django_db


def test_jobs_are_listed_with_what_one_may(api):
    found = {job["name"]: job for job in api.get("jobs/").json()}
    assert set(found) == {"things.import_things", "things.run_program"}
    job = found["things.import_things"]
    assert job["type"] == "import"
    assert job["description"] == "Import things from a file."
    assert job["version"] == ImportThings.version()
    assert job["actions"]["launch"] == {"allowed": True, "reason": ""}
    assert not found["things.run_program"]["actions"]["launch"]["allowed"]


def test_one_job_is_shown(api):
    assert api.get("jobs/things.import_things/").json()["label"] == "Import things"


def test_an_unknown_job_is_not_found(api):
    found = api.problem(api.get("jobs/nothing.here/"), 404, "unknown-job")
    assert "'nothing.here'" in found["detail"]


def test_without_the_tracker_there_are_no_jobs(person):
    api = Api(person("nobody", None))
    for path in ("jobs/", "jobs/things.import_things/", "jobs/things.import_things/source/"):
        found = api.problem(api.get(path), 403, "denied")
        assert found["needs"] == "jobs.view_tracker"


def test_the_source_is_shown_with_its_version(api):
    found = api.get("jobs/things.import_things/source/").json()
    assert found["source"].startswith("class ImportThings(Job):")
    assert found["version"] == ImportThings.version()


def test_the_schema_says_what_a_launch_takes(api):
    schema = api.get("jobs/things.import_things/schema/").json()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["required"] == []
    properties = schema["properties"]
    assert properties["file"]["format"] == "uuid"
    assert properties["separator"]["enum"] == [";", ","]
    assert properties["separator"]["default"] == ";"
    assert properties["limit"] == {
        "type": "integer",
        "title": "Limit",
        "description": "Rows",
        "minimum": 1,
        "maximum": 99,
    }
    assert properties["note"]["maxLength"] == 20
    assert properties["secret"]["type"] == "boolean"


@pytest.mark.parametrize(
    ("parameters", "fits"),
    [
        ({}, True),
        ({"limit": 5, "separator": ","}, True),
        ({"limit": 0}, False),
        ({"separator": "|"}, False),
        ({"unknown": 1}, False),
    ],
)
def test_the_schema_and_the_launch_agree(api, parameters, fits):
    schema = schema_of(ImportThings)
    assert jsonschema.Draft202012Validator(schema).is_valid(parameters) is fits
    answer = api.send("jobs/things.import_things/executions/", {"parameters": parameters})
    assert answer.status_code == (201 if fits else 422)


def test_every_kind_of_field_has_a_schema():
    class Everything(Job):
        class Parameters(forms.Form):
            day = forms.DateField()
            moment = forms.DateTimeField()
            clock = forms.TimeField()
            span = forms.DurationField(required=False)
            price = forms.DecimalField(min_value=0)
            ratio = forms.FloatField()
            mail = forms.EmailField()
            site = forms.URLField(assume_scheme="https")
            key = forms.UUIDField()
            data = forms.JSONField()
            code = forms.RegexField(r"^[a-z]+$")
            pick = forms.ChoiceField(choices=[("Fruit", [("a", "Apple"), ("p", "Pear")])])
            several = forms.MultipleChoiceField(choices=[("a", "A"), ("b", "B")])

    schema = schema_of(Everything, saved={"ratio": 0.5})
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["pick"]["enum"] == ["a", "p"]
    assert schema["properties"]["several"]["items"] == {"enum": ["a", "b"]}
    assert schema["properties"]["code"]["pattern"] == "^[a-z]+$"
    assert schema["properties"]["price"]["minimum"] == 0
    assert schema["properties"]["ratio"]["default"] == 0.5
    assert "ratio" not in schema["required"]
    assert "day" in schema["required"]
