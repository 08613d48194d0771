"""A model provider on loopback that plays a script and knows the truth.

    from ai_dev_squad_testing.model_server import ModelServer, Script, call, fail, reply, role, system_contains, tokens

    script = Script([
        role("planner", system_contains("you plan"),
             fail(429, retry_after=0.01),
             reply("1. parse  2. test", usage=tokens(120, 18, cached=64))),
        role("coder", system_contains("you code"),
             tool_calls(call("read_file", path="a.py"), call("run_tests")),
             reply("done")),
    ])
    with ModelServer(script) as server:
        ...  # any OpenAI client with base_url=server.base_url
    server.truth.totals.billed  # Tokens(input_tokens=..., ...)

OpenAI's chat completions, responses, embeddings and models, Anthropic's messages, Gemini's content, Amazon Bedrock's
Converse and Ollama's chat, each also as a stream. Every request gets the first step that matches it and is not used up;
a request without one gets a 400 that says so.

The names, all kept stable:

- server: ``ModelServer`` (``url``, ``base_url``, ``truth``, ``settle()``, ``reset()``, ``start()``, ``close()``)
- script: ``Script``, ``Step``, ``role``, ``reply``, ``tool_calls``, ``call``, ``structured``, ``respond``, ``fail``,
  ``hang``, ``disconnect``, ``ScriptError``, ``load_script``; what they are made of: ``Reply``, ``Fail``, ``Hang``, ``Call``
- who is meant: ``Matcher`` and ``system_contains``, ``message_contains``, ``last_message_contains``, ``model_is``,
  ``header_is``, ``offers_tools``, ``after_tool_result``, ``endpoint_is``, ``streamed``, ``matches``
- tokens: ``Tokens``, ``tokens``, ``count_tokens``
- request, as functions in a script see it: ``ModelRequest``, ``Message``, ``ToolCall``
- truth: ``Truth``, ``Totals``, ``CallRecord``
"""

from .counts import Tokens, count_tokens, tokens
from .matchers import (
    Matcher,
    after_tool_result,
    endpoint_is,
    header_is,
    last_message_contains,
    matches,
    message_contains,
    model_is,
    offers_tools,
    streamed,
    system_contains,
)
from .request import Message, ModelRequest, ToolCall
from .script import (
    Call,
    Fail,
    Hang,
    Reply,
    Script,
    ScriptError,
    Step,
    call,
    disconnect,
    fail,
    hang,
    reply,
    respond,
    role,
    structured,
    tool_calls,
)
from .scriptfile import load_script
from .server import ModelServer
from .truth import CallRecord, Totals, Truth

__all__ = [
    "Call",
    "CallRecord",
    "Fail",
    "Hang",
    "Matcher",
    "Message",
    "ModelRequest",
    "ModelServer",
    "Reply",
    "Script",
    "ScriptError",
    "Step",
    "Tokens",
    "ToolCall",
    "Totals",
    "Truth",
    "after_tool_result",
    "call",
    "count_tokens",
    "disconnect",
    "endpoint_is",
    "fail",
    "hang",
    "header_is",
    "last_message_contains",
    "load_script",
    "matches",
    "message_contains",
    "model_is",
    "offers_tools",
    "reply",
    "respond",
    "role",
    "streamed",
    "structured",
    "system_contains",
    "tokens",
    "tool_calls",
]
