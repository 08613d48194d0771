"""Alerts by mail, against a real SMTP server."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from ai_dev_squad_dashboard.alerts import Receiver
from ai_dev_squad_dashboard.alerts.alert import Message
from ai_dev_squad_dashboard.alerts.by_mail import written
from ai_dev_squad_dashboard.alerts.errors import DeliveryError
from ai_dev_squad_dashboard.alerts.secrets import Secret
from ai_dev_squad_dashboard.alerts.sending import send

sys.path.insert(0, str(Path(__file__).parent))
from alert_rooms import NOW, alert

MESSAGE = Message("msg_1", "mail", NOW, 0, (alert(severity="critical"), alert("slow", what="resolved")))


class Post:
    """Takes mails, or answers as it is told."""

    def __init__(self, answer: str = "250 OK") -> None:
        self.answer = answer
        self.mails = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        return self.answer


def mailbox(controller: Controller, **more) -> Receiver:
    port = controller.server.sockets[0].getsockname()[1]
    given = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "sender": "squad@example.org",
        "to": ("ops@example.org",),
    }
    return Receiver(**{"name": "mail", "type": "email", "timeout_s": 10.0, **given, **more})


@pytest.fixture
def serve():
    """Starts SMTP servers on free ports; all end with the test."""
    started = []

    def start(handler: Post, **more) -> Controller:
        controller = Controller(handler, hostname="127.0.0.1", port=_free_port(), **more)
        controller.start()
        started.append(controller)
        return controller

    yield start
    for one in started:
        one.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_mail_says_what_was_told_and_is_known_again(serve):
    """One mail for all alerts of the message; its Message-ID is the message's."""
    post = Post()
    send(mailbox(serve(post)), MESSAGE, NOW)
    ((sender, recipients, text),) = post.mails
    assert (sender, recipients) == ("squad@example.org", ["ops@example.org"])
    head, _, rest = text.replace("\r\n", "\n").partition("\n\n")
    assert "Subject: [critical] dear, agent coder, and 1 more" in head
    assert "Message-ID: <msg_1@ai-dev-squad.invalid>" in head
    assert "Date: Fri, 15 Jan 2027 08:00:00 +0000" in head
    assert rest.strip() == (
        "dear, agent coder\ncost_usd in 1h: $6.00, above $5.00.\n"
        "Since 2027-01-15T08:00:00+00:00, told 2027-01-15T08:00:00+00:00.\nLook at the agent.\n\n"
        "over: slow, agent coder\ncost_usd in 1h: $6.00, no longer above $5.00.\n"
        "Since 2027-01-15T08:00:00+00:00, told 2027-01-15T08:00:00+00:00.\nLook at the agent."
    )


def test_names_that_others_wrote_add_no_header():
    """A line end in the name of an agent is a space in the subject."""
    hostile = alert(group={"agent": "x\r\nBcc: everybody@example.org"})
    mail = written(mailbox_of_nobody(), Message("msg_1", "mail", NOW, 0, (hostile,)))
    assert mail["Subject"] == "[warning] dear, agent x Bcc: everybody@example.org"
    assert mail["Bcc"] is None


def mailbox_of_nobody() -> Receiver:
    return Receiver("mail", "email", sender="squad@example.org", to=("ops@example.org",))


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_name_and_a_password_are_shown_where_they_are_asked_for(serve, monkeypatch):
    """The right ones are taken, wrong ones named without being repeated."""
    monkeypatch.setenv("SMTP_PASSWORD", "pa55word")

    def check(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"squad", b"pa55word")
        return AuthResult(success=right, handled=False)

    post = Post()
    controller = serve(post, authenticator=check, auth_required=True, auth_require_tls=False)
    receiver = mailbox(controller, user=Secret(text="squad"), password=Secret(env="SMTP_PASSWORD"))
    send(receiver, MESSAGE, NOW)
    assert len(post.mails) == 1

    monkeypatch.setenv("SMTP_PASSWORD", "wrong")
    with pytest.raises(DeliveryError, match="does not accept the name and the password") as raised:
        send(receiver, MESSAGE, NOW)
    assert "wrong" not in str(raised.value)


@pytest.mark.parametrize("answer, refused", [("451 come again", False), ("554 no", True)])
def test_what_a_server_answers_is_told(serve, answer, refused):
    """A passing trouble is tried again; what is refused for good is about the message."""
    with pytest.raises(DeliveryError, match=f"answered {answer}") as raised:
        send(mailbox(serve(Post(answer))), MESSAGE, NOW)
    assert raised.value.refused is refused


def test_a_server_without_tls_is_not_trusted_with_a_mail(serve):
    """Where STARTTLS is asked for, nothing goes out in clear."""
    post = Post()
    with pytest.raises(DeliveryError, match="cannot do what is asked"):
        send(mailbox(serve(post), tls="starttls"), MESSAGE, NOW)
    assert post.mails == []


def test_a_server_that_says_nothing_is_left():
    """Who accepts and never speaks is cut off in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        receiver = Receiver(
            "mail",
            "email",
            host="127.0.0.1",
            port=silent.getsockname()[1],
            tls="none",
            sender="a@b.c",
            to=("d@e.f",),
            timeout_s=0.3,
        )
        with pytest.raises(DeliveryError, match=r"did not answer within 0\.3 s"):
            send(receiver, MESSAGE, NOW)


def test_a_server_that_is_not_there_is_named():
    """With the system's words."""
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1:1 cannot be reached \(Connection refused\)"):
        send(
            Receiver("mail", "email", host="127.0.0.1", port=1, tls="none", sender="a@b.c", to=("d@e.f",)), MESSAGE, NOW
        )
