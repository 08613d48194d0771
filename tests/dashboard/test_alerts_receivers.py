"""Receivers as they are: slow, down, redirecting, hostile; and what is done about each."""

from __future__ import annotations

import base64
import hmac
import json
import stat
import sys
import threading
from dataclasses import replace
from datetime import time as time_of_day
from hashlib import sha256
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.alerts import QuietHours, Receiver
from ai_dev_squad_dashboard.alerts.alert import Message
from ai_dev_squad_dashboard.alerts.bodies import body
from ai_dev_squad_dashboard.alerts.by_webhook import signature
from ai_dev_squad_dashboard.alerts.delivery import Deliverer, Delivery, backoff_s
from ai_dev_squad_dashboard.alerts.errors import DeliveryError
from ai_dev_squad_dashboard.alerts.outbox import MAX_WAITING, Outbox, OutboxError, Place, Waiting
from ai_dev_squad_dashboard.alerts.secrets import Secret, masked
from ai_dev_squad_dashboard.alerts.sending import send

sys.path.insert(0, str(Path(__file__).parent))
from alert_rooms import MINUTE, NOW, SECOND, Clock, alert, reply, serving, until

MESSAGE = Message("msg_1", "ops", NOW, 0, (alert(),))


def webhook(url: str, **more) -> Receiver:
    return Receiver(
        **{"name": "ops", "type": "webhook", "url": Secret(text=url), "group_s": 0.0, "timeout_s": 5.0, **more}
    )


def problem(receiver: Receiver, message: Message = MESSAGE) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        send(receiver, message, NOW)
    return raised.value


# --- webhooks ---------------------------------------------------------------------------------------------------------


