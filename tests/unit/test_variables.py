"""Variables of places, read at the start; what is wrong with one is said in a sentence."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from config import variables
from config.local.state import State


def test_folders_have_names(monkeypatch):
    monkeypatch.setenv("FOLDERS", "feeds=/srv/feeds, out_1=/srv/o=ut")
    assert variables.folders("FOLDERS") == {
        "feeds": Path("/srv/feeds"), "out_1": Path("/srv/o=ut")
    }  # fmt: skip


@pytest.mark.parametrize("text", ["/srv/feeds", "feeds=srv", "a b=/srv", "=/srv", "feeds="])
def test_a_folder_that_is_none_is_said(monkeypatch, text: str):
    monkeypatch.setenv("FOLDERS", text)
    with pytest.raises(ImproperlyConfigured, match="write name=/path"):
        variables.folders("FOLDERS")


def test_keys_stand_in_the_variable_or_in_a_file(monkeypatch, tmp_path: Path):
    file = tmp_path / "keys"
    file.write_text("new\n\nold\n")
    monkeypatch.setenv("KEYS_FILE", str(file))
    assert variables.words_or_file("KEYS") == ["new", "old"]
    monkeypatch.setenv("KEYS", "other, one")
    assert variables.words_or_file("KEYS") == ["other", "one"]


def test_a_file_of_keys_that_cannot_be_read_is_said(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("KEYS_FILE", str(tmp_path / "none"))
    with pytest.raises(ImproperlyConfigured, match="KEYS_FILE cannot be read"):
        variables.words_or_file("KEYS")


def test_the_launcher_makes_one_key_for_its_owner_alone(tmp_path: Path):
    key = State(tmp_path).key("credentials")
    assert Fernet(key)
    assert State(tmp_path).key("credentials") == key
    assert stat.S_IMODE((tmp_path / "credentials.key").stat().st_mode) == 0o600
