"""A store is opened by the path of a file, or by a URL whose scheme names an engine."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import StoreError, open_memory_store, open_store


@pytest.mark.parametrize("url", ["duckdb:///new/own.duckdb", "DuckDB:///new/own.duckdb", "new/own.duckdb"])
def test_a_url_with_three_slashes_names_a_file_from_here(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a plain path does."""
    monkeypatch.chdir(tmp_path)
    store = open_store(url)
    try:
        assert store.state().path == str(Path("new/own.duckdb"))
    finally:
        store.close()
    assert (tmp_path / "new/own.duckdb").is_file()


def test_a_url_with_four_slashes_names_a_file_from_the_root(tmp_path: Path) -> None:
    """And what is escaped in it is part of the name."""
    store = open_store(f"duckdb:///{tmp_path}/a%20b.duckdb")
    store.close()
    assert (tmp_path / "a b.duckdb").is_file()


@pytest.mark.parametrize("url", ["duckdb://host/x.duckdb", "duckdb://", "duckdb:///"])
def test_a_url_of_a_file_without_one_is_refused(url: str) -> None:
    """The message says how it is written."""
    with pytest.raises(StoreError, match=r"use duckdb:///logs/dashboard\.duckdb"):
        open_store(url)


def test_an_engine_that_is_not_installed_is_named_with_the_cure_and_without_the_password() -> None:
    """What is installed is told as well."""
    with pytest.raises(StoreError) as told:
        open_store("oracle://ann:secret@db:1521/squad")
    assert "secret" not in str(told.value)
    assert "store 'oracle://ann:…@db:1521/squad' is of an engine that is not installed" in str(told.value)
    assert "duckdb" in str(told.value)


def test_a_third_engine_is_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point named as the scheme is asked with the whole URL."""
    asked: list[Any] = []

    def open_own(url: str, **options: Any) -> Any:
        asked.append((url, options))
        return open_memory_store()

    class Point(metadata.EntryPoint):
        def load(self) -> Any:
            return open_own

    def points(group: str) -> list[metadata.EntryPoint]:
        return [Point("own", "x:y", group)] if group == "ai_dev_squad.stores" else []

    monkeypatch.setattr(metadata, "entry_points", points)
    open_store("own://a/b?c=d", memory_limit_mib=7).close()
    assert asked == [("own://a/b?c=d", {"memory_limit_mib": 7})]


def test_the_setting_of_a_store_stands_before_that_of_a_file_and_hides_its_password() -> None:
    """A file that is an argument stands before what the environment says."""
    environ = {"DASHBOARD_STORE": "clickhouse://ann:secret@box:8123/squad", "DASHBOARD_DB": "own.duckdb"}
    settings = DashboardSettings.from_environment(environ)
    assert (settings.place, settings.place_shown) == (environ["DASHBOARD_STORE"], "clickhouse://ann:…@box:8123/squad")
    assert settings.db == Path("own.duckdb")
    assert "secret" not in repr(settings)
    assert DashboardSettings.from_environment(environ, db=Path("other.duckdb")).place == Path("other.duckdb")
    with pytest.raises(ValueError, match=r"store 'own\.duckdb' is no URL"):
        DashboardSettings.from_environment({"DASHBOARD_STORE": "own.duckdb"})