def test_a_webhook_is_signed_so_that_any_library_of_standard_webhooks_can_check_it(monkeypatch):
    """Id, timestamp and body are signed with the secret's bytes; a retry has the same id."""
    key = b"0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("SECRET", f"whsec_{base64.b64encode(key).decode()}")
    with serving() as server:
        send(webhook(server.url, secret=Secret(env="SECRET")), MESSAGE, NOW)
        (post,) = server.posts
    headers = {name.lower(): value for name, value in post.headers.items()}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + post.body
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()
    assert (headers["webhook-id"], headers["idempotency-key"], headers["webhook-timestamp"]) == (
        "msg_1",
        "msg_1",
        str(NOW // SECOND),
    )
    assert post.json["alerts"] == [
        {
            "rule": "dear", "what": "fired", "severity": "warning", "group": {"agent": "coder"}, "measure": "cost_usd",
            "value": 6.0, "unit": "USD", "threshold": 5.0, "when": "above", "window_s": 3600,
            "since": "2027-01-15T08:00:00+00:00", "time": "2027-01-15T08:00:00+00:00", "title": "dear, agent coder",
            "text": "cost_usd in 1h: $6.00, above $5.00.", "note": "Look at the agent.",
        }
    ]  # fmt: skip


def test_the_example_of_standard_webhooks_is_signed_as_it_says():
    """The known answer of the specification's libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    content = b'{"test": 2432232314}'
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, content) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_redirect_is_not_followed():
    """What is signed for one address is not carried to another, and the message says what to do."""
    with serving() as other, serving(lambda handler: reply(handler, 307, Location=other.url)) as server:
        error = problem(webhook(server.url))
        assert other.posts == []
    assert str(error) == f"{masked(server.url)} redirects, which is not followed; write the address that it leads to"


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\n", b""], ids=["headers", "nothing"])
def test_a_receiver_that_drips_is_cut_off(drip):
    """A byte now and then is no answer, however long it goes on."""
    over = threading.Event()

    def answer(handler):
        handler.wfile.write(drip)
        while not over.wait(0.05):
            handler.wfile.write(b"X" if drip else b"")
            handler.wfile.flush()

    with serving(answer) as server:
        error = problem(webhook(server.url, timeout_s=0.3))
        over.set()
    assert str(error) == f"{masked(server.url)} did not answer within 0.3 s"


def test_an_endless_answer_is_read_in_part():
    """A receiver that never stops talking costs a few kilobytes, and its status counts."""

    def answer(handler):
        handler.send_response(500)
        handler.end_headers()
        while True:
            handler.wfile.write(b"lies " * 10_000)

    with serving(answer) as server:
        error = problem(webhook(server.url))
    assert str(error).startswith(f"{masked(server.url)} answered 500: lies lies")
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "status, headers, refused, wait_s",
    [(500, {}, False, None), (429, {"Retry_After": "120"}, False, 120.0), (400, {}, True, None), (503, {"Retry_After": "9" * 9}, False, 3600.0)],
)  # fmt: skip
def test_what_an_answer_means(status, headers, refused, wait_s):
    """A refusal is about the message; a wait that is asked for is kept, within bounds."""
    with serving(lambda handler: reply(handler, status, "no", **headers)) as server:
        error = problem(webhook(server.url))
    assert (str(error), error.refused, error.retry_after_s) == (
        f"{masked(server.url)} answered {status}: no",
        refused,
        wait_s,
    )


@pytest.mark.parametrize(
    "garbage",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 999999 \xff\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_500],
)
def test_what_speaks_no_http_is_no_answer(garbage):
    """Whatever comes back, it is an error in words, without the address's secret."""
    with serving(lambda handler: (handler.wfile.write(garbage), handler.connection.shutdown(2))) as server:
        error = problem(webhook(server.url))
    assert "T0SECRET" not in str(error)
    assert "cannot be reached" in str(error)


def test_a_variable_that_is_not_set_is_named():
    """Where the secret should be, and nothing of it."""
    assert str(problem(replace(webhook(""), url=Secret(env="OPS_URL")))) == (
        "the environment variable OPS_URL is not set; set it where the dashboard runs"
    )


@pytest.mark.parametrize(
    "url, shown",
    [
        ("https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/…"),
        ("https://anna:pw@example.org:8443/", "https://…@example.org:8443"),
        ("https://example.org?token=x", "https://example.org/…"),
        ("nonsense", "…"),
        ("http://[::1", "…"),
    ],
)
def test_addresses_are_masked(url, shown):
    """Scheme and host stay; all else of a webhook's address may be its key."""
    assert masked(url) == shown


def test_slack_gets_text_that_mentions_nobody():
    """Names that others wrote are escaped as Slack asks."""
    sent = body(replace(MESSAGE, alerts=(alert("<!channel> & co", note=""),)), "slack")
    assert sent == {
        "text": "&lt;!channel&gt; &amp; co, agent coder",
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "🟠 *&lt;!channel&gt; &amp; co, agent coder*\ncost_usd in 1h: $6.00, above $5.00.\n"
                    "Since 2027-01-15T08:00:00+00:00.",
                },
            }
        ],
    }


def test_teams_gets_a_card_without_markdown():
    """Text runs, which Teams does not read as Markdown."""
    (attachment,) = body(MESSAGE, "teams")["attachments"]
    card = attachment["content"]
    assert (attachment["contentType"], card["type"], card["version"]) == (
        "application/vnd.microsoft.card.adaptive",
        "AdaptiveCard",
        "1.4",
    )
    assert [block["inlines"][0]["text"] for block in card["body"]] == [
        "🟠 dear, agent coder",
        "cost_usd in 1h: $6.00, above $5.00.\nSince 2027-01-15T08:00:00+00:00.\nLook at the agent.",
    ]


def test_pagerduty_opens_and_closes_one_incident():
    """The end has the key of the beginning; the routing key stands in the body and in no header."""
    opened = body(MESSAGE, "pagerduty", "R0KEY")
    closed = body(replace(MESSAGE, alerts=(alert(what="resolved"),)), "pagerduty", "R0KEY")
    assert opened == {
        "routing_key": "R0KEY",
        "event_action": "trigger",
        "dedup_key": "dear/agent=coder",
        "payload": {
            "summary": "dear, agent coder: cost_usd in 1h: $6.00, above $5.00.",
            "source": "ai-dev-squad",
            "severity": "warning",
            "timestamp": "2027-01-15T08:00:00+00:00",
            "custom_details": {"id": "msg_1", "group": {"agent": "coder"}, "value": 6.0, "note": "Look at the agent."},
        },
    }
    assert closed == {"routing_key": "R0KEY", "event_action": "resolve", "dedup_key": "dear/agent=coder"}


