"""The admin API over the registry: what it makes and refuses, who may do what, and what is written down of it."""

import http.client
import itertools
import json
import os
import subprocess
import urllib.parse
import uuid

import pytest
from conftest import ADMIN_KEY, APP_KEY, BINARY, Gateway, wait_for
from openapi_spec_validator import OpenAPIV31SpecValidator

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1, trusted_proxies: [127.0.0.1] }}
data_dir: {data}
{store}
providers:
  house: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-house, models: {{ echo: {{}}, other: {{}} }} }}
models:
  smart: house/echo
  steady: {{ targets: house/echo, rollout: {{ candidate: house/other, verdict: manual }} }}
organizations:
  acme: {{ models: [ "smart" ] }}
  globex: {{}}
teams:
  search: {{ organization: acme, tags: {{ floor: "3" }} }}
  rockets: {{ organization: globex }}
roles:
  caretaker: {{ permissions: ["keys:read", "keys:write", "admins:write"] }}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
  - {{ name: acme owner, key: {acme_owner}, role: owner, organization: acme }}
  - {{ name: acme admin, key: {acme_admin}, role: admin, organization: acme }}
  - {{ name: acme developer, key: {acme_developer}, role: developer, organization: acme }}
  - {{ name: acme viewer, key: {acme_viewer}, role: viewer, organization: acme }}
  - {{ name: globex owner, key: {globex_owner}, admin: true, organization: globex }}
  - {{ name: analyst, key: {analyst}, role: analyst }}
  - {{ name: caretaker, key: {caretaker}, role: caretaker, organization: acme }}
