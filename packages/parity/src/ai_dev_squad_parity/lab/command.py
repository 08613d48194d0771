"""``ai-dev-squad parity`` and ``python -m ai_dev_squad_parity.lab``: run the lab, look at what it found, compare runs.

What a command needs is imported when it is called: the dashboard's command line asks every package for its parsers.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_dev_squad_parity.lab.environment_options import add_environments, with_environments
from ai_dev_squad_parity.lab.files import (
    FORMATS,
    as_format,
    providers_beside,
    write_providers,
    write_results,
    write_text,
)
from ai_dev_squad_parity.lab.move_command import add_move
from ai_dev_squad_parity.lab.observers import OBSERVERS
from ai_dev_squad_parity.lab.scenario import BUILT_IN, FRAMEWORKS, ScenarioError, columns, find_scenarios, load_scenario
from ai_dev_squad_parity.providers.clients import with_providers
from ai_dev_squad_parity.providers.spec import PROVIDERS

if TYPE_CHECKING:
    from ai_dev_squad_dashboard.lab_results import LabResult
    from ai_dev_squad_parity.lab.runner import Plan

__all__ = ["default_output", "main", "register"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command without the dashboard. Returns the exit code: 0 fine, 1 not, 2 asked wrongly."""
    parser = argparse.ArgumentParser(prog="python -m ai_dev_squad_parity.lab", description=_DESCRIPTION)
    _add_commands(parser)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return 1


def register(subparsers: Any) -> None:
    """Add ``parity`` to the command ``ai-dev-squad``: its entry point in the group ``ai_dev_squad.commands``."""
    _add_commands(
        subparsers.add_parser("parity", help="run the same scenarios on every framework", description=_DESCRIPTION)
    )


_DESCRIPTION = "The same scenario as a program in each framework, run for real and scored against what is true."


def _add_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands.add_parser("run", help="run scenarios and write what came of them"))

    new = commands.add_parser("new", help="write a scenario of your own that runs at once")
    new.add_argument("name", metavar="NAME", help="letters, digits and _")
    new.add_argument("--directory", type=Path, default=Path("scenarios"), metavar="DIR", help="default: %(default)s")
    new.set_defaults(run=_new)

    diff = commands.add_parser("diff", help="say what became worse between two runs; exit code 1 if anything did")
    diff.add_argument("old", type=Path, metavar="OLD", help="parity.json of the older run")
    diff.add_argument("new", type=Path, metavar="NEW", help="parity.json of the newer one")
    diff.add_argument("--json", action="store_true", help="print it as JSON")
    diff.set_defaults(run=_diff)

    listing = commands.add_parser("list", help="list the scenarios")
    _add_scenarios(listing)
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="show the last run, or the evidence of one cell")
    show.add_argument("scenario", nargs="?", metavar="SCENARIO")
    show.add_argument("framework", nargs="?", metavar="FRAMEWORK", choices=FRAMEWORKS)
    _add_input(show)
    show.set_defaults(run=_show)

    export = commands.add_parser("export", help="print the last run in another format")
    export.add_argument("--format", choices=FORMATS, default="markdown", help="default: %(default)s")
    export.add_argument("--file", type=Path, metavar="FILE", help="write it there instead")
    _add_input(export)
    export.set_defaults(run=_export)

    badge = commands.add_parser("badge", help="print an SVG for a README: how many cells of the last run pass")
    badge.add_argument("--framework", default="", choices=FRAMEWORKS, help="only its cells")
    badge.add_argument("--file", type=Path, metavar="FILE", help="write it there instead")
    _add_input(badge)
    badge.set_defaults(run=_badge)

    add_move(commands, _add_input, _read)


