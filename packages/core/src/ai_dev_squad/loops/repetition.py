"""Whether a sequence goes round: a cycle of one, two or three elements that recurs.

What it takes doesn't grow with the sequence: an element is compared with the three before it, and a number for each
length of cycle says how many in a row were equal.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

__all__ = ["LONGEST", "NOTHING", "Element", "Spent", "Trail"]

LONGEST = 3
"""The longest cycle that is found."""
_MASK = (1 << 64) - 1
_NONE = (0,) * LONGEST


class Spent(msgspec.Struct, frozen=True, gc=False):
    """What was spent up to a moment."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    """Calls of unknown price."""

    def plus(self, more: Spent) -> Spent:
        """Both together."""
        return Spent(
            self.model_calls + more.model_calls,
            self.input_tokens + more.input_tokens,
            self.output_tokens + more.output_tokens,
            self.usd + more.usd,
            self.unpriced + more.unpriced,
        )


NOTHING = Spent()


class Element(msgspec.Struct, frozen=True, gc=False):
    """One step of a sequence: what was done, and what came of it."""

    mark: int
    """A hash of both."""
    round: int
    """Elements of one round were asked for at once: they are one element, and none repeats another."""
    label: str = ""
    prompt: str | None = None
    """The hash of the whole prompt, where the element is an answer."""
    messages: int = 0
    """How many messages that prompt had."""
    spent: Spent = NOTHING
    """What had been spent before it."""

    def repeats(self, earlier: Element) -> bool:
        """Whether nothing is new since ``earlier``.

        The same answer to the same last messages says so in a conversation that goes on, or that begins anew as it was.
        Elsewhere the difference between two prompts may stand further up.
        """
        return (
            self.mark == earlier.mark
            and self.round != earlier.round
            and (self.prompt == earlier.prompt or self.messages > earlier.messages)
        )

    def joined(self, other: Element) -> Element:
        """Both as one, in whatever order they ended."""
        if other.mark == self.mark:
            return self
        return replace(self, mark=(self.mark + other.mark) & _MASK, label=f"{self.label} + {other.label}"[:120])


class Trail:
    """The last elements of a sequence, and how many in a row repeat those before them."""

    # Most trails stay empty: what they begin with stands here, as class attributes, and costs none of them anything.
    is_told: bool = False
    """Whether the loop that is going on was told already."""
    _begun: tuple[Spent, ...] = (NOTHING,) * LONGEST
    _window: tuple[Element, ...] = ()
    _runs: tuple[int, ...] = _NONE
    _before: tuple[int, ...] = _NONE

    def clear(self) -> None:
        """Something new happened: nothing before it counts."""
        if self._window:
            self._window, self._runs, self._before, self.is_told = (), _NONE, _NONE, False

    @property
    def is_repeating(self) -> bool:
        """Whether the last element repeats one of the three before it."""
        return self._runs is not _NONE

    @property
    def round(self) -> int:
        """The round of the last element; 0 without any."""
        return self._window[0].round if self._window else 0

    def add(self, element: Element) -> None:
        """Take the next element."""
        window = self._window
        if window and window[0].round == element.round:
            element, earlier, before = window[0].joined(element), window[1:], self._before
        else:
            earlier, before = window[:LONGEST], self._runs
            self._before = before
            if before is _NONE:
                self.is_told = False
        self._window = (element, *earlier)
        mark = element.mark
        for other in earlier:
            if other.mark == mark:
                self._runs = self._counted(element, earlier, before)
                return
        self._runs = _NONE

    def _counted(self, element: Element, earlier: tuple[Element, ...], before: tuple[int, ...]) -> tuple[int, ...]:
        runs, begun = [0] * LONGEST, list(self._begun)
        for place, other in enumerate(earlier):
            if element.repeats(other):
                if not before[place]:
                    begun[place] = other.spent
                runs[place] = before[place] + 1
        self._begun = tuple(begun)
        return tuple(runs) if any(runs) else _NONE

    def found(self, limit: int) -> int:
        """The length of the cycle that was gone through ``limit`` times or more; 0 for none."""
        if self._runs is not _NONE:
            for place, run in enumerate(self._runs):
                if run >= (place + 1) * (limit - 1):
                    return place + 1
        return 0

    def repeats(self, length: int) -> int:
        """How often a cycle of this length was gone through by now."""
        return self._runs[length - 1] // length + 1

    def cycle(self, length: int) -> tuple[str, ...]:
        """What the elements of the cycle are called, in the order in which they came."""
        return tuple(element.label for element in reversed(self._window[:length]))

    def spent_before(self, length: int) -> Spent:
        """What had been spent when the cycle began."""
        return self._begun[length - 1]