"""
NAMES = ["acme_owner", "acme_admin", "acme_developer", "acme_viewer", "globex_owner", "analyst", "caretaker"]
KEYS = {name: "tg-admin-" + name[:1] + f"{at}" * 40 for at, name in enumerate(NAMES)}
PLURALS = ["organizations", "teams", "projects", "users", "service-accounts", "keys"]
FRESH = itertools.count()


def database(engine):
    if engine == "sqlite":
        return "", None
    address = os.environ.get("TOLLGATE_TEST_POSTGRES")
    if not address:
        assert not os.environ.get("CI"), "TOLLGATE_TEST_POSTGRES names no PostgreSQL, which CI must have"
        pytest.skip("TOLLGATE_TEST_POSTGRES names no PostgreSQL")
    name = f"tollgate_{uuid.uuid4().hex}"
    subprocess.run(["psql", "-q", address, "-c", f"CREATE DATABASE {name}"], check=True)
    of = urllib.parse.urlsplit(address)._replace(path=f"/{name}").geturl()
    drop = ["psql", "-q", address, "-c", f"DROP DATABASE {name} WITH (FORCE)"]
    return f'store: {{ database: "{of}", secret: "{"s" * 32}" }}', drop


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gateway(request, tmp_path_factory, sim):
    store, drop = database(request.param)
    gateway = Gateway(tmp_path_factory.mktemp("admin"), sim, CONFIG, store=store, **KEYS)
    yield gateway
    gateway.process.kill()
    gateway.process.wait()
    if drop:
        subprocess.run(drop, check=True)


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def code(self):
        return self.status, self.json["error"]["code"]

    @property
    def message(self):
        return self.json["error"]["message"]


def ask(gateway, method, path, body=None, key=ADMIN_KEY, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        headers["authorization"] = f"Bearer {key}"
    text = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
    path = path if path.startswith("/") else f"/admin/v1/{path}"
    connection.request(method, urllib.parse.quote(path, safe="/?&=%:"), text, headers)
    answer = connection.getresponse()
    answer = Answer(answer.status, answer.headers, answer.read().decode())
    connection.close()
    return answer


def made(gateway, plural, body=None, key=ADMIN_KEY, **headers):
    """A fresh thing, made through the API."""
    body = {"name": f"{plural} {next(FRESH)}", **(body or {})}
    answer = ask(gateway, "POST", plural, body, key, **headers)
    assert answer.status == 201, answer.text
    return answer.json


def problems(answer):
    assert answer.status == 400, answer.text
    return {one["path"]: one["message"] for one in answer.json["error"]["problems"]}


def call(gateway, key):
    body = {"model": "smart", "messages": [{"role": "user", "content": "hello"}]}
    return ask(gateway, "POST", "/v1/chat/completions", body, key)


@pytest.mark.parametrize("plural", PLURALS)
def test_things_live_from_creation_to_their_end(gateway, plural):
    settings = {"models": ["smart"], "budget": {"usd": "30.00", "per": "month"}, "tags": {"floor": "4"}}
    of = {} if plural == "organizations" else {"organization": "acme"}
    one = made(gateway, plural, {**settings, **of})
    path = f"{plural}/{one['id']}"
    assert {name: one[name] for name in settings} == settings
    assert (one["owner"], one["version"]) == ("registry", 1)
    shown = ask(gateway, "GET", path)
    assert shown.headers["etag"] == '"1"' and shown.headers["x-tollgate-request-id"]
    assert {**one, "key": None} == {**shown.json, "key": None}
    assert ask(gateway, "GET", path, if_none_match='"1"').status == 304
    assert ask(gateway, "GET", f"{plural}/{one['name']}").json["id"] == one["id"], "by its name"

    merged = ask(gateway, "PATCH", path, {"tags": {"floor": None, "wing": "b"}, "budget": None}, if_match='"1"')
    assert merged.status == 200, merged.text
    assert (merged.json["tags"], merged.json["models"], merged.json["version"]) == ({"wing": "b"}, ["smart"], 2)
    assert "budget" not in merged.json and merged.headers["etag"] == '"2"'
    late = ask(gateway, "PATCH", path, {"tags": {}}, if_match='"1"')
    assert late.code == (412, "version_mismatch") and late.headers["etag"] == '"2"'
    back = ask(gateway, "PUT", path, merged.json, if_match='"2"')
    assert back.status == 200 and back.json["version"] == 3, "what was shown can be sent back"
    replaced = ask(gateway, "PUT", path, {"name": f"{one['name']} again"})
    assert replaced.status == 200 and "models" not in replaced.json and replaced.json["version"] == 4
    assert replaced.json.get("organization") == one.get("organization"), "it stays where it is"
    assert "version" in problems(ask(gateway, "PATCH", path, {"version": 9}))

    assert ask(gateway, "DELETE", path, if_match='"3"').code == (412, "version_mismatch")
    gone = ask(gateway, "DELETE", path, if_match='"4"')
    assert gone.status == 200 and (gone.json.get("deleted_us") or gone.json.get("revoked_us"))
    for method in ["GET", "DELETE", "PATCH", "PUT"]:
        body = {"name": "x"} if method in ("PATCH", "PUT") else None
        assert ask(gateway, method, path, body).code == (404, "not_found"), method


@pytest.mark.parametrize("plural", PLURALS)
def test_lists_are_filtered_and_go_on(gateway, plural):
    of = {} if plural == "organizations" else {"organization": "globex"}
    mark = f"Mark{next(FRESH)}"
    ids = [made(gateway, plural, {"name": f"{mark} {at}", **of})["id"] for at in range(5)]
    found, cursor = [], ""
    for _ in range(3):
        page = ask(gateway, "GET", f"{plural}?search={mark.lower()}&limit=2{cursor}").json
        found += [one["id"] for one in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert found == ids and page["next_cursor"] is None
    every, cursor = [], ""
    while cursor is not None:
        page = ask(gateway, "GET", f"{plural}?limit=3{cursor}").json
        every += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert len(every) == len(set(every)) and set(ids) <= set(every), "the file's and the registry's, each once"
    if of:
        owners = {one["organization"] for one in ask(gateway, "GET", f"{plural}?organization=globex&limit=500").json["data"]}
        assert len(owners) == 1
        assert ask(gateway, "GET", f"{plural}?organization=nobody").json["data"] == []
    for query, path in [("limit=0", "limit"), ("limit=501", "limit"), ("cursor=x", "cursor"), ("parent=x", "parent"), ("serch=x", "serch")]:
        assert path in problems(ask(gateway, "GET", f"{plural}?{query}"))
    assert "did you mean \"search\"" in ask(gateway, "GET", f"{plural}?serch=x").message


def test_parts_stand_below_each_other(gateway):
    organization = made(gateway, "organizations")
    upper = made(gateway, "teams", {"organization": organization["name"]})
    lower = made(gateway, "teams", {"team": upper["id"]})
    assert (lower["organization"], lower["team"]) == (organization["id"], upper["id"])
    project = made(gateway, "projects", {"organization": organization["id"], "team": lower["name"]})
    account = made(gateway, "service-accounts", {"project": project["id"]})
    key = made(gateway, "keys", {"service_account": account["id"]})
    assert (key["organization"], key["service_account"]) == (organization["id"], account["id"])
    below = ask(gateway, "GET", f"teams?parent={upper['id']}").json["data"]
    assert [one["id"] for one in below] == [lower["id"]]

    assert "parent" in problems(ask(gateway, "PATCH", f"teams/{upper['id']}", {"team": lower["id"]})), "a circle"
    assert "organization" in problems(ask(gateway, "PATCH", f"teams/{upper['id']}", {"organization": "globex"}))
    moved = ask(gateway, "PATCH", f"service-accounts/{account['id']}", {"team": upper["id"]})
    assert moved.status == 200 and moved.json["team"] == upper["id"] and "project" not in moved.json
    assert ask(gateway, "PATCH", f"keys/{key['id']}", {"service_account": None}).json.get("service_account") is None

    for plural, one in [("organizations", organization), ("teams", upper)]:
        refused = ask(gateway, "DELETE", f"{plural}/{one['id']}")
        assert refused.code == (409, "in_use") and lower["name"] in refused.message, refused.text
    below_file = made(gateway, "projects", {"organization": "acme", "team": "search"})
    assert ask(gateway, "GET", f"teams/{below_file['team']}").json["name"] == "search", "below what the file owns"


def test_everything_that_is_wrong_is_told_at_once(gateway):
    wrong = problems(ask(gateway, "POST", "teams", {
        "name": "wrong", "model": ["smart"], "limits": [{"requests": "many", "per": "minute"}], "disabled": "no",
    }))
    assert 'did you mean "models"?' in wrong["model"]
    assert {"model", "limits[0].requests", "disabled"} == set(wrong)
    wrong = problems(ask(gateway, "POST", "teams", {
        "name": " wrong", "organization": "acmee", "team": "serch", "addresses": ["nowhere"],
        "budget": {"usd": 3, "per": "fortnight"},
    }))
    assert set(wrong) == {"name", "organization", "team", "addresses[0]", "budget.per"}, wrong
    assert 'did you mean "acme"?' in wrong["organization"]
    wrong = problems(ask(gateway, "POST", "keys", {"name": "wrong", "expires": "soon", "admin": True, "role": "viewer"}))
    assert set(wrong) == {"expires", "admin"}
    assert problems(ask(gateway, "POST", "teams", {}))[""] == '"name" is missing'
    for body in ["", "[]", "{", b"\xff"]:
        assert "" in problems(ask(gateway, "POST", "teams", body))
    assert ask(gateway, "GET", "teams?search=wrong").json["data"] == [], "nothing was written"
    assert ask(gateway, "POST", "teams", "x" * (2 << 20)).status == 413


def test_names_are_taken_once(gateway):
    team = made(gateway, "teams", {"organization": "acme"})
    assert ask(gateway, "POST", "teams", {"name": team["name"], "organization": "acme"}).code == (409, "name_taken")
    made(gateway, "teams", {"name": team["name"], "organization": "globex"})
    assert ask(gateway, "GET", f"teams/{team['name']}").code == (409, "name_ambiguous")
    unknown = problems(ask(gateway, "POST", "keys", {"name": "x", "team": team["name"]}))
    assert "write its id" in unknown["team"]
    key = made(gateway, "keys")
    assert ask(gateway, "POST", "keys", {"name": key["name"]}).code == (409, "name_taken")


def test_what_the_file_owns_is_shown_and_not_changed(gateway):
    for plural, name in [("organizations", "acme"), ("teams", "search"), ("keys", "app")]:
        shown = ask(gateway, "GET", f"{plural}/{name}").json
        assert (shown["owner"], shown["name"]) == ("file", name)
        assert shown["id"] in [one["id"] for one in ask(gateway, "GET", plural).json["data"]]
        for method, path in [("PUT", shown["id"]), ("PATCH", name), ("DELETE", name)]:
            refused = ask(gateway, method, f"{plural}/{path}", {"name": name})
            assert refused.code == (409, "owned_by_file") and str(gateway.file) in refused.message
    assert ask(gateway, "POST", "keys/app/rotate").code == (409, "owned_by_file")
    for plural, body in [("organizations", {"name": "acme"}), ("teams", {"name": "search", "organization": "acme"}), ("keys", {"name": "app"})]:
        assert ask(gateway, "POST", plural, body).code == (409, "owned_by_file")
    made(gateway, "teams", {"name": "search", "organization": "globex"})


def test_keys_open_from_their_making_to_their_end(gateway):
    key = made(gateway, "keys", {"models": ["smart"], "organization": "acme"})
    assert key["key"].startswith(key["hint"]) and key["scope"] == "calls" and call(gateway, key["key"]).status == 200
    assert key["key"] not in ask(gateway, "GET", f"keys/{key['id']}").text
    second = ask(gateway, "POST", f"keys/{key['id']}/rotate", {"overlap": "24h"}).json
    assert second["id"] == key["id"] and second["hint"] != key["hint"]
    assert [call(gateway, one["key"]).status for one in (key, second)] == [200, 200], "both for a while"
    third = ask(gateway, "POST", f"keys/{key['id']}/rotate").json
    assert [call(gateway, one["key"]).status for one in (key, second, third)] == [401, 401, 200]
    for overlap in ["1", "31d", 5]:
        assert "overlap" in problems(ask(gateway, "POST", f"keys/{key['id']}/rotate", {"overlap": overlap}))
    assert ask(gateway, "PATCH", f"keys/{key['id']}", {"disabled": True}).status == 200
    assert call(gateway, third["key"]).status == 403
    assert ask(gateway, "PATCH", f"keys/{key['id']}", {"disabled": None, "expires": "2020-01-01"}).status == 200
    assert call(gateway, third["key"]).status == 401
    assert ask(gateway, "PATCH", f"keys/{key['id']}", {"expires_us": None}).status == 200
    assert call(gateway, third["key"]).status == 200
    assert ask(gateway, "DELETE", f"keys/{key['id']}").json["revoked_us"]
    assert call(gateway, third["key"]).status == 401, "at once"
    assert "role" in problems(ask(gateway, "PATCH", f"keys/{made(gateway, 'keys')['id']}", {"role": "owner"}))


def test_older_bodies_of_keys_go_on(gateway):
    name = f"older {next(FRESH)}"
    old = {"name": name, "models": ["smart"], "expires_us": 4_000_000_000_000_000, "admin": True}
    key = ask(gateway, "POST", "keys", old).json
    assert (key["scope"], key["role"], key["expires_us"]) == ("admin", "owner", old["expires_us"])
    assert ask(gateway, "GET", "keys", key=key["key"]).status == 200
    assert ask(gateway, "DELETE", f"keys/{name}").json["revoked_us"]
    assert ask(gateway, "GET", "keys", key=key["key"]).code == (401, "key_revoked")


def test_a_request_that_comes_again_is_done_once(gateway):
    body, name = {"name": f"again {next(FRESH)}"}, f"k{next(FRESH)}"
    first = ask(gateway, "POST", "keys", body, idempotency_key=name)
    again = ask(gateway, "POST", "keys", body, idempotency_key=name)
    assert (first.status, again.status) == (201, 201)
    assert {**first.json, "key": None} == again.json and first.json["key"], "a secret is shown once"
    assert again.headers["idempotency-replayed"] == "true" and not first.headers["idempotency-replayed"]
    assert again.headers["etag"] == first.headers["etag"]
    other = ask(gateway, "POST", "keys", {"name": "other"}, idempotency_key=name)
    assert other.code == (422, "idempotency_key_reused")
    assert ask(gateway, "POST", "teams", body, idempotency_key=name).code == (422, "idempotency_key_reused")
    own = ask(gateway, "POST", "teams", {"name": body["name"]}, KEYS["acme_owner"], idempotency_key=name)
    assert own.status == 201, "each caller has names of its own"
    rotate = lambda: ask(gateway, "POST", f"keys/{first.json['id']}/rotate", idempotency_key=name + "r").json
    one, other = rotate(), rotate()
    assert one["version"] == other["version"] and one["key"] and other["key"] is None
    for failed in range(2):
        refused = ask(gateway, "POST", "teams", {"name": ""}, idempotency_key=name + "f")
        assert refused.status == 400, "what was refused did nothing, and is looked at anew"
    assert ask(gateway, "POST", "teams", body, idempotency_key="x" * 300).status == 400


def test_who_did_what_is_written_down(gateway):
    team = made(gateway, "teams", {"organization": "acme"}, KEYS["acme_owner"], x_forwarded_for="198.51.100.7")
    changed = ask(gateway, "PATCH", f"teams/{team['id']}", {"tags": {"a": "b"}})
    ask(gateway, "DELETE", f"teams/{team['id']}")
    entries = ask(gateway, "GET", f"audit?object={team['id']}").json["data"]
    assert [one["action"] for one in entries] == ["delete", "update", "create"]
    deleted, updated, created = entries
    assert created["address"] == "198.51.100.7" and created["actor_kind"] == "key"
    owner = ask(gateway, "GET", "keys/acme owner").json["id"]
    assert created["actor"] == owner and updated["actor"] != owner
    assert updated["request_id"] == changed.headers["x-tollgate-request-id"]
    assert (updated["before"]["body"], updated["after"]["body"]) == ({}, {"tags": {"a": "b"}})
    assert deleted["after"] is None
    found = ask(gateway, "GET", f"audit?actor={owner}&action=create&kind=team&limit=1")
    assert [one["object_id"] for one in found.json["data"]] == [team["id"]]
    since = ask(gateway, "GET", f"audit?since_us={updated['at_us']}&object={team['id']}").json["data"]
    assert len(since) == 2
    page = ask(gateway, "GET", "audit?limit=2").json
    rest = ask(gateway, "GET", f"audit?limit=2&cursor={page['next_cursor']}").json
    assert [one["seq"] for one in page["data"] + rest["data"]] == list(range(page["data"][0]["seq"], page["data"][0]["seq"] - 4, -1))
    lines = ask(gateway, "GET", "audit?limit=3", accept="application/x-ndjson")
    assert lines.headers["content-type"] == "application/x-ndjson" and lines.headers["x-tollgate-next-cursor"]
    assert [json.loads(line)["hash"] for line in lines.text.splitlines()][:2] == [one["hash"] for one in page["data"]]
    assert ask(gateway, "GET", "audit/verify").json == {"whole": True, "broken_at": None}
    key = made(gateway, "keys")
    assert key["key"] not in ask(gateway, "GET", "audit?kind=key").text


def test_who_does_not_get_in_is_told_a_few_times(gateway):
    before = ask(gateway, "GET", "audit?action=sign_in_refused&limit=500").json["data"]
    shown = [None, APP_KEY, "tg-admin-" + "z" * 43, "nonsense"]
    fail = lambda at: ask(gateway, "GET", PLURALS[at % 6], key=shown[at % 4], x_forwarded_for="203.0.113.5")
    answers = [fail(at) for at in range(15)]
    assert {answer.status for answer in answers[:10]} == {401, 403}
    assert {answer.code for answer in answers[10:]} == {(429, "too_many_failures")}
    assert all(0 < int(answer.headers["retry-after"]) <= 61 for answer in answers[10:])
    assert len({answer.message.split(";")[0] for answer in answers[10:]}) == 1, "whatever was shown"
    assert ask(gateway, "GET", "teams", x_forwarded_for="203.0.113.5").status == 200, "good keys go on"
    assert ask(gateway, "GET", "teams", key=None, x_forwarded_for="203.0.113.6").status == 401
    after = ask(gateway, "GET", "audit?action=sign_in_refused&limit=500").json["data"]
    fresh = [one for one in after[: len(after) - len(before)] if one["address"] == "203.0.113.5"]
    assert len(fresh) == 2 and fresh[-1]["after"] == {"code": "key_missing", "path": "/admin/v1/organizations"}


# What each role may do: what is asked, and the roles for which it is done.
PERMITTED = [
    ("GET", "teams", None, {"owner", "admin", "developer", "viewer"}),
    ("GET", "keys", None, {"owner", "admin", "developer", "viewer"}),
    ("POST", "teams", {}, {"owner", "admin"}),
    ("POST", "keys", {}, {"owner", "admin", "developer"}),
    ("POST", "keys", {"role": "developer"}, {"owner", "admin"}),
    ("POST", "keys", {"role": "owner"}, {"owner"}),
    ("POST", "keys", {"admin": True}, {"owner"}),
    ("GET", "audit", None, {"owner", "admin"}),
    ("POST", "organizations", {}, set()),
    ("GET", "audit/verify", None, set()),
    ("GET", "calls", None, {"owner", "admin", "developer"}),
    ("GET", "budgets", None, {"owner", "admin", "developer", "viewer"}),
    ("GET", "erasures", None, {"owner", "admin"}),
    ("POST", "erasures", {"caller": "nobody"}, {"owner", "admin"}),
    ("GET", "rollouts", None, set()),
    ("POST", "explain", {"request": {"model": "smart", "messages": []}}, set()),
    ("GET", "/metrics", None, set()),
]


@pytest.mark.parametrize("method,path,body,roles", PERMITTED)
def test_roles_permit_what_they_say(gateway, method, path, body, roles):
    for role in ["owner", "admin", "developer", "viewer"]:
        named = body if body is None or path in ("explain", "erasures") else {"name": f"by {role} {next(FRESH)}", **body}
        answer = ask(gateway, method, path, named, KEYS[f"acme_{role}"])
        if role in roles:
            assert answer.status in (200, 201), (role, answer.text)
        else:
            assert answer.code == (403, "permission_missing"), (role, answer.text)
            assert ":" in answer.message or "role is" in answer.message


def test_roles_of_the_configuration_permit_what_they_list(gateway):
    key = KEYS["caretaker"]
    assert ask(gateway, "GET", "keys", key=key).status == 200
    assert ask(gateway, "GET", "audit", key=key).code == (403, "permission_missing")
    given = ask(gateway, "POST", "keys", {"name": "another caretaker", "role": "caretaker"}, key)
    assert given.status == 201, given.text
    for role in ["viewer", "owner"]:
        refused = ask(gateway, "POST", "keys", {"name": f"a {role} too many", "role": role}, key)
        assert refused.code == (403, "permission_missing"), refused.text
    wrong = problems(ask(gateway, "POST", "keys", {"name": "mistaken", "role": "caretakr"}))
    assert "caretaker" in wrong["role"]


def test_keys_of_administrators_are_out_of_reach_of_lower_roles(gateway):
    admin = made(gateway, "keys", {"role": "admin", "organization": "acme"})
    assert admin["key"].startswith("tg-admin-")
    for method, path, body in [
        ("POST", f"keys/{admin['id']}/rotate", None), ("DELETE", f"keys/{admin['id']}", None),
        ("PATCH", f"keys/{admin['id']}", {"role": "viewer"}), ("PATCH", f"keys/{admin['id']}", {"models": []}),
    ]:
        assert ask(gateway, method, path, body, KEYS["acme_developer"]).code == (403, "permission_missing")
    owner = made(gateway, "keys", {"role": "owner", "organization": "acme"})
    for method, body in [("POST", {}), ("PATCH", {"role": "viewer"}), ("DELETE", None)]:
        path = f"keys/{owner['id']}" + ("/rotate" if method == "POST" else "")
        assert ask(gateway, method, path, body, KEYS["acme_admin"]).code == (403, "permission_missing")
    raised = ask(gateway, "PATCH", f"keys/{admin['id']}", {"role": "owner"}, KEYS["acme_admin"])
    assert raised.code == (403, "permission_missing")
    assert ask(gateway, "GET", "teams", key=admin["key"]).status == 200
    lowered = ask(gateway, "PATCH", f"keys/{admin['id']}", {"role": "viewer"}, KEYS["acme_admin"])
    assert lowered.status == 200
    assert ask(gateway, "POST", "teams", {"name": "no"}, admin["key"]).code == (403, "permission_missing"), "at once"


def test_who_has_a_higher_role_is_not_kept_out(gateway):
    admin, owner = KEYS["acme_admin"], KEYS["acme_owner"]
    team = made(gateway, "teams", {"organization": "acme"})
    below = made(gateway, "teams", {"team": team["id"]})
    person = made(gateway, "users", {"team": below["id"], "addresses": ["0.0.0.0/0"]})
    key = made(gateway, "keys", {"role": "owner", "user": person["id"]})
    closed = made(gateway, "teams", {"organization": "acme", "disabled": True})
    named = f"lead {next(FRESH)}"
    account = ask(gateway, "POST", "accounts", {"name": named, "role": "owner", "organization": "acme"}).json
    path, clock = f"teams/{below['id']}", ask(gateway, "GET", "history?limit=1").json["data"][0]["clock"]
    for method, of, body in [
        ("PATCH", f"teams/{team['id']}", {"disabled": True}),
        ("PATCH", path, {"addresses": ["10.0.0.0/8"]}),
        ("PATCH", path, {"team": closed["id"]}),
        ("PATCH", f"users/{person['id']}", {"addresses": ["10.0.0.0/8"]}),
        ("POST", "users", {"name": named.upper(), "organization": "acme", "disabled": True}),
        ("POST", "users", {"name": named, "team": closed["id"]}),
        ("POST", "plan", {"teams": {below["name"]: {"organization": "acme", "team": team["name"], "disabled": True}}}),
        ("POST", "apply", {"teams": {below["name"]: {"organization": "acme", "team": team["name"], "disabled": True}}}),
    ]:
        refused = ask(gateway, method, of, body, admin)
        assert refused.code == (403, "permission_missing") and "keep the" in refused.message, (method, of, refused.text)
    assert ask(gateway, "GET", "me", key=key["key"]).status == 200
    assert ask(gateway, "GET", "history?limit=1").json["data"][0]["clock"] == clock, "nothing was done"
    # What keeps nobody out goes on.
    assert ask(gateway, "PATCH", path, {"tags": {"a": "b"}, "addresses": ["0.0.0.0/0", "::/0"]}, owner).status == 200
    assert ask(gateway, "PATCH", path, {"tags": {"a": "c"}, "addresses": []}, admin).status == 200
    assert ask(gateway, "PATCH", f"accounts/{account['id']}", {"disabled": True}).status == 200
    assert ask(gateway, "POST", "users", {"name": named, "organization": "acme", "disabled": True}, admin).status == 201
    # Whoever may touch the key may do so by what is above it, and what was so once comes back by nobody else.
    assert ask(gateway, "PATCH", path, {"disabled": True}, owner).status == 200
    assert ask(gateway, "GET", "me", key=key["key"]).code == (403, "disabled")
    version = ask(gateway, "GET", path).json["version"]
    assert ask(gateway, "PATCH", path, {"disabled": False}, admin).status == 200
    back = ask(gateway, "POST", f"{path}/rollback", {"version": version}, admin)
    assert back.code == (403, "permission_missing"), back.text
    assert ask(gateway, "GET", "me", key=key["key"]).status == 200


def test_what_people_do_with_rollouts_is_written_down(gateway):
    boss = ask(gateway, "GET", "keys/boss").json["id"]
    for action in ["pause", "resume", "promote"]:
        assert ask(gateway, "POST", "rollouts/steady", {"action": action}).status == 200
    assert ask(gateway, "POST", "rollouts/steady", {"action": "pause"}).status == 400
    assert ask(gateway, "POST", "rollouts/none", {"action": "pause"}).status == 404
    back = ask(gateway, "POST", "rollouts/steady", {"action": "roll_back"}, x_forwarded_for="198.51.100.7")
    entries = ask(gateway, "GET", "audit?kind=rollout").json["data"]
    assert [entry["action"] for entry in entries] == ["roll_back", "promote", "resume", "pause"]
    assert {(entry["actor"], entry["actor_kind"], entry["object_name"]) for entry in entries} == {(boss, "key", "steady")}
    assert entries[0]["address"] == "198.51.100.7" and entries[0]["request_id"] == back.headers["x-tollgate-request-id"]
    assert (entries[0]["before"]["phase"], entries[0]["before"]["share"]) == ("promoted", 1)
    assert (entries[0]["after"]["phase"], entries[0]["after"]["share"]) == ("rolled_back", 0)
    assert (entries[3]["before"]["phase"], entries[3]["after"]["phase"]) == ("running", "paused")
    assert ask(gateway, "GET", "audit/verify").json == {"whole": True, "broken_at": None}


def test_tenants_cannot_cross(gateway):
    """Every route, from one organization to what belongs to another and to nobody: as if it were not there."""
    acme, globex = KEYS["acme_owner"], KEYS["globex_owner"]
    foreign = {"organizations": [ask(gateway, "GET", "organizations/globex").json, made(gateway, "organizations")]}
    for plural in PLURALS[1:]:
        foreign[plural] = [made(gateway, plural, {"organization": "globex"}), made(gateway, plural)]
    foreign["teams"].append(ask(gateway, "GET", "teams/rockets").json)
    foreign["keys"].append(ask(gateway, "GET", "keys/globex owner").json)
    for plural, things in foreign.items():
        listed = ask(gateway, "GET", f"{plural}?limit=500", key=acme).json["data"]
        assert not {one["id"] for one in things} & {one["id"] for one in listed}
        names = [one["id"] for one in ask(gateway, "GET", f"{plural}?organization=globex", key=acme).json["data"]]
        assert names == []
        for one in things:
            for wanted in [one["id"], one["name"]]:
                for method, more, body in [("GET", "", None), ("PUT", "", {"name": "mine"}), ("PATCH", "", {"name": "mine"}), ("DELETE", "", None), ("POST", "/rotate", {})]:
                    if (more and plural != "keys") or (plural == "organizations" and method != "GET"):
                        continue
                    path = f"{plural}/{wanted}{more}"
                    crossed = ask(gateway, method, path, body, acme)
                    missing = ask(gateway, method, path.replace(wanted, str(uuid.uuid4())), body, acme)
                    assert crossed.code == missing.code == (404, "not_found"), (method, path, crossed.text)
            assert ask(gateway, "GET", f"{plural}/{one['id']}").json["version"] == one["version"]
            assert ask(gateway, "GET", f"audit?object={one['id']}", key=acme).json["data"] == []
    stand = {"teams": "team", "projects": "project", "users": "user", "service-accounts": "service_account", "organizations": "organization"}
    for plural, member in stand.items():
        for one in foreign[plural]:
            for wanted in [one["id"], one["name"]]:
                crossed = problems(ask(gateway, "POST", "keys", {"name": "mine", member: wanted}, acme))
                assert crossed[member].startswith("there is no"), crossed
                assert "did you mean" not in crossed[member] or "globex" not in crossed[member]
            assert ask(gateway, "GET", f"keys?parent={one['id']}", key=acme).json["data"] == []
    own = made(gateway, "teams", {"name": "Own"}, acme)
    assert own["organization"] == ask(gateway, "GET", "organizations", key=acme).json["data"][0]["id"]
    assert len(ask(gateway, "GET", "organizations", key=acme).json["data"]) == 1
    assert ask(gateway, "GET", f"teams/{own['id']}", key=globex).status == 404
    entries = ask(gateway, "GET", "audit?limit=500", key=acme).json["data"]
    assert {one["organization"] for one in entries} == {own["organization"]}
    assert ask(gateway, "GET", "audit?organization=globex", key=acme).json["data"] == []


def test_the_description_is_that_of_what_answers(gateway):
    described = ask(gateway, "GET", "openapi.json", key=KEYS["acme_viewer"]).json
    OpenAPIV31SpecValidator(described).validate()
    printed = subprocess.run([BINARY, "openapi"], capture_output=True, text=True, check=True)
    assert json.loads(printed.stdout) == described
    for path, methods in described["paths"].items():
        one = path.replace("{id}", str(uuid.uuid4())).replace("{model}", "nobody")
        for method, operation in methods.items():
            answer = ask(gateway, method.upper(), one, "{}" if "requestBody" in operation else None)
            if path.startswith("/scim/"):
                assert answer.status in (200, 400, 404, 501) and answer.json["schemas"], (method, path, answer.text)
                assert "openapi" not in answer.json.get("detail", ""), (method, path)
                continue
            assert answer.status in (200, 400, 404), (method, path, answer.text)
            if answer.status == 404:
                assert "{" in path and answer.json["error"]["code"] != "path_not_found", (method, path)
            for name in {"x-permission"} & set(operation):
                assert operation[name] in operation["description"]
        other = ask(gateway, "TRACE", one)
        assert other.status == 405, path
    assert ask(gateway, "GET", "nothing").code == (404, "path_not_found")


def test_changes_outlive_the_process(gateway):
    organization = made(gateway, "organizations")
    key = made(gateway, "keys", {"models": ["smart"]})
    gateway.kill()
    gateway.start()
    assert ask(gateway, "GET", f"organizations/{organization['id']}").json == organization
    assert call(gateway, key["key"]).status == 200
    wait_for(lambda: ask(gateway, "GET", "audit/verify").json["whole"], "the audit to be whole")
