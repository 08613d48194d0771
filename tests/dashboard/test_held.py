"""How what receives ends: one order for a receiver and for a dashboard, and each step is taken whatever became of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad_dashboard import DashboardSettings, ReceiverSettings, create_app, create_receiver
from ai_dev_squad_dashboard.store import open_memory_store

BRINGING = ["grpc", "queue", "store", "shared"]


class Step:
    """Stands for a part: says that it was ended, ends it, and fails if it is told to."""

    def __init__(self, said: list[str], name: str, end: Callable[..., Any], fails: bool) -> None:
        self._said, self._name, self._end, self._fails = said, name, end, fails

    def __call__(self, *arguments: Any) -> Any:
        self._said.append(self._name)
        done = self._end(*arguments)
        if self._fails:
            raise RuntimeError(self._name)
        return done


def receiver(directory: Path) -> Any:
    """What a receiver holds open."""
    settings = ReceiverSettings(db=directory / "x.duckdb", grpc_port=0, redis="redis://127.0.0.1:1/0")
    return create_receiver(settings, store=open_memory_store()).extensions["ai_dev_squad"]


def dashboard(directory: Path) -> Any:
    """What a dashboard holds open."""
    settings = DashboardSettings(
        db=directory / "x.duckdb", grpc_port=0, redis="redis://127.0.0.1:1/0", secret_key="k" * 32, logs=(directory,)
    )
    return create_app(settings, store=open_memory_store()).extensions["ai_dev_squad"]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    "make, order",
    [(receiver, BRINGING), (dashboard, ["updater", "alerting", "events", "grpc", "tail", "queue", "store", "shared"])],
)
def test_who_looks_ends_before_who_brings_and_the_store_after_all_was_written(
    make: Callable[[Path], Any], order: list[str], fails: bool, tmp_path: Path
) -> None:
    """Whatever a step does, those after it are taken, each once; what the first to fail said is raised."""
    held, said = make(tmp_path), list[str]()
    for name in order:
        part = getattr(held, name)
        end = "stop" if hasattr(part, "stop") else "close"
        setattr(part, end, Step(said, name, getattr(part, end), fails))
    if fails:
        with pytest.raises(RuntimeError):
            held.close()
    else:
        held.close()
    held.close()
    assert said == order
