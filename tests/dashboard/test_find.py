"""The search box: an id opens what it names, everything else is words."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow

T0 = 1_800_000_000_000_000
RUN = "0af7651916cd43dd8448eb211c80319c"
TWIN = "0af76519" + "0" * 24
SPAN = "b7ad6b7169203331"
SESSION = "a/b ü?"


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    """A dashboard with two runs whose ids begin alike."""
    store = open_memory_store()
    store.write(
        Batch(
            spans=[
                SpanRow(RUN, SPAN, None, T0, 5, "plan", "invoke_workflow", session_id=SESSION),
                SpanRow(
                    TWIN,
                    "c" * 16,
                    None,
                    T0 + 1,
                    5,
                    "plan again",
                    "invoke_workflow",
                    session_id="monday",
                    user_id="ann@x",
                ),
            ]
        )
    )
    app = create_app(DashboardSettings(port=0, logs=()), store=store, follow=False)
    yield app.test_client()
    running(app).close()


@pytest.mark.parametrize(
    "text, place",
    [
        (RUN.upper(), f"/traces/{RUN}?range=7d&agent=coder"),
        (RUN[:12], f"/traces/{RUN}?range=7d&agent=coder"),
        (SPAN, f"/traces/{RUN}?range=7d&agent=coder&span={SPAN}"),
        (f"00-{RUN}-{SPAN}-01", f"/traces/{RUN}?range=7d&agent=coder&span={SPAN}"),
        (SESSION, "/sessions/a%2Fb%20%C3%BC%3F?range=7d&agent=coder"),
        ("ann@x", "/traces?range=7d&agent=coder&user=ann%40x"),
        ("0af76519", "/traces?range=7d&agent=coder&q=0af76519"),
        ("monday", "/traces?range=7d&agent=coder&q=monday"),
        ("nobody knows", "/traces?range=7d&agent=coder&q=nobody+knows"),
        (" ", "/traces?range=7d&agent=coder"),
    ],
)
def test_the_search_box_leads_to_what_is_meant(client: FlaskClient, text: str, place: str) -> None:
    """One thing that only an id can name is opened; several, and words, are a list. Time and filters go along."""
    answer = client.get("/find?" + urlencode({"range": "7d", "agent": "coder", "q": text}))

    assert (answer.status_code, answer.headers["Location"]) == (303, place)


def test_a_list_names_what_has_the_words_for_an_id(client: FlaskClient) -> None:
    """Two runs whose ids begin alike, and a session whose id is a word, stand above the runs with these words."""
    html = client.get("/traces?q=0af76519").text
    assert (f'href="/traces/{RUN}"' in html, f'href="/traces/{TWIN}"' in html) == (True, True)
    assert 'href="/sessions/monday"' in client.get("/traces?q=monday").text
    assert 'id="named"' not in client.get("/traces?q=tuesday").text


def test_a_program_asks_what_an_id_names(client: FlaskClient) -> None:
    """The same as JSON, with where its page is."""
    what = {"kind": "span", "id": SPAN, "trace_id": RUN, "name": "plan", "start_us": T0, "exact": True}

    assert client.get(f"/api/find?q={SPAN}").json == {"found": [{"url": f"/traces/{RUN}?span={SPAN}", "what": what}]}


def test_every_page_has_the_search_box_also_one_that_is_not_there(client: FlaskClient) -> None:
    """Whoever is lost can search."""
    for path in ("/", "/traces", "/health", f"/traces/{RUN}", "/nowhere"):
        assert client.get(path).text.count('action="/find"') == 1
