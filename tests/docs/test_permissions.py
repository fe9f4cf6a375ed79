"""The tables of docs/permissions.md say what jobs/setup.py does."""

import re
from pathlib import Path

from jobs.models import JobExecution, JobProfile
from jobs.setup import MODEL_RIGHTS, ROLES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "permissions.md").read_text("utf-8")
HEADER = re.search(r"^\| permission \| lets \| (.*) \|$", TEXT, re.MULTILINE)
LINE = re.compile(r"^\| `(\w+)` \| [^|]+ \|(.*)\|$", re.MULTILINE)
RIGHTS = re.compile(r"^\| ([A-Z][\w, ]+) \| ((?:view|add|change|delete|, )+) \|$", re.MULTILINE)


def test_every_permission_is_given_as_the_table_says():
    assert HEADER
    roles = HEADER[1].split(" | ")
    said = {
        name: [role for role, cell in zip(roles, cells.split("|"), strict=True) if "●" in cell]
        for name, cells in LINE.findall(TEXT)
    }
    given = {
        name: [role for role in roles if name in ROLES[role]]
        for name in [
            *(name for name, _ in JobExecution._meta.permissions),
            *(f"{verb}_jobprofile" for verb in JobProfile._meta.default_permissions),
        ]
    }
    assert said == given
    assert {*roles, "Administrator"} == set(ROLES)


def test_the_rights_to_models_are_those_of_the_table():
    said = {
        role: tuple(rights.split(", "))
        for roles, rights in RIGHTS.findall(TEXT)
        for role in roles.split(", ")
    }
    assert said == MODEL_RIGHTS
