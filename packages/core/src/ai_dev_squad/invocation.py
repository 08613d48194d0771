"""The open thing of a framework: a call that it makes, from its beginning to its only end.

An operation is what is told of a call; an ``Invocation`` is the call itself while it is under way: what it belongs to,
where it is current, how it will end, and what was begun below it and is still open. An adapter derives one class from it
for its framework and begins one invocation for each thing that the framework reports or that it wraps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict
from weakref import WeakSet

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from ai_dev_squad import operations
from ai_dev_squad.context import Scope, attach, current_context, current_operation, detach, heal, with_value
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.operations import Kind, ModelRequest, Operation
from ai_dev_squad.refusal import CallRefused
from ai_dev_squad.schema import ErrorInfo, Link, Status
from ai_dev_squad.steps import Steps

if TYPE_CHECKING:
    from typing import Self, Unpack

__all__ = ["Beginning", "Invocation"]

_WENT_WELL = frozenset({"ok", "interrupted", "handoff"})
_TOLD_TO_STOP = frozenset({"cancelled", "closed_early"})


class Beginning(TypedDict, total=False):
    """What an operation begins with besides what it is and where, as for ``operations.start``."""

    attributes: dict[str, Any] | None
    agent_id: str | None
    session_id: str | None
    request: ModelRequest | None
    links: Sequence[Link]
    attempt: int | None
    task: str | None


class Invocation(Steps):
    """A call under way: its operation, what it belongs to, and how it will end.

    A class that derives from it directly names its framework: ``class Call(Invocation, framework="my-squad")``. Each
    framework's invocations are found again in the context by themselves, whatever other frameworks run in between.
    """

    framework: ClassVar[str]
    tells_its_end: bool = False
    """Whether its end is told in any case, as by a frame around it, also long after the end of what it belongs to."""
    _key: ClassVar[str]
    _outliving: ClassVar[WeakSet[Any]]

    # What most invocations never set stands here, as class attributes, and costs a beginning nothing.
    status: Status = "ok"
    """How the call will end, unless an exception ends it."""
    error: BaseException | ErrorInfo | None = None
    """Why it will end as an error, where no exception says so."""
    operation: Operation | None = None
    """What is told of it; ``None`` for a call that only links others, or as long as it isn't known what it is."""
    ended: bool = False
    context: Context | None = None
    """The context in which it is current, while it is open."""
    below: dict[Invocation, None] | None = None
    """What was begun below it, is still open, and ends with it: a set in order, oldest first. See ``hold``."""
    _among: dict[Invocation, None] | None = None
    """``below`` of the one that it ends with at the latest."""
    _scope: Scope | None = None
    _around: Context | None = None
    """What ``context`` was made of."""
    _between: Context | None = None
    """What the last step of a stream left current for the next."""

    def __init_subclass__(cls, *, framework: str | None = None, **more: Any) -> None:
        super().__init_subclass__(**more)
        if framework is not None:
            cls.framework = framework
            cls._key = otel_context.create_key(f"ai_dev_squad.invocation.{framework}")
            cls._outliving = WeakSet()

    parent: Any
    """The invocation that it belongs to, open or ended already, or ``None``."""

    def __init__(self, parent: Invocation | None = None) -> None:
        self.parent = parent

    # --- where it is ----------------------------------------------------------------------------------------------------

    @classmethod
    def last(cls) -> Self | None:
        """The invocation of this framework that this context was left in, open or ended."""
        return current_context().get(cls._key)  # type: ignore[return-value]

    @classmethod
    def current(cls) -> Self | None:
        """The innermost invocation of this framework that is open in this context."""
        found: Any = current_context().get(cls._key)
        while found is not None and found.ended:
            found = found.parent
        return found  # type: ignore[no-any-return]

    @classmethod
    def cause(cls) -> Self | None:
        """What begins here belongs to this: the current invocation, or in a thread that outlived it, the one it was.

        A model call starts nothing that outlives it; but its end may be told in another context than its start.
        """
        found: Any = current_context().get(cls._key)
        while found is not None and found.ended and (found.operation is None or found.operation.kind.is_model_call):
            found = found.parent
        return found  # type: ignore[no-any-return]

    @classmethod
    def end_given_up(cls) -> None:
        """End the model calls that are current here and that who made them has given up, as a limit of time does: some frameworks
        tell no end of a call that is cancelled, and what begins next is no part of it.
        """
        here = cls.current()
        while here is not None and here.is_model_call and here.is_given_up:
            here.overtaken("cancelled")
            here = cls.current()

    def outwards(self) -> Iterator[Self]:
        """This invocation and those that it belongs to, innermost first."""
        found: Self | None = self
        while found is not None:
            yield found
            found = found.parent

    def enclosing_operation(self) -> Operation | None:
        """The operation that whatever begins below this belongs to."""
        found: Invocation | None = self
        while found is not None and found.operation is None:
            found = found.parent
        return None if found is None else found.operation

    @property
    def is_model_call(self) -> bool:
        """Whether it is known to be one."""
        return self.operation is not None and self.operation.kind.is_model_call

    @property
    def is_given_up(self) -> bool:
        """Whether who made this model call is known to wait for it no more; its framework may tell no end of it."""
        seen = None if self.operation is None else self.operation.seen_end
        return seen is not None and seen[0] == "cancelled"

    # --- from its beginning to its end ----------------------------------------------------------------------------------

    def begin(self, operation: Operation, *, here: Context | None = None) -> None:
        """This call is that operation. ``here`` is the context that it takes place in, if that isn't the current one."""
        self.operation = operation
        self._around = around = current_context() if here is None else here
        self.context, self._scope = with_value(operation, around, self._key, self)

    def begin_below(
        self,
        above: Operation | None,
        kind: Kind,
        name: str,
        *,
        context: Context | None = None,
        here: Context | None = None,
        **given: Unpack[Beginning],
    ) -> Operation:
        """Start the operation of this call below ``above``, and begin with it. Returns it.

        ``context`` overrules where its span belongs, and ``here`` where the call takes place.
        """
        operation = operations.start(kind, name, framework=self.framework, parent=above, context=context, **given)
        self.begin(operation, here=here)
        return operation

    def begin_in_place(
        self, kind: Kind, name: str, *, place: Context | None = None, **given: Unpack[Beginning]
    ) -> Operation:
        """Start the operation of this call below what is current here and begin with it. Returns it.

        Where the context is of something else or of nothing, the call that this one belongs to knows better: it takes
        place in that one's context, or where that is gone, in ``place``, else here.
        """
        here, above = current_context(), self.parent
        if above is None or (not above.ended and above is type(self).current()):
            return self.begin_below(current_operation(here), kind, name, here=here, **given)
        there = above.context or trace.set_span_in_context(above.operation.span, here if place is None else place)
        return self.begin_below(above.operation, kind, name, context=there, here=there, **given)

    def ask(self, may: Callable[[], None]) -> None:
        """Ask whether this call may be made: ``may`` is ``operation.reserve`` or ``operation.admit``.

        Raises ``CallRefused``, and has ended then: nobody tells of the end of a call that was not made.
        """
        try:
            may()
        except CallRefused as refusal:
            self.end(refusal)
            raise

    def admit(self, arguments: Any) -> None:
        """Say what this tool is called with, and ask whether it may be. Raises ``CallRefused`` as ``ask`` does."""
        assert self.operation is not None
        self.operation.note_arguments(arguments)
        self.ask(self.operation.admit)

    def make_current(self) -> None:
        """From here on in this context, until its end."""
        assert self.context is not None
        attach(self.context)

    def step_aside(self) -> None:
        """Its span is no longer current anywhere. What it is about may go on."""
        scope = self._scope
        if scope is not None and not scope.healed:
            heal(scope)
            # Only if nobody has put anything on top since.
            if current_context() is self.context:
                attach(self._around)  # type: ignore[arg-type]

    def hold(self, child: Invocation) -> None:
        """``child`` ends with this invocation at the latest: its own end may never be told."""
        if self.below is None:
            self.below = {}
        self.below[child] = None
        child._among = self.below

    def end(self, error: BaseException | ErrorInfo | None = None) -> bool:
        """End it, with ``error`` or as ``status`` says. Returns whether it was this call that ended it."""
        if self.ended:
            return False
        self.ended = True
        if error is not None:
            self.status = classify(error) if isinstance(error, BaseException) else "error"
        if self._among is not None:
            self._among.pop(self, None)
        if self.below:
            self.left_below()
        self.step_aside()
        self.context = self._around = self._between = self._among = None  # they lead back here
        operation = self.operation
        if operation is None:
            return True
        if self.status != "error":
            return operation.end_as(self.status)
        if error is None:
            error = self.error
        elif isinstance(error, BaseException):
            error = self.reason(error)
        return operation.end_as("error", error)

    def reason(self, error: BaseException) -> BaseException | ErrorInfo:
        """What went wrong when ``error`` left the call."""
        return error

    def left_below(self) -> None:
        """It ends, and something is open below it: that is held by the next that is open above."""
        above = next((found for found in self.outwards() if not found.ended), None)
        if above is not None:
            for child in list(self.below or ()):
                above.hold(child)
        self.below = None

    def sweep(self, status: Status) -> None:
        """End what is still open below, innermost first, because this invocation ends as ``status``.

        What a call that went well has left running, in a task or thread, is still at work if it tells of its own end.
        """
        for child in list(self.below or ()):
            if child.tells_its_end and status in _WENT_WELL and not child.is_model_call:
                child.outlive()
            else:
                child.sweep(status)
                child.overtaken(status)

    def overtaken(self, status: Status) -> None:
        """What it belongs to ends before it, as ``status``: it ends, too.

        A model call whose answer may still come outlives a call that went well: it stays findable for its own end, and
        its agent stays who it was.
        """
        operation = self.operation
        if status in _WENT_WELL and operation is not None and not operation.left_open("abandoned"):
            self.outlive()
            return
        self.status = status if status in _TOLD_TO_STOP else "abandoned"
        self.end()

    def abandon(self) -> None:
        """Nothing more will be told of it."""
        self.status = "abandoned"
        self.end()

    def outlive(self) -> None:
        """What it belongs to has ended, and this goes on until it is told to have ended."""
        if self._among is not None:
            self._among.pop(self, None)
            self._among = None
        for other in list(self._outliving):
            if other.operation is None or other.operation.status is not None:
                self._outliving.discard(other)
                other.end()
        self._outliving.add(self)

    @classmethod
    def outliving(cls) -> list[Self]:
        """The open ones that what they belong to has left behind."""
        return [found for found in list(cls._outliving) if not found.ended]

    # --- as a call that is wrapped --------------------------------------------------------------------------------------

    def enter(self) -> Any:
        """Its span is current within the step; once it has ended, a stream that goes on does so where it is."""
        return attach(self._between or self.context or current_context())

    def leave(self, token: Any) -> None:
        """The caller's context is as it was. What the step made current beyond its end stays so for the next step."""
        if not self.ended:
            self._between = current_context()
        detach(token)

    def returned(self, result: Any) -> None:
        """The call went well; what it returned is looked at as what it yields would be."""
        try:
            if result is not None:
                self.take(result)
        finally:
            self.end()

    def raised(self, error: BaseException) -> None:
        """An exception left the call."""
        self.end(error)
