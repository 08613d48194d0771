"""A clock that is ahead, in another time zone."""

from __future__ import annotations

import json
import sys
import time

import nox

from .workspace import ONE

_AHEAD_DAYS = 400
# In UTC: other prices hold than by day (DeepSeek's), and in Kolkata it is tomorrow already.
_AHEAD_HOUR = 20


def ahead_of_time(session: nox.Session) -> dict[str, str]:
    """The environment that changes the clock and the zone; empty on an interpreter that has no other session of tests."""
    preload = "import json, libfaketime; print(json.dumps(libfaketime.get_reload_information()[1]))"
    found = session.run("python", "-c", preload, silent=True, success_codes=(0, 1))
    if found is None:  # --install-only
        return {}
    evening = _AHEAD_DAYS * 86_400 + _AHEAD_HOUR * 3_600 - int(time.time()) % 86_400
    environment = {"FAKETIME": f"+{evening}", "TZ": "Asia/Kolkata"}
    if str(found).startswith("{"):
        environment |= json.loads(str(found))
    tell = "import time; print(time.time(), time.timezone)"
    now, zone = str(session.run("python", "-c", tell, env=environment, silent=True)).split()[-2:]
    missing = ""
    if float(now) < time.time() + (_AHEAD_DAYS - 1) * 86_400:
        missing = f"libfaketime does not change Python's clock on this machine ({sys.platform})"
    elif zone != "-19800":
        missing = "this machine does not know the zone Asia/Kolkata; on Debian: apt-get install tzdata"
    if not missing:
        return environment
    if session.python == ONE:
        session.skip(missing)
    session.warn(f"{missing}: the tests run on its own clock")
    return {}
