"""Several people: the file they stand in, what each role may, who is logged in, and how that ends."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard import DashboardSettings, cli, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.roles import ROLES, Identity
from ai_dev_squad_dashboard.security import session_list
from ai_dev_squad_dashboard.security.access import browser_name
from ai_dev_squad_dashboard.security.people import MAX_NAME, PeopleFile, Person, read_people, write_people
from ai_dev_squad_dashboard.security.session_list import SessionList
from ai_dev_squad_dashboard.security.sessions import Session
from ai_dev_squad_dashboard.store import open_memory_store

# Cheap on purpose: what is tested is what becomes of the answer.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HASHES = {name: CHEAP.hash(f"the password of {name}") for name in ("ada", "ben", "cho", "dan")}
ADA, BEN, CHO = (
    Person(name, role, HASHES[name]) for name, role in (("ada", "administer"), ("ben", "act"), ("cho", "look"))
)
FILE = Path("people.toml")


def write(*people: Person) -> None:
    """The file of people has these, and is another one than before, however coarse the clock of its disk."""
    write_people(FILE, {person.name: person for person in people})


class Dashboard:
    """A dashboard for the people in the file."""

    def __init__(self) -> None:
        self.app = create_app(
            DashboardSettings(db=Path("dashboard.duckdb"), people=FILE), store=open_memory_store(), follow=False
        )

    def browser(self, name: str = "", password: str | None = None):
        """A browser in which somebody has tried to log in."""
        browser = self.app.test_client()
        if name:
            token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/login").text)[1]
            password = f"the password of {name}" if password is None else password
            browser.post("/login", data={"csrf_token": token, "user": name, "password": password})
        return browser


@pytest.fixture
def dashboard():
    """One where ada administers, ben acts and cho looks."""
    write(ADA, BEN, CHO)
    made = Dashboard()
    yield made
    running(made.app).close()


def looks(browser) -> bool:
    """Whether whoever uses the browser gets in."""
    return browser.get("/api/access").status_code == 200


def acts(browser) -> int:
    """What is answered to deleting a session that is not there: 404 to who may act, 403 to who may not."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/access").text)[1]
    return browser.delete("/api/sessions/none", headers={"X-CSRF-Token": token}).status_code


# The file


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=MAX_NAME),
        st.sampled_from(ROLES),
        max_size=5,
    )
)
def test_what_is_written_is_read(roles):
    """People with any names that can be shown come back as they were."""
    people = {name: Person(name, role, HASHES["ada"]) for name, role in roles.items()}
    write_people(FILE, people)

    assert dict(read_people(FILE)) == people
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text, message",
    [
        ("ada = 1", r'people.toml, \["ada"\] is no person; use a table whose name has 1 to 200 printable characters'),
        ("[ada", "people.toml is no TOML .*; correct it, or make it with `ai-dev-squad people`"),
        ("[ada]\nrole = 'root'", r"people.toml, \[.ada.\] has the role 'root'; use 'look', 'act', 'administer'"),
        ("[ada]\nrole = 'look'\npassword = 'secret'", "has no argon2id hash as its password; use what `ai-dev-squad p"),
        ("[ada]\nrole = 'look'\nmail = 'x'", r"people.toml, \[.ada.\] has 'mail'; use role and password"),
        ('["a\\u0000"]', r"is no person; use a table whose name has 1 to 200 printable characters"),
        (None, "people.toml cannot be read .*; make it with `ai-dev-squad people add NAME`"),
    ],
)
def test_a_file_that_is_wrong_says_where_and_what_to_do(text, message):
    """The message names file and person; what stands as the password is not repeated."""
    if text is not None:
        FILE.write_text(text)
        FILE.chmod(0o600)

    with pytest.raises(ValueError, match=message) as raised:
        PeopleFile(FILE)
    assert "secret" not in str(raised.value)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_a_file_that_others_may_change_is_refused():
    """Whoever can write into it could let himself in."""
    write(ADA)
    FILE.chmod(0o620)

    with pytest.raises(ValueError, match=r"people\.toml can be changed by others; run `chmod go-w people\.toml`"):
        PeopleFile(FILE)


# What each may


def test_each_person_comes_in_with_their_own_password(dashboard):
    """A name with another one's password, a stranger's name and no password at all get nobody in."""
    tried = [
        ("ada", None),
        ("ben", None),
        ("cho", None),
        ("ada", "the password of ben"),
        ("dan", None),
        ("dan", "the password of ada"),
        ("ada", ""),
    ]

    assert [looks(dashboard.browser(*each)) for each in tried] == [True, True, True, False, False, False, False]


def test_a_role_has_all_that_the_one_before_it_has(dashboard):
    """Who looks changes nothing, who acts deletes, who administers also sees everybody's sessions."""
    browsers = {name: dashboard.browser(name) for name in ("ada", "ben", "cho")}
    seen = {name: browser.get("/api/access").json for name, browser in browsers.items()}

    assert {name: acts(browser) for name, browser in browsers.items()} == {"ada": 404, "ben": 404, "cho": 403}
    assert {
        name: (told["name"], told["role"], [row["person"] for row in told["sessions"]]) for name, told in seen.items()
    } == {
        "ada": ("ada", "administer", ["cho", "ben", "ada"]),
        "ben": ("ben", "act", ["ben"]),
        "cho": ("cho", "look", ["cho"]),
    }


