"""From token counts to money.

All arithmetic is in whole picodollars. A float appears once, when the result is handed out; it is the float nearest to
the exact amount.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

from ai_dev_squad.costs.money import PICO
from ai_dev_squad.schema import Cost, Usage

__all__ = ["FREE", "MODALITIES", "Part", "Price", "Rates", "UnknownPrice", "disjoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Picodollars per token. ``None`` means "no price of its own": the tokens then cost what the whole costs.

    For audio and images that holds only where ``Price.covers`` says so. The last three are per piece: what a provider
    bills beside the tokens.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    cache_audio_read: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    cache_image_read: int | None = None
    reasoning_output: int | None = None
    request: int | None = None
    """Each call."""
    web_search: int | None = None
    file_search: int | None = None

    def per_token(self) -> _Tokens:
        """The rate of each disjoint kind of token."""
        whole_in, whole_out = self.input or 0, self.output or 0
        read = whole_in if self.cache_read is None else self.cache_read
        written = whole_in if self.cache_write is None else self.cache_write
        return _Tokens(
            input=whole_in,
            cache_read=read,
            cache_write=written,
            cache_write_1h=written if self.cache_write_1h is None else self.cache_write_1h,
            audio_input=whole_in if self.audio_input is None else self.audio_input,
            cache_audio_read=read if self.cache_audio_read is None else self.cache_audio_read,
            image_input=whole_in if self.image_input is None else self.image_input,
            cache_image_read=read if self.cache_image_read is None else self.cache_image_read,
            output=whole_out,
            audio_output=whole_out if self.audio_output is None else self.audio_output,
            image_output=whole_out if self.image_output is None else self.image_output,
            reasoning_output=whole_out if self.reasoning_output is None else self.reasoning_output,
        )


FREE = Rates(input=0, output=0, web_search=0, file_search=0)
"""What runs on the user's own machine: nothing of it is billed."""


class _Tokens(NamedTuple):
    """Something for each disjoint kind of token: the first eight add up to the input, the other four to the output."""

    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    audio_input: int
    cache_audio_read: int
    image_input: int
    cache_image_read: int
    output: int
    audio_output: int
    image_output: int
    reasoning_output: int

    def differences(self) -> tuple[int, int, int, int, int, int]:
        """Of rates: the base rates, and what a token costs more that was cached, written, kept for an hour or thought."""
        return (
            self.input,
            self.cache_read - self.input,
            self.cache_write - self.input,
            self.cache_write_1h - self.cache_write,
            self.output,
            self.reasoning_output - self.output,
        )


def disjoint(usage: Usage) -> _Tokens:
    """The tokens of a call, each in exactly one kind: ``input`` and ``output`` are what no subset claims.

    Subsets that exceed their whole raise it, because those tokens were seen. Where nobody says how many cached tokens are
    audio, and cached, audio and image tokens together exceed the input, the overlap is cached audio, then cached images.
    Negative counts are taken as 0.
    """
    whole_in = max(0, usage.input_tokens or 0)
    read = max(0, usage.cache_read_input_tokens or 0)
    kept = max(0, usage.cache_write_1h_input_tokens or 0)
    written = max(0, usage.cache_write_input_tokens or 0, kept)
    heard = max(0, usage.audio_input_tokens or 0)
    seen = max(0, usage.image_input_tokens or 0)
    whole_out = max(0, usage.output_tokens or 0)
    said = max(0, usage.audio_output_tokens or 0)
    drawn = max(0, usage.image_output_tokens or 0)
    thought = max(0, usage.reasoning_output_tokens or 0)
    whole_in = max(whole_in, read + written, heard + seen)
    told = min(max(0, usage.cache_read_audio_input_tokens or 0), heard, read)
    rest = whole_in - read - written - heard - seen + told
    twice = max(0, -rest)
    heard_twice = told + min(twice, heard - told)
    heard_again = min(heard_twice, read)
    seen_twice = twice - (heard_twice - told)
    seen_again = min(seen_twice, read - heard_again)
    whole_out = max(whole_out, said + drawn, thought)
    thought = min(thought, whole_out - said - drawn)
    return _Tokens(
        input=max(0, rest),
        cache_read=read - heard_again - seen_again,
        cache_write=written - kept,
        cache_write_1h=kept,
        audio_input=heard - heard_twice,
        cache_audio_read=heard_again,
        image_input=seen - seen_twice,
        cache_image_read=seen_again,
        output=whole_out - said - drawn - thought,
        audio_output=said,
        image_output=drawn,
        reasoning_output=thought,
    )


