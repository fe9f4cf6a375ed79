"""What holds for every page: the content policy, and the rules of our templates."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from jobs.states import Status

TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates" / "tracker").rglob("*.html"))
PAGES = ("/", "/executions/", "/profiles/", "/imports/", "/profiles/things/", "/nothing/")


def test_every_page_forbids_scripts_and_styles_that_are_not_ours(bobs, bob, profile, execution):
    running = execution(bob, Status.RUNNING, profile=profile)
    for page in (*PAGES, "/login/", running.get_absolute_url()):
        policy = bobs.get(page, follow=True)["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_no_inline_script_style_or_handler(template):
    text = template.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:|https?://", text)
    assert "|safe" not in text


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_are_small(template):
    assert len(template.read_text().splitlines()) <= 100


def test_pages_are_not_kept_by_browsers_or_proxies(bobs):
    assert "no-store" in bobs.get("/executions/")["Cache-Control"]
