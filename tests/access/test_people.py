"""People sign in to the admin side: with passwords, with admin keys and at identity providers; what their sessions open, and
what ends them."""

import base64
import hashlib
import json
import os
import subprocess
import urllib.parse

import pytest
from conftest import ADMIN_KEY, APP_KEY, BINARY, Gateway, free_port, wait_for
from people import COOKIE, Browser, Pretender
from test_admin import ask, database
from test_provider import Provider

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1, trusted_proxies: [127.0.0.1] }}
data_dir: {data}
{store}
providers:
  house: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-house, models: {{ echo: {{}} }} }}
models: {{ smart: house/echo }}
organizations: {{ acme: {{}}, globex: {{}} }}
teams: {{ search: {{ organization: acme }}, rockets: {{ organization: globex }} }}
users: {{ gone@example.com: {{ disabled: true }}, acme-only: {{ organization: acme, disabled: true }} }}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
  - {{ name: acme admin, key: {acme}, role: admin, organization: acme }}
  - {{ name: viewer, key: {viewer}, role: viewer }}
sign_in:
  url: "{url}"
  providers: {{ {providers} }}
"""
HOUSE = """
    house: {{ title: House login, issuer: "{issuer}", client_id: console, client_secret: console-secret,
      scopes: [openid, email, groups], roles: [
        {{ group: gateway-owners, role: owner }}, {{ group: gateway-viewers, role: viewer }},
        {{ group: acme-admins, role: admin, organization: acme }} ] }},
    public: {{ issuer: "{issuer}", client_id: console-public, scopes: [openid, email, groups], default_role: viewer }}
"""
PRETENDER = """
    pretender: {{ issuer: "{issuer}", client_id: console, client_secret: "s:1", roles: [
        {{ group: gateway-owners, role: owner }}, {{ group: lost, role: owner, organization: nowhere }} ] }}