def _add_run(run: argparse.ArgumentParser) -> None:
    add = run.add_argument
    add("scenario", nargs="*", metavar="SCENARIO", help="names (`parity list`); all of them without any")
    _add_scenarios(run)
    add(
        "--framework",
        action="append",
        choices=FRAMEWORKS,
        help=f"{', '.join(FRAMEWORKS)}; repeatable (default: all that there are programs for)",
    )
    add(
        "--provider", nargs="+", default=[], metavar="NAME", choices=("all", *PROVIDERS),
        help=f"instead of scenarios, ask these providers through each framework's real clients: all, {', '.join(PROVIDERS)}",
    )  # fmt: skip
    add("--repeat", type=_count, default=0, metavar="N", help="run each N times unobserved and observed, to measure")
    add("--jobs", type=_positive, default=1, metavar="N", help="cells at a time (default: 1, the best to measure)")
    add_environments(run)
    add(
        "--model-server", default="scripted", metavar="scripted|URL",
        help="the scripted model (default), or an OpenAI-compatible service; its key is in OPENAI_API_KEY",
    )  # fmt: skip
    add("--model", default="gpt-4o-mini", metavar="NAME", help="what the model is called (default: %(default)s)")
    cap = run.add_mutually_exclusive_group()
    cap.add_argument("--cap-usd", type=_amount, metavar="X", help="with a real model: the most all of it may cost")
    cap.add_argument("--no-cap", action="store_true", help="with a real model: let it cost what it costs")
    add("--observer", choices=OBSERVERS, default="ours", help="who observes (default: %(default)s)")
    add(
        "--fresh",
        action="store_true",
        help="start each cell from nothing, instead of forking it from its imported framework",
    )
    add("--output", type=Path, metavar="DIR", help="where results go (default: parity in the journal directory)")
    add("--quiet", action="store_true", help="print only what fails")
    run.set_defaults(run=_run)


def _add_scenarios(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenarios", type=Path, default=BUILT_IN, metavar="PATH",
        help="a folder of scenarios, or one of them (default: those that come with the lab)",
    )  # fmt: skip


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="a parity.json (default: the last run)"
    )


def default_output() -> Path:
    """Where a run is written when nobody says: ``parity`` in the journal directory, where the dashboard looks for it."""
    return Path(os.environ.get("AI_DEV_SQUAD_LOG_DIR") or "logs") / "parity"


def _count(text: str) -> int:
    return int(_number(text, 0, whole=True))


def _positive(text: str) -> int:
    return int(_number(text, 1, whole=True))


def _amount(text: str) -> float:
    return _number(text, 1e-6)


