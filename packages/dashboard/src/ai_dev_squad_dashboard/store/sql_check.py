"""Whether a question in SQL may be asked: what DuckDB's own parser makes of it is looked at, node by node.

All that is not known to be harmless is refused: statements, tables, functions and kinds of expressions alike. So what a later
DuckDB adds is refused as well until it is named here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import duckdb

from .sql_answers import MAX_SQL, SqlError
from .sql_views import VIEWS

__all__ = ["FUNCTIONS", "check"]

_MOST_GROWING: Final = 12

FUNCTIONS: Final[frozenset[str]] = frozenset(
    (
        # what counts and adds up
        "count count_star count_if sum fsum avg mean min max median mode product any_value first last arg_min arg_max min_by max_by "
        "bool_and bool_or quantile quantile_cont quantile_disc approx_quantile approx_count_distinct stddev stddev_pop stddev_samp "
        "var_pop var_samp variance corr covar_pop covar_samp skewness kurtosis entropy histogram string_agg group_concat listagg list "
        "array_agg "
        # over windows
        "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value "
        # numbers
        "+ - * / // % ** ^ abs ceil ceiling floor round trunc sign sqrt ln log log2 log10 exp pow power mod greatest least isnan isfinite "
        # texts
        "|| ~~ !~~ ~~* !~~* like_escape ilike_escape not_like_escape not_ilike_escape concat concat_ws lower upper length len strlen "
        "substring substr left right trim ltrim rtrim contains starts_with ends_with prefix suffix position instr strpos split_part "
        "string_split regexp_matches regexp_full_match regexp_extract replace reverse md5 hash strip_accents "
        # times
        "date_trunc date_part datepart date_diff datediff date_add date_sub age year quarter month week day dayofweek isodow dayofyear "
        "hour minute second millisecond epoch epoch_ms epoch_us make_timestamp make_date to_timestamp strftime strptime time_bucket now "
        "get_current_timestamp current_date today to_days to_hours to_minutes to_seconds to_weeks to_months to_milliseconds "
        # JSON, lists, structures
        "-> ->> json_extract json_extract_string json_extract_path json_extract_path_text json_keys json_array_length json_type "
        "json_valid json_exists json_value list_value list_contains list_extract list_distinct list_sort list_sum list_avg list_min "
        "list_max list_filter list_transform list_apply array_length array_extract struct_pack struct_extract row unnest "
        # what is there
        "coalesce ifnull nullif if typeof"
    ).split()
)
"""The functions that may be called. None reads a file, reaches out, tells of the machine or makes much of little."""

_TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series"})
_GROWING: Final = frozenset(
    {"||", "concat", "concat_ws", "replace", "string_agg", "group_concat", "listagg", "list", "array_agg"}
)
"""Functions whose answer may be longer than what they were given: not too many of them, one inside the other."""
_TABLES: Final = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "EXPRESSION_LIST", "EMPTY", "TABLE_FUNCTION"})
_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE"})
_CLASSES: Final = frozenset(
    {
        "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "LAMBDA",
        "LAMBDA_REF", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW",
    }
)  # fmt: skip


def check(cursor: duckdb.DuckDBPyConnection, question: str) -> frozenset[str]:
    """The views that a question reads. Raises ``SqlError`` for one that is not a single harmless SELECT."""
    if len(question) > MAX_SQL:
        raise SqlError(f"the question has {len(question):,} characters; use at most {MAX_SQL:,}")
    if "\0" in question:
        raise SqlError("the question has a NUL character; remove it")
    try:
        answer = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [question]).fetchall()[0][0]
        parsed = json.loads(answer)
    except (duckdb.Error, ValueError, RecursionError) as error:
        raise SqlError(f"the question cannot be read: {_line(error)}") from None
    if parsed.get("error"):
        raise SqlError(_explained(str(parsed.get("error_message", ""))))
    statements = parsed["statements"]
    if len(statements) != 1:
        raise SqlError(f"there are {len(statements)} statements; ask one question at a time")
    return _Look(statements[0]).views


class _Look:
    """One statement, looked through."""

    def __init__(self, statement: Any) -> None:
        self._own = frozenset(_names_of_parts(statement))
        self._growing = 0
        found: set[str] = set()
        try:
            for node in _nodes(statement):
                self._node(node, found)
        except RecursionError:
            raise SqlError("the question is nested too deep; write it flatter") from None
        self.views = frozenset(found)

    def _node(self, node: dict[str, Any], found: set[str]) -> None:
        kind = node.get("type")
        if "class" in node:
            self._expression(node)
        elif "cte_map" in node or (isinstance(kind, str) and kind.endswith("_NODE")):
            if kind not in _NODES:
                raise SqlError(f"{_words(kind)} is not allowed; use SELECT with joins, subqueries, WITH and UNION")
        elif "sample" in node and "query_location" in node:
            if kind not in _TABLES:
                raise SqlError(
                    f"{_words(kind)} is not allowed; the page and the reference list the views and their columns"
                )
            if kind == "BASE_TABLE":
                self._table(node, found)
            if kind == "TABLE_FUNCTION" and node.get("function", {}).get("function_name") not in _TABLE_FUNCTIONS:
                name = node.get("function", {}).get("function_name")
                raise SqlError(f"{str(name)[:60]!r} is no view; ask of {', '.join(VIEWS)}")

    def _table(self, node: dict[str, Any], found: set[str]) -> None:
        name = str(node.get("table_name", ""))
        path = (node.get("qualified_name") or {}).get("path", [name])
        if node.get("schema_name") or node.get("catalog_name") or len(path) != 1 or node.get("at_clause"):
            raise SqlError(f"{name[:60]!r} is named with where it is; write the view's name alone")
        if name.lower() in self._own:
            return
        if name.lower() not in VIEWS:
            raise SqlError(f"{name[:60]!r} is no view; ask of {', '.join(VIEWS)}")
        found.add(name.lower())

    def _expression(self, node: dict[str, Any]) -> None:
        kind = node["class"]
        if kind not in _CLASSES:
            raise SqlError(f"{_words(kind)} is not allowed in a question")
        if kind not in {"FUNCTION", "WINDOW"}:
            return
        name = str(node.get("function_name", "")).lower()
        if node.get("schema") or node.get("catalog") or (name not in FUNCTIONS and name not in _TABLE_FUNCTIONS):
            raise SqlError(f"the function {name[:60]!r} may not be called here; the reference lists those that may")
        if name in {"range", "generate_series"} and not node.get("of_table"):
            raise SqlError(f"{name!r} may stand behind FROM only")
        self._growing += name in _GROWING
        if self._growing > _MOST_GROWING:
            raise SqlError(f"texts or lists are put together more than {_MOST_GROWING} times; ask in several questions")


def _nodes(statement: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree. A table's function is marked as such."""
    waiting = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("type") == "TABLE_FUNCTION" and isinstance(node.get("function"), dict):
                node["function"]["of_table"] = True
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _names_of_parts(statement: Any) -> Iterator[str]:
    """The names that WITH gives."""
    for node in _nodes(statement):
        for part in (node.get("cte_map") or {}).get("map", []) if isinstance(node.get("cte_map"), dict) else []:
            yield str(part.get("key", "")).lower()


def _words(kind: Any) -> str:
    return str(kind).removesuffix("_NODE").removesuffix("_REF").replace("_", " ").upper()[:60]


def _explained(message: str) -> str:
    if "Only SELECT" in message:
        return "only SELECT is answered: nothing can be written, set, copied or explained here"
    return f"the question cannot be read: {message.splitlines()[0] if message else 'it is empty'}"


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
