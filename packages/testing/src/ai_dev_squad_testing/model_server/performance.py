"""One run of a script: which step answers which request, and how often each was used."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from .request import ModelRequest
from .script import Script, Step, shorten

__all__ = ["NoStepError", "Performance", "Taken"]


@dataclass(frozen=True)
class Taken:
    """A step given to a request: its place in the script, and the how-manieth use this is (both from 0)."""

    step: Step
    position: int | None
    use: int

    @property
    def label(self) -> str:
        """``planner[0]``: the role (or "step"; "default") and the place."""
        return "default" if self.position is None else f"{self.step.role or 'step'}[{self.position}]"


class NoStepError(LookupError):
    """No step answers this request."""


class Performance:
    """One run of a script. Thread-safe."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._lock = Lock()
        self._uses = [0] * (len(script.steps) + 1)

    def take(self, request: ModelRequest) -> Taken:
        """The step for this request. Raises ``NoStepError`` with what was asked and which steps were left."""
        with self._lock:
            for position, step in enumerate(self.script.steps):
                if self._is_left(position) and self._matches(step, request):
                    return Taken(step, position, self._use(position))
            if self.script.default is not None and request.endpoint != "embeddings":
                return Taken(self.script.default, None, self._use(-1))
        raise NoStepError(f"no step of the script matches this request: {_asked(request)}. {self._left_text()}")

    def reset(self) -> None:
        """Start again from the first step."""
        with self._lock:
            self._uses = [0] * len(self._uses)

    def left(self) -> tuple[str, ...]:
        """The steps not used up, those repeated for ever aside: empty when the script was played to its end."""
        with self._lock:
            return tuple(
                f"{position}: {step.description}"
                for position, step in enumerate(self.script.steps)
                if step.times is not None and self._is_left(position)
            )

    def _is_left(self, position: int) -> bool:
        times = self.script.steps[position].times
        return times is None or self._uses[position] < times

    def _use(self, position: int) -> int:
        self._uses[position] += 1
        return self._uses[position] - 1

    @staticmethod
    def _matches(step: Step, request: ModelRequest) -> bool:
        # An embedding has an answer of its own, so a step for anybody is not spent on one.
        return request.endpoint != "embeddings" if step.when is None else step.when(request)

    def _left_text(self) -> str:
        left = [
            f"{position}: {step.description}"
            for position, step in enumerate(self.script.steps)
            if self._is_left(position)
        ]
        return f"Steps left: {'; '.join(left)}" if left else "No step is left; add one, or give the script a default"


def _asked(request: ModelRequest) -> str:
    return (
        f"{request.endpoint}, model {request.model!r}, {len(request.messages)} messages, "
        f"system {shorten(request.system)!r}, last ({request.last.role}) {shorten(request.last.text)!r}, "
        f"tools {', '.join(request.tools) or 'none'}"
    )
