"""The model server as a program: ``python -m ai_dev_squad_testing.model_server --script script.py --port 0``.

Prints its URL as the first line, serves until SIGINT or SIGTERM, then prints the totals.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from .script import Script, ScriptError
from .scriptfile import load_script
from .server import ModelServer
from .truth import Truth

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Returns the exit code: 0, or 2 when the script or the port cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        script = (
            Script(default="Hello from the scripted model.") if options.script is None else load_script(options.script)
        )
        server = ModelServer(script, host=options.host, port=options.port, keep_messages=options.keep_messages).start()
    except ScriptError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, OverflowError) as error:
        print(f"cannot listen on {options.host}:{options.port}: {error}; port 0 takes a free one", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print(server.url, flush=True)
    stop.wait()
    server.close()
    print(summary(server.truth), file=sys.stderr)
    return 0


def summary(truth: Truth) -> str:
    """The totals in a line, and what went against the script."""
    totals = truth.totals
    lines = [
        (
            f"{totals.calls} calls, {totals.successful_calls} successful, "
            f"billed {totals.billed.input_tokens} input and {totals.billed.output_tokens} output tokens"
        )
    ]
    lines += [f"unexpected: {call.error}" for call in truth.unexpected]
    lines += [f"never asked for: step {step}" for step in truth.steps_left]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ai_dev_squad_testing.model_server", description=__doc__)
    parser.add_argument("--script", help="a .py file that defines `script`, or a .json file; none: a default answer")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    parser.add_argument("--keep-messages", action="store_true", help="keep the conversations in the truth")
    return parser


if __name__ == "__main__":
    sys.exit(main())