# --- commands ---------------------------------------------------------------------------------------------------------


def command(tmp_path: Path, program: str, **more) -> Receiver:
    path = tmp_path / "tell"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{program}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Receiver(
        **{"name": "ops", "type": "command", "command": (str(path), "$HOME; true"), "timeout_s": 20.0, **more}
    )


def test_a_command_gets_the_message_on_its_input_and_no_shell(tmp_path):
    """Its arguments are its own, as they are written."""
    out = tmp_path / "out"
    send(
        command(tmp_path, f"open({str(out)!r}, 'w').write(json.dumps([sys.argv[1:], json.load(sys.stdin)]))"),
        MESSAGE,
        NOW,
    )
    arguments, sent = json.loads(out.read_text())
    assert (arguments, sent["id"], sent["title"]) == (["$HOME; true"], "msg_1", "dear, agent coder")


def test_a_command_that_fails_says_why(tmp_path):
    """The end of what it wrote, and not all of it."""
    error = problem(command(tmp_path, "sys.stderr.write('x' * 1_000_000 + ' disk full'); sys.exit(3)"))
    assert str(error).startswith(f"{tmp_path}/tell ended with 3: ")
    assert str(error).endswith(" disk full")
    assert len(str(error)) < 600


def test_a_command_that_hangs_is_stopped_with_what_it_started(tmp_path):
    """Nothing of it is left."""
    child = tmp_path / "child"
    program = (
        "import subprocess\n"
        f"one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(child)!r} + '.part', 'w').write(str(one.pid)); os.rename({str(child)!r} + '.part', {str(child)!r}); one.wait()"
    )
    error = problem(command(tmp_path, program, timeout_s=3.0))
    assert str(error) == f"{tmp_path}/tell did not end within 3 s and was stopped"
    number = int(child.read_text())
    until(
        lambda: not Path(f"/proc/{number}").exists() or " Z " in Path(f"/proc/{number}/stat").read_text(),
        "the child ends",
    )


def test_a_command_that_is_not_there_is_named(tmp_path):
    """The error is the system's."""
    error = problem(Receiver("ops", "command", command=(str(tmp_path / "none"),)))
    assert str(error) == f"{tmp_path}/none cannot be started (No such file or directory)"


# --- delivering -------------------------------------------------------------------------------------------------------


@pytest.fixture
def outbox(tmp_path):
    """An outbox in a file."""
    box = Outbox(tmp_path / "alerts")
    yield box
    box.close()


def put(outbox: Outbox, *alerts, to=("ops",)) -> None:
    outbox.commit(Place(0, ""), [(each, to) for each in alerts], [])


