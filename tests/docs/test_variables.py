"""docs/settings.md lists every environment variable that the site reads."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"(?:variables\.\w+|environ\.get)\(\s*\"([A-Z_]+)\"")


def test_every_variable_is_listed():
    listed = set(re.findall(r"`([A-Z_]+)(?:=\w+)?`", (ROOT / "docs" / "settings.md").read_text()))
    read = {name for file in ROOT.glob("config/*.py") for name in READ.findall(file.read_text())}
    assert len(read) > 30
    assert read <= listed
