"""What jobs tell others: written with the work, signed, tried again, given up with a reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from email import message_from_bytes

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from jobs import outbox
from jobs.models import JobExecution, OutboxMessage
from jobs.models.base import ClockNow
from jobs.outbox.delivery import LONGEST_WAIT_SECONDS, wait_seconds
from jobs.testing import run_now
from tests.receivers import MailReceiver, mail_receiver, web_receiver

pytestmark = pytest.mark.django_db

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of it!").decode()


@pytest.fixture
def web():
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def post(settings):
    """Send one webhook as far as it gets; returns its row."""
    settings.JOBS_WEBHOOK_HOSTS = ["127.0.0.1"]

    def posted(url: str, key: str = "it", body: object = None) -> OutboxMessage:
        return deliver(outbox.webhook(key, url, body))

    return posted


def deliver(message: OutboxMessage) -> OutboxMessage:
    outbox.put([message])
    assert outbox.deliver_next()
    return OutboxMessage.objects.get(dedupe_key=message.dedupe_key)


def make_due(message: OutboxMessage) -> None:
    OutboxMessage.objects.filter(pk=message.pk).update(due_at=ClockNow())


def again(message: OutboxMessage) -> OutboxMessage:
    """The message after one more try."""
    make_due(message)
    assert outbox.deliver_next()
    message.refresh_from_db()
    return message


# --- Written with the work ------------------------------------------------------------------


def test_each_row_that_was_written_is_told_once_and_no_other(web):
    execution = run_now("samples.tells", {"rows": 20, "url": web.url})
    assert execution.steps.get().failed == 1  # row 13, which the database refuses
    told = set(execution.messages.values_list("dedupe_key", flat=True))
    assert told == {f"{execution.pk}:row-{row}" for row in range(20) if row != 13}
    assert not web.calls  # nothing leaves before it is committed and due


def test_what_continues_an_execution_sends_nothing_again(web):
    parameters = {"rows": 5, "url": web.url}
    first = run_now("samples.tells", parameters)
    second = JobExecution.objects.create(name="2", job=first.job, type="other", continues=first)
    third = JobExecution.objects.create(name="3", job=first.job, type="other", continues=second)
    part = JobExecution.objects.create(
        name="4", job=first.job, type="other", parent=third, partition=0, partitions=2
    )
    child = JobExecution.objects.create(name="5", job=first.job, type="other", parent=third)
    for execution in (first, second, third, part):
        execution.refresh_from_db()
        assert outbox.chain_of(execution) == first.pk
    child.refresh_from_db()
    assert outbox.chain_of(child) == child.pk
    message = outbox.webhook("row-1", web.url, {"row": "again"})
    message.dedupe_key = f"{outbox.chain_of(part)}:{message.dedupe_key}"
    outbox.put([message])
    assert OutboxMessage.objects.get(dedupe_key=f"{first.pk}:row-1").payload["json"] == {"row": 1}


@pytest.mark.parametrize("key", ["", "two words", "ümlaut", "line\n", "x" * 201])
def test_a_key_that_no_header_can_carry_is_refused(key):
    with pytest.raises(ValidationError, match="The key of a message"):
        outbox.webhook(key, "https://example.org/", {})


@pytest.mark.parametrize("url", ["ftp://example.org/", "example.org", "https://", "file:///etc"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ValidationError, match="A webhook goes to"):
        outbox.webhook("it", url, {})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"to": "ann@example.org"}, "in a list"),
        ({"to": []}, "1 to 50 addresses"),
        ({"to": ["ann"]}, "valid email"),
        ({"subject": "Two\nlines"}, "one line"),
    ],
)
def test_a_mail_that_cannot_be_sent_is_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        outbox.mail("it", **({"to": ["ann@example.org"], "subject": "S", "text": "T"} | wrong))


# --- Webhooks -------------------------------------------------------------------------------


def test_a_webhook_carries_its_key_and_a_signature_that_its_receiver_can_check(web, post, settings):
    settings.JOBS_WEBHOOK_SECRET = SECRET
    sent = post(web.url, "chain:row-1", {"name": "Zürich", "n": 1})
    assert (sent.sent_at is not None, sent.tries, sent.error) == (True, 1, "")
    (call,) = web.calls
    assert call.json == {"name": "Zürich", "n": 1}
    assert (call.key, call.headers["Content-Type"]) == ("chain:row-1", "application/json")
    identity, at = call.headers["webhook-id"], call.headers["webhook-timestamp"]
    digest = hmac.new(
        base64.b64decode(SECRET.removeprefix("whsec_")),
        f"{identity}.{at}.".encode() + call.body,
        hashlib.sha256,
    ).digest()
    assert call.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert "." not in identity
    assert abs(int(at) - timezone.now().timestamp()) < 60


def test_the_same_key_comes_with_every_try(web, post):
    web.status = 503
    message = post(web.url)
    web.status = 204
    assert again(message).sent_at
    first, second = web.calls
    assert (first.key, first.headers["webhook-id"], first.body) == (
        second.key,
        second.headers["webhook-id"],
        second.body,
    )
    assert "webhook-signature" not in first.headers  # without a secret
    assert not outbox.deliver_next()


@pytest.mark.parametrize("status", [302, 408, 429, 500, 503])
def test_what_may_pass_is_tried_again_later(web, post, status):
    web.status, web.headers = status, {"Location": web.url + "/elsewhere"}
    message = post(web.url)
    assert (message.sent_at, message.given_up_at, message.tries) == (None, None, 1)
    assert f"127.0.0.1 answered {status}" in message.error
    assert message.due_at > timezone.now() + timedelta(seconds=4)
    assert len(web.calls) == 1  # no redirect was followed
    assert not outbox.deliver_next()


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_what_is_refused_is_given_up_with_the_answer(web, post, status):
    web.status, web.text = status, "No such order. " + "x" * 1000
    message = post(web.url)
    assert message.given_up_at
    assert message.sent_at is None
    assert message.error.startswith(f"127.0.0.1 answered {status}: No such order. xxx")
    assert len(message.error) < 550


def test_it_is_given_up_when_all_tries_are_used(web, post, settings):
    settings.JOBS_OUTBOX_TRIES = 3
    web.status = 500
    message = post(web.url)
    assert again(message).given_up_at is None
    assert again(message).given_up_at
    assert message.error.startswith("Tried 3 times. 127.0.0.1 answered 500")


def test_a_message_that_ends_its_sender_every_time_is_given_up(web, post, settings):
    settings.JOBS_OUTBOX_TRIES = 3
    message = outbox.webhook("it", web.url, {})
    outbox.put([message])
    OutboxMessage.objects.update(tries=3)
    assert outbox.deliver_next()
    found = OutboxMessage.objects.get()
    assert found.given_up_at
    assert "was ended 3 times" in found.error
    assert not web.calls


def test_nobody_there_is_tried_again(post):
    message = post("http://127.0.0.1:9/")
    assert message.error.startswith("There was no answer:")
    assert message.given_up_at is None


def test_what_cannot_be_understood_harms_no_other_message(web, post):
    odd = deliver(OutboxMessage(dedupe_key="odd", kind="webhook", payload={"url": web.url}))
    assert odd.error == "It could not be sent: KeyError: 'json'"
    assert (odd.given_up_at, odd.tries) == (None, 1)
    assert post(web.url).sent_at


def test_the_waits_grow_to_a_day_and_are_never_in_step():
    for tries, longest in ((1, 10), (2, 20), (10, 5120), (15, LONGEST_WAIT_SECONDS)):
        waits = {wait_seconds(tries) for _ in range(50)}
        assert len(waits) > 1
        assert all(longest / 2 <= wait <= longest for wait in waits)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f000001",
        "2130706433",
        "0.0.0.0",
    ],
)
def test_this_machine_is_not_reached(web, post, settings, host):
    settings.JOBS_WEBHOOK_HOSTS = []
    message = post(f"http://{host}:{web.port}/")
    assert message.given_up_at
    assert "JOBS_WEBHOOK_HOSTS" in message.error
    assert not web.calls


@pytest.mark.parametrize("host", ["10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1"])
def test_private_networks_are_not_reached(post, settings, host):
    settings.JOBS_WEBHOOK_HOSTS = []
    message = post(f"http://{host}/latest/meta-data/")
    assert message.given_up_at
    assert "an address of a private network" in message.error


def test_a_host_is_allowed_by_the_name_that_is_connected_to(web, post, settings):
    settings.JOBS_WEBHOOK_HOSTS = ["allowed.example"]
    for url in (
        f"http://allowed.example@127.0.0.1:{web.port}/",
        f"http://127.0.0.1:{web.port}\\@allowed.example/",
        f"http://127.0.0.1:{web.port}#@allowed.example/",
        f"http://127.0.0.1:{web.port}/allowed.example",
    ):
        assert post(url, hashlib.sha256(url.encode()).hexdigest()).sent_at is None
    assert not web.calls


def test_a_bad_secret_is_said(web, post, settings):
    settings.JOBS_WEBHOOK_SECRET = "whsec_not base64"
    message = post(web.url)
    assert "JOBS_WEBHOOK_SECRET" in message.error
    assert message.given_up_at
    assert not web.calls


# --- Mail -----------------------------------------------------------------------------------


@pytest.fixture
def mails(settings):
    with mail_receiver() as receiver:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", receiver.port
        settings.DEFAULT_FROM_EMAIL = "Millrace <jobs@example.org>"
        yield receiver


def a_mail(key: str = "it") -> OutboxMessage:
    return outbox.mail(key, to=["ann@example.org"], subject="Zürich is in", text="All of it.\n")


def test_a_mail_arrives_with_an_id_made_of_its_key(mails: MailReceiver):
    sent = deliver(a_mail())
    assert (sent.sent_at is not None, sent.error) == (True, "")
    mail = message_from_bytes(mails.mails[0])
    assert (mails.to, mail["From"]) == (["ann@example.org"], "Millrace <jobs@example.org>")
    assert mail.get_payload(decode=True) == b"All of it.\r\n"
    OutboxMessage.objects.update(sent_at=None)
    again(sent)
    assert {message_from_bytes(found)["Message-ID"] for found in mails.mails} == {
        mail["Message-ID"]
    }
    assert mail["Message-ID"].endswith("@example.org>")
    deliver(a_mail("other"))
    assert message_from_bytes(mails.mails[2])["Message-ID"] != mail["Message-ID"]


def test_a_mail_that_is_refused_for_good_is_given_up(mails: MailReceiver):
    mails.recipient_answer = "550 No such user"
    message = deliver(a_mail("first"))
    assert message.given_up_at
    assert "ann@example.org (550 No such user)" in message.error
    mails.recipient_answer, mails.answer = "250 OK", "554 Spam"
    message = deliver(a_mail("second"))
    assert message.given_up_at
    assert "554: Spam" in message.error


def test_a_mail_server_that_is_busy_or_away_is_tried_again(mails: MailReceiver, settings):
    mails.recipient_answer = "450 Greylisted"
    message = deliver(a_mail())
    assert (message.given_up_at, "450 Greylisted" in message.error) == (None, True)
    mails.recipient_answer, mails.answer = "250 OK", "451 Later"
    assert again(message).given_up_at is None
    settings.EMAIL_PORT = 9
    assert again(message).given_up_at is None
    assert "did not take it" in message.error
    settings.EMAIL_PORT, mails.answer = mails.port, "250 OK"
    assert again(message).sent_at
    assert len(mails.mails) == 1


def test_without_a_mail_server_the_setting_is_named(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    message = deliver(a_mail())
    assert message.given_up_at
    assert "EMAIL_URL" in message.error
