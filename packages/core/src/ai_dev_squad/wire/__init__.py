"""The wire: every model call where it leaves the process, whoever makes it.

``install(observer)`` watches the doors through which client libraries send: httpx and httpx2, aiohttp, and urllib3 with
requests and botocore. A call of a model is recognised by the path and the shape of its request (``shapes``), and its
answer is read while it passes (``readers``). The client's bytes, their order, their pieces and its exceptions stay what
they are; nothing is kept but what isn't complete yet.

``raise_as`` lets an adapter say in which form a budget's refusal passes through its framework.

What no door sees: ``http.client`` and ``urllib``, gRPC, websockets, and other processes.
"""

from ai_dev_squad.wire.answers import Answer
from ai_dev_squad.wire.exchange import Exchange, Observer, Status
from ai_dev_squad.wire.refusals import raise_as
from ai_dev_squad.wire.requests import Request
from ai_dev_squad.wire.tap import Tap, install

__all__ = ["Answer", "Exchange", "Observer", "Request", "Status", "Tap", "install", "raise_as"]
