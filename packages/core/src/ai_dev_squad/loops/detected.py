"""What is told of a loop: the exception that stops a run, and the same as an event."""

from __future__ import annotations

from typing import Any, Literal

from ai_dev_squad.refusal import CallRefused, rebuilt

__all__ = ["LoopDetected", "Pattern"]

Pattern = Literal["tools", "answers"]
"""What recurs: tool calls with their results, or answers of models without any new tool call."""


class LoopDetected(CallRefused):
    """A call was refused before it was made, because its run goes round in a loop and ``on_loop`` is ``"stop"``.

    ``agent`` is whose loop it is, ``operations`` are the calls or turns of one round, ``repeats`` is how often they were
    made when the loop was found. ``model_calls``, ``input_tokens``, ``output_tokens`` and ``cost_usd`` are what all
    those rounds took; ``cost_usd`` is in US dollars, and ``None`` where a price is unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        agent: str = "",
        pattern: Pattern = "tools",
        operations: tuple[str, ...] = (),
        repeats: int = 0,
        model_calls: int = 0,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_usd: float | None = None,
    ) -> None:
        super().__init__(message)
        self.agent = agent
        self.pattern = pattern
        self.operations = operations
        self.repeats = repeats
        self.model_calls = model_calls
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cost_usd = cost_usd

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross a process boundary whole; keyword arguments are lost otherwise."""
        return rebuilt, (LoopDetected, str(self), dict(vars(self)))
