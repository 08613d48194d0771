"""Content as Markdown shows it: only when somebody asks for it, and whatever it is, it can only be read."""

from __future__ import annotations

import base64
import json
import struct
import time
import zlib
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect


def png(width: int, height: int, rows: int = 1) -> str:
    """A picture as a ``data:`` URL; its head may claim more than it has."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = zlib.compress((b"\0" + b"\x30\x90\x60" * width) * rows if width < 1000 else b"")
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(content).decode()


SVG = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg" onload="parent.hacked=1"/>').decode()
HOSTILE = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<svg onload='window.hacked = 1'><script>window.hacked = 1</script></svg>",
    "<style>* { display: none }</style><link rel=stylesheet href=http://elsewhere.example/x.css>",
    "<form id=view action=/delete><input name=kind value=trace></form><a id=tree name=body>x</a>",
    "<iframe srcdoc='<script>parent.hacked = 1</script>'></iframe><object data=x></object><embed src=x><base href=//elsewhere.example>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=1 onerror=window.hacked=1>'>",
    "<div\nonmouseover='window.hacked = 1'\n>\n\n**x**",
    "[press](javascript:window.hacked=1) [press](JaVaScRiPt:window.hacked=1) [press](&#106;avascript:window.hacked=1)",
    "[press](java\tscript:window.hacked=1) [press](vbscript:x) [press](data:text/html;base64,PHNjcmlwdD4=) [press](file:///etc/passwd)",
    "[press](/delete?kind=trace) [press](//elsewhere.example) [press](#view) [press](../logout)",
    "[press][a]\n\n[a]: javascript:window.hacked=1 'x'\n\n<javascript:window.hacked=1>",
    "[press](http://a.example/\"onmouseover=window.hacked=1 'title\" onclick=window.hacked=1')",
    "![x](http://elsewhere.example/pixel.png) ![x](//elsewhere.example/pixel.png) ![x](javascript:window.hacked=1)",
    f"![x](data:image/svg+xml;base64,{SVG}) ![x](data:text/html,<script>window.hacked=1</script>) ![x](data:image/png;base64,AAAA)",
    f"![bomb]({png(60_000, 60_000)})",
    '![x" onerror="window.hacked=1](https://a.example/x.png "y\' onload=\'window.hacked=1")',
    '```html\n<script>window.hacked = 1</script>\n```\n\n```"><img src=x onerror=window.hacked=1>\nx\n```',
    r"$\href{javascript:window.hacked=1}{x}$ $\url{javascript:window.hacked=1}$ $\includegraphics{http://elsewhere.example/x.png}$",
    r"$\htmlStyle{position:fixed;inset:0}{x}$ $\htmlId{view}{x}$ $\htmlClass{side}{x}$ $\htmlData{module=copy}{x}$",
    r"$\def\a{\a\a}\a$ $\def\a#1{\a{#1#1}}\a{x}$ $$\rule{99999em}{99999em}$$ $\color{white}{hidden}$",
    r"$x</math><script>window.hacked=1</script>$ $\text{<img src=x onerror=window.hacked=1>}$ $\unicode{x202e}$ $\char`\<$",
    "&#x202e;gnp.exe &#x200b;&#xfeff; &lt;script&gt;window.hacked=1&lt;/script&gt; " + r"$\char" + '"202E$',
    "| a | b |\n| :-: | --: |\n| <b onclick=window.hacked=1>1</b> | [x](javascript:window.hacked=1) |",
]
HUGE = [
    "> " * 6_000 + "x",
    "- " * 6_000 + "x",
    "[" * 9_000,
    "![" * 6_000 + "](x)" * 1_000,
    "*a_" * 5_000,
    "`" * 5_001 + " " + "`" * 4_999,
    "$" * 9_000 + "$x$ " * 2_000,
    r"\(" * 6_000,
    "$" + "{" * 1_900 + "$",
    "|" * 9_000 + "\n" + "|-" * 4_000,
    "<" * 9_000 + "a" * 9_000,
    "```js\n" + "/*" * 4_000 + "`${" * 600,
    "&#x" + "f" * 9_000 + ";",
    "e" + "\u0301" * 9_000,
]


def send(page: Page, dashboard: str, texts: list[str | dict], session: str = "") -> str:
    """Send a run whose model call was given these texts, or parts; the address of the call's own page."""
    trace_id, now = f"{time.time_ns():032x}", time.time_ns()
    given = [
        {"role": "user", "parts": [{"type": "text", "content": text} if isinstance(text, str) else text]}
        for text in texts
    ]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.conversation.id": session or f"rendered-{trace_id[-8:]}",
        "gen_ai.input.messages": json.dumps(given),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "# Done\n\n**All** of it."}]}]
        ),
    }
    span = {
        "traceId": trace_id, "spanId": "00000000000000a1", "name": "chat gpt-4o",
        "startTimeUnixNano": str(now - 10**9), "endTimeUnixNano": str(now),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }  # fmt: skip
    assert page.request.post(f"{dashboard}/v1/traces", data={"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).ok
    return f"{dashboard}/traces/{trace_id}/spans/00000000000000a1"


def rendered(page: Page, count: int) -> None:
    """Press the switch, and wait until all texts are shown so."""
    page.get_by_role("button", name="Rendered").click()
    expect(page.locator("[data-rendered]")).to_have_count(count)


def odd(page: Page) -> list[str]:
    """What rendered content has that it may not have."""
    return page.evaluate(
        """() => [...document.querySelectorAll("[data-rendered] *")].flatMap((element) => [
          ...(/^(script|style|svg|iframe|form|input|button|object|embed|link|meta|base|template|annotation)$/i.test(element.localName) ? [element.localName] : []),
          ...[...element.attributes].filter(({ name, value }) => /^(on|id$|name$|style$|srcset$|data-|xlink)/i.test(name)
            || (name === "href" && !/^(https?:\\/\\/|mailto:)/.test(value)) || (name === "src" && !value.startsWith("data:image/png;"))
            || /color|background/.test(name)).map(({ name, value }) => `${element.localName} ${name}=${value}`),
          ...(/[\\u200b\\u202e\\ufeff]/.test(element.textContent) ? [`hidden characters in ${element.localName}`] : []),
        ])"""
    )


@pytest.mark.parametrize("texts", [HOSTILE, HUGE], ids=["hostile", "huge"])
def test_hostile_content_does_nothing_when_rendered(page: Page, dashboard: str, texts):
    """No script runs, nothing is fetched from elsewhere, no element, attribute or address gets in, and the page stays usable."""
    address = send(page, dashboard, texts)
    elsewhere: list[str] = []
    page.on("request", lambda request: request.url.startswith((dashboard, "data:")) or elsewhere.append(request.url))
    page.goto(address)
    rendered(page, len(texts) + 1)
    assert odd(page) == []
    for link in page.locator("[data-rendered] a").all():
        link.dispatch_event("mouseover")
    assert page.evaluate("[window.hacked, document.querySelectorAll('#view').length, document.getElementById('view').localName]") == [
        None, 1, "main",
    ]  # fmt: skip
    assert page.locator("[data-rendered] img").count() == 0
    assert elsewhere == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.get_by_role("button", name="Rendered").click()
    expect(page.locator("[data-rendered]")).to_have_count(0)


GOOD = f"""# Plan

Ship **two** things, *soon*:

1. `parse` dates
2. [read the issue](https://issues.example/7)

| step | cost |
| :--- | ---: |
| plan | $4 |
| code | $6 |

```python
def answer(question: str) -> int:
    return 42  # of course
```

The energy is $E = mc^2$, and

$$\\int_0^1 x^2 \\, dx = \\frac{{1}}{{3}}$$

![a green square]({png(16, 16, 16)}) ![logo](https://pictures.example/logo.png)
"""


def test_markdown_code_formulas_and_pictures_are_shown_on_demand(page: Page, violations, dashboard: str, until):
    """As written until the switch is pressed, by keyboard as well; the browser remembers it; pictures from elsewhere are links."""
    address = send(page, dashboard, [GOOD])
    page.goto(address)
    switch = page.get_by_role("button", name="Rendered")
    expect(switch).to_have_attribute("aria-pressed", "false")
    expect(page.locator("pre.captured").first).to_contain_text("Ship **two** things")
    switch.press("Enter")
    box = page.locator("[data-rendered]").first
    expect(box.locator("strong")).to_have_text("two")
    expect(box.locator("ol > li")).to_have_count(2)
    expect(box.locator("td.md-right").first).to_have_text("$4")
    expect(box.locator("pre .hljs-keyword").first).to_have_text("def")
    expect(box.locator("math")).to_have_count(2)
    expect(box.locator("math").last).to_have_attribute("display", "block")
    # What arrives just now draws the page anew: asked in one go, and again where there was nothing.
    until(page, "document.querySelector('[data-rendered] math mfrac')?.getBoundingClientRect().height > 20")
    expect(box.locator("img")).to_have_js_property("naturalWidth", 16)
    link = box.get_by_role("link", name="picture: logo")
    expect(link).to_have_attribute("href", "https://pictures.example/logo.png")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(page.locator("pre.captured").first).to_be_hidden()
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == [], (width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width
    page.reload()
    expect(page.locator("[data-rendered]").first).to_be_visible()
    page.get_by_role("button", name="Rendered").click()
    expect(page.locator("pre.captured").first).to_be_visible()


def test_the_switch_is_wherever_content_is(page: Page, dashboard: str):
    """On the run's page, in its story, in its session and where it is compared; what arrives meanwhile is shown so as well."""
    own, other = (send(page, dashboard, [GOOD]).split("/")[4] for _ in range(2))
    page.goto(f"{dashboard}/traces/{own}")
    rendered(page, 2)
    for path in (f"traces/{own}/story", f"compare?t={own}&t={other}", f"sessions/rendered-{own[-8:]}"):
        page.goto(f"{dashboard}/{path}")
        expect(page.locator("[data-rendered]").first.locator("strong").first).to_have_text("two")
        expect(page.get_by_role("button", name="Rendered")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("html")).to_have_attribute("data-live", "connected")
    send(page, dashboard, ["Is *that* all?"], session=f"rendered-{own[-8:]}")
    expect(page.locator("[data-rendered] em", has_text="that")).to_be_visible()
    expect(page.locator("[data-rendered]")).to_have_count(4)


def test_without_scripts_content_is_as_written(browse, dashboard: str):
    """There is no switch that does nothing."""
    page = browse(scripts=False)
    page.goto(send(page, dashboard, [GOOD]))
    expect(page.locator("pre.captured").first).to_contain_text("Ship **two** things")
    expect(page.get_by_role("button", name="Rendered")).to_have_count(0)
    assert urlsplit(page.url).path.startswith("/traces/")


def test_a_captured_picture_is_drawn_on_demand(page: Page, violations, dashboard: str):
    """A picture in a message is told of until the switch is pressed, and then drawn; one whose head lies is not."""
    small, bomb = (
        {"type": "blob", "modality": "image", "content": url.partition(",")[2]}
        for url in (png(16, 16, 16), png(60_000, 60_000))
    )
    page.goto(send(page, dashboard, [small, bomb]))
    told = page.locator(".part-media")
    expect(told.first).to_contain_text("shown when Rendered is on")
    assert page.locator("img[src^=data]").count() == 0
    rendered(page, 3)
    expect(page.locator("[data-rendered] img")).to_have_count(1)
    expect(page.locator("[data-rendered] img")).to_have_js_property("naturalWidth", 16)
    expect(page.get_by_text("picture too large or damaged")).to_be_visible()
    expect(told.first).to_be_hidden()
    assert violations(page) == []
    page.get_by_role("button", name="Rendered").click()
    expect(told.first).to_be_visible()
