"""Pages for what went wrong."""

from django.db import OperationalError
from django.test import RequestFactory

from tracker import errors


def test_a_page_that_does_not_exist_says_so_in_our_look(bobs, client):
    for browser in (bobs, client):
        answer = browser.get("/nothing/")
        assert answer.status_code == 404
        assert "There is nothing here" in answer.content.decode()
        assert "tracker/app.css" in answer.content.decode()


def test_a_fault_of_ours_says_so_without_asking_the_database(bobs, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = errors.server_error(RequestFactory().get("/"))
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.content.decode()


def test_an_exception_in_a_page_ends_there(bobs, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr("tracker.views.dashboard.Dashboard", fail)
    bobs.raise_request_exception = False
    answer = bobs.get("/")
    assert answer.status_code == 500
    assert "broken" not in answer.content.decode()


def test_a_bad_request_is_said_so(rf, bob):
    request = rf.get("/")
    request.user = bob
    request.resolver_match = None
    answer = errors.bad_request(request)
    assert answer.status_code == 400
    assert "cannot be read" in answer.content.decode()


def test_a_database_that_is_away_is_told_from_a_fault_of_ours(bobs, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("connection to server at 10.0.0.1 failed")

    monkeypatch.setattr("tracker.views.dashboard.Dashboard", away)
    bobs.raise_request_exception = False
    answer = bobs.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "The database does not answer" in answer.content.decode()
    assert "10.0.0.1" not in answer.content.decode()