MODALITIES = frozenset({"audio_input", "audio_output", "image_input", "image_output"})
"""The kinds of token that are not text."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a cost: so many tokens at one rate."""

    tokens: int
    usd_per_mtok: float
    usd: float


_UNCOUNTED = Cost(usd=None, reason="the tokens of this call were not counted")
_KEPT_NOTE = "no price is known for cache writes that live for an hour; this is the price of those of five minutes"


class Price:
    """The price of one model at one moment, found and compiled: ``cost(usage)`` is all that is left to do."""

    __slots__ = (
        "_fast",
        "_fast_steps",
        "_gap",
        "_kept_note",
        "_per_token",
        "_steps",
        "context_window",
        "covers",
        "date",
        "dated",
        "label",
        "note",
        "rates",
        "searched_once",
        "since",
        "source",
        "tiers",
        "until",
        "url",
    )

    def __init__(
        self,
        label: str,
        rates: Rates,
        *,
        source: str,
        date: str | None = None,
        tiers: tuple[tuple[int, Rates], ...] = (),
        context_window: int | None = None,
        url: str | None = None,
        note: str | None = None,
        since: float = -math.inf,
        until: float = math.inf,
        covers: frozenset[str] = MODALITIES,
        searched_once: bool = False,
    ) -> None:
        self.label = label
        """The price as ``provider/model``, with ``@tier`` when a service tier has its own."""
        self.rates = rates
        self.tiers = tiers
        """``(more input tokens than, rates)``, ascending: the rates of long prompts, for all tokens of the call."""
        self.source = source
        self.date = date
        """The day (ISO) the price was read from its source."""
        self.url = url
        """The page on which the provider publishes it."""
        self.context_window = context_window
        self.note = note
        """What the reader of a cost should know, such as a service tier without a price of its own."""
        self.since = since
        self.until = until
        """Seconds since the epoch between which this price holds."""
        self.covers = covers
        """Of ``audio_input``, ``audio_output``, ``image_input`` and ``image_output``: those that cost what text costs.
        The others are unknown, unless they have a rate of their own."""
        self.searched_once = searched_once
        """Whether a call that searches the web costs one search, however often it did."""
        self.dated = until != math.inf or since != -math.inf
        self._per_token = rates.per_token()
        self._steps = tuple((start, step, step.per_token()) for start, step in reversed(tiers))
        self._fast = self._per_token.differences()
        self._fast_steps = tuple((start, per_token.differences()) for start, _, per_token in self._steps)
        fees = bool(rates.request) or any(step.request for _, step in tiers)
        self._gap = fees or rates.input is None or rates.output is None
        kept_alike = rates.cache_write is None or rates.cache_write_1h is not None or covers == MODALITIES
        self._kept_note = note if kept_alike else _KEPT_NOTE

    def cost(self, usage: Usage) -> Cost:
        """What the call cost. ``usd`` is ``None`` when the tokens were not counted or have no price; never raises.

        ``price`` is named also where only the count of one side is missing. Searches without a price, and sound that is billed by
        its length, are left out, and ``reason`` says so.
        """
        try:
            whole_in, whole_out = usage.input_tokens, usage.output_tokens
            kept = usage.cache_write_1h_input_tokens or 0
            if (
                self._gap
                or whole_in is None
                or whole_out is None
                or usage.audio_input_tokens
                or usage.audio_output_tokens
                or usage.image_input_tokens
                or usage.image_output_tokens
                or usage.web_searches
                or usage.file_searches
                or usage.audio_input_seconds
            ):
                return self._unknown(usage) or self._whole(usage)
            read = usage.cache_read_input_tokens or 0
            written = usage.cache_write_input_tokens or 0
            thought = usage.reasoning_output_tokens or 0
            # Or-ing integers gives a negative number exactly when one of them is negative.
            if ((whole_in - read - written) | read | (written - kept) | kept | (whole_out - thought) | thought) < 0:
                pico = self._sum(usage)
            else:
                # Whole numbers at the base rate, each subset only the difference to it: the same sum, sooner.
                base_in, less_read, more_written, more_kept, base_out, more_thought = self._fast
                for start, fast in self._fast_steps:
                    if whole_in > start:
                        base_in, less_read, more_written, more_kept, base_out, more_thought = fast
                        break
                pico = (
                    whole_in * base_in
                    + read * less_read
                    + written * more_written
                    + kept * more_kept
                    + whole_out * base_out
                    + thought * more_thought
                )
            return self._priced(pico, self._kept_note if kept else self.note)
        except (TypeError, ValueError, OverflowError) as error:
            return Cost(usd=None, reason=f"the token counts are not whole numbers ({error}): set Usage from integers")

    def parts(self, usage: Usage) -> dict[str, Part]:
        """The cost part by part, tokens and rate of each; they add up to the whole. Kinds without tokens are left out.

        Raises ``TypeError`` for token counts that are not numbers.
        """
        tokens = disjoint(usage)
        rates, request = self._at(tokens)
        pieces = self._pieces(usage)
        parts = {
            kind: Part(count, rate / 1_000_000, count * rate / PICO)
            for kind, count, rate in zip(_Tokens._fields, tokens, rates, strict=True)
            if count
        }
        if request:
            parts["request"] = Part(0, 0.0, request / PICO)
        parts |= {kind: Part(0, 0.0, count * rate / PICO) for kind, count, rate in pieces if rate}
        return parts

    def _whole(self, usage: Usage) -> Cost:
        """The cost of a call with more than text in it."""
        unpriced = " and ".join(
            f"{kind.replace('_', ' ')} ({count})" for kind, count, rate in self._pieces(usage) if rate is None
        )
        note = self._kept_note if usage.cache_write_1h_input_tokens else self.note
        return self._priced(
            self._sum(usage), f"without {unpriced}, which has no price in the list" if unpriced else note
        )

    def _pieces(self, usage: Usage) -> list[tuple[str, int, int | None]]:
        """``(kind, how many, picodollars of each)`` of what is billed by the piece."""
        searches = usage.web_searches or 0
        searches = min(searches, 1) if self.searched_once else searches
        kinds = (
            ("web_search", searches, self.rates.web_search),
            ("file_search", usage.file_searches or 0, self.rates.file_search),
            ("audio_second", usage.audio_input_seconds or 0, None),
        )
        return [(kind, count, rate) for kind, count, rate in kinds if count > 0]

    def _priced(self, pico: int, reason: str | None) -> Cost:
        return Cost(
            usd=pico / PICO,
            price=self.label,
            price_date=self.date,
            price_source=self.source,
            reason=reason,
        )

    def _sum(self, usage: Usage) -> int:
        tokens = disjoint(usage)
        rates, request = self._at(tokens)
        tokens_pico: int = sum(map(mul, tokens, rates))
        return tokens_pico + request + sum(count * (rate or 0) for _, count, rate in self._pieces(usage))

    def _at(self, tokens: _Tokens) -> tuple[_Tokens, int]:
        """The rates for a call of this size, and the price of the call itself."""
        if self._steps:
            size = sum(tokens[:8])
            for start, step, per_token in self._steps:
                if size > start:
                    return per_token, step.request or 0
        return self._per_token, self.rates.request or 0

    def _unknown(self, usage: Usage) -> Cost | None:
        """Why there is no amount, if there is none: nobody counted the tokens, or they have no price."""
        rates = self.rates
        sides = (("input", rates.input, usage.input_tokens), ("output", rates.output, usage.output_tokens))
        if usage.input_tokens is None and usage.output_tokens is None:
            return _UNCOUNTED
        for side, rate, tokens in sides:
            if tokens is None and rate:
                return self._uncounted(side)
        missing = [side for side, rate, tokens in sides if rate is None and tokens]
        missing += [
            kind.replace("_", " ")
            for kind in ("audio_input", "audio_output", "image_input", "image_output")
            if kind not in self.covers and getattr(usage, f"{kind}_tokens") and getattr(rates, kind, None) is None
        ]
        if not missing:
            return None
        return Cost(
            usd=None,
            reason=f"the price list has no price of {self.label} for {' and '.join(missing)} tokens; give one with "
            f"add_pricing_model(ModelPricing(...))",
        )

    def _uncounted(self, side: str) -> Cost:
        return Cost(
            usd=None,
            price=self.label,
            price_date=self.date,
            price_source=self.source,
            reason=f"the {side} tokens of this call were not counted; have the provider report its usage, such as with "
            f"stream_options={{'include_usage': True}}",
        )


class UnknownPrice:
    """No price, and why. It answers like a ``Price``, with ``usd=None`` and the reason."""

    __slots__ = ("_cost", "dated", "label", "reason", "since", "until")

    def __init__(self, label: str, reason: str, *, until: float = math.inf) -> None:
        self.label = label
        self.reason = reason
        self.since, self.until = -math.inf, until
        self.dated = until != math.inf
        self._cost = Cost(usd=None, reason=reason)

    def cost(self, usage: Usage) -> Cost:
        """``Cost(usd=None, reason=…)``: never 0."""
        return self._cost
