"""Whose calls are, who may see them, how long they are kept, and how somebody is forgotten; budgets by the admin API."""

import json
import subprocess
import urllib.parse
import uuid

import pytest
from conftest import ADMIN_KEY, APP_KEY, Gateway, wait_for
from test_admin import ask, database, problems

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1 }}
data_dir: {data}
{store}
{journal}
providers:
  house:
    dialect: openai_chat
    base_url: "http://127.0.0.1:{sim}/v1"
    api_key: sk-house
    models: {{ echo: {{ price: {{ input: 100, output: 200 }} }} }}
models:
  smart: house/echo
organizations:
  acme: {{ {acme} }}
  globex: {{ budget: {{ usd: 7, per: month }} }}
teams:
  search: {{ organization: acme, budget: {{ usd: 0.5, per: month }}, tags: {{ floor: "3" }} }}
users:
  kim: {{ organization: acme, team: search }}
keys:
  - {{ name: boss, key: {admin}, admin: true }}
  - {{ name: app, key: {app} }}
  - {{ name: kims, key: {kims}, organization: acme, user: kim }}
  - {{ name: rockets, key: {rockets}, organization: globex }}
  - {{ name: acme owner, key: {acme_owner}, role: owner, organization: acme }}
  - {{ name: acme viewer, key: {acme_viewer}, role: viewer, organization: acme }}
