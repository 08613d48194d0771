"""What reading rules and sending may come to."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["DeliveryError", "RuleFileError"]


class DeliveryError(Exception):
    """A receiver was not told. The message is shown and kept, so it has no secret in it."""

    def __init__(self, message: str, *, refused: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.refused = refused
        """Whether the receiver is well and does not like this message."""
        self.retry_after_s = retry_after_s
        """What the receiver asked for."""


class RuleFileError(ValueError):
    """Rules that cannot be understood. ``problems`` has one line for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
