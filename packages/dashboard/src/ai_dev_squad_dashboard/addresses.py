"""Where a session is found. It may be called anything; browsers and clients make ``/`` of ``/sessions/..`` before they ask, and a
path has no line ends.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from urllib.parse import quote

__all__ = ["session_id_of", "session_url"]

_CODED = "~"


def session_url(session_id: str) -> str:
    """The page of a session: its id as it is, or behind ``~`` in base64 where parts of a path would mean something else."""
    plain = session_id.isprintable() and not {"", ".", ".."} & set(session_id.split("/"))
    if session_id.startswith(_CODED) or not plain:
        session_id = _CODED + urlsafe_b64encode(session_id.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    return f"/sessions/{quote(session_id, safe='~')}"


def session_id_of(part: str) -> str:
    """The id of the session that stands in an address as ``part``."""
    if not part.startswith(_CODED):
        return part
    try:
        return urlsafe_b64decode(part[1:] + "=" * (-len(part[1:]) % 4)).decode("utf-8", "surrogatepass")
    except (Error, ValueError):
        return part
