"""Logging in and out."""

from tests.people import PASSWORD


def test_whoever_is_not_signed_in_is_sent_to_the_login_and_back(client, bob):
    answer = client.get("/executions/?type=import")
    assert answer.status_code == 302
    assert answer["Location"] == "/login/?next=/executions/%3Ftype%3Dimport"
    answer = client.post(answer["Location"], {"username": "bob", "password": PASSWORD,
                                              "next": "/executions/?type=import"})  # fmt: skip
    assert answer["Location"] == "/executions/?type=import"


def test_a_wrong_password_is_said_on_the_page(client, bob):
    answer = client.post("/login/", {"username": "bob", "password": "wrong"})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()


def test_after_six_wrong_passwords_the_page_says_how_long_to_wait(client, bob):
    for _ in range(6):
        answer = client.post("/login/", {"username": "bob", "password": "wrong"})
    assert answer.status_code == 429
    assert "quarter of an hour" in answer.content.decode()
    answer = client.post("/login/", {"username": "bob", "password": PASSWORD})
    assert answer.status_code == 429


def test_logging_out_needs_a_form(bobs):
    assert bobs.get("/logout/").status_code == 405
    assert bobs.post("/logout/")["Location"] == "/login/"
    assert bobs.get("/").status_code == 302


def test_whoever_is_signed_in_already_goes_on(bobs):
    assert bobs.get("/login/")["Location"] == "/"


def test_a_live_part_of_somebody_signed_out_loads_the_page_anew(client):
    answer = client.get("/executions/?since=x", headers={"HX-Request": "true"})
    assert answer["HX-Refresh"] == "true"


def test_a_link_to_elsewhere_is_not_followed(client, bob):
    answer = client.post(
        "/login/", {"username": "bob", "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert answer["Location"] == "/"
