"""What sending may come to."""

from __future__ import annotations

__all__ = ["DeliveryError"]


class DeliveryError(Exception):
    """A receiver was not told. The message is shown and kept, so it has no secret in it."""

    def __init__(self, message: str, *, refused: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.refused = refused
        """Whether the receiver is well and does not like this message."""
        self.retry_after_s = retry_after_s
        """What the receiver asked for."""
