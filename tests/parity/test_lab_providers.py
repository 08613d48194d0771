"""The table of providers: what is asked of each, and what its cells say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.lab_results import load_providers
from ai_dev_squad_parity.lab.command import main
from ai_dev_squad_parity.providers import spec
from ai_dev_squad_parity.providers.clients import with_providers


@pytest.mark.parametrize("framework", with_providers())
def test_a_framework_says_of_each_provider_how_it_is_asked(framework):
    """It has a client, or says why not, for each row of the table, in the table's order."""
    source = Path(spec.__file__).with_name(f"on_{framework}.py").read_text()
    tables = [node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
    (clients,) = (node.value for node in tables if isinstance(node.target, ast.Name) and node.target.id == "CLIENTS")
    assert [key.value for key in clients.keys] == [*spec.PROVIDERS]
    assert all(value.func.id in {"Client", "Cannot"} for value in clients.values)


@pytest.mark.parametrize("framework", with_providers())
def test_what_a_framework_cannot_has_a_public_page_of_its_own(framework):
    """Each reason names the page that says so, and no page stands for two."""
    source = Path(spec.__file__).with_name(f"on_{framework}.py").read_text()
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    said = [node.args for node in calls if isinstance(node.func, ast.Name) and node.func.id == "Cannot"]
    pages = [ast.literal_eval(page) for _, page in said]
    assert len({*pages}) == len(pages) == {"autogen": 3, "pydantic_ai": 1, "agent_framework": 1}.get(framework, 0)
    assert all(page.startswith("https://") for page in pages)


def test_plain_and_streamed_are_what_was_billed(tmp_path, capsys):
    """OpenAI through the clients of every framework: calls, tokens, the cost in the flex tier; and where to look."""
    assert main(["run", "--provider", "openai", "--jobs", "2", "--output", str(tmp_path)]) == 0

    table = load_providers(tmp_path / "providers.json")
    assert [(cell.framework, cell.streamed, cell.verdict) for cell in table.cells] == [
        (framework, streamed, "passes") for framework in with_providers() for streamed in (False, True)
    ]
    for cell in table.cells:
        (captured,), (true,) = cell.captured, cell.truth
        billed = captured.input_tokens, captured.output_tokens, captured.cached_tokens, captured.reasoning_tokens
        assert billed == (1200, 160, 1024, 64)
        # gpt-5-mini in the flex tier: 0.125, 0.0125 (cached) and 1.00 USD per million tokens.
        assert captured.cost_usd == true.cost_usd == pytest.approx((176 * 0.125 + 1024 * 0.0125 + 160) / 1e6)
        assert "openai" in " ".join(cell.client)
    assert f"Written to {tmp_path / 'providers.json'}" in capsys.readouterr().out


def test_what_cannot_be_asked_is_said_and_fails_nothing(tmp_path, capsys):
    """A client that is not installed, with what to install."""
    run = ["run", "--provider", "bedrock", "--framework", "langgraph", "--output", str(tmp_path)]
    assert main(run) == 0

    cells = load_providers(tmp_path / "providers.json").cells
    said = "pip install langchain-aws, in the environment of langgraph"
    assert [(cell.verdict, cell.reason) for cell in cells] == [("not installed", said)] * 2
    assert said in capsys.readouterr().out


def test_providers_and_scenarios_are_two_runs(tmp_path, capsys):
    """Both at once is refused, with the cure."""
    assert main(["run", "plain_call", "--output", str(tmp_path), "--provider", "openai"]) == 1
    assert "--provider takes no scenarios, and 'plain_call' is one" in capsys.readouterr().err
