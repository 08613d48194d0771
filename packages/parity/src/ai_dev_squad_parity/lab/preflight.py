"""What is looked at once before a run, so that sixty cells need not say it each: the model endpoint, the key, the cap."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from ai_dev_squad_parity.lab.runner import SCRIPTED, Plan

__all__ = ["PreflightError", "check"]

_TIMEOUT_S = 10.0


class PreflightError(ValueError):
    """A run that could not end well; the message names the cure."""


def check(plan: Plan, *, capped: bool = True) -> None:
    """Look at what all cells need. ``capped`` is false where the user wants no spending cap. Raises ``PreflightError``."""
    if plan.model_server == SCRIPTED:
        return
    _check_cap(plan, capped=capped)
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise PreflightError(
            "OPENAI_API_KEY is not set; set it to the key of the service, or to any text for a service that wants none"
        )
    _check_endpoint(plan.model_server, key)


def _check_cap(plan: Plan, *, capped: bool) -> None:
    if not capped:
        return
    if plan.cap_usd is None:
        raise PreflightError("a real model costs money; say how much at most: --cap-usd 0.50, or --no-cap")
    if plan.observer != "ours":
        raise PreflightError(f"{plan.observer} cannot hold a spending cap; use --observer ours, or --no-cap")
    from ai_dev_squad import Usage
    from ai_dev_squad.costs import CostTracker

    usage = Usage(input_tokens=1000, output_tokens=1000, source="provider")
    cost = CostTracker(prices_file=os.environ.get("AI_DEV_SQUAD_PRICES_FILE")).price(plan.model, "openai", usage)
    if cost.usd is None:
        raise PreflightError(
            f"no price of {plan.model!r} is known ({cost.reason}), so a cap cannot hold; put its price into a file and name it in "
            "AI_DEV_SQUAD_PRICES_FILE, or use --no-cap"
        )


def _check_endpoint(address: str, key: str) -> None:
    """Ask for the list of models, as every OpenAI-compatible service has one; any answer but a refusal will do."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise PreflightError(
            f"--model-server {address!r} is neither 'scripted' nor an address; write it like http://127.0.0.1:11434/v1"
        )
    request = urllib.request.Request(f"{address.rstrip('/')}/models", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in {401, 403}:
            raise PreflightError(
                f"{address} refuses the key ({error.code}); set OPENAI_API_KEY to one it knows"
            ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise PreflightError(
            f"{address} does not answer ({reason}); start the service, or correct --model-server"
        ) from None