"""
ACME = "tg-admin-" + "c" * 43
VIEWER = "tg-admin-" + "v" * 43
PASSWORD = "seven green bottles"


class PeopleGateway(Gateway):
    """A gateway whose address for browsers is where it listens, unless a test says otherwise."""

    def __init__(self, folder, sim, store="", providers="", url="http://127.0.0.1:{port}", port=None, config=CONFIG):
        port = port or free_port()
        self.wanted = port
        config = config.replace("{port}", str(port)).replace("{url}", url.replace("{port}", str(port)))
        values = {"store": store, "providers": providers.strip(), "acme": ACME, "viewer": VIEWER}
        super().__init__(folder, sim, config, **values)

    def listens(self):
        self.port = self.wanted
        self.url = f"http://127.0.0.1:{self.port}"
        return super().listens()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gateway(request, tmp_path_factory, sim):
    store, drop = database(request.param)
    gateway = PeopleGateway(tmp_path_factory.mktemp("people"), sim, store)
    yield gateway
    gateway.process.kill()
    gateway.process.wait()
    if drop:
        subprocess.run(drop, check=True)


@pytest.fixture(scope="module")
def idp():
    folder = os.environ.get("TOLLGATE_IDP")
    if not folder:
        pytest.skip("TOLLGATE_IDP names no folder with the packages of tests/idp; cargo xtask test makes one")
    provider = Provider(folder)
    yield provider
    provider.process.kill()


@pytest.fixture(scope="module")
def signing(tmp_path_factory, sim, idp):
    """A gateway whose people sign in at a real provider."""
    folder = tmp_path_factory.mktemp("signing")
    gateway = PeopleGateway(folder, sim, providers=HOUSE.format(issuer=idp.url))
    yield gateway
    gateway.process.kill()


@pytest.fixture
def pretender():
    pretender = Pretender()
    yield pretender
    pretender.close()


def account(gateway, name, role="owner", key=ADMIN_KEY, **others):
    """A fresh account whose owner has chosen a password."""
    made = ask(gateway, "POST", "accounts", {"name": name, "role": role, **others}, key)
    assert made.status == 201, made.text
    browser = Browser(gateway)
    assert browser.sign_in(name, made.json["password"]).status == 200
    changed = browser.ask("POST", "me/password", {"old": made.json["password"], "new": PASSWORD})
    assert changed.status == 200, changed.text
    return made.json, browser


def signed_in(gateway, name):
    browser = Browser(gateway)
    answer = browser.sign_in(name, PASSWORD)
    assert answer.status == 200, answer.text
    return browser


def audit(gateway, **wanted):
    entries = ask(gateway, "GET", "audit?limit=500").json["data"]
    return [one for one in entries if all(one[name] == value for name, value in wanted.items())]


def test_a_one_time_password_opens_nothing_but_its_change(gateway):
    made = ask(gateway, "POST", "accounts", {"name": "Once@example.com", "role": "viewer"})
    assert made.status == 201 and made.json["one_time_password"] and len(made.json["password"]) == 20
    assert ask(gateway, "POST", "accounts", {"name": "once@EXAMPLE.com", "role": "viewer"}).code == (409, "name_taken")
    browser = Browser(gateway)
    first = browser.sign_in("once@example.com", made.json["password"])
    assert first.status == 200 and first.json["must_change_password"] and first.json["role"] == "viewer"
    for method, path in [("GET", "teams"), ("GET", "sessions"), ("GET", "openapi.json"), ("POST", "teams")]:
        assert browser.ask(method, path).code == (403, "password_change_required"), path
    assert browser.ask("GET", "me").status == 200
    before = browser.token
    old = made.json["password"]
    short = browser.ask("POST", "me/password", {"old": old, "new": "short"})
    assert short.status == 400 and short.json["error"]["param"] == "new"
    assert browser.ask("POST", "me/password", {"old": "wrong password", "new": PASSWORD}).code == (401, "sign_in_failed")
    assert browser.ask("POST", "me/password", {"old": old, "new": old}).status == 400
    changed = browser.ask("POST", "me/password", {"old": old, "new": PASSWORD})
    assert changed.status == 200 and not changed.json["must_change_password"]
    assert browser.token != before, "another token"
    assert browser.ask("GET", "teams").status == 200
    assert Browser(gateway).ask("GET", "me", headers={"cookie": f"{COOKIE}={before}"}).code == (401, "session_ended")
    assert Browser(gateway).sign_in("once@example.com", old).code == (401, "sign_in_failed")
    assert not ask(gateway, "GET", f"accounts/{made.json['id']}").json["one_time_password"]
    assert "password" not in ask(gateway, "GET", "accounts/once@example.com").json
    told = json.dumps(audit(gateway))
    assert old not in told and PASSWORD not in told


def test_accounts_live_from_creation_to_their_end(gateway):
    made, browser = account(gateway, "life@example.com", "admin")
    shown = ask(gateway, "GET", f"accounts/{made['id']}")
    assert shown.headers["etag"] == '"1"' and shown.json["role"] == "admin"
    listed = ask(gateway, "GET", "accounts?search=LIFE").json["data"]
    assert [one["name"] for one in listed] == ["life@example.com"]
    path = f"accounts/{made['id']}"
    assert ask(gateway, "PATCH", path, {"role": "viewer"}, if_match='"9"').code == (412, "version_mismatch")
    assert ask(gateway, "PATCH", path, {"role": "ruler"}).status == 400
    assert ask(gateway, "PATCH", path, {"organization": "acme"}).status == 400, "it stays where it is"
    changed = ask(gateway, "PATCH", path, {"role": "viewer"}, if_match='"1"')
    assert changed.status == 200 and changed.json["role"] == "viewer"
    assert browser.ask("GET", "me").code == (401, "session_ended"), "its role was changed"
    again = signed_in(gateway, "life@example.com")
    assert again.ask("GET", "me").json["role"] == "viewer"
    assert ask(gateway, "PATCH", path, {"disabled": True}).status == 200
    assert again.ask("GET", "me").code == (401, "session_ended")
    assert Browser(gateway).sign_in("life@example.com", PASSWORD).code == (401, "sign_in_failed")
    assert ask(gateway, "PATCH", path, {"disabled": False, "name": "Living@example.com"}).status == 200
    again = signed_in(gateway, "living@example.com")
    assert ask(gateway, "DELETE", path).status == 200
    assert again.ask("GET", "me").code == (401, "session_ended")
    assert ask(gateway, "GET", path).status == 404
    account(gateway, "living@example.com", "viewer")


def test_an_administrator_sets_passwords_for_one_time(gateway):
    made, browser = account(gateway, "forgetful@example.com", "viewer")
    path = f"accounts/{made['id']}/password"
    set_by = ask(gateway, "POST", path)
    assert set_by.status == 200 and set_by.json["one_time_password"]
    assert browser.ask("GET", "me").code == (401, "session_ended")
    assert Browser(gateway).sign_in("forgetful@example.com", PASSWORD).code == (401, "sign_in_failed")
    again = Browser(gateway)
    assert again.sign_in("forgetful@example.com", set_by.json["password"]).json["must_change_password"]
    assert ask(gateway, "POST", path, {"password": "forgetful 12345"}).status == 400, "the name is in it"
    chosen = ask(gateway, "POST", path, {"password": "ten red balloons"})
    assert chosen.status == 200 and chosen.json["password"] is None
    _, boss = account(gateway, "boss@example.com")
    assert boss.ask("POST", "accounts/boss@example.com/password").code == (409, "own_password")


def test_nobody_gives_more_than_they_have(gateway):
    _, admin = account(gateway, "under@example.com", "admin")
    made, _ = account(gateway, "over@example.com", "owner")
    for method, path, body in [
        ("POST", "accounts", {"name": "more@example.com", "role": "owner"}),
        ("PATCH", f"accounts/{made['id']}", {"disabled": True}),
        ("PATCH", "accounts/under@example.com", {"role": "owner"}),
        ("DELETE", f"accounts/{made['id']}", None),
        ("POST", f"accounts/{made['id']}/password", None),
    ]:
        assert admin.ask(method, path, body).code == (403, "permission_missing"), (method, path)
    _, viewer = account(gateway, "low@example.com", "viewer")
    for method, path in [("GET", "accounts"), ("POST", "accounts"), ("DELETE", "accounts/low@example.com")]:
        assert viewer.ask(method, path, {}).code == (403, "permission_missing")
    over = signed_in(gateway, "over@example.com").ask("GET", "me").json["session"]["id"]
    assert admin.ask("DELETE", f"sessions/{over}").code == (403, "permission_missing")


def test_the_audit_tells_people_apart_whatever_they_are_called(gateway):
    made, one = account(gateway, "same@example.com", "admin")
    assert one.ask("POST", "teams", {"name": "by the first"}).status == 201
    assert ask(gateway, "PATCH", f"accounts/{made['id']}", {"name": "other@example.com"}).status == 200
    again, two = account(gateway, "same@example.com", "admin")
    assert two.ask("POST", "teams", {"name": "by the second"}).status == 201
    assert ask(gateway, "POST", "teams", {"name": "by nobody"}).status == 201
    [first], [second], [key] = (audit(gateway, kind="team", object_name=f"by {who}") for who in ["the first", "the second", "nobody"])
    assert (first["actor"], first["actor_kind"]) == (second["actor"], second["actor_kind"]) == ("same@example.com", "user")
    assert (first["person"], second["person"]) == (made["id"], again["id"]) and "person" not in key
    assert ask(gateway, "GET", "audit/verify").json == {"whole": True, "broken_at": None}


def test_tenants_cannot_cross_with_sessions(gateway):
    _, acme = account(gateway, "acme@example.com", "admin", organization="acme")
    globex, _ = account(gateway, "globex@example.com", "admin", organization="globex")
    assert [one["name"] for one in acme.ask("GET", "teams").json["data"]] == ["search"]
    assert acme.ask("GET", "teams/rockets").status == 404
    assert acme.ask("POST", "teams", {"name": "spies", "organization": "globex"}).status == 400
    made = acme.ask("POST", "teams", {"name": "made by a person"})
    assert made.status == 201 and made.json["organization"] == acme.ask("GET", "me").json["organization"]
    assert acme.ask("GET", "calls").json == {"data": []}, "there are none of its own"
    assert acme.ask("GET", "rollouts").code == (403, "permission_missing"), "it is for the whole gateway"
    assert acme.ask("GET", f"accounts/{globex['id']}").status == 404
    assert acme.ask("GET", "accounts/globex@example.com").status == 404
    assert acme.ask("PATCH", f"accounts/{globex['id']}", {"disabled": True}).status == 404
    assert acme.ask("DELETE", f"accounts/{globex['id']}").status == 404
    assert acme.ask("POST", f"accounts/{globex['id']}/password").status == 404
    names = [one["name"] for one in acme.ask("GET", "accounts?limit=500").json["data"]]
    assert "acme@example.com" in names and "globex@example.com" not in names
    others = signed_in(gateway, "globex@example.com")
    their = others.ask("GET", "me").json["session"]["id"]
    seen = acme.ask("GET", "sessions").json["data"]
    assert their not in [one["id"] for one in seen] and seen
    assert acme.ask("DELETE", f"sessions/{their}").status == 404
    assert others.ask("GET", "me").status == 200
    wrong = acme.ask("POST", "accounts", {"name": "x@example.com", "role": "viewer", "organization": "globex"})
    assert wrong.status == 400
    own = acme.ask("POST", "accounts", {"name": "own@example.com", "role": "viewer"})
    assert own.json["organization"] == acme.ask("GET", "me").json["organization"]
    [entry] = audit(gateway, object_name="made by a person", action="create")
    assert (entry["actor"], entry["actor_kind"]) == ("acme@example.com", "user")


def test_an_admin_key_makes_a_session_too(gateway):
    browser = Browser(gateway)
    assert browser.ask("POST", "sign-in", {"key": APP_KEY}).code == (403, "wrong_key_scope")
    assert browser.ask("POST", "sign-in", {"key": "tg-admin-unknown"}).code == (401, "key_unknown")
    assert browser.ask("POST", "sign-in", {"key": ADMIN_KEY, "name": "x"}).status == 400
    made = ask(gateway, "POST", "keys", {"name": "for a session", "role": "viewer"}).json
    answer = browser.ask("POST", "sign-in", {"key": made["key"]})
    assert answer.status == 200 and answer.json["name"] == "for a session" and answer.json["session"]["way"] == "key"
    assert made["key"] not in answer.text + str(answer.headers)
    assert browser.ask("GET", "teams").status == 200
    assert browser.ask("DELETE", "teams/search").code == (403, "permission_missing")
    rotated = ask(gateway, "POST", f"keys/{made['id']}/rotate", {"overlap": "1h"}).json
    assert browser.ask("GET", "me").code == (401, "session_ended"), "the secret may have become known"
    assert browser.ask("POST", "sign-in", {"key": rotated["key"]}).status == 200
    assert ask(gateway, "DELETE", f"keys/{made['id']}").status == 200
    wait_for(lambda: browser.ask("GET", "me").status == 401, "the end of the key's session")


def test_what_browsers_send_by_themselves_changes_nothing(gateway):
    _, browser = account(gateway, "csrf@example.com", "admin")
    assert browser.ask("POST", "teams", {"name": "forged"}, csrf=None).code == (403, "cross_site")
    assert browser.ask("POST", "sign-out", csrf=None).code == (403, "cross_site")
    for origin in ["https://evil.example", "null", "http://127.0.0.1", f"http://evil.example:{gateway.port}"]:
        refused = browser.ask("POST", "teams", {"name": "forged"}, headers={"origin": origin})
        assert refused.code == (403, "cross_site"), origin
        sign_in = Browser(gateway).ask("POST", "sign-in", {"key": ADMIN_KEY}, headers={"origin": origin})
        assert sign_in.code == (403, "cross_site"), origin
    own = browser.ask("POST", "teams", {"name": "from a page"}, headers={"origin": gateway.url})
    assert own.status == 201, own.text
    assert ask(gateway, "GET", "teams/forged").status == 404
    assert browser.ask("GET", "teams", headers={"origin": "https://evil.example"}).status == 200, "it cannot be read there"
    assert ask(gateway, "POST", "teams", {"name": "by a key"}).status == 201, "keys need none of it"


def test_a_session_is_no_key_and_its_cookie_no_other(gateway):
    _, browser = account(gateway, "cookie@example.com", "owner")
    line = browser.sign_in("cookie@example.com", PASSWORD).headers["set-cookie"]
    assert "HttpOnly" in line and "SameSite=Lax" in line and "Path=/" in line and "Secure" not in line
    body = {"model": "smart", "messages": [{"role": "user", "content": "hello"}]}
    assert browser.ask("POST", "/v1/chat/completions", body).status == 401
    bearer = {"authorization": f"Bearer {browser.token}", "cookie": ""}
    assert browser.ask("POST", "/v1/chat/completions", body, bearer).status == 401
    assert browser.ask("GET", "me", headers=bearer).code == (401, "key_unknown")
    other = {"cookie": f"__Host-{COOKIE}={browser.token}"}
    assert browser.ask("GET", "me", headers=other).code == (401, "key_missing")
    # A key that is shown counts, whatever cookie comes with it.
    by_key = browser.ask("GET", "me", headers={"authorization": f"Bearer {VIEWER}"})
    assert by_key.json["name"] == "viewer" and by_key.json["session"] is None
    assert browser.ask("GET", "/metrics").status == 200
    question = {"request": {"model": "smart", "messages": []}}
    explained = browser.ask("POST", "explain", question)
    assert explained.status == 200, explained.text
    _, viewer = account(gateway, "explain@example.com", "viewer")
    assert viewer.ask("POST", "explain", question).code == (403, "permission_missing")
    assert browser.ask("POST", "explain", question, csrf=None).code == (403, "cross_site")


def test_each_sign_in_has_a_token_of_its_own(gateway):
    _, browser = account(gateway, "fixed@example.com", "viewer")
    planted = "p" * 43
    victim = Browser(gateway)
    victim.cookies[victim.port] = {COOKIE: planted}
    assert victim.sign_in("fixed@example.com", PASSWORD).status == 200
    assert victim.token not in (planted, browser.token)
    assert Browser(gateway).ask("GET", "me", headers={"cookie": f"{COOKIE}={planted}"}).status == 401


def test_sessions_are_seen_and_ended(gateway):
    _, one = account(gateway, "several@example.com", "viewer")
    other = signed_in(gateway, "several@example.com")
    _, third = account(gateway, "another@example.com", "viewer")
    listed = one.ask("GET", "sessions").json["data"]
    assert len(listed) == 2 and {session["name"] for session in listed} == {"several@example.com"}
    [own] = [session for session in listed if session["is_own"]]
    [their] = [session for session in listed if not session["is_own"]]
    assert their["address"] == other.address and own["id"] == one.ask("GET", "me").json["session"]["id"]
    stranger = third.ask("GET", "me").json["session"]["id"]
    assert one.ask("DELETE", f"sessions/{stranger}").status == 404
    assert one.ask("DELETE", f"sessions/{their['id']}").status == 200
    assert other.ask("GET", "me").code == (401, "session_ended")
    assert ask(gateway, "DELETE", f"sessions/{stranger}").status == 200
    assert third.ask("GET", "me").code == (401, "session_ended")
    out = one.ask("POST", "sign-out")
    assert out.status == 200 and out.json == {"end_session_url": None} and one.token is None
    gone = {"cookie": f"{COOKIE}={'x' * 43}"}
    assert one.ask("GET", "me", headers=gone).code == (401, "session_ended")
    many = [signed_in(gateway, "several@example.com") for _ in range(3)]
    assert many[0].ask("DELETE", "sessions").json == {"ended": 3}
    assert all(browser.ask("GET", "me").status == 401 for browser in many)
    kinds = {entry["action"] for entry in audit(gateway, object_name="several@example.com", kind="session")}
    assert kinds == {"sign_in", "sign_out"}
    assert audit(gateway, object_name="another@example.com", kind="session", action="delete")


def test_users_that_are_disabled_are_kept_out(gateway):
    account_made = ask(gateway, "POST", "accounts", {"name": "Gone@Example.com", "role": "owner"}).json
    refused = Browser(gateway).sign_in("gone@example.com", account_made["password"])
    assert refused.code[0] == 403 and refused.code[1] == "disabled", refused.text
    # One of an organization says nothing of those who administer everything.
    account(gateway, "acme-only", "viewer")
    bound = ask(gateway, "POST", "accounts", {"name": "leaver@example.com", "role": "viewer", "organization": "acme"})
    browser = Browser(gateway)
    browser.sign_in("leaver@example.com", bound.json["password"])
    assert browser.ask("GET", "me").status == 200
    user = ask(gateway, "POST", "users", {"name": "leaver@example.com", "organization": "acme"}).json
    assert browser.ask("GET", "me").status == 200
    assert ask(gateway, "PATCH", f"users/{user['id']}", {"disabled": True}).status == 200
    assert browser.ask("GET", "me").code == (403, "disabled")
    assert ask(gateway, "PATCH", f"users/{user['id']}", {"disabled": False}).status == 200
    assert browser.ask("GET", "me").status == 200


def test_wrong_passwords_lock_an_account(gateway):
    made, browser = account(gateway, "locked@example.com", "viewer")
    answers = []
    for _ in range(5):
        answers.append(Browser(gateway).sign_in("locked@example.com", "a wrong password"))
    unknown = Browser(gateway).sign_in("nobody@example.com", "a wrong password")
    locked = Browser(gateway).sign_in("locked@example.com", PASSWORD)
    assert {answer.code for answer in [*answers, unknown, locked]} == {(401, "sign_in_failed")}
    assert {answer.json["error"]["message"] for answer in [*answers, unknown, locked]} == {unknown.json["error"]["message"]}
    assert ask(gateway, "GET", f"accounts/{made['id']}").json["locked_until_us"]
    assert browser.ask("GET", "me").status == 200, "who was in stays in"
    assert len(audit(gateway, object_name="locked@example.com", action="locked")) == 1
    refused = audit(gateway, object_name="locked@example.com", action="sign_in_refused")
    assert len(refused) == 6 and refused[0]["after"]["way"] == "account"
    assert "nobody@example.com" not in json.dumps(audit(gateway)), "it may be a password"
    unlocked = ask(gateway, "POST", f"accounts/{made['id']}/password")
    assert Browser(gateway).sign_in("locked@example.com", unlocked.json["password"]).status == 200


def test_failures_are_counted_by_address_as_well(gateway):
    account(gateway, "crowd@example.com", "viewer")
    browser = Browser(gateway)
    for turn in range(10):
        assert browser.sign_in(f"guess-{turn}@example.com", "a wrong password").code == (401, "sign_in_failed")
    assert browser.sign_in("crowd@example.com", PASSWORD).code == (429, "too_many_failures")
    assert signed_in(gateway, "crowd@example.com").ask("GET", "me").status == 200


def test_the_api_says_how_to_get_in(gateway):
    ways = Browser(gateway).ask("GET", "sign-in")
    assert ways.status == 200 and ways.json["providers"] == [] and ways.headers["cache-control"] == "no-store"
    described = ask(gateway, "GET", "openapi.json").json
    assert described["paths"]["/admin/v1/sign-in"]["post"]["security"] == []
    assert "security" not in described["paths"]["/admin/v1/me"]["get"]
    me = ask(gateway, "GET", "me").json
    assert me["name"] == "boss" and me["role"] == "owner" and "admins:write" in me["permissions"]
    assert ask(gateway, "GET", "me", key=VIEWER).json["permissions"].count("parts:read") == 1
    assert Browser(gateway).ask("GET", "sign-in/nowhere").status == 404
    assert Browser(gateway).ask("GET", "me").code == (401, "key_missing")


def test_commands_make_and_disable_accounts(gateway):
    def run(*words):
        command = [BINARY, "accounts", *words, "--config", str(gateway.file), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    made = run("create", "shell@example.com", "--role", "admin", "--organization", "acme")
    browser = Browser(gateway)
    assert browser.sign_in("shell@example.com", made["password"]).json["organization"] == made["organization"]
    assert "shell@example.com" in [one["name"] for one in run("list")]
    again = run("password", "Shell@example.com")
    assert browser.ask("GET", "me").code == (401, "session_ended")
    assert browser.sign_in("shell@example.com", again["password"]).status == 200
    run("disable", "shell@example.com")
    assert browser.ask("GET", "me").code == (401, "session_ended")
    assert browser.sign_in("shell@example.com", again["password"]).code == (401, "sign_in_failed")
    run("enable", "shell@example.com")
    assert browser.sign_in("shell@example.com", again["password"]).status == 200
    assert "there is no role" in run("create", "x@example.com", "--role", "ruler")
    assert "already" in run("create", "SHELL@example.com", "--role", "viewer")
    assert "there is no account" in run("disable", "nobody@example.com")
    assert audit(gateway, object_name="shell@example.com", action="create", actor_kind="command")


def test_what_ends_a_session_ends_it_in_all_replicas(tmp_path, sim):
    store, drop = database("postgres")
    replicas = []
    try:
        for name in ["one", "two"]:
            (tmp_path / name).mkdir()
            replicas.append(PeopleGateway(tmp_path / name, sim, store))
        one, two = replicas
        made, browser = account(one, "everywhere@example.com", "admin")

        def there():
            return browser.ask("GET", "/admin/v1/me", port=two.port, headers={"cookie": f"{COOKIE}={browser.token}"})

        assert there().json["name"] == "everywhere@example.com"
        assert ask(one, "PATCH", f"accounts/{made['id']}", {"role": "viewer"}).status == 200
        assert there().code == (401, "session_ended")
        browser = signed_in(one, "everywhere@example.com")
        assert there().status == 200
        token = browser.token
        assert browser.ask("POST", "sign-out").status == 200
        ended = browser.ask("GET", "/admin/v1/me", port=two.port, headers={"cookie": f"{COOKIE}={token}"})
        assert ended.code == (401, "session_ended")
        # Wrong passwords count wherever they are tried.
        for turn in range(5):
            answer = Browser(replicas[turn % 2]).sign_in("everywhere@example.com", "a wrong password")
            assert answer.code == (401, "sign_in_failed")
        assert ask(two, "GET", f"accounts/{made['id']}").json["locked_until_us"]
        for replica in replicas:
            assert Browser(replica).sign_in("everywhere@example.com", PASSWORD).code == (401, "sign_in_failed")
    finally:
        for gateway in replicas:
            gateway.process.kill()
            gateway.process.wait()
        subprocess.run(drop, check=True)


@pytest.mark.parametrize("way, name, role", [("house", "kim@example.com", "owner"), ("public", "kim@example.com", "viewer")])
def test_people_sign_in_at_a_provider(signing, idp, way, name, role):
    browser = Browser(signing)
    ways = browser.ask("GET", "sign-in").json["providers"]
    assert {"name": "house", "title": "House login", "path": "/admin/v1/sign-in/house"} in ways
    back = browser.start(way, "kim", idp.url, "/console?tab=keys")
    assert back.startswith(f"{signing.url}/admin/v1/sign-in/{way}/callback?") and "iss=" in back
    answer = browser.go(back)
    assert (answer.status, answer.location) == (302, "/console?tab=keys"), answer.text
    me = browser.ask("GET", "me").json
    assert (me["name"], me["role"], me["organization"]) == (name, role, None)
    assert (me["session"]["way"], me["session"]["provider"]) == ("provider", way)
    assert browser.ask("GET", "teams").status == 200
    # Neither the code nor the state opens anything a second time.
    assert browser.go(back).code == (401, "login_unknown"), "its cookie is gone"
    [entry, *_] = audit(signing, action="sign_in", actor="kim@example.com")
    assert entry["actor_kind"] == "user" and entry["after"]["source"] == way
    out = browser.ask("POST", "sign-out").json["end_session_url"]
    assert out.startswith(f"{idp.url}/session/end?client_id=console") and "token" not in out
    assert browser.ask("GET", "me").code == (401, "key_missing")


def test_groups_say_what_people_may_administer(signing, idp):
    bound = Browser(signing)
    assert bound.go(bound.start("house", "lee", idp.url)).location == "/admin/v1/me"
    assert bound.ask("GET", "me").json["role"] == "admin"
    assert [one["name"] for one in bound.ask("GET", "teams").json["data"]] == ["search"]
    assert bound.ask("GET", "teams/rockets").status == 404
    nobody = Browser(signing)
    assert nobody.go(nobody.start("house", "pat", idp.url)).code == (403, "login_without_role")
    assert nobody.token is None and audit(signing, action="sign_in_refused", actor="unknown")
    # Whoever says to be somebody else by an address that was not checked is not.
    mal = Browser(signing)
    assert mal.go(mal.start("house", "mal", idp.url)).status == 302
    assert mal.ask("GET", "me").json["name"] == "mal"
    denied = Browser(signing)
    assert denied.go(denied.start("house", None, idp.url)).code == (401, "login_refused")


def test_a_login_comes_back_once_and_to_where_it_began(signing, idp):
    browser, other = Browser(signing), Browser(signing)
    back = browser.start("house", "kim", idp.url)
    assert other.go(back).code == (401, "login_unknown"), "another browser"
    state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))["state"]
    kept = dict(browser.cookies[browser.port])
    forged = back.replace(state, "A" * 43)
    assert browser.go(forged).code == (401, "login_unknown")
    browser.cookies[browser.port] = dict(kept)
    assert browser.go(back.replace("/house/", "/public/")).code == (401, "login_unknown"), "another provider"
    browser.cookies[browser.port] = dict(kept)
    mixed = back.replace(urllib.parse.quote(idp.url, safe=""), "http%3A%2F%2Fother.example")
    assert mixed != back and browser.go(mixed).code == (401, "login_mixed_up")
    browser.cookies[browser.port] = dict(kept)
    unnamed = "&".join(part for part in back.split("&") if not part.startswith("iss="))
    assert unnamed != back and browser.go(unnamed).code == (401, "login_mixed_up"), "it says that it names itself"
    browser.cookies[browser.port] = dict(kept)
    assert browser.go(back).status == 302
    browser.cookies[browser.port] = dict(kept)
    assert browser.go(back).code == (401, "login_used")
    for place in ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil"]:
        refused = browser.ask("GET", f"sign-in/house?return_to={urllib.parse.quote(place, safe='')}")
        assert refused.status == 400 and refused.json["error"]["param"] == "return_to", place


def test_a_provider_is_believed_in_nothing_that_does_not_fit(tmp_path, sim, pretender):
    gateway = PeopleGateway(tmp_path, sim, providers=PRETENDER.format(issuer=pretender.url))

    def login(others=None, claims=None, info=None):
        pretender.claims, pretender.info = claims or {}, info or {}
        browser = Browser(gateway)
        answer = pretender.login(browser, **(others or {}))
        return browser, (answer.status if answer.status == 302 else answer.code)

    try:
        browser, good = login()
        assert good == 302 and browser.ask("GET", "me").json["name"] == "kim@example.com"
        form, basic = pretender.forms[-1]
        assert base64.b64decode(basic.removeprefix("Basic ")).decode() == "console:s%3A1"
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        assert (pretender.asked["code_challenge"], pretender.asked["code_challenge_method"]) == (challenge, "S256")
        assert pretender.asked["redirect_uri"] == form["redirect_uri"] == f"{gateway.url}/admin/v1/sign-in/pretender/callback"
        assert pretender.asked["tenant"] == "a", "what stands in its address stays there"
        assert login(claims={"nonce": "other"})[1] == (401, "login_mixed_up")
        assert login(claims={"nonce": None})[1] == (401, "login_mixed_up")
        assert login(claims={"aud": "other"})[1] == (401, "token_not_for_here")
        assert login(claims={"aud": ["console", "other"]})[1] == (401, "login_mixed_up")
        assert login(claims={"aud": ["console", "other"], "azp": "console"})[1] == 302
        assert login(claims={"iss": "https://other.example"})[1] == (401, "token_untrusted")
        assert login(claims={"exp": 1})[1] == (401, "token_expired")
        assert login(claims={"sub": None})[1][0] == 401
        assert login(claims={"groups": ["lost"]})[1] == (403, "login_without_role")
        assert login({"iss": "https://other.example"})[1] == (401, "login_mixed_up")
        assert login({"iss": pretender.url})[1] == 302
        assert login({"code": None})[1] == (401, "login_unknown")
        assert login({"state": None})[1] == (401, "login_unknown")
        assert login({"error": "access_denied", "code": None})[1] == (401, "login_refused")
        # What the token does not tell is asked for, of the same person.
        told = {"groups": ["gateway-owners"]}
        assert login(claims={"groups": None}, info=told)[1] == 302
        assert login(claims={"groups": None}, info={**told, "sub": "u2"})[1] == (401, "login_mixed_up")
        assert login(claims={"groups": ["none"]}, info=told)[1] == (403, "login_without_role")
        other, _ = login(claims={"email_verified": False})
        assert other.ask("GET", "me").json["name"] == "u1"
        gone, code = login(claims={"email": "Gone@example.com"})
        assert code == (403, "disabled") and gone.token is None
    finally:
        gateway.process.kill()


@pytest.mark.parametrize("described, status", [
    ({"code_challenge_methods_supported": ["plain"]}, 503),
    ({"code_challenge_methods_supported": ["plain", "S256"]}, 302),
    ({"issuer": "https://other.example"}, 503),
    ({"token_endpoint": "http://other.example/token"}, 503),
    ({"authorization_endpoint": None}, 503),
])
def test_a_provider_without_what_is_needed_is_not_used(tmp_path, sim, pretender, described, status):
    pretender.description = described
    gateway = PeopleGateway(tmp_path, sim, providers=PRETENDER.format(issuer=pretender.url))
    try:
        answer = Browser(gateway).ask("GET", "sign-in/pretender")
        assert answer.status == status, answer.text
    finally:
        gateway.process.kill()


def test_a_login_ends_with_what_gave_it(tmp_path, sim, pretender):
    gateway = PeopleGateway(tmp_path, sim, providers=PRETENDER.format(issuer=pretender.url))
    try:
        browser = Browser(gateway)
        assert pretender.login(browser).status == 302
        assert browser.ask("GET", "me").json["role"] == "owner"
        text = gateway.file.read_text()
        gateway.file.write_text(text.replace("group: gateway-owners, role: owner", "group: gateway-owners, role: viewer"))
        wait_for(lambda: browser.ask("GET", "me").status == 401, "the new configuration")
    finally:
        gateway.process.kill()


def test_people_who_have_signed_in_are_not_kept_out_by_lower_roles(tmp_path, sim, pretender):
    gateway = PeopleGateway(tmp_path, sim, providers=PRETENDER.format(issuer=pretender.url))
    browser = Browser(gateway)
    assert pretender.login(browser).status == 302
    admin = ask(gateway, "POST", "keys", {"name": "lower", "role": "admin"}).json["key"]
    body = {"name": "Kim@example.com", "disabled": True}
    refused = ask(gateway, "POST", "users", body, admin)
    assert refused.code == (403, "permission_missing") and "kim@example.com" in refused.message, refused.text
    assert browser.ask("GET", "me").json["role"] == "owner"
    assert browser.ask("POST", "sign-out").status == 200
    assert ask(gateway, "POST", "users", body, admin).status == 201
    gateway.process.kill()


def test_passwords_open_nothing_where_they_are_switched_off(tmp_path, sim):
    gateway = PeopleGateway(tmp_path, sim)
    try:
        _, browser = account(gateway, "kim@example.com")
        assert Browser(gateway).ask("GET", "sign-in").json["accounts"]
        gateway.file.write_text(gateway.file.read_text().replace("sign_in:", "sign_in:\n  accounts: false"))
        wait_for(lambda: browser.ask("GET", "me").status == 401, "the new configuration")
        assert not Browser(gateway).ask("GET", "sign-in").json["accounts"]
        assert Browser(gateway).sign_in("kim@example.com", PASSWORD).code == (401, "sign_in_failed")
        assert Browser(gateway).ask("POST", "sign-in", {"key": ADMIN_KEY}).status == 200
    finally:
        gateway.process.kill()


def test_cookies_of_a_secure_address_go_over_nothing_else(tmp_path, sim, pretender):
    providers = PRETENDER.format(issuer=pretender.url)
    gateway = PeopleGateway(tmp_path, sim, providers=providers, url="https://gateway.example.com")
    try:
        browser = Browser(gateway)
        answer = browser.ask("POST", "sign-in", {"key": ADMIN_KEY})
        line = answer.headers["set-cookie"]
        assert line.startswith(f"__Host-{COOKIE}=") and "Secure" in line and "Domain" not in line and "Path=/" in line
        assert browser.ask("GET", "me").json["name"] == "boss"
        token = browser.cookies[browser.port][f"__Host-{COOKIE}"]
        assert browser.ask("GET", "me", headers={"cookie": f"{COOKIE}={token}"}).code == (401, "key_missing")
        own = {"origin": "https://gateway.example.com"}
        assert browser.ask("POST", "teams", {"name": "a"}, headers=own).status == 201, "the proxy in front is no other site"
        started = browser.ask("GET", "sign-in/pretender", headers={"host": "evil.example"})
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(started.location).query))
        assert asked["redirect_uri"] == "https://gateway.example.com/admin/v1/sign-in/pretender/callback"
        assert started.headers["set-cookie"].startswith("__Host-tollgate-login=")
    finally:
        gateway.process.kill()
