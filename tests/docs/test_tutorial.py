"""The tutorial is true: its app is written as it stands there, and its files are imported."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
# "`suppliers/jobs.py`:" and the block below it.
NAMED_BLOCK = re.compile(r"`(suppliers[\w./-]+)`:\n\n```(?:python|csv)\n(.*?)```", re.DOTALL)
ANY_FILE = re.compile(r"^```(?:python|csv)$", re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The app and the files that a reader has at the end."""
    (tmp_path / "suppliers").mkdir()
    (tmp_path / "suppliers" / "__init__.py").touch()
    for name, text in NAMED_BLOCK.findall(TUTORIAL):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(text)
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    """Run Python with the app installed, in a database that no other test uses."""
    name = f"tutorial_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    variables = os.environ | {
        "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl(),
        "MILLRACE_APPS": "suppliers",
        "MILLRACE_FILES": str(folder / "files"),
        "PYTHONPATH": str(folder),
        "TUTORIAL": str(folder),
    }
    done = subprocess.run(
        [sys.executable, *arguments], env=variables, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_of_code_belongs_to_a_file():
    assert len(NAMED_BLOCK.findall(TUTORIAL)) == len(ANY_FILE.findall(TUTORIAL))


def test_a_reader_gets_what_it_says(folder: Path):
    run(folder, "-W", "ignore", "-m", "django", "makemigrations", "suppliers")
    shutil.copy(Path(__file__).with_name("story.py"), folder / "suppliers" / "test_story.py")
    said = run(folder, "-m", "pytest", "-c", "pyproject.toml", str(folder / "suppliers"))
    assert "3 passed" in said


def test_the_readme_shows_its_resource():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = dict(reversed(NAMED_BLOCK.findall(TUTORIAL)))
    assert blocks["suppliers/jobs.py"] in readme
