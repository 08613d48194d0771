"""Samplers by the names of ``OTEL_TRACES_SAMPLER``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_dev_squad.guard import report

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["SAMPLERS", "build_sampler", "check_sampler"]

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
"""The allowed names."""


def check_sampler(sampler: Any, ratio: Any) -> None:
    """Raise ``ValueError`` for a sampler or ratio that can't work. Needs no SDK."""
    if isinstance(sampler, (int, float)) and not isinstance(sampler, bool):
        if ratio is not None:
            raise ValueError(f"sampler={sampler!r} is a ratio already; leave sample_ratio={ratio!r} out")
        sampler, ratio = "parentbased_traceidratio", sampler
    if isinstance(sampler, str):
        if sampler.strip().lower() not in SAMPLERS:
            raise ValueError(
                f"unknown sampler {sampler!r}; allowed: {', '.join(map(repr, SAMPLERS))}, a ratio such as 0.1, "
                "or an OpenTelemetry sampler object"
            )
        if ratio is not None and "ratio" not in sampler.lower():
            raise ValueError(f"sampler {sampler!r} takes no ratio; use 'parentbased_traceidratio' or leave it out")
    elif sampler is None:
        if ratio is not None:
            raise ValueError(f"sample_ratio={ratio!r} needs sampler='parentbased_traceidratio' or 'traceidratio'")
    elif not hasattr(sampler, "should_sample"):
        raise ValueError(f"sampler={sampler!r} is neither a name, a ratio nor an OpenTelemetry sampler object")
    if ratio is not None and not (isinstance(ratio, (int, float)) and 0 <= ratio <= 1):
        raise ValueError(f"sampling ratio {ratio!r} is not between 0 and 1; write 0.1 to keep every tenth trace")


def build_sampler(sampler: Any, ratio: float | None) -> Sampler | None:
    """The sampler object; ``None`` leaves the choice to the ``OTEL_TRACES_SAMPLER`` variables, as the SDK does."""
    check_sampler(sampler, ratio)
    if sampler is None or hasattr(sampler, "should_sample"):
        return sampler  # type: ignore[no-any-return]
    from opentelemetry.sdk.trace import sampling

    if not isinstance(sampler, str):
        return sampling.ParentBasedTraceIdRatio(float(sampler))
    name = sampler.strip().lower()
    if "ratio" not in name:
        return {
            "always_on": sampling.ALWAYS_ON,
            "always_off": sampling.ALWAYS_OFF,
            "parentbased_always_on": sampling.DEFAULT_ON,
            "parentbased_always_off": sampling.DEFAULT_OFF,
        }[name]
    make = sampling.ParentBasedTraceIdRatio if name.startswith("parentbased") else sampling.TraceIdRatioBased
    return make(_ratio_from_environment() if ratio is None else float(ratio))


def _ratio_from_environment() -> float:
    import os

    value = os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1.0")
    try:
        ratio = float(value)
    except ValueError:
        ratio = -1.0
    if 0 <= ratio <= 1:
        return ratio
    message = f"OTEL_TRACES_SAMPLER_ARG={value!r} is not between 0 and 1; write 0.1 for every tenth trace"
    report("reading OTEL_TRACES_SAMPLER_ARG", ValueError(message))
    return 1.0