"""
KEYS = {
    "kims": "tg-" + "1" * 40, "rockets": "tg-" + "2" * 40, "acme_owner": "tg-admin-" + "3" * 40,
    "acme_viewer": "tg-admin-" + "4" * 40,
}


@pytest.fixture(params=["sqlite", "postgres"])
def start(request, tmp_path, sim):
    store, drop = database(request.param)
    started = []

    def start(journal="", acme=""):
        started.append(Gateway(tmp_path, sim, CONFIG, store=store, journal=journal, acme=acme, **KEYS))
        return started[-1]

    yield start
    for gateway in started:
        gateway.process.kill()
        gateway.process.wait()
    if drop:
        subprocess.run(drop, check=True)


def call(gateway, key, **headers):
    body = {"model": "smart", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}
    answer = ask(gateway, "POST", "/v1/chat/completions", body, key, **headers)
    assert answer.status == 200, answer.text
    return answer.headers["x-tollgate-request-id"]


def calls(gateway, by=ADMIN_KEY, **query):
    query = urllib.parse.urlencode(query)
    answer = ask(gateway, "GET", f"/admin/v1/calls?{query}", key=by)
    assert answer.status == 200, answer.text
    return answer.json["data"]


def names(gateway, by=ADMIN_KEY, **query):
    return [one["key_name"] for one in calls(gateway, by, **query)]


def test_calls_are_seen_by_those_whose_they_are(start):
    gateway = start()
    call(gateway, APP_KEY)
    call(gateway, KEYS["rockets"], x_tollgate_user="sam@example.com")
    mine = call(gateway, KEYS["kims"], x_tollgate_user="pat@example.com", x_tollgate_tags="tier=gold")
    wait_for(lambda: len(calls(gateway)) == 3, "the journal")
    assert names(gateway) == ["kims", "rockets", "app"]
    for key in ["acme_owner", "acme_viewer"]:
        shown = ask(gateway, "GET", "calls", key=KEYS[key])
        if key == "acme_viewer":
            assert shown.code == (403, "permission_missing")
        else:
            [one] = shown.json["data"]
            assert (one["id"], one["end_user"]) == (mine, "pat@example.com")
            assert one["tags"] == {"floor": "3", "tier": "gold"}
            ids = {kind: ask(gateway, "GET", f"{kind}s/{name}").json["id"] for kind, name in
                   [("organization", "acme"), ("team", "search"), ("user", "kim")]}
            assert one["belongs_to"] == ids
            assert names(gateway, of=ids["user"]) == ["kims"] == names(gateway, of=ids["team"])
    owner = KEYS["acme_owner"]
    assert names(gateway, owner, organization="globex") == [] == names(gateway, owner, key="rockets")
    assert names(gateway, organization="globex") == ["rockets"]
    assert names(gateway, end_user="sam@example.com") == ["rockets"]
    assert names(gateway, owner, end_user="sam@example.com") == []
    [kims] = calls(gateway, of=ids["user"])
    assert names(gateway, since_us=kims["started_us"]) == ["kims"]


def test_keys_tell_when_they_were_last_used(start):
    gateway = start()
    made = ask(gateway, "POST", "keys", {"name": "fresh", "organization": "acme"}).json
    path = f"keys/{made['id']}"
    assert "last_used_us" not in made and "last_used_us" not in ask(gateway, "GET", path).json
    call(gateway, made["key"])
    wait_for(lambda: "last_used_us" in ask(gateway, "GET", path).json, "the journal")
    shown = ask(gateway, "GET", path).json
    [record] = [one for one in calls(gateway) if one["key_name"] == "fresh"]
    assert shown["last_used_us"] == record["started_us"]
    listed = {one["name"]: one.get("last_used_us") for one in ask(gateway, "GET", "keys").json["data"]}
    assert listed["fresh"] == record["started_us"] and listed["app"] is None
    # What is shown can be sent back.
    again = ask(gateway, "PUT", path, shown)
    assert again.status == 200, again.text


def test_budgets_are_topped_up_and_started_anew(start):
    gateway = start()
    call(gateway, KEYS["kims"])
    budgets = lambda key=ADMIN_KEY: {one["name"]: one for one in ask(gateway, "GET", "budgets", key=key).json["data"]}
    found = budgets()
    name = next(name for name in found if name.endswith("team search"))
    other = next(name for name in found if name.endswith("organization globex"))
    wait_for(lambda: float(budgets()[name]["used_usd"]) > 0, "the journal")
    owner = KEYS["acme_owner"]
    assert list(budgets(owner)) == [name], "its own"
    path = f"budgets/{found[name]['id']}"
    assert ask(gateway, "GET", f"budgets/{found[other]['id']}", key=owner).code[0] == 404
    for words in ["top-up", "reset"]:
        body = {"usd": 1}
        refused = ask(gateway, "POST", f"budgets/{found[other]['id']}/{words}", body, owner)
        assert refused.code[0] in (400, 404) and refused.code[0] == (404 if words == "top-up" else 400), refused.text
        assert ask(gateway, "POST", f"{path}/{words}", body, KEYS["acme_viewer"]).code == (403, "permission_missing")
    assert ask(gateway, "POST", f"budgets/{found[other]['id']}/reset", None, owner).code[0] == 404
    wrong = problems(ask(gateway, "POST", f"{path}/top-up", {"usd": -1, "nots": "x"}, owner))
    assert set(wrong) == {"usd", "nots"} and '"note"' in wrong["nots"]
    more = {"usd": "0.25", "note": "invoice 17"}
    once = ask(gateway, "POST", f"{path}/top-up", more, owner, idempotency_key="invoice-17")
    again = ask(gateway, "POST", f"{path}/top-up", more, owner, idempotency_key="invoice-17")
    assert once.status == 200 and once.json["given_usd"] == "0.25" and again.json == once.json, again.text
    assert again.headers["idempotency-replayed"] == "true"
    shown = ask(gateway, "GET", path, key=owner).json
    used = float(shown["used_usd"])
    assert abs(float(shown["left_usd"]) - (0.75 - used)) < 1e-9
    assert [(one["kind"], one["usd"], one["note"]) for one in shown["entries"]] == [("top_up", "0.25", "invoice 17")]
    anew = ask(gateway, "POST", f"{path}/reset", None, owner)
    assert anew.status == 200 and abs(float(anew.json["given_usd"]) - 0.25 - used) < 1e-9, anew.text
    assert ask(gateway, "POST", f"{path}/reset", None, owner).code == (409, "nothing_to_add")
    told = [one["action"] for one in ask(gateway, "GET", "audit?kind=budget", key=owner).json["data"]]
    assert told == ["reset", "top_up"]


def test_an_organization_does_not_lift_its_own_budget(start):
    gateway = start(acme="budget: { usd: 1, per: month }")
    call(gateway, KEYS["kims"])
    owner = KEYS["acme_owner"]
    of = lambda words: next(one for one in ask(gateway, "GET", "budgets").json["data"] if one["name"].endswith(words))
    wait_for(lambda: float(of("organization acme")["used_usd"]) > 0, "the journal")
    own = f"budgets/{of('organization acme')['id']}"
    for words, body in [("top-up", {"usd": 5}), ("reset", None)]:
        refused = ask(gateway, "POST", f"{own}/{words}", body, owner)
        assert refused.code == (403, "permission_missing") and "organization acme" in refused.message, refused.text
    shown = ask(gateway, "GET", own, key=owner)
    assert shown.status == 200 and shown.json["given_usd"] == "0.00" and shown.json["entries"] == []
    assert ask(gateway, "POST", f"budgets/{of('team search')['id']}/top-up", {"usd": 5}, owner).status == 200
    assert ask(gateway, "POST", f"{own}/top-up", {"usd": 5}).json["given_usd"] == "5.00", "who administers all may"


def test_calls_are_kept_for_as_long_as_is_said(start):
    gateway = start(journal="journal: {{ keep: 1d }}".format(), acme="keep_calls: 1ms")
    call(gateway, KEYS["kims"])
    call(gateway, APP_KEY)
    wait_for(lambda: names(gateway) == ["app"], "the calls of acme to be forgotten", seconds=40)
    used = {one["name"]: float(one["used_usd"]) for one in ask(gateway, "GET", "budgets").json["data"]}
    assert any(name.endswith("team search") and amount > 0 for name, amount in used.items()), "sums stay"


def test_somebody_is_forgotten(start):
    gateway = start()
    owner = KEYS["acme_owner"]
    user = ask(gateway, "POST", "users", {"name": "lee@example.com", "organization": "acme"}).json
    key = ask(gateway, "POST", "keys", {"name": "lee's laptop", "user": user["id"]}).json
    call(gateway, key["key"], x_tollgate_user="pat@example.com")
    call(gateway, KEYS["rockets"], x_tollgate_user="pat@example.com")
    wait_for(lambda: len(calls(gateway)) == 2, "the journal")
    erase = lambda body, key=owner: ask(gateway, "POST", "erasures", body, key)
    assert "name one" in problems(erase({}))[""] and "name one" in problems(erase({"caller": "a", "end_user": "b"}))[""]
    assert erase({"user": user["id"]}).code == (409, "user_not_ended")
    assert erase({"user": user["id"]}, KEYS["acme_viewer"]).code == (403, "permission_missing")
    done = erase({"end_user": "pat@example.com"})
    assert done.status == 201 and (done.json["calls"], done.json["deletes"]) == (1, False), done.text
    left = {one["key_name"]: one for one in calls(gateway)}
    assert left["lee's laptop"]["end_user"] is None and left["lee's laptop"]["cost"], "it cost what it cost"
    assert left["rockets"]["end_user"] == "pat@example.com", "another tenant's"
    for path in [f"keys/{key['id']}", f"users/{user['id']}"]:
        assert ask(gateway, "DELETE", path).status == 200
    assert erase({"user": user["id"], "calls": "delete"}).json["calls"] == 1
    assert names(gateway) == ["rockets"]
    told = ask(gateway, "GET", "audit?limit=500").text
    assert "lee" not in told and "pat@" not in told
    assert ask(gateway, "GET", "audit/verify").json == {"whole": True, "broken_at": None}
    done = gateway.run("erase", "--caller", "rockets", "--json", "--config", str(gateway.file))
    assert done.returncode == 0 and json.loads(done.stdout)["calls"] == 1, done.stderr
    assert names(gateway) == ["(erased)"]
    listed = ask(gateway, "GET", "erasures", key=owner).json["data"]
    assert [(one["kind"], one["calls"]) for one in listed] == [("user", 1), ("end_user", 1)]


def test_only_users_are_forgotten(start):
    gateway = start()
    made = {
        "keys": ask(gateway, "POST", "keys", {"name": "rogue", "role": "owner"}).json["id"],
        "teams": ask(gateway, "POST", "teams", {"name": "ended"}).json["id"],
    }
    for kind, id in made.items():
        assert ask(gateway, "DELETE", f"{kind}/{id}").status == 200
    refused = [*made.values(), ask(gateway, "GET", "teams/search").json["id"]]
    codes = [ask(gateway, "POST", "erasures", {"user": id}).code for id in refused]
    assert codes == [(409, "not_erasable"), (409, "not_erasable"), (404, "not_found")]
    told = ask(gateway, "GET", f"audit?object={made['keys']}").json["data"]
    assert [(one["action"], one["object_name"]) for one in told] == [("delete", "rogue"), ("create", "rogue")]
    unknown = gateway.run("erase", "--user", str(uuid.uuid4()), "--config", str(gateway.file))
    assert unknown.returncode == 1 and "neither the registry nor the journal has a user" in unknown.stderr
    assert ask(gateway, "GET", "erasures").json["data"] == []


def test_nothing_tells_of_somebody_who_was_forgotten(start):
    gateway = start()
    name = "lee@example.com"
    body = {"name": name, "budget": {"usd": 1, "per": "month"}}
    user = ask(gateway, "POST", "users", body, idempotency_key="made").json
    key = ask(gateway, "POST", "keys", {"name": "lee's", "user": user["id"], "role": "admin"}).json
    other = ask(gateway, "POST", "keys", {"name": "pat's", "models": ["house/echo"]}).json
    asked = ask(gateway, "POST", "/v1/access-requests", {"models": ["smart"], "reason": "work"}, other["key"]).json
    assert ask(gateway, "POST", f"access-requests/{asked['id']}/approve", {}, key["key"]).json["state"] == "approved"
    [budget] = [one["id"] for one in ask(gateway, "GET", "budgets").json["data"] if name in one["name"]]
    topped_up = ask(gateway, "POST", f"budgets/{budget}/top-up", {"usd": 1, "note": f"for {name}"})
    assert topped_up.status == 200, topped_up.text
    for path in [f"keys/{key['id']}", f"users/{user['id']}"]:
        assert ask(gateway, "DELETE", path).status == 200
    assert ask(gateway, "POST", "erasures", {"user": user["id"]}).status == 201
    told = ask(gateway, "GET", "audit?limit=500")
    assert "lee" not in told.text
    roles = [(one["before"] or one["after"])["body"]["role"] for one in told.json["data"] if one["object_id"] == key["id"]]
    assert roles == ["admin", "admin"], "that there was an administrator stays"
    assert ask(gateway, "GET", f"access-requests/{asked['id']}").json["state"] == "approved", "another's request"
    assert ask(gateway, "GET", "audit/verify").json["whole"]
    again = ask(gateway, "POST", "users", body, idempotency_key="made")
    assert again.status == 201 and again.json["id"] != user["id"], again.text


def test_keys_of_one_name_are_told_apart(start):
    gateway = start()
    logs = lambda *words: gateway.run("logs", *words, "--config", str(gateway.file))
    for organization in ["acme", "globex"]:
        made = ask(gateway, "POST", "keys", {"name": "svc", "organization": organization}).json
        call(gateway, made["key"])
    call(gateway, APP_KEY)
    wait_for(lambda: len(calls(gateway)) == 3, "the journal")
    rows = [line.split() for line in logs("--sum", "--key", "svc").stdout.splitlines()[1:]]
    assert sorted(row[:4] for row in rows) == [["svc", "acme", "house/echo", "1"], ["svc", "globex", "house/echo", "1"]]
    sums = json.loads(logs("--sum", "--json").stdout)
    assert [(one["key_name"], one["calls"]) for one in sums] == [("app", 1), ("svc", 1), ("svc", 1)]
    assert len({one["key_id"] for one in sums}) == 3
    for words in [["--key", "svk"], ["--sum", "--key", "svk"]]:
        typo = logs(*words)
        assert typo.returncode == 0 and 'nothing has the name "svk"' in typo.stderr
    assert 'the key "boss" has made no calls' in logs("--key", "boss").stderr
