"""Token counts of one model call, and the rule that makes them when the script gives none."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

__all__ = ["Tokens", "count_tokens", "tokens"]

CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a model call used.

    ``input_tokens`` includes cached and audio tokens, ``output_tokens`` includes reasoning and audio tokens; the
    other fields are parts of those two, never added on top. The names are those of the journal's usage record.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 0:
                raise ValueError(f"{field.name} is {value!r}; allowed is a whole number of tokens, 0 or more")
        self._check_parts("input_tokens", ("cache_read_input_tokens", "cache_write_input_tokens"))
        self._check_parts("input_tokens", ("audio_input_tokens",))
        self._check_parts("output_tokens", ("reasoning_output_tokens", "audio_output_tokens"))

    def _check_parts(self, whole: str, parts: tuple[str, ...]) -> None:
        total = sum(getattr(self, part) for part in parts)
        if total > getattr(self, whole):
            raise ValueError(
                f"{' + '.join(parts)} is {total}, more than {whole}={getattr(self, whole)}; "
                f"they are parts of it, so raise {whole} to at least {total}"
            )

    @property
    def total_tokens(self) -> int:
        """Input plus output."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(**{name: value + getattr(other, name) for name, value in asdict(self).items()})


def tokens(
    input: int,  # noqa: A002 (the word a script reads best with)
    output: int = 0,
    *,
    cached: int = 0,
    cache_write: int = 0,
    reasoning: int = 0,
    audio_input: int = 0,
    audio_output: int = 0,
) -> Tokens:
    """``Tokens`` in a script's short form. Raises ``ValueError`` when a part exceeds its whole."""
    return Tokens(
        input_tokens=input,
        output_tokens=output,
        cache_read_input_tokens=cached,
        cache_write_input_tokens=cache_write,
        reasoning_output_tokens=reasoning,
        audio_input_tokens=audio_input,
        audio_output_tokens=audio_output,
    )


def count_tokens(text: str) -> int:
    """One token for every four characters begun: ``ceil(len(text) / 4)``."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)