def test_a_change_of_the_file_counts_at_once(dashboard):
    """Who is removed or gets another password is out with the next request; a role changes under a session that goes on."""
    ada, ben, cho = (dashboard.browser(name) for name in ("ada", "ben", "cho"))
    write(Person("ada", "look", HASHES["ada"]), Person("cho", "look", HASHES["dan"]))

    assert (looks(ada), looks(ben), looks(cho)) == (True, False, False)
    assert ada.get("/api/access").json["role"] == "look"
    assert looks(dashboard.browser("cho", "the password of dan"))


@pytest.mark.parametrize("damage", ["text", "gone"])
def test_a_file_that_breaks_while_the_dashboard_runs_throws_nobody_out(dashboard, damage, caplog):
    """People are known as before, the log says why, and a file that is right again counts."""
    ben = dashboard.browser("ben")
    if damage == "gone":
        FILE.unlink()
    else:
        FILE.write_text("[ben")

    assert (looks(ben), looks(dashboard.browser("cho"))) == (True, True)
    assert "people are known as before: people.toml" in caplog.text
    write(ADA)
    assert not looks(ben)


# Sessions


def test_sessions_are_ended_by_their_owner_and_by_who_administers(dashboard):
    """Somebody else's is not to be had; an ended one opens nothing and is not listed any more."""
    ada, ben, other_ben, cho = (dashboard.browser(name) for name in ("ada", "ben", "ben", "cho"))

    def end(browser, name):
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/access").text)[1]
        return browser.post("/access/end", data={"csrf_token": token, "session": name}).status_code

    def own(browser):
        return next(row["name"] for row in browser.get("/api/access").json["sessions"] if row["is_own"])

    names = {"ben": own(ben), "other ben": own(other_ben), "cho": own(cho)}
    assert end(cho, names["ben"]) == 404
    assert (end(ben, names["other ben"]), looks(ben), looks(other_ben)) == (303, True, False)
    assert (end(ada, names["cho"]), looks(cho)) == (303, False)
    assert end(ada, names["cho"]) == 404
    assert [row["person"] for row in ada.get("/api/access").json["sessions"]] == ["ben", "ada"]


def test_who_is_logged_in_is_known_after_a_restart(dashboard):
    """The list is kept beside the key, for its owner only, and holds nothing that opens a session."""
    ada = dashboard.browser("ada")
    before = ada.get("/api/access").json
    cookie = ada.get_cookie(running_cookie(dashboard)).value
    running(dashboard.app).close()
    kept = Path("dashboard.duckdb.sessions")
    again = Dashboard()
    browser = again.app.test_client()
    browser.set_cookie(running_cookie(again), cookie)

    assert browser.get("/api/access").json == before
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert cookie.split(".")[0] not in kept.read_text()
    running(again.app).close()


def running_cookie(dashboard) -> str:
    """The name of its session cookie."""
    return dashboard.app.extensions["ai_dev_squad_guard"].session_cookie


def test_the_list_of_sessions_is_bounded_and_survives_damage(monkeypatch, caplog):
    """The oldest leave first, what is over leaves by itself, and a damaged file costs the list and nothing else."""
    monkeypatch.setattr(session_list, "MAX_LISTED", 3)
    listed = SessionList(FILE)
    for number in range(5):
        session = Session(f"id{number}", 1000 + number, "mark", Identity(f"p{number}", "look"))
        listed.add(session, now_s=100, address="127.0.0.1", browser="b" * 999)

    assert [(each.person, len(each.browser)) for each in listed.running(100)] == [("p4", 200), ("p3", 200), ("p2", 200)]
    assert [each.person for each in SessionList(FILE).running(1003)] == ["p4"]
    FILE.write_bytes(FILE.read_bytes()[:-7])
    assert SessionList(FILE).running(0) == ()
    assert "who is logged in is not known any more" in caplog.text


@pytest.mark.parametrize(
    "told, name",
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
            "Chrome on Linux",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile/15E148 Safari/604.1",
            "Safari on iOS",
        ),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
        ("Chrome/1", "Chrome"),
        ("curl/8.5", "curl/8.5"),
    ],
)
def test_a_browser_is_called_what_people_call_it(told, name):
    """Its own line is long and names half a dozen others."""
    assert browser_name(told) == name


# The command


def test_people_are_kept_by_a_command(capsys, monkeypatch):
    """A person is added with a password, gets another role, is listed, and is removed."""

    def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", type("Typed", (), {"readline": lambda _: f"{typed}\n"})())
        code = cli.main(["people", *arguments])
        return code, *capsys.readouterr()

    assert run("add", "ada", "--role", "act", "--stdin", typed="the password of ada")[:2] == (
        0,
        "ada may act. The dashboard reads people.toml: DASHBOARD_PEOPLE=people.toml\n",
    )
    assert run("role", "ada", "administer")[:2] == (0, "ada may administer.\n")
    assert run("add", "ada", "--stdin", typed="another password of ada")[:2] == (
        0,
        "ada may administer. The dashboard reads people.toml: DASHBOARD_PEOPLE=people.toml\n",
    )
    assert run("list") == (0, "administer  ada\n", "")
    assert run("remove", "ben") == (1, "", "ai-dev-squad: 'ben' is not in people.toml; it has 'ada'\n")
    assert run("add", "be\x00n", "--stdin", typed="the password of ben")[0] == 1
    assert run("remove", "ada")[:2] == (0, "ada is removed.\n")
    assert run("list") == (0, "", "")
