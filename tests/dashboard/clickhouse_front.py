"""As much of ClickHouse's HTTP interface as its client asks for, before the engine in this process: a server for tests.

``python clickhouse_front.py DIRECTORY [HOST [PORT]]`` prints the port it listens on, and ends with its standard input. No users, no quotas, no
compression, no sessions, no streaming. Settings are set before a statement, and unset before one that has them no more, as the engine
knows no others.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import chdb

_OF_TRANSPORT: Final = frozenset(
    "query database default_format query_id session_id session_timeout session_check wait_end_of_query buffer_size compress "
    "decompress enable_http_compression client_protocol_version user password role quota_key send_progress_in_http_headers "
    "http_headers_progress_interval_ms cancel_http_readonly_queries_on_client_close".split()
)
_INSERT: Final = re.compile(rb"\s*(INSERT\s+INTO\s+.*?)\s+FORMAT\s+(\w+)[ \t]*\n", re.IGNORECASE | re.DOTALL)
_FORMAT: Final = re.compile(rb"FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE: Final = re.compile(r"Code: (\d+)")


class Handler(BaseHTTPRequestHandler):
    """One connection, with a connection to the engine of its own."""

    protocol_version = "HTTP/1.1"
    directory = ""
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.engine = chdb.connect(self.directory)
        self.database = ""
        self.settings: dict[str, str] = {}

    def finish(self) -> None:
        super().finish()
        self.engine.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.startswith("/ping"):
            self._answer(200, b"Ok.\n")
        else:
            self._run(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            self._run(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            return
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        self._run(b"".join(chunks))

    def _run(self, body: bytes) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        sql = (given["query"].encode() + b"\n" + body) if given.get("query") else body
        settings = {
            name: value for name, value in given.items() if name not in _OF_TRANSPORT and not name.startswith("param_")
        }
        try:
            database = given.get("database")
            if database and database != self.database:
                self.engine.query(f"USE `{database}`")
                self.database = database
            self._set(settings)
            self._answer(200, *self._result(sql, given.get("default_format", "TabSeparated")))
        except Exception as error:
            text = str(error)
            code = _CODE.search(text)
            self._answer(500, text.encode(), code=code[1] if code else "0")

    def _set(self, settings: dict[str, str]) -> None:
        for name in self.settings.keys() - settings.keys():
            self.engine.query(f"SET {name} = DEFAULT")
            del self.settings[name]
        for name, value in settings.items():
            if self.settings.get(name) != value:
                self.engine.query(f"SET {name} = '{value}'")
                self.settings[name] = value

    def _result(self, sql: bytes, default: str) -> tuple[bytes, str, str]:
        insert = _INSERT.match(sql)
        if insert is None or insert[2].lower() == b"values":
            named = _FORMAT.search(sql)
            wanted = named[1].decode() if named else default
            found = self.engine.query(sql.decode(), wanted)
            return found.bytes() or b"", wanted, _summary(found, 0)
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(memoryview(sql)[insert.end() :])
        try:
            found = self.engine.query(
                f"{insert[1].decode()} FROM INFILE '{file.name}' FORMAT {insert[2].decode()}", "TabSeparated"
            )
        finally:
            Path(file.name).unlink()
        return b"", "TabSeparated", _summary(found, found.rows_read())

    def _answer(
        self, status: int, body: bytes, shape: str = "TabSeparated", summary: str = "{}", code: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("X-ClickHouse-Format", shape)
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Query-Id", str(uuid.uuid4()))
        self.send_header("X-ClickHouse-Summary", summary)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _summary(found: Any, written: int) -> str:
    told = {"read_rows": found.rows_read(), "read_bytes": found.bytes_read(), "written_rows": written}
    return json.dumps({name: str(value) for name, value in told.items()})


def main(directory: str, host: str = "127.0.0.1", port: str = "0") -> None:
    """Serve until nobody is interested any more."""
    Handler.directory = directory
    kept = chdb.connect(directory)
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    kept.close()
    os._exit(0)  # connections of others may be open, and the engine waits for them


if __name__ == "__main__":
    main(*sys.argv[1:])
