"""Telling by HTTP POST, signed as Standard Webhooks says, so that receivers need no code of ours to check it.

No redirect is followed: a body that is signed for one address must not be carried to another.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import http.client
import json
import ssl
from contextlib import suppress
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from .alert import Message
from .bodies import body
from .deadline import deadline
from .errors import DeliveryError
from .rules import Receiver
from .secrets import Secret, masked

__all__ = ["send", "signature"]

_LARGEST_ANSWER: Final = 16 * 1024
_SHOWN: Final = 200
_REFUSALS: Final = frozenset({400, 413, 422})
_LONGEST_WAIT_S: Final = 3600.0


def signature(secret: str, message_id: str, timestamp_s: int, content: bytes) -> str:
    """The value of ``webhook-signature``: HMAC-SHA256 over id, timestamp and body (https://www.standardwebhooks.com)."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise DeliveryError(
                "the webhook's secret begins with whsec_ and is no base64 behind it; correct it"
            ) from None
    signed = f"{message_id}.{timestamp_s}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()


def send(receiver: Receiver, message: Message, now_us: int) -> None:
    """Post ``message``. Raises ``DeliveryError``."""
    url = (receiver.url or Secret(text="")).read()
    secret = receiver.secret.read() if receiver.secret is not None else ""
    is_pagerduty = receiver.body == "pagerduty"
    content = json.dumps(body(message, receiver.body, secret if is_pagerduty else "")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ai-dev-squad-dashboard",
        "Idempotency-Key": message.id,
        "webhook-id": message.id,
        "webhook-timestamp": str(now_us // 1_000_000),
    }
    if secret and not is_pagerduty:
        headers["webhook-signature"] = signature(secret, message.id, now_us // 1_000_000, content)
    status, answer, retry_after = _post(url, content, headers, receiver.timeout_s)
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise DeliveryError(f"{masked(url)} redirects, which is not followed; write the address that it leads to")
    said = f": {answer}" if answer else ""
    raise DeliveryError(
        f"{masked(url)} answered {status}{said}",
        refused=status in _REFUSALS,
        retry_after_s=_seconds(retry_after, now_us),
    )


def _post(url: str, content: bytes, headers: dict[str, str], timeout_s: float) -> tuple[int, str, str | None]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise DeliveryError("the webhook's address is no http:// or https:// address without a name; correct it")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with deadline(timeout_s, lambda: connection.sock) as cut:
        try:
            connection.request("POST", path, content, headers)
            response = connection.getresponse()
            answer = response.read(_LARGEST_ANSWER)
            if cut.is_set():
                raise TimeoutError
        except TimeoutError:
            raise DeliveryError(f"{masked(url)} did not answer within {timeout_s:g} s") from None
        except (OSError, http.client.HTTPException, ValueError, UnicodeError) as error:
            if cut.is_set():
                raise DeliveryError(f"{masked(url)} did not answer within {timeout_s:g} s") from None
            # Errors of addresses repeat them, so only their kind is told.
            raise DeliveryError(f"{masked(url)} cannot be reached ({_reason(error)})") from None
        finally:
            with suppress(OSError):
                connection.close()
    return response.status, _words(answer), response.headers.get("Retry-After")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _words(answer: bytes) -> str:
    text = " ".join(answer[: 4 * _SHOWN].decode("utf-8", "replace").split())
    return text[:_SHOWN]


def _seconds(text: str | None, now_us: int) -> float | None:
    """``Retry-After``: seconds or a date; bounded, because a stranger says it."""
    if not text:
        return None
    seconds: float | None = None
    if text.strip().isdecimal() and len(text.strip()) < 12:
        seconds = float(text)
    else:
        with suppress(ValueError, TypeError, OverflowError):
            seconds = parsedate_to_datetime(text).timestamp() - now_us / 1_000_000
    return None if seconds is None else min(max(0.0, seconds), _LONGEST_WAIT_S)
