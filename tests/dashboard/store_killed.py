"""``python store_killed.py FROM TO LIMIT``: copies a store in a process that is killed behind the first thing that it has changed in the
copy, then in one that is killed behind the second, and so on, until one comes to its end.

Says how many were killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from ai_dev_squad_dashboard.store import open_store
from ai_dev_squad_dashboard.store.copying import copy_store


class _Killed:
    """Ends this process with SIGKILL when so many calls of what it was told of have returned."""

    def __init__(self, calls: int) -> None:
        self._left = calls

    def after(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*given: Any, **more: Any) -> Any:
            answer = change(*given, **more)
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return changing


def main(source: str, target: str, limit: str) -> None:
    """Copy."""
    for number in range(1, 60):
        child = os.fork()
        if not child:
            copy(source, target, int(limit), _Killed(number))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            print(number - 1 if status == 0 else "failed")
            return


def copy(source: str, target: str, limit: int, killed: _Killed) -> None:
    """Copy until the end of the copy, or of this process."""
    first, second = open_store(source), open_store(target)
    if target.startswith("clickhouse"):
        client = second._client  # type: ignore[attr-defined]
        client.insert, client.do = killed.after(client.insert), killed.after(client.do)
    else:
        second.write, second.keep = killed.after(second.write), killed.after(second.keep)  # type: ignore[method-assign]
    copy_store(first, second, "the same", limit=limit)
    first.close()
    second.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
