"""One attempt to tell a receiver: by webhook, mail or command. Bounded in time and in what is read of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from . import by_command, by_mail, by_webhook
from .alert import Message
from .errors import DeliveryError
from .rules import Receiver
from .secrets import SecretError

__all__ = ["Send", "send"]

Send = Callable[[Receiver, Message, int], None]
"""Tells a receiver at a moment (microseconds since 1970). Raises ``DeliveryError``."""


def send(receiver: Receiver, message: Message, now_us: int) -> None:
    """Try once. Raises ``DeliveryError``, whose message has no secret in it."""
    try:
        _WAYS[receiver.type](receiver, message, now_us)
    except SecretError as error:
        raise DeliveryError(str(error)) from None


_WAYS: Final[Mapping[str, Send]] = {"webhook": by_webhook.send, "email": by_mail.send, "command": by_command.send}
