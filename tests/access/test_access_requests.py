"""Requests for access: a caller asks for what it may not use, an administrator decides, and what is approved holds at once."""

import datetime
import itertools
import subprocess

import pytest
from conftest import ADMIN_KEY, APP_KEY, Gateway, wait_for
from test_admin import ask, call, database, made, problems
from test_people import account

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1, trusted_proxies: [127.0.0.1] }}
data_dir: {data}
{store}
providers:
  house: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-house, models: {{ echo: {{}} }} }}
models:
  smart: house/echo
organizations:
  acme: {{}}
  globex: {{}}
  strict: {{ models: [ "house/*" ] }}
keys:
  - {{ name: app, key: {app}, models: [ "house/echo" ] }}
  - {{ name: boss, key: {admin}, admin: true }}
  - {{ name: acme owner, key: {acme_owner}, role: owner, organization: acme }}
  - {{ name: acme developer, key: {acme_developer}, role: developer, organization: acme }}
  - {{ name: globex owner, key: {globex_owner}, role: owner, organization: globex }}
"""
NAMES = ["acme_owner", "acme_developer", "globex_owner"]
KEYS = {name: "tg-admin-" + name[:1] + f"{at}" * 40 for at, name in enumerate(NAMES)}
ACME, DEVELOPER, GLOBEX = KEYS.values()
MINE = "/v1/access-requests"
FRESH = itertools.count()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gateway(request, tmp_path_factory, sim):
    store, drop = database(request.param)
    gateway = Gateway(tmp_path_factory.mktemp("requests"), sim, CONFIG, store=store, **KEYS)
    yield gateway
    gateway.process.kill()
    gateway.process.wait()
    if drop:
        subprocess.run(drop, check=True)


def key(gateway, **body):
    """A key that may use one model, and not the one that calls ask for."""
    return made(gateway, "keys", {"organization": "acme", "models": ["house/echo"], **body})


def asked(gateway, secret, **body):
    answer = ask(gateway, "POST", MINE, {"models": ["smart"], "reason": "the demo", **body}, secret)
    assert answer.status == 201, answer.text
    return answer.json


def decide(gateway, one, verb, body=None, admin=ACME):
    return ask(gateway, "POST", f"access-requests/{one['id']}/{verb}", body, admin)


def mine(gateway, secret):
    return {one["id"]: one for one in ask(gateway, "GET", MINE, key=secret).json["data"]}


def test_what_is_approved_holds_at_once(gateway):
    own = key(gateway)
    refused = call(gateway, own["key"])
    assert refused.code == (403, "model_not_allowed") and f"POST {MINE}" in refused.message
    one = asked(gateway, own["key"], operations=["chat"])
    assert (one["state"], one["models"], one["subject"]["kind"], one["subject"]["id"]) == ("pending", ["smart"], "key", own["id"])
    assert one["asked_by"] == {"id": own["id"], "name": own["name"]} and one["reason"] == "the demo"
    assert ask(gateway, "POST", MINE, {"models": ["smart"], "operations": ["chat"], "reason": "again"}, own["key"]).code == (409, "already_asked")
    assert one["id"] in [each["id"] for each in ask(gateway, "GET", "access-requests?state=pending&limit=500", key=ACME).json["data"]]
    approved = decide(gateway, one, "approve", {"note": "for the demo"})
    assert approved.status == 200, approved.text
    assert (approved.json["state"], approved.json["note"], approved.json["version"]) == ("approved", "for the demo", 2)
    assert call(gateway, own["key"]).status == 200
    shown = ask(gateway, "GET", f"keys/{own['id']}").json
    assert (shown["models"], shown["name"], shown["version"]) == (["house/echo", "smart"], own["name"], 2)
    assert mine(gateway, own["key"])[one["id"]]["state"] == "approved"
    assert decide(gateway, one, "approve").code == (409, "request_decided")
    assert decide(gateway, one, "deny", {"note": "no"}).code == (409, "request_decided")
    assert ask(gateway, "POST", MINE, {"models": ["smart"], "reason": "x"}, own["key"]).code == (409, "already_allowed")
    actions = [entry["action"] for entry in ask(gateway, "GET", f"audit?object={one['id']}&kind=access_request").json["data"]]
    assert actions == ["update", "create"]


def test_what_is_denied_stays_denied_and_may_be_withdrawn(gateway):
    own, other = key(gateway), key(gateway)
    one = asked(gateway, own["key"])
    assert "\"note\" is missing" in problems(decide(gateway, one, "deny")).values()
    assert decide(gateway, one, "deny", {"note": "too dear"}).json["state"] == "denied"
    assert call(gateway, own["key"]).status == 403
    told = mine(gateway, own["key"])[one["id"]]
    assert (told["state"], told["note"]) == ("denied", "too dear")
    again = asked(gateway, own["key"])
    assert ask(gateway, "DELETE", f"{MINE}/{again['id']}", key=other["key"]).code == (404, "not_found")
    assert ask(gateway, "DELETE", f"{MINE}/{again['id']}", key=own["key"]).json["state"] == "withdrawn"
    assert decide(gateway, again, "approve").code == (409, "request_decided")
    assert again["id"] not in mine(gateway, other["key"])


def test_what_is_allowed_for_a_time_ends_by_itself(gateway):
    own = key(gateway)
    one = asked(gateway, own["key"])
    assert "expires" in problems(decide(gateway, one, "approve", {"expires": "2020-01-01"}))
    assert "expires" in problems(decide(gateway, one, "approve", {"expires": "soon"}))
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    approved = decide(gateway, one, "approve", {"expires": end.isoformat().replace("+00:00", "Z")})
    assert approved.status == 200, approved.text
    assert call(gateway, own["key"]).status == 200
    shown = ask(gateway, "GET", f"keys/{own['id']}").json
    assert shown["models"] == ["house/echo"] and shown["temporary"][0]["models"] == ["smart"]
    assert ask(gateway, "PATCH", f"keys/{own['id']}", {"tags": {"a": "b"}}).json["temporary"] == shown["temporary"]
    wait_for(lambda: call(gateway, own["key"]).status == 403, "the end of what was allowed", 10)
    assert mine(gateway, own["key"])[one["id"]]["state"] == "expired"
    assert one["id"] in [each["id"] for each in ask(gateway, "GET", "access-requests?state=expired&limit=500", key=ACME).json["data"]]


def test_teams_and_users_are_asked_for(gateway):
    team = made(gateway, "teams", {"organization": "acme", "models": ["house/echo"]})
    person = made(gateway, "users", {"team": team["id"]})
    own = made(gateway, "keys", {"user": person["id"]})
    assert "for" in problems(ask(gateway, "POST", MINE, {"models": ["smart"], "reason": "x", "for": "project"}, own["key"]))
    for kind in ["key", "user"]:
        one = asked(gateway, own["key"], **{"for": kind})
        refused = decide(gateway, one, "approve")
        assert refused.code == (409, "still_refused") and team["name"] in refused.message, refused.text
        assert ask(gateway, "GET", f"access-requests/{one['id']}", key=ACME).json["state"] == "pending", "nothing was changed"
    assert ask(gateway, "GET", f"users/{person['id']}").json["version"] == 1
    one = asked(gateway, own["key"], **{"for": "team"})
    assert decide(gateway, one, "approve").status == 200
    assert call(gateway, own["key"]).status == 200
    assert ask(gateway, "GET", f"teams/{team['id']}").json["models"] == ["house/echo", "smart"]


def test_what_else_refuses_is_named(gateway):
    strict = made(gateway, "keys", {"organization": "strict", "models": ["house/echo"]})
    one = asked(gateway, strict["key"])
    refused = decide(gateway, one, "approve", admin=ADMIN_KEY)
    assert refused.code == (409, "still_refused") and "organization strict" in refused.message
    assert ask(gateway, "GET", f"keys/{strict['id']}").json["models"] == ["house/echo"]
    file = asked(gateway, APP_KEY)
    assert decide(gateway, file, "approve", admin=ADMIN_KEY).code == (409, "owned_by_file")
    gone = key(gateway)
    one = asked(gateway, gone["key"])
    assert ask(gateway, "DELETE", f"keys/{gone['id']}").status == 200
    assert decide(gateway, one, "approve").code == (409, "subject_ended")
    ruled = key(gateway, access=[{"name": "never", "deny": "request.model == \"smart\""}])
    approved = decide(gateway, asked(gateway, ruled["key"]), "approve")
    assert "access rules" in approved.json["remark"], approved.text
    assert call(gateway, ruled["key"]).code == (403, "access_denied")


def test_nobody_approves_what_they_asked_for(gateway):
    person = made(gateway, "users", {"organization": "acme", "models": ["house/echo"]})
    own = made(gateway, "keys", {"user": person["id"]})
    admin = made(gateway, "keys", {"user": person["id"], "role": "owner"})
    one = asked(gateway, own["key"], **{"for": "user"})
    assert decide(gateway, one, "approve", admin=admin["key"]).code == (403, "own_request")
    assert decide(gateway, one, "approve").status == 200


def test_nobody_approves_by_signing_in_what_they_asked_for(gateway):
    name = f"Kim{next(FRESH)}@example.com"
    person = made(gateway, "users", {"name": name, "organization": "acme", "models": ["house/echo"]})
    own = made(gateway, "keys", {"user": person["id"]})
    kim, other = (account(gateway, who)[1] for who in [name.lower(), f"not-{name}"])
    one = asked(gateway, own["key"], **{"for": "user"})
    assert kim.ask("POST", f"access-requests/{one['id']}/approve", {}).code == (403, "own_request")
    approved = other.ask("POST", f"access-requests/{one['id']}/approve", {})
    assert approved.status == 200 and approved.json["state"] == "approved", approved.text


def test_requests_are_written_down_with_where_they_come_from(gateway):
    own = key(gateway)
    body = {"models": ["smart"], "reason": "the demo"}
    one = ask(gateway, "POST", MINE, body, own["key"], x_forwarded_for="198.51.100.7").json
    [entry] = ask(gateway, "GET", f"audit?object={one['id']}").json["data"]
    assert entry["address"] == "198.51.100.7"


def test_tenants_and_roles_are_kept_apart(gateway):
    own = key(gateway)
    one = asked(gateway, own["key"])
    assert decide(gateway, one, "approve", admin=GLOBEX).code == (404, "not_found")
    assert ask(gateway, "GET", f"access-requests/{one['id']}", key=GLOBEX).code == (404, "not_found")
    assert one["id"] not in ask(gateway, "GET", "access-requests?limit=500", key=GLOBEX).text
    assert ask(gateway, "GET", "access-requests?organization=acme", key=GLOBEX).json["data"] == []
    refused = decide(gateway, one, "approve", admin=DEVELOPER)
    assert refused.code == (403, "permission_missing") and "requests:decide" in refused.message
    assert ask(gateway, "GET", f"access-requests/{one['id']}", key=DEVELOPER).status == 200
    assert ask(gateway, "GET", "access-requests?organization=acme&limit=500", key=ADMIN_KEY).text.count(one["id"]) >= 1
    every, cursor = [], ""
    while cursor is not None:
        page = ask(gateway, "GET", f"access-requests?limit=2{cursor}", key=ACME).json
        every += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert len(every) == len(set(every)) and one["id"] in every
    assert "state" in problems(ask(gateway, "GET", "access-requests?state=open", key=ACME))
    team = made(gateway, "organizations")
    bound = made(gateway, "keys", {"organization": team["id"], "models": ["house/echo"]})
    asked(gateway, bound["key"])
    assert ask(gateway, "DELETE", f"keys/{bound['id']}").status == 200
    assert ask(gateway, "DELETE", f"organizations/{team['id']}").status == 200, "what was asked for holds up nothing"


def test_what_is_asked_for_is_bounded(gateway):
    own = key(gateway)
    post = lambda body: ask(gateway, "POST", MINE, body, own["key"])
    for body, path in [
        ({"reason": "x"}, "models"), ({"models": ["smart"], "reason": " "}, "reason"), ({"models": [""], "reason": "x"}, "models[0]"),
        ({"models": ["x" * 201], "reason": "x"}, "models[0]"), ({"models": ["x"] * 51, "reason": "x"}, "models"),
        ({"models": ["smart"], "reason": "x" * 2001}, "reason"),
    ]:
        assert path in problems(post(body)), body
    for body in [{"models": ["smart"]}, {"models": ["smart"], "reason": "x", "colour": 1}, {"operations": ["fly"], "reason": "x"}, "[", ""]:
        assert post(body).status == 400, body
    for at in range(20):
        asked(gateway, own["key"], models=[f"model-{at}"])
    assert post({"models": ["smart"], "reason": "x"}).code == (429, "too_many_requests_pending")
    first = next(iter(mine(gateway, own["key"])))
    assert ask(gateway, "DELETE", f"{MINE}/{first}", key=own["key"]).status == 200
    asked(gateway, own["key"])
    other = key(gateway)
    for at in range(100):
        one = asked(gateway, other["key"], models=[f"model-{at}"])
        assert ask(gateway, "DELETE", f"{MINE}/{one['id']}", key=other["key"]).status == 200
    made_too_many = ask(gateway, "POST", MINE, {"models": ["smart"], "reason": "x"}, other["key"])
    assert made_too_many.code == (429, "too_many_requests_made")
    assert ask(gateway, "GET", MINE, key=None).status == 401
    assert ask(gateway, "GET", MINE, key=ACME).code == (403, "wrong_key_scope")
    assert ask(gateway, "PUT", MINE, {}, own["key"]).code == (405, "method_not_allowed")


def test_another_replica_follows(tmp_path, sim, address):
    made_of = {"store": f'store: {{ database: "{address}", secret: "{"s" * 32}" }}', **KEYS}
    replicas = []
    try:
        for name in ["one", "two"]:
            (tmp_path / name).mkdir()
            replicas.append(Gateway(tmp_path / name, sim, CONFIG, **made_of))
        one, two = replicas
        own = key(one)
        wait_for(lambda: call(two, own["key"]).status == 403, "the key at the other replica", 5)
        assert decide(two, asked(one, own["key"]), "approve").status == 200
        wait_for(lambda: call(one, own["key"]).status == 200, "what the other replica approved", 5)
    finally:
        for replica in replicas:
            replica.process.kill()