class Script:
    """A receiver that takes or refuses as it is told."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.got: list[tuple[str, list[str]]] = []

    def __call__(self, receiver, message, now_us) -> None:
        self.got.append((message.id, [each.rule for each in message.alerts]))
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


def test_what_fails_is_tried_again_later_and_later_with_the_same_id(outbox):
    """Back-off doubles, and the receiver is left alone meanwhile; then it is told, once."""
    clock, script = Clock(), Script(*[DeliveryError("down")] * 3)
    one = Deliverer(webhook("http://x"), outbox, script, lambda: 1.0)
    put(outbox, alert())
    waits = []
    for _ in range(3):
        one.turn(clock)
        due_us = one.turn(clock)
        waits.append((due_us - clock.now_us) / SECOND)
        clock.now_us = due_us
    one.turn(clock)
    assert one.turn(clock) is None
    assert waits == [5.0, 10.0, 20.0]
    assert len({number for number, _ in script.got}) == 1
    assert len(script.got) == 4
    assert (one.health.sent, one.health.failures) == (1, 0)


def test_backoff_is_bounded_and_spread():
    """At most a quarter of an hour, at least half of the step."""
    assert [backoff_s(failures, 1.0) for failures in (1, 2, 8, 9, 1000)] == [5.0, 10.0, 640.0, 900.0, 900.0]
    assert backoff_s(1, 0.0) == 2.5


def test_a_message_that_is_not_liked_holds_up_no_other(outbox):
    """It is tried five times and given up; the next is sent meanwhile."""
    clock, script = Clock(), Script()
    bad = DeliveryError("400", refused=True)
    script.answers = [bad, None, bad, bad, bad, bad]
    one = Deliverer(webhook("http://x"), outbox, script, lambda: 1.0)
    put(outbox, alert("bad"))
    one.turn(clock)
    put(outbox, alert("good"))
    for _ in range(5):
        one.turn(clock)
        clock.now_us += 20 * MINUTE
    assert [rules for _, rules in script.got] == [["bad"], ["good"], ["bad"], ["bad"], ["bad"], ["bad"]]
    assert [past.deliveries[0][1:] for past in outbox.history()] == [("sent", ""), ("failed", "400")]


def test_a_receiver_that_stays_away_is_given_up_after_a_while(outbox):
    """A day later the alert is history, and it says so."""
    clock, script = Clock(), Script(*[DeliveryError("down")] * 500)
    one = Deliverer(webhook("http://x", give_up_s=3600.0), outbox, script, lambda: 1.0)
    put(outbox, alert())
    while (due_us := one.turn(clock)) is not None:
        clock.now_us = max(due_us, clock.now_us)
    assert clock.now_us >= NOW + 60 * MINUTE
    assert outbox.waiting() == {"ops": Waiting(alerts=0, failed=1, oldest_us=None)}


def test_alerts_of_half_a_minute_are_one_message_and_what_is_critical_does_not_wait(outbox):
    """Grouping waits for more, and not when it matters."""
    clock, script = Clock(), Script()
    one = Deliverer(webhook("http://x", group_s=30.0), outbox, script, lambda: 1.0)
    put(outbox, alert("a"))
    assert one.turn(clock) == NOW + 30 * SECOND
    put(outbox, alert("b"))
    clock.now_us += 30 * SECOND
    one.turn(clock)
    put(outbox, alert("c", time_us=clock.now_us), alert("d", severity="critical", time_us=clock.now_us))
    one.turn(clock)
    assert [rules for _, rules in script.got] == [["a", "b"], ["c", "d"]]


def test_quiet_hours_hold_what_is_not_critical(outbox):
    """At their end all of it is one message."""
    quiet = QuietHours(time_of_day(22), time_of_day(7), "Europe/Berlin")
    clock, script = Clock(NOW + 15 * 60 * MINUTE), Script()  # midnight in Berlin
    one = Deliverer(webhook("http://x", quiet=quiet), outbox, script, lambda: 1.0)
    put(outbox, alert("a"), alert("b"))
    morning = one.turn(clock)
    assert morning == NOW + 22 * 60 * MINUTE  # 07:00 in Berlin
    put(outbox, alert("fire", severity="critical"))
    one.turn(clock)
    clock.now_us = morning
    one.turn(clock)
    assert [rules for _, rules in script.got] == [["fire"], ["a", "b"]]


@pytest.mark.parametrize(
    "moment, until_moment",
    [
        # The night in which the clock goes forward has an hour less, that in which it goes back an hour more.
        ("2027-03-27T23:30:00+00:00", "2027-03-28T05:00:00+00:00"),
        ("2026-10-24T23:30:00+00:00", "2026-10-25T06:00:00+00:00"),
        ("2026-10-24T19:30:00+00:00", None),
        ("2026-10-25T06:00:00+00:00", None),
    ],
)
def test_quiet_hours_follow_the_clock_of_their_place(moment, until_moment):
    """Across a change of the clock as well."""
    from datetime import datetime

    quiet = QuietHours(time_of_day(22), time_of_day(7), "Europe/Berlin")
    found = quiet.until_us(round(datetime.fromisoformat(moment).timestamp()) * SECOND)
    expected = None if until_moment is None else round(datetime.fromisoformat(until_moment).timestamp()) * SECOND
    assert found == expected


def test_quiet_hours_of_some_days_begin_on_those():
    """Friday evening lasts until Saturday morning."""
    quiet = QuietHours(time_of_day(22), time_of_day(7), "UTC", days=(4,))
    friday, hour = NOW + 15 * 60 * MINUTE, 60 * MINUTE  # 23:00 on a Friday
    assert quiet.until_us(friday) == friday + 8 * hour
    assert quiet.until_us(friday + 5 * hour) == friday + 8 * hour
    assert quiet.until_us(friday + 24 * hour) is None


def test_a_dead_receiver_delays_no_other(outbox):
    """One hangs until the test is over; what came after it has reached the other."""
    over, got = threading.Event(), []

    def sender(receiver, message, now_us):
        if receiver.name == "dead":
            over.wait(60)
            raise DeliveryError("dead")
        got.append(message.alerts[0].rule)

    clock = Clock()
    delivery = Delivery(outbox, clock=clock, sender=sender, jitter=lambda: 1.0)
    delivery.use([webhook("http://x", name="dead"), webhook("http://y", name="ops")])
    for number in range(20):
        put(outbox, alert(f"r{number}"), to=("dead", "ops"))
        delivery.wake(["dead", "ops"])
        until(lambda expected=number + 1: len(got) == expected)
    over.set()
    delivery.stop(10)
    assert got == [f"r{number}" for number in range(20)]


def test_what_waits_is_bounded_and_the_history_says_so(outbox):
    """A receiver that is away for long costs no more than its share."""
    put(outbox, *[alert(f"r{number}") for number in range(MAX_WAITING + 2)])
    assert outbox.waiting()["ops"].alerts == MAX_WAITING
    assert [past.deliveries[0][1] for past in outbox.history(3)] == ["crowded", "crowded", "waiting"]


def test_a_message_keeps_its_alerts_and_id_when_the_process_ends_before_the_answer(outbox, tmp_path):
    """Killed while sending, or between the answer and its note: the same message goes out again, and no second one."""
    first = Script()
    put(outbox, alert("a"))
    message, _ = outbox.next_message("ops", NOW, group_us=0, limit=50, only_critical=False)
    put(outbox, alert("b"))
    outbox.close()

    again = Outbox(tmp_path / "alerts")
    one = Deliverer(webhook("http://x"), again, first, lambda: 1.0)
    one.turn(Clock())
    one.turn(Clock())
    again.close()
    assert first.got[0] == (message.id, ["a"])
    assert first.got[1][1] == ["b"]


def test_what_is_forgotten_is_in_no_file(outbox, tmp_path):
    """A person who is deleted is in no alert, sent or not, and in no byte beside the store."""
    put(outbox, alert("a", group={"user": "anna-4711"}), alert("b", group={"user": "bert"}))
    message, _ = outbox.next_message("ops", NOW, group_us=0, limit=1, only_critical=False)
    outbox.again(message, NOW, "the receiver answered 400: no such user anna-4711")
    assert outbox.mentions("user", "anna-4711")
    assert outbox.forget("user", "anna-4711") == 1
    assert not outbox.mentions("user", "anna-4711")
    assert [past.alert.rule for past in outbox.history()] == ["b"]
    assert all(b"anna-4711" not in path.read_bytes() for path in tmp_path.glob("alerts*"))


def test_a_file_that_is_no_outbox_is_named(tmp_path):
    """With what to do."""
    (tmp_path / "alerts").write_bytes(b"x" * 5000)
    with pytest.raises(OutboxError, match=r"cannot be opened .*; move it away, or correct --db"):
        Outbox(tmp_path / "alerts")
