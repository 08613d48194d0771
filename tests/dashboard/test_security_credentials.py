"""Tokens, passwords, sessions, the key beside the store, limits, and which settings are safe to start with."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urljoin, urlsplit

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard import DashboardSettings
from ai_dev_squad_dashboard.roles import Identity
from ai_dev_squad_dashboard.security import passwords, sessions, tokens
from ai_dev_squad_dashboard.security.csrf import FormTokens
from ai_dev_squad_dashboard.security.hosts import Authority, parse_authority
from ai_dev_squad_dashboard.security.limits import Allowance, neighbourhood
from ai_dev_squad_dashboard.security.login import inner_path
from ai_dev_squad_dashboard.security.passwords import Passwords, TooBusyError, hash_password
from ai_dev_squad_dashboard.security.secret import kept_key, key_file
from ai_dev_squad_dashboard.security.sessions import Sessions

PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse battery")
DIGEST, OTHER = "0" * 64, "1" * 64
KEY = "k" * 48
KNOWN = {DIGEST: Identity("token 00000000", "look")}


def known():
    """Whose the credentials are."""
    return KNOWN


def of_admin(hashed):
    """The only person's hash, which a stranger's password is checked against as well."""
    return lambda name: (hashed, hashed if name == "admin" else "")


def end(held, session):
    """Log out."""
    held.end(session.name, session.expires_s)


# Tokens


def test_tokens_are_long_and_kept_as_digests():
    """A token has 256 random bits and says what it is for; what is kept is its SHA-256."""
    token, digest = tokens.new_token("read")

    assert token.startswith("ads_read_")
    assert len(token) == len("ads_read_") + 43
    assert digest == hashlib.sha256(token.encode()).hexdigest()
    assert tokens.new_token("read")[0] != token


def test_there_are_three_kinds_of_token():
    """Any other kind is a mistake of the program that asks for it."""
    with pytest.raises(ValueError, match="kind 'admin' is no kind of token; use 'read', 'act' or 'ingest'"):
        tokens.new_token("admin")


@pytest.mark.parametrize("position", [0, 1, 2, None])
def test_every_digest_is_compared_in_constant_time(position, monkeypatch):
    """Whichever token it is, and whether it is one, as many comparisons are made, each by `compare_digest`."""
    known = [tokens.new_token("read") for _ in range(3)]
    compared = []

    def compare(left, right):
        compared.append(right)
        return hmac.compare_digest(left, right)

    monkeypatch.setattr(tokens, "hmac", SimpleNamespace(compare_digest=compare))
    shown = "unknown" if position is None else known[position][0]

    assert tokens.one_of(shown, [digest for _, digest in known]) == (None if position is None else known[position][1])
    assert compared == [digest for _, digest in known]


@given(st.text(), st.text())
def test_any_header_is_understood_or_refused(scheme, token):
    """A header of any text is a bearer token or none; it never fails."""
    found = tokens.bearer(f"{scheme} {token}")

    assert found is None or (scheme.strip().lower() == "bearer" or " " in scheme.strip())
    assert tokens.one_of(token, [DIGEST]) is None


# Passwords


def test_a_password_becomes_an_argon2id_hash():
    """64 MiB of memory for each guess, as RFC 9106 advises, and a hash that the settings accept."""
    hashed = hash_password("correct horse battery")
    parameters = extract_parameters(hashed)

    assert (parameters.type.name, parameters.memory_cost, parameters.time_cost) == ("ID", 65536, 3)
    assert DashboardSettings(password_hash=hashed).needs_login
    assert Passwords(of_admin(hashed)).match("admin", "correct horse battery")


@pytest.mark.parametrize("length", [0, 11, 1025])
def test_a_password_has_a_sensible_length(length):
    """Short ones are guessed, endless ones are an attack; the message says how many characters are allowed."""
    with pytest.raises(ValueError, match=f"the password has {length} characters; use 12 to 1024"):
        hash_password("x" * length)


@pytest.mark.parametrize("user, password", [("root", "correct horse battery"), ("admin", "wrong"), ("root", "wrong")])
def test_a_wrong_name_costs_as_much_as_a_wrong_password(user, password):
    """The password is hashed once whether the name exists or not."""
    verified = []

    class Spy:
        def verify(self, hashed, text):
            verified.append(hashed)
            if text != b"correct horse battery":
                raise VerifyMismatchError
            return True

    checks = Passwords(of_admin(PASSWORD_HASH))
    checks._hasher = Spy()

    assert (checks.match(user, password), verified) == (None, [PASSWORD_HASH])


def test_as_many_passwords_are_hashed_at_once_as_were_allowed():
    """With two checks under way a third gives up instead of taking more memory; afterwards there is room again."""
    started, finish = threading.Semaphore(0), threading.Event()

    class Slow:
        def verify(self, hashed, text):
            started.release()
            assert finish.wait(10)
            return True

    checks = Passwords(of_admin(PASSWORD_HASH), parallel=2, patience_s=0.01)
    checks._hasher = Slow()
    results = []
    threads = [threading.Thread(target=lambda: results.append(checks.match("admin", "x"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert started.acquire(timeout=10)
    with pytest.raises(TooBusyError):
        checks.match("admin", "x")
    finish.set()
    for thread in threads:
        thread.join(10)

    assert (results, checks.match("admin", "x")) == ([PASSWORD_HASH, PASSWORD_HASH], PASSWORD_HASH)


def test_a_hash_that_is_none_lets_nobody_in():
    """A hash which argon2 cannot read is a wrong password, not an error; without a hash there is nothing to hash."""
    assert Passwords(of_admin("$argon2id$nonsense")).match("admin", "x") is None
    assert Passwords(of_admin(None)).match("admin", "") is None


def test_an_endless_password_is_not_hashed():
    """More than a kilobyte is refused before it costs anything."""
    checks = Passwords(of_admin(PASSWORD_HASH))
    checks._hasher = None

    assert checks.match("admin", "x" * (passwords.MAX_PASSWORD + 1)) is None


# The key beside the store


def test_the_key_is_made_once_for_its_owner_only():
    """The file has mode 0600, whatever the umask, and the second start reads the same key."""
    path = key_file(Path("data/dashboard.duckdb"))
    before = os.umask(0)
    try:
        first = kept_key(path)
    finally:
        os.umask(before)

    assert (path, stat.S_IMODE(path.stat().st_mode), len(first)) == (Path("data/dashboard.duckdb.key"), 0o600, 64)
    assert (kept_key(path), [each.name for each in path.parent.iterdir()]) == (first, ["dashboard.duckdb.key"])


def test_many_that_start_at_once_get_one_key():
    """Whoever loses the race reads the winner's key, and never half of it."""
    path, barrier, keys = Path("a.key"), threading.Barrier(8), []

    def start() -> None:
        barrier.wait()
        keys.append(kept_key(path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(keys), len(set(keys))) == (8, 1)


@pytest.mark.parametrize(
    "spoil, message",
    [
        pytest.param(lambda path: path.chmod(0o644), r"can be read by others \(mode 0644\)", id="readable"),
        pytest.param(lambda path: path.write_text("short"), "holds no key of 32 characters", id="empty"),
        pytest.param(lambda path: path.replace("real") and path.symlink_to("real"), "cannot be read", id="link"),
    ],
)
def test_a_key_that_others_know_is_refused(spoil, message):
    """A key that is readable, empty or a link is not used; the message names the cure."""
    path = Path("a.key")
    kept_key(path)
    spoil(path)

    with pytest.raises(ValueError, match=f"{message}.*delete it, and a new one is made, or set DASHBOARD_SECRET_KEY"):
        kept_key(path)


# Sessions


def test_a_session_is_forged_with_no_other_key():
    """A cookie is worth something under the key that signed it, and under no other."""
    _, cookie = Sessions(KEY, known, ended=None).open(DIGEST)

    assert Sessions(KEY, known, ended=None).of(cookie) is not None
    assert Sessions("x" * 48, known, ended=None).of(cookie) is None


@given(st.text() | st.none())
def test_any_cookie_is_a_session_or_none(cookie):
    """What did not come from us is no session, and never an error."""
    assert Sessions(KEY, known, ended=None).of(cookie) is None


def test_the_list_of_ended_sessions_does_not_grow_for_ever():
    """A session that would be over anyway is forgotten, in memory and in the file."""
    now, path = [1000.0], Path("ended")
    held = Sessions(KEY, known, ended=path, clock=lambda: now[0])
    for _ in range(5):
        end(held, held.open(DIGEST)[0])
    now[0] += sessions.LIFETIME_S
    last, cookie = held.open(DIGEST)
    end(held, last)

    assert (len(held._ended), len(path.read_text().splitlines()), stat.S_IMODE(path.stat().st_mode)) == (1, 1, 0o600)
    assert Sessions(KEY, known, ended=path, clock=lambda: now[0]).of(cookie) is None


def test_a_logout_counts_even_when_it_cannot_be_written(caplog):
    """On a full or vanished disk the session is over all the same, and the log says what a restart would undo."""
    held = Sessions(KEY, known, ended=Path("gone/ended"))
    session, cookie = held.open(DIGEST)
    end(held, session)

    assert held.of(cookie) is None
    assert "a logout could not be kept" in caplog.text


def test_a_damaged_list_of_ended_sessions_is_read_as_far_as_it_goes():
    """Lines that make no sense are passed over, the others count."""
    path = Path("ended")
    held = Sessions(KEY, known, ended=path)
    session, cookie = held.open(DIGEST)
    end(held, session)
    path.write_bytes(b"\xff\xfe nonsense\n\n" + path.read_bytes() + b"torn li")

    assert Sessions(KEY, known, ended=path).of(cookie) is None


@given(st.text(), st.text(min_size=1))
def test_form_tokens_are_checked_without_error(token, binding):
    """Any text is refused as a form token; only one that was made for this browser counts."""
    forms = FormTokens(KEY)

    assert forms.check(token, binding) is False
    assert forms.check(forms.make(binding), binding) is True
    assert forms.check(forms.make(binding), binding + "x") is False
    assert forms.check(forms.make(""), "") is False


# Where a login leads


@given(st.text(alphabet=st.sampled_from("/\\.:@?#%&=azAZ09\t\n\r \x00\x0b\x7f\u00e9\u3000-_"), max_size=30) | st.text())
def test_a_login_never_leads_elsewhere(text):
    """Whatever `next` says, a browser ends up on the dashboard, also with everything that browsers forgive."""
    target = inner_path(text)
    forgiving = "".join(character for character in target if ord(character) > 32).replace("\\", "/")

    assert target.startswith("/")
    assert not forgiving.startswith("//")
    assert urlsplit(urljoin("http://localhost:8080/login", target)).netloc == "localhost:8080"


@pytest.mark.parametrize(
    "text",
    [
        "https://attacker.example/",
        "//attacker.example",
        "/\\attacker.example",
        "\\\\attacker.example",
        "/\t/attacker.example",
        "/\n/attacker.example",
        "javascript:alert(1)",
        " /",
        "",
        None,
        "/" + "x" * 5000,
    ],
)
def test_ways_out_lead_to_the_first_page(text):
    """Known tricks end on the overview."""
    assert inner_path(text) == "/"


@pytest.mark.parametrize("text", ["/", "/traces?text=a%20b&range=7d", "/sessions/a/b#c", "/traces?next=//x"])
def test_ways_within_are_kept(text):
    """A view that somebody wanted to see is shown after the login."""
    assert inner_path(text) == text


# Names


@pytest.mark.parametrize(
    "text, authority",
    [
        ("localhost", Authority("localhost", None)),
        ("Box.Example.:8080", Authority("box.example", 8080)),
        ("[::1]:80", Authority("::1", 80)),
        ("::1", None),
        ("a b", None),
        ("a:b", None),
        ("a:", None),
        ("user@a", None),
        ("a/b", None),
        ("[::1", None),
        ("bücher.example", None),
    ],
)
def test_a_host_is_a_name_and_perhaps_a_port(text, authority):
    """Anything but a name or address with a port is no host."""
    assert parse_authority(text) == authority


@given(st.text())
def test_any_host_header_is_understood_or_refused(text):
    """A host of any text gives a name in lower case or nothing, never an error."""
    found = parse_authority(text)

    assert found is None or (found.name == found.name.lower() and found.name in text.lower())


# Limits


def test_an_allowance_refills_with_time():
    """A burst is allowed at once, then as much as comes back; the answer says how long to wait."""
    now = [0.0]
    allowance = Allowance(per_s=2, burst=3, clock=lambda: now[0])

    assert [allowance.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert allowance.take("b") == 0
    now[0] = 0.5
    assert [allowance.take("a"), allowance.take("a")] == [0, 0.5]
    allowance.give_back("a")
    assert allowance.take("a") == 0
    now[0] = 100
    assert [allowance.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_many_addresses_do_not_fill_the_memory():
    """The addresses that were heard of longest ago are forgotten."""
    allowance = Allowance(per_s=1, burst=1, keys=10, clock=lambda: 0.0)
    for number in range(1000):
        allowance.take(str(number))

    assert list(allowance._left) == [str(number) for number in range(990, 1000)]


@pytest.mark.parametrize(
    "address, sender",
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        (None, ""),
        ("nonsense", "nonsense"),
    ],
)
def test_a_sender_is_an_address_or_a_network(address, sender):
    """One host has a whole /64 of IPv6 addresses, so that is what is counted."""
    assert neighbourhood(address) == sender


# Settings


@pytest.mark.parametrize(
    "arguments, message",
    [
        pytest.param({"host": "0.0.0.0"}, "host '0.0.0.0' is reachable from other machines", id="host"),
        pytest.param({"host": ""}, "host '' is reachable from other machines", id="all addresses"),
        pytest.param({"host": "box.local"}, "host 'box.local' is reachable from other machines", id="name"),
        pytest.param({"behind_tls": True}, r"behind a proxy \(behind_tls\) is reachable", id="proxy"),
        pytest.param({"allowed_hosts": ("box.example",)}, "allowed_hosts 'box.example' is reachable", id="other name"),
        pytest.param({"host": "0.0.0.0", "ingest_tokens": (DIGEST,)}, "nobody would be asked", id="ingest only, host"),
        pytest.param({"ingest_tokens": (DIGEST,)}, "ingest_tokens alone would leave nobody", id="ingest only"),
        pytest.param(
            {"read_tokens": (DIGEST,), "ingest_tokens": (DIGEST,)}, "one token is among read_tokens and", id="both"
        ),
        pytest.param({"read_tokens": ("secret",)}, "read_tokens has something that is no SHA-256", id="no digest"),
        pytest.param({"ingest_tokens": ("",)}, "ingest_tokens has something that is no SHA-256", id="empty digest"),
        pytest.param({"password_hash": "secret"}, "password_hash is no argon2id hash", id="password itself"),
        pytest.param({"password_hash": ""}, "password_hash is no argon2id hash", id="empty password"),
        pytest.param({"secret_key": "secret"}, "secret_key has 6 characters; use 32 or more", id="short key"),
        pytest.param({"allowed_hosts": ("*",)}, r"allowed_hosts has '\*'; use names", id="any host"),
        pytest.param({"allowed_hosts": ("http://a",)}, "allowed_hosts has 'http://a'; use names", id="URL as host"),
    ],
)
def test_what_is_not_safe_does_not_start(arguments, message):
    """Settings that would let anybody in, or that mistake a secret for its hash, are refused with the cure and without the secret."""
    with pytest.raises(ValueError, match=message) as refused:
        DashboardSettings(**arguments)

    assert "secret'" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"host": "::1"},
        {"host": "127.0.0.2"},
        {"allowed_hosts": ("localhost:9000",)},
        {"host": "0.0.0.0", "read_tokens": (DIGEST,)},
        {"host": "0.0.0.0", "password_hash": PASSWORD_HASH},
        {"behind_tls": True, "allowed_hosts": ("box.example",), "password_hash": PASSWORD_HASH},
        {"read_tokens": (DIGEST,), "ingest_tokens": (OTHER,)},
    ],
    ids=str,
)
def test_what_is_safe_starts(arguments):
    """Loopback needs nothing; whatever others reach needs a way to ask who looks."""
    settings = DashboardSettings(**arguments)

    assert settings.needs_login == bool({"read_tokens", "password_hash"} & set(arguments))


def test_settings_show_no_secrets():
    """What is printed into a log or a traceback has neither digests nor hashes nor keys."""
    shown = repr(
        DashboardSettings(
            read_tokens=(DIGEST,), ingest_tokens=(OTHER,), password_hash=PASSWORD_HASH, secret_key="s" * 40
        )
    )

    assert [secret for secret in (DIGEST, OTHER, PASSWORD_HASH, "s" * 40) if secret in shown] == []


def test_digests_may_be_written_in_upper_case():
    """A digest from another tool is the same digest."""
    assert DashboardSettings(read_tokens=("AB" * 32,)).read_tokens == ("ab" * 32,)
