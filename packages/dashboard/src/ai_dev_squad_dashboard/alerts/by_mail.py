"""Telling by mail: plain text over SMTP."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from datetime import datetime, timezone
from email.message import EmailMessage
from email.utils import format_datetime

from .alert import Alert, Message, iso
from .deadline import deadline
from .errors import DeliveryError
from .rules import Receiver

__all__ = ["send", "written"]


def written(receiver: Receiver, message: Message) -> EmailMessage:
    """The mail. Its ``Message-ID`` is the message's, so that one that is sent twice is recognised."""
    mail = EmailMessage()
    mail["Subject"] = _line(f"[{_grave(message)}] {message.title}")
    mail["From"] = receiver.sender
    mail["To"] = ", ".join(receiver.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.created_us / 1_000_000, timezone.utc))
    mail["Message-ID"] = f"<{message.id}@ai-dev-squad.invalid>"
    # Nobody's holiday answers to a machine.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join(_paragraph(alert) for alert in message.alerts) + "\n")
    return mail


def send(receiver: Receiver, message: Message, _: int) -> None:
    """Hand the mail to the server. Raises ``DeliveryError``."""
    mail, where = written(receiver, message), f"{receiver.host}:{receiver.port}"
    password = receiver.password.read() if receiver.password is not None else None
    user = receiver.user.read() if receiver.user is not None else None
    held: list[smtplib.SMTP] = []

    def current() -> socket.socket | None:
        return held[0].sock if held else None

    with deadline(receiver.timeout_s, current) as cut:
        try:
            server = _connected(receiver)
            held.append(server)
            try:
                if receiver.tls == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if user is not None and password is not None:
                    server.login(user, password)
                refused = server.send_message(mail)
                if cut.is_set():
                    raise TimeoutError
            finally:
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()
                server.close()
        except smtplib.SMTPAuthenticationError:
            raise DeliveryError(f"{where} does not accept the name and the password") from None
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryError(f"{where} cannot do what is asked ({error}); correct tls or user") from None
        except smtplib.SMTPRecipientsRefused:
            raise DeliveryError(f"{where} takes no mail for {', '.join(receiver.to)}", refused=True) from None
        except smtplib.SMTPResponseException as error:
            said = (
                error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            permanent = 500 <= error.smtp_code < 600
            raise DeliveryError(
                f"{where} answered {error.smtp_code} {_line(str(said))[:200]}", refused=permanent
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            # smtplib calls it a broken connection when its own wait for an answer is over.
            if cut.is_set() or isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
                raise DeliveryError(f"{where} did not answer within {receiver.timeout_s:g} s") from None
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise DeliveryError(f"{where} cannot be reached ({reason})") from None
    if refused:
        # The others have it: to send it again would tell them twice.
        raise DeliveryError(f"{where} takes no mail for {', '.join(sorted(refused))}", refused=True)


def _connected(receiver: Receiver) -> smtplib.SMTP:
    if receiver.tls == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(receiver.host, receiver.port, timeout=receiver.timeout_s, context=context)
    return smtplib.SMTP(receiver.host, receiver.port, timeout=receiver.timeout_s)


def _paragraph(alert: Alert) -> str:
    since = f"Since {iso(alert.since_us)}, told {iso(alert.time_us)}."
    return "\n".join(filter(None, [alert.title, alert.text, since, alert.note]))


def _grave(message: Message) -> str:
    order = ("info", "warning", "critical")
    return max((alert.severity for alert in message.alerts), key=order.index)


def _line(text: str) -> str:
    """On one line: names that others wrote must not add headers."""
    return " ".join(text.split())[:500]
