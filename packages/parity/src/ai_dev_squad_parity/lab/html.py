"""A run of the lab as one HTML file: nothing is loaded, no script is needed, dark and light, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ai_dev_squad_dashboard.lab_results import LabCell, LabNode, LabResult, LabScenario
from ai_dev_squad_parity.lab.report import (
    FRAMEWORK_NAMES,
    MARKS,
    MEASURES,
    frameworks_of,
    heading,
    quantity,
    summary,
)

__all__ = ["standalone"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --soft: #f3f4f6; --line: #d0d7de; --dim: #59636e;
  --good: #116329; --bad: #a40e26; --some: #7a4d00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #161b22; --line: #3d444d;
  --dim: #9198a1; --good: #56d364; --bad: #ff7b72; --some: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 90rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
a { color: inherit; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .75rem 0 .25rem; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
thead th { background: var(--soft); }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto;
  font: 12.5px/1.45 ui-monospace, monospace; margin: .25rem 0; }
.side { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.side > * { min-width: 0; }
.passes { color: var(--good); } .fails { color: var(--bad); } .cannot { color: var(--some); } .dim { color: var(--dim); }
summary { cursor: pointer; font-weight: 600; padding: .4rem 0; }
details { border-top: 1px solid var(--line); }
ul.tree, ul.tree ul { list-style: none; padding-left: 1rem; margin: 0; border-left: 1px solid var(--line); }
"""


def standalone(matrix: LabResult) -> str:
    """The page. Everything that a program or a model said is escaped."""
    body = "\n".join([*_front(matrix), *_verdicts(matrix), *_measures(matrix), *_scenarios(matrix)])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Parity matrix, {escape(matrix.created)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _front(matrix: LabResult) -> Iterator[str]:
    machine = ", ".join(f"{escape(str(key))} {escape(str(value))}" for key, value in matrix.machine.items())
    yield f"<h1>Parity matrix</h1><p><strong>{escape(summary(matrix))}</strong></p>"
    yield (
        f'<p class="dim">{escape(matrix.created)} · observer {escape(matrix.observer)} · model server '
        f"{escape(matrix.model_server)} · {matrix.repeat} repeats · {machine}</p>"
    )


def _verdicts(matrix: LabResult) -> Iterator[str]:
    frameworks = frameworks_of(matrix)
    yield '<div class="wide"><table><caption>Verdicts</caption><thead><tr><th scope="col">Scenario</th>'
    yield "".join(f'<th scope="col">{escape(heading(matrix, name))}</th>' for name in frameworks)
    yield "</tr></thead><tbody>"
    for scenario in matrix.scenarios:
        cells = [matrix.cell(scenario.name, framework) for framework in frameworks]
        columns = "".join(f"<td>{_verdict(cell)}</td>" if cell else "<td></td>" for cell in cells)
        yield f'<tr><th scope="row"><a href="#{_anchor(scenario.name)}">{escape(scenario.title)}</a></th>{columns}</tr>'
    yield "</tbody></table></div>"


def _verdict(cell: LabCell) -> str:
    kind = cell.verdict if cell.verdict in {"passes", "fails"} else "cannot"
    return f'<span class="{kind}">{MARKS[cell.verdict]} {escape(cell.verdict)}</span>'


def _measures(matrix: LabResult) -> Iterator[str]:
    frameworks = frameworks_of(matrix)
    for name, title in MEASURES.items():
        if not any(name in cell.measures for cell in matrix.cells):
            continue
        yield f'<details><summary>{escape(title[0].upper() + title[1:])}</summary><div class="wide"><table><thead><tr>'
        yield '<th scope="col">Scenario</th>'
        yield "".join(f'<th scope="col">{escape(FRAMEWORK_NAMES.get(f, f))}</th>' for f in frameworks)
        yield "</tr></thead><tbody>"
        for scenario in matrix.scenarios:
            cells = [matrix.cell(scenario.name, framework) for framework in frameworks]
            values = [cell.measures.get(name) if cell else None for cell in cells]
            columns = "".join(f"<td>{escape(quantity(value)) if value else ''}</td>" for value in values)
            yield f'<tr><th scope="row">{escape(scenario.title)}</th>{columns}</tr>'
        yield "</tbody></table></div></details>"
    yield (
        '<p class="dim">Medians; in brackets the 95 % bootstrap interval of the median, where repeats differ. Where '
        "intervals overlap, neither is better.</p>"
    )


def _scenarios(matrix: LabResult) -> Iterator[str]:
    for scenario in matrix.scenarios:
        yield f'<h2 id="{_anchor(scenario.name)}">{escape(scenario.title)}</h2><p>{escape(scenario.purpose)}</p>'
        cells = [cell for cell in matrix.cells if cell.scenario == scenario.name]
        yield '<div class="side">'
        yield from (_evidence(matrix, cell) for cell in cells)
        yield "</div>"
        yield from _programs(scenario)


def _evidence(matrix: LabResult, cell: LabCell) -> str:
    parts = [f"<section><h3>{escape(heading(matrix, cell.framework))}: {_verdict(cell)}</h3>"]
    if cell.reason:
        source = f' (<a href="{escape(cell.source)}">source</a>)' if cell.source.startswith("https://") else ""
        parts.append(f"<p>{escape(cell.reason)}{source}</p>")
    if cell.note:
        parts.append(f'<p class="dim">{escape(cell.note)}</p>')
    if cell.checks:
        rows = "".join(
            f"<tr><td>{'✓' if check.ok else '✗'} {escape(check.name)}</td><td>{escape(check.captured)}</td>"
            f"<td>{escape(check.truth)}</td><td>{escape(check.detail)}</td></tr>"
            for check in cell.checks
        )
        parts.append(
            '<details><summary>Captured against truth</summary><div class="wide"><table><thead><tr><th>Check</th>'
            f"<th>Captured</th><th>Truth</th><th>What is wrong</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
        )
    if cell.tree:
        parts.append(f"<details><summary>Spans</summary>{_tree(cell.tree)}</details>")
    if cell.output:
        parts.append(f"<details><summary>What it printed</summary><pre>{escape(cell.output)}</pre></details>")
    return "".join([*parts, "</section>"])


def _tree(nodes: tuple[LabNode, ...]) -> str:
    items = "".join(
        f"<li>{escape(node.operation)} <strong>{escape(node.name)}</strong> "
        f'<span class="dim">{escape(node.status)}, {node.duration_ms:.1f} ms</span>'
        f"{_tree(node.children) if node.children else ''}</li>"
        for node in nodes
    )
    return f'<ul class="tree">{items}</ul>'


def _programs(scenario: LabScenario) -> Iterator[str]:
    yield '<details><summary>The programs, side by side</summary><div class="side">'
    for framework in sorted(scenario.programs, key=lambda name: [*FRAMEWORK_NAMES, name].index(name)):
        name = escape(FRAMEWORK_NAMES.get(framework, framework))
        yield f"<div><h3>{name}</h3><pre>{escape(scenario.programs[framework])}</pre></div>"
    yield f"<div><h3>What they share</h3><pre>{escape(scenario.spec)}</pre></div></div></details>"


def _anchor(name: str) -> str:
    return escape(f"scenario-{name}")