def _number(text: str, least: float, *, whole: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < 1e9 or (whole and value % 1):
        kind = "whole number" if whole else "number"
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; use a {kind} from {least:g} up")
    return value


def _run(options: argparse.Namespace) -> int:
    _check_installed()
    if options.provider:
        return _run_providers(options)
    from ai_dev_squad_parity.lab import preflight, terminal
    from ai_dev_squad_parity.lab.report import succeeded
    from ai_dev_squad_parity.lab.runner import run

    plan = _plan(options)
    preflight.check(plan, capped=not options.no_cap)
    plan = with_environments(plan, options.environments, terminal.say)
    output = options.output or default_output()
    total = len(plan.scenarios) * len(plan.columns)
    if not options.quiet:
        terminal.say(f"{total} cells, {plan.jobs} at a time; results go to {output}")
    matrix = run(plan, (lambda cell: None) if options.quiet else terminal.Progress(total))
    write_results(matrix, output)
    if options.quiet:
        for cell in matrix.cells:
            if cell.verdict == "fails":
                terminal.say(f"{cell.scenario} on {cell.framework} fails: {cell.reason}", error=True)
    else:
        terminal.say(f"\n{terminal.overview(matrix)}")
        terminal.say(f"Written to {output}: JSON, Markdown, HTML, CSV, JUnit XML and a badge")
    return 0 if succeeded(matrix) and not plan.without else 1


def _run_providers(options: argparse.Namespace) -> int:
    from ai_dev_squad_parity.lab import terminal
    from ai_dev_squad_parity.lab.provider_table import run_providers
    from ai_dev_squad_parity.lab.runner import Plan

    if options.scenario:
        raise ScenarioError(
            f"--provider takes no scenarios, and {options.scenario[0]!r} is one; run them one after the other"
        )
    output = options.output or default_output()
    chosen = [name for name in PROVIDERS if "all" in options.provider or name in options.provider]
    frameworks = tuple(name for name in FRAMEWORKS if name in (options.framework or with_providers()))
    plan = Plan(
        {},
        frameworks=frameworks,
        jobs=options.jobs,
        pythons=dict(options.python),
        preload=_preloaded(options, len(chosen)),
    )
    plan = with_environments(plan, options.environments, terminal.say, providers=True)
    progress = terminal.Progress(len(chosen) * len(frameworks) * 2)
    table = run_providers(chosen, plan, (lambda cell: None) if options.quiet else progress)
    write_providers(table, output)
    terminal.say(f"\n{terminal.providers(table)}")
    terminal.say(f"Written to {output / 'providers.json'}")
    return 1 if plan.without or any(cell.verdict == "fails" for cell in table.cells) else 0


def _plan(options: argparse.Namespace) -> Plan:
    from ai_dev_squad_parity.lab.runner import Plan

    found = find_scenarios(options.scenarios)
    unknown = [name for name in options.scenario if name not in found]
    if unknown:
        raise ScenarioError(
            f"there is no scenario {unknown[0]!r} in {options.scenarios}; there are: {', '.join(found)}. Others: --scenarios PATH"
        )
    output = options.output or default_output()
    scenarios = {name: found[name] for name in dict.fromkeys(options.scenario or found)}
    return Plan(
        scenarios=scenarios,
        frameworks=tuple(name for name in FRAMEWORKS if name in (options.framework or ())),
        observer=options.observer,
        repeat=options.repeat,
        jobs=options.jobs,
        pythons=dict(options.python),
        preload=_preloaded(options, len(scenarios)),
        model_server=options.model_server,
        model=options.model,
        cap_usd=options.cap_usd,
        traces=output / "traces" / "ai_dev_squad.jsonl",
    )


def _preloaded(options: argparse.Namespace, rows: int) -> dict[str, tuple[str, ...]]:
    """A framework's single cell imports only what it needs."""
    from ai_dev_squad_parity.lab.fork_server import preloaded

    return preloaded(options.observer) if rows > 1 and not options.fresh else {}


def _check_installed() -> None:
    """The lab judges with what its extra brings; the package alone is only the scenarios."""
    try:
        import msgspec  # noqa: F401

        import ai_dev_squad_dashboard.lab_results  # noqa: F401
    except ImportError as error:
        raise ScenarioError(f"{error.name} is missing; pip install 'ai-dev-squad-parity[lab]'") from error


def _read(options: argparse.Namespace) -> LabResult:
    _check_installed()
    from ai_dev_squad_dashboard.lab_results import load

    return load(options.source or default_output() / "parity.json")


def _new(options: argparse.Namespace) -> None:
    from ai_dev_squad_parity.lab.template import write
    from ai_dev_squad_parity.lab.terminal import say

    folder = write(options.name, options.directory)
    say(f"{folder}: change spec.py and the programs, then run `ai-dev-squad parity run --scenarios {folder}`")


def _diff(options: argparse.Namespace) -> int:
    _check_installed()
    from ai_dev_squad_dashboard.lab_results import load
    from ai_dev_squad_parity.lab import diff
    from ai_dev_squad_parity.lab.terminal import say

    difference = diff.compare(load(options.old), load(options.new))
    if options.json:
        import msgspec

        say(msgspec.json.format(msgspec.json.encode(difference), indent=1).decode())
    else:
        say(diff.text(difference))
    return 1 if difference.regressions else 0


def _list(options: argparse.Namespace) -> None:
    from ai_dev_squad_parity.lab.terminal import say

    found = find_scenarios(options.scenarios)
    everywhere = columns(found.values())
    for name, folder in found.items():
        try:
            title = load_scenario(folder).title
        except (ScenarioError, ImportError) as error:
            title = f"cannot be used: {error}"
        programs = columns([folder])
        say(f"{name:<22} {title}" + ("" if programs == everywhere else f"  (only {', '.join(programs)})"))


def _show(options: argparse.Namespace) -> None:
    matrix = _read(options)
    from ai_dev_squad_parity.lab import terminal
    from ai_dev_squad_parity.lab.report import heading

    if options.scenario is None:
        terminal.say(terminal.overview(matrix))
        return
    cells = [
        cell
        for cell in matrix.cells
        if cell.scenario == options.scenario and options.framework in (None, cell.framework)
    ]
    if not cells:
        known = ", ".join(dict.fromkeys(cell.scenario for cell in matrix.cells))
        raise ScenarioError(
            f"that run has no {options.scenario!r}{f' on {options.framework}' if options.framework else ''}; it has: {known}"
        )
    terminal.say("\n\n".join(terminal.evidence(cell, heading(matrix, cell.framework)) for cell in cells))


def _export(options: argparse.Namespace) -> None:
    matrix, source = _read(options), options.source or default_output() / "parity.json"
    write_text(as_format(matrix, options.format, providers_beside(source.parent)), options.file)


def _badge(options: argparse.Namespace) -> None:
    from ai_dev_squad_parity.lab.report import badge

    write_text(badge(_read(options), options.framework), options.file)
