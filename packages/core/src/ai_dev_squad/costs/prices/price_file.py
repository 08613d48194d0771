"""A user's own prices as a JSON file, with errors that say what to write instead."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_dev_squad.costs.prices.model_pricing import ModelPricing, ModelProvider, is_name

__all__ = ["PriceFile", "read_prices", "write_prices"]

_PRICES = {
    # in the file, USD per million tokens -> in ModelPricing, USD per thousand
    "input": "input_cost_per_1k_tokens",
    "output": "output_cost_per_1k_tokens",
    "cache_read": "cache_read_cost_per_1k_tokens",
    "cache_write": "cache_write_cost_per_1k_tokens",
    "cache_write_1h": "cache_write_1h_cost_per_1k_tokens",
    "audio_input": "audio_input_cost_per_1k_tokens",
    "audio_output": "audio_output_cost_per_1k_tokens",
    "image_input": "image_input_cost_per_1k_tokens",
    "image_output": "image_output_cost_per_1k_tokens",
    "reasoning_output": "reasoning_output_cost_per_1k_tokens",
    "web_search": "web_search_cost_per_1k",
    "file_search": "file_search_cost_per_1k",
}
_PIECES = {"web_search", "file_search"}  # in both, USD per thousand
_FACTS = {"context_window", "local", "date", "source"}


@dataclass
class PriceFile:
    """The content of a price file."""

    prices: dict[str, ModelPricing] = field(default_factory=dict)
    aliases: list[tuple[str, str, str | None]] = field(default_factory=list)
    """``(name, target, provider or None)``"""
    local_providers: list[str] = field(default_factory=list)
    gateways: list[str] = field(default_factory=list)


def read_prices(path: str | os.PathLike[str]) -> PriceFile:
    """Read and check a whole file. Raises ``ValueError`` naming file, entry, value, what is allowed and the cure."""
    file = Path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"price file {str(file)!r} cannot be read ({error.strerror}); write one with export_prices"
        ) from error
    except ValueError as error:
        raise ValueError(f"price file {str(file)!r} is not JSON: {error}; mend it there") from error
    _keys(content, {"prices", "aliases", "local_providers", "gateways"}, f"price file {str(file)!r}")
    found = PriceFile()
    for key, row in _section(content, "prices", dict, file).items():
        found.prices[key] = _pricing(key, row, file)
    for row in _section(content, "aliases", list, file):
        where = f"alias {row!r} in {str(file)!r}"
        _keys(row, {"name", "target", "provider"}, where)
        for name in ("name", "target"):
            if not isinstance(row.get(name), str) or not row[name].strip():
                raise ValueError(
                    f"{where} has no {name}; write it like {{'name': 'my-deployment', 'target': 'gpt-4o'}}"
                )
        found.aliases.append((row["name"], row["target"], row.get("provider")))
    for name in _section(content, "local_providers", list, file):
        if not is_name(name):
            raise ValueError(f"local provider {name!r} in {str(file)!r} is not a name; write it like 'vllm'")
        found.local_providers.append(name)
    for address in _section(content, "gateways", list, file):
        if not is_name(address):
            raise ValueError(f"gateway {address!r} in {str(file)!r} is no address; write it like '127.0.0.1:4000'")
        found.gateways.append(address)
    return found


def write_prices(path: str | os.PathLike[str], content: PriceFile) -> None:
    """Write a file that ``read_prices`` takes. Raises ``OSError`` when it cannot be written."""
    document: dict[str, Any] = {
        "prices": {key: _row(pricing) for key, pricing in content.prices.items()},
        "aliases": [
            {"name": name, "target": target, **({} if provider is None else {"provider": provider})}
            for name, target, provider in content.aliases
        ],
        "local_providers": sorted(content.local_providers),
        "gateways": sorted(content.gateways),
    }
    Path(path).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _pricing(key: str, row: Any, file: Path) -> ModelPricing:
    where = f"price of {key!r} in {str(file)!r}"
    provider, _, model = key.partition(":")
    if not provider.strip() or not model.strip():
        raise ValueError(f"{where}: the key is not 'provider:model'; write it like 'openai:gpt-4o'")
    _keys(row, {*_PRICES, *_FACTS}, where)
    given: dict[str, Any] = {name: row[name] for name in _FACTS if name in row}
    local = given.get("local", False)
    if not isinstance(local, bool):
        raise ValueError(f"{where}: local is {local!r}; allowed: true or false")
    for name, argument in _PRICES.items():
        value = row.get(name, 0 if local and name in {"input", "output"} else None)
        if value is None and name in {"input", "output"}:
            raise ValueError(f'{where}: {name} is missing; give US dollars per million tokens, or "local": true')
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9
        ):
            raise ValueError(
                f"{where}: {name} is {value!r}; allowed: US dollars per {'thousand' if name in _PIECES else 'million tokens'}, a "
                f"number from 0 up, such as 2.5"
            )
        # Through decimals: 0.15 a million is 0.00015 a thousand, not the float beside it.
        given[argument] = None if value is None else float(f"{value / _thousands(name):.15g}")
    known = {item.value: item for item in ModelProvider}
    try:
        return ModelPricing(model, known.get(provider, provider), **given)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _row(pricing: ModelPricing) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, argument in _PRICES.items():
        value = getattr(pricing, argument)
        if value is not None:
            row[name] = float(f"{value * _thousands(name):.15g}")
    facts = {name: getattr(pricing, name) for name in sorted(_FACTS)}
    return row | {name: value for name, value in facts.items() if value not in {None, False} and value != "user"}


def _thousands(name: str) -> int:
    return 1 if name in _PIECES else 1000


def _section(content: dict[str, Any], name: str, kind: type, file: Path) -> Any:
    value = content.get(name, kind())
    if not isinstance(value, kind):
        raise ValueError(
            f"{name!r} in {str(file)!r} is {value!r}; allowed: {'an object' if kind is dict else 'a list'}"
        )
    return value


def _keys(value: Any, allowed: set[str], where: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {value!r}; allowed: an object with {', '.join(sorted(allowed))}")
    for key in value:
        if key not in allowed:
            raise ValueError(f"{where} has the unknown key {key!r}; allowed: {', '.join(sorted(allowed))}")
