"""What an engine for the store is made of: the protocol, the rows that it is given, the answers that it gives, and what may be left out.

An engine of others is a package with an entry point in the group ``ai_dev_squad.stores``, named as the scheme of its URLs; the
value is a function ``open(url, *, memory_limit_mib)`` that returns a ``Store`` or raises ``StoreError``.
"""

from __future__ import annotations

from ai_dev_squad_dashboard.store import open_memory_store, open_store
from ai_dev_squad_dashboard.store.answers import (
    Choices,
    ErrorExample,
    ErrorGroup,
    Facets,
    Fingerprint,
    Found,
    Incident,
    LogPage,
    MetricName,
    SearchState,
    Session,
    SessionPage,
    StoreState,
    Trace,
    TracePage,
    TraceRow,
    User,
    UserPage,
    Written,
)
from ai_dev_squad_dashboard.store.base import (
    SETTLED_S,
    BadCursorError,
    Store,
    StoreBegunAnewError,
    StoreError,
    UnsupportedError,
)
from ai_dev_squad_dashboard.store.capabilities import CAPABILITIES, Capability, Lacks
from ai_dev_squad_dashboard.store.copying import Copied, copy_store, differences
from ai_dev_squad_dashboard.store.deletions import Deletion, Extent, Subject, SubjectKind
from ai_dev_squad_dashboard.store.extracts import Extract, Kept
from ai_dev_squad_dashboard.store.figures import FIGURE_NAMES, NANO, SUMS, Figure, FigureName, Kind
from ai_dev_squad_dashboard.store.keeping import Moving, Positions, Upkeep, Writing
from ai_dev_squad_dashboard.store.opening import GROUP
from ai_dev_squad_dashboard.store.outline import Outline, OutlineSpan
from ai_dev_squad_dashboard.store.percentiles import bin_of, percentiles, upper_us
from ai_dev_squad_dashboard.store.questions import Questions
from ai_dev_squad_dashboard.store.rows import Batch, Carried, Clash, LogRow, MetricRow, OpenRow, SpanRow
from ai_dev_squad_dashboard.store.runs import Related, Relation, Run, TaskRuns, joined
from ai_dev_squad_dashboard.store.selection import (
    DrawnBy,
    ErrorOrder,
    GroupBy,
    MarkedBy,
    NamedBy,
    OrderBy,
    Selection,
    SessionOrder,
    TraceFilters,
    TraceOrder,
    UserOrder,
)
from ai_dev_squad_dashboard.store.sql_answers import SqlAnswer, SqlError
from ai_dev_squad_dashboard.store.sums import (
    Group,
    Marked,
    Point,
    Step,
    ToolCalls,
    ToolInput,
    ToolStep,
    Totals,
    Unpriced,
)

__all__ = [
    "CAPABILITIES",
    "FIGURE_NAMES",
    "GROUP",
    "NANO",
    "SETTLED_S",
    "SUMS",
    "BadCursorError",
    "Batch",
    "Capability",
    "Carried",
    "Choices",
    "Clash",
    "Copied",
    "Deletion",
    "DrawnBy",
    "ErrorExample",
    "ErrorGroup",
    "ErrorOrder",
    "Extent",
    "Extract",
    "Facets",
    "Figure",
    "FigureName",
    "Fingerprint",
    "Found",
    "Group",
    "GroupBy",
    "Incident",
    "Kept",
    "Kind",
    "Lacks",
    "LogPage",
    "LogRow",
    "Marked",
    "MarkedBy",
    "MetricName",
    "MetricRow",
    "Moving",
    "NamedBy",
    "OpenRow",
    "OrderBy",
    "Outline",
    "OutlineSpan",
    "Point",
    "Positions",
    "Questions",
    "Related",
    "Relation",
    "Run",
    "SearchState",
    "Selection",
    "Session",
    "SessionOrder",
    "SessionPage",
    "SpanRow",
    "SqlAnswer",
    "SqlError",
    "Step",
    "Store",
    "StoreBegunAnewError",
    "StoreError",
    "StoreState",
    "Subject",
    "SubjectKind",
    "TaskRuns",
    "ToolCalls",
    "ToolInput",
    "ToolStep",
    "Totals",
    "Trace",
    "TraceFilters",
    "TraceOrder",
    "TracePage",
    "TraceRow",
    "Unpriced",
    "UnsupportedError",
    "Upkeep",
    "User",
    "UserOrder",
    "UserPage",
    "Writing",
    "Written",
    "bin_of",
    "copy_store",
    "differences",
    "joined",
    "open_memory_store",
    "open_store",
    "percentiles",
    "upper_us",
]
