"""The loop guard: agents that repeat themselves are told of, with what that costs, and stopped if asked."""

from ai_dev_squad.loops.detected import LoopDetected
from ai_dev_squad.loops.guard import LoopGuard
from ai_dev_squad.loops.recorded import FoundLoop, RecordedStep, find_loops

__all__ = ["FoundLoop", "LoopDetected", "LoopGuard", "RecordedStep", "find_loops"]
