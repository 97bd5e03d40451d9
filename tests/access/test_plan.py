"""The registry as a file: what a plan finds, what applying it does, and the way back, by commands and by the admin API."""

import itertools
import json
import os
import subprocess
import uuid

import pytest
from conftest import ADMIN_KEY, BINARY, Gateway
from test_admin import KEYS, CONFIG, ask, call, database, made, problems

FRESH = itertools.count()

# Every setting that there is.
SETTINGS = {
    "models": ["smart", "fast*"],
    "operations": ["chat", "embeddings"],
    "budget": [
        {"name": "monthly", "usd": "0.000000000001", "per": "month", "carry_over": True, "time_zone": "Europe/Berlin"},
        {"usd": "30.00", "warn_at": "80%", "mode": "shadow"},
    ],
    "limits": [
        {"requests": 60, "per": "minute", "each": ["end_user"], "algorithm": "fixed_window"},
        {"tokens": 2_000_000, "per": "5h", "models": ["smart"], "operations": ["chat"], "tags": {"floor": "3"}},
        {"input_tokens": 10, "per": "second", "algorithm": "token_bucket", "burst": 20},
        {"output_tokens": 10, "per": "second", "wait": "1500ms", "on_exceeded": "queue"},
        {"usd": "0.50", "per": "day", "on_exceeded": "downgrade", "downgrade_to": "smart", "unpriced": "allow"},
        {"concurrent": 3, "on_store_failure": "refuse"},
    ],
    "per_request": {"usd": "0.25", "input_tokens": 1000},
    "tags": {"floor": "3", "a: b": "yes # no", "empty": "", "umlaut \u00e4": "\u2028 \"quoted\" \\ \t"},
    "addresses": ["10.0.0.0/8", "2001:db8::/32"],
    "access": [{"name": "no tools", "deny": "request.tools > 0"}, {"allow": "request.model == 'smart'"}],
    "disabled": True,
}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gateway(request, tmp_path_factory, sim):
    store, drop = database(request.param)
    gateway = Gateway(tmp_path_factory.mktemp("plan"), sim, CONFIG, store=store, **KEYS)
    yield gateway
    gateway.process.kill()
    gateway.process.wait()
    if drop:
        subprocess.run(drop, check=True)


@pytest.fixture
def space(gateway):
    """An organization of a test's own, by name."""
    return made(gateway, "organizations", {"name": f"space {next(FRESH)}"})["name"]


def run(gateway, *words, stdin=None):
    words = [BINARY, *words, "--config", str(gateway.file)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, input=stdin)


def done(gateway, *words, **more):
    finished = run(gateway, *words, **more)
    assert finished.returncode == 0, finished.stderr + finished.stdout
    return finished.stdout


def plan(gateway, file, *words):
    finished = run(gateway, "plan", "-", "--json", *words, stdin=json.dumps(file))
    assert finished.returncode in (0, 2), finished.stderr
    found = json.loads(finished.stdout)
    assert finished.returncode == (2 if found["changes"] else 0)
    return found


def apply(gateway, file, *words):
    return json.loads(done(gateway, "apply", "-", "--json", "--yes", *words, stdin=json.dumps(file)))


def export(gateway, *words):
    return json.loads(done(gateway, "export", "--json", *words))


def steps(plan):
    return [(one["action"], one["kind"], one["name"]) for one in plan["changes"]]


def only(space, file):
    """A file whose entries stand in one organization."""
    for section, entries in file.items():
        for entry in entries if section == "keys" else entries.values():
            entry.setdefault("organization", space)
    return file


def whole(space):
    """A file with every kind, and accounts of every shape."""
    return only(space, {
        "teams": {"search": dict(SETTINGS), "ranking": {"team": "search"}, "search/eu": {"name": "eu, west"}},
        "projects": {"indexer": {"team": "ranking", **SETTINGS}},
        "users": {"kim@example.com": {"team": "search", "tags": {"floor": "4"}}},
        "service_accounts": {"bot": {"project": "indexer"}, "cron": {"team": "search"}, "free": {}},
        "keys": [
            {"name": "of bot", "service_account": "bot", "expires": "2031-01-31", **SETTINGS},
            {"name": "of kim", "user": "kim@example.com"},
            {"name": "of team", "team": "search"},
            {"name": "of project", "project": "indexer"},
            {"name": "of all"},
            {"name": "reader", "role": "viewer"},
        ],
    })


def test_what_is_exported_is_what_there_is(gateway, space, tmp_path):
    first = apply(gateway, whole(space), "--organization", space)
    assert len(first["changes"]) == 14 and len(first["keys"]) == 6
    assert all(one["key"].startswith("tg-") for one in first["keys"])
    assert plan(gateway, whole(space), "--organization", space)["changes"] == [], "what was applied is there"
    again = apply(gateway, whole(space), "--organization", space)
    assert (again["changes"], again["keys"]) == ([], [])

    file = tmp_path / "registry.yaml"
    done(gateway, "export", "--organization", space, "--output", str(file))
    text = file.read_text()
    for word in ["tg-", "version", "created_us", "hint"]:
        assert word not in text
    checked = run(gateway, "plan", str(file), "--organization", space, "--prune")
    assert (checked.returncode, checked.stdout) == (0, "nothing to do\n"), checked.stdout + checked.stderr
    done(gateway, "export", "--organization", space, "--output", str(file))
    assert file.read_text() == text, "in a stable order"
    shown = export(gateway, "--organization", space)
    assert list(shown) == ["organizations", "teams", "projects", "users", "service_accounts", "keys"]
    for name, value in SETTINGS.items():
        assert shown["teams"]["search"][name] == value, name
        assert shown["projects"]["indexer"][name] == value, name
    found = {one["name"]: one for one in shown["keys"]}
    assert (found["of bot"]["expires"], found["reader"]["role"]) == ("2031-02-01T00:00:00Z", "viewer")
    answer = ask(gateway, "GET", f"export?organization={space}")
    assert answer.json == shown and int(answer.headers["etag"].strip('"')) >= first["clock"]
    everything = export(gateway)
    assert plan(gateway, everything, "--prune")["changes"] == [], "all that other tests made included"


def test_a_plan_tells_each_member_and_what_is_left_alone(gateway, space):
    apply(gateway, whole(space))
    file = export(gateway, "--organization", space)
    file["teams"]["search"]["budget"][1]["usd"] = 45
    file["teams"]["search"]["tags"]["floor"] = "5"
    del file["users"]
    file["projects"]["indexer"].pop("per_request")
    file["projects"]["renamed"] = file["projects"].pop("indexer")
    file["projects"]["fresh"] = {"team": "search", "organization": space, "models": ["smart"]}
    for entry in file["service_accounts"].values():
        if entry.get("project"):
            entry["project"] = "renamed"
    for entry in file["keys"]:
        if entry.get("project"):
            entry["project"] = "renamed"
    file["keys"] = [one for one in file["keys"] if one["name"] != "of kim"]
    found = plan(gateway, file, "--organization", space)
    assert steps(found) == [("change", "team", "search"), ("change", "project", "indexer"), ("create", "project", "fresh")]
    search, indexer, fresh = (one["differences"] for one in found["changes"])
    assert search == [
        {"path": "budget[1].usd", "before": "30.00", "after": "45.00"},
        {"path": "tags.floor", "before": "3", "after": "5"},
    ]
    assert [one["path"] for one in indexer] == ["name", "per_request"], "whatever is below it is as it was"
    assert found["changes"][1]["organization"] == space and indexer[1]["after"] is None
    assert {"path": "models", "before": None, "after": ["smart"]} in fresh
    assert [(one["kind"], one["name"]) for one in found["left_alone"]] == [("user", "kim@example.com"), ("key", "of kim")]
    text = run(gateway, "plan", "-", "--organization", space, stdin=json.dumps(file))
    assert text.returncode == 2 and "\x1b" not in text.stdout
    assert "    budget[1].usd: 30.00 → 45.00" in text.stdout and "1 to create, 2 to change" in text.stdout
    assert "left alone, since the file has no such entry: user" in text.stdout

    pruned = plan(gateway, file, "--organization", space, "--prune")
    assert steps(pruned)[-2:] == [("end", "key", "of kim"), ("end", "user", "kim@example.com")], "the lower parts first"
    unasked = run(gateway, "apply", "-", "--organization", space, stdin=json.dumps(file))
    assert unasked.returncode == 1 and "--yes" in unasked.stderr
    assert plan(gateway, file, "--organization", space)["changes"] == found["changes"], "nothing was done"
    applied = apply(gateway, file, "--organization", space, "--prune")
    assert len(applied["changes"]) == 5
    assert plan(gateway, file, "--organization", space, "--prune")["changes"] == []
    assert "kim@example.com" not in json.dumps(export(gateway, "--organization", space))


def test_keys_open_as_soon_as_they_are_made(gateway, space):
    file = only(space, {"teams": {"a": {"models": ["smart"]}}, "keys": [{"name": "app", "team": "a"}]})
    secret = apply(gateway, file)["keys"][0]["key"]
    assert call(gateway, secret).status == 200
    file["teams"]["a"]["disabled"] = True
    assert steps(apply(gateway, file)) == [("change", "team", "a")]
    assert call(gateway, secret).status == 403
    del file["keys"]
    file["teams"]["a"]["disabled"] = False
    apply(gateway, file, "--organization", space, "--prune")
    assert call(gateway, secret).status == 401


def test_everything_that_is_wrong_is_told_with_its_line(gateway, space, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(f"""
teams:
  one: {{ organization: "{space}", budget: {{ usd: 3, per: fortnight }} }}
  two: {{ organization: nowhere }}
  three:
    limits:
      - {{ requests: many, per: minute }}
    modles: [ smart ]
team: {{}}
users:
  kim: {{ team: sreach, organization: acme }}
keys:
  - {{ name: app, key: tg-secret }}
  - {{ name: other, role: emperor }}
""")
    found = run(gateway, "plan", str(file))
    assert found.returncode == 1 and found.stdout == ""
    for line, words in [
        (4, 'teams.two.organization  there is no organization "nowhere"'),
        (7, "teams.three.limits[0].requests"),
        (8, 'did you mean "models"?'),
        (9, 'did you mean "teams"?'),
        (11, 'did you mean "search"?'),
        (13, "keys[0].key  a registry file holds no secrets"),
        (14, "keys[1].role"),
    ]:
        assert any(f"wrong.yaml:{line}:" in one and words in one for one in found.stderr.splitlines()), (line, found.stderr)
    body = file.read_text()
    answer = ask(gateway, "POST", "plan", body)
    assert "(line 7)" in problems(answer)["teams.three.limits[0].requests"]
    alone = {"teams": {"one": {"organization": space, "budget": {"usd": 3, "per": "fortnight"}}}}
    assert "teams.one.budget.per" in problems(ask(gateway, "POST", "plan", alone))
    circle = only(space, {"teams": {"x": {}, "y": {"team": "x"}}})
    apply(gateway, circle)
    circle["teams"]["x"]["team"] = "y"
    (path, message), = problems(ask(gateway, "POST", "apply", circle)).items()
    assert path in ("teams.x", "teams.y") and "stands below it" in message
    for text in ["teams: [", "teams: {a: 1, a: 2}", "- 1", "teams: []", "keys: {}", "\x00"]:
        assert ask(gateway, "POST", "plan", text).status == 400, text
        assert run(gateway, "plan", "-", stdin=text).returncode == 1, text
    assert ask(gateway, "POST", "plan", b"\xff\xfe").status == 400
    assert ask(gateway, "POST", "plan?prune=maybe", {}).status == 400
    assert run(gateway, "plan", str(tmp_path / "none.yaml")).returncode == 1
    twice = only(space, {"keys": [{"name": "k"}, {"name": "k"}]})
    assert "keys[1].name" in problems(ask(gateway, "POST", "plan", twice))


def test_what_the_configuration_file_owns_is_told(gateway):
    for file in [
        {"organizations": {"acme": {"disabled": True}}},
        {"teams": {"search": {"organization": "acme"}}},
        {"keys": [{"name": "app"}]},
    ]:
        (path, message), = problems(ask(gateway, "POST", "plan", file)).items()
        assert str(gateway.file) in message and "owned by" in message
        found = run(gateway, "apply", "-", "--yes", stdin=json.dumps(file))
        assert found.returncode == 1 and str(gateway.file) in found.stderr
    owned = ask(gateway, "GET", "teams?organization=acme&search=search").json["data"][0]["id"]
    wrong = problems(ask(gateway, "POST", "plan", {"teams": {"x": {"id": owned}}}))
    assert "configuration file" in wrong["teams.x.id"]


def test_ids_are_what_they_are(gateway, space):
    apply(gateway, only(space, {"teams": {"a": {}, "gone": {}}, "users": {"u": {}}}))
    shown = export(gateway, "--organization", space)
    team, gone, user = shown["teams"]["a"]["id"], shown["teams"]["gone"]["id"], shown["users"]["u"]["id"]
    assert ask(gateway, "DELETE", f"teams/{gone}").status == 200
    for given, words in [(user, "id of a user"), (gone, "has ended"), ("x", "no id"), (str(uuid.UUID(int=0)), "configuration")]:
        file = only(space, {"teams": {"b": {"id": given}}})
        assert words in problems(ask(gateway, "POST", "plan", file))["teams.b.id"], given
    twice = only(space, {"teams": {"b": {"id": team}, "c": {"id": team}}})
    assert "twice" in problems(ask(gateway, "POST", "plan", twice))["teams.c.id"]
    swapped = only(space, {"teams": {"a": {"id": team, "name": "c"}, "new": {"name": "a"}}})
    assert steps(apply(gateway, swapped)) == [("change", "team", "a"), ("create", "team", "a")]
    moved = only("acme", {"teams": {"c": {"id": team}}})
    assert "stays in the organization" in problems(ask(gateway, "POST", "plan", moved))["teams.c.organization"]
    # Into a registry that does not have it, an entry takes its id along.
    kept = str(uuid.uuid4())
    apply(gateway, only(space, {"projects": {"p": {"id": kept}}}))
    assert ask(gateway, "GET", f"projects/{kept}").json["name"] == "p"
    ids = {one["name"]: one["id"] for one in export(gateway, "--organization", space)["teams"].values() if "name" in one}
    both = {one.get("name", label): one["id"] for label, one in export(gateway, "--organization", space)["teams"].items()}
    cross = only(space, {"teams": {"a": {"id": both["c"]}, "c": {"id": both["a"]}}})
    refused = ask(gateway, "POST", "plan", cross)
    assert refused.code == (409, "no_order") and "third name" in refused.message, ids


def test_what_is_in_use_does_not_end(gateway, space):
    name = f"used {space}"
    apply(gateway, only(space, {"teams": {name: {}}, "users": {"u": {"team": name}}}))
    refused = run(gateway, "teams", "delete", name)
    assert refused.returncode == 1 and 'user "u"' in refused.stderr
    assert ask(gateway, "DELETE", f"teams/{name}").code == (409, "in_use")
    assert steps(plan(gateway, {}, "--organization", space, "--prune")) == [("end", "user", "u"), ("end", "team", name)]


def test_a_change_meanwhile_is_noticed_where_it_matters(gateway, space):
    one, other = f"a {space}", f"b {space}"
    file = only(space, {"teams": {one: {}, other: {}}})
    apply(gateway, file)
    file["teams"][one]["tags"] = {"x": "1"}
    answer = ask(gateway, "POST", "plan", file)
    tag = answer.headers["etag"]
    assert tag == f'"{answer.json["clock"]}"'
    assert ask(gateway, "PATCH", f"teams/{other}", {"tags": {"y": "1"}}).status == 200
    file["teams"].pop(other)
    assert ask(gateway, "POST", "apply", file, if_match=tag).status == 200, "what it does not touch may change"
    clock = ask(gateway, "POST", "plan", file).json["clock"]
    assert ask(gateway, "PATCH", f"teams/{one}", {"tags": {"x": "2"}}).status == 200
    late = ask(gateway, "POST", "apply", file, if_match=f'"{clock}"')
    assert late.code == (412, "registry_changed") and f'team "{one}"' in late.message
    late = run(gateway, "apply", "-", "--yes", "--if-clock", str(clock), stdin=json.dumps(file))
    assert late.returncode == 1 and "plan again" in late.stderr
    assert ask(gateway, "GET", f"teams/{one}").json["tags"] == {"x": "2"}
    assert ask(gateway, "POST", "apply", file, if_match="x").status == 400
    # Made by others under a name that the file wanted to make.
    fresh = only(space, {"teams": {"c": {"tags": {"x": "1"}}}})
    clock = ask(gateway, "POST", "plan", fresh).json["clock"]
    made(gateway, "teams", {"name": "c", "organization": space})
    assert ask(gateway, "POST", "apply", fresh, if_match=f'"{clock}"').code == (412, "registry_changed")


def test_one_apply_is_one_change_by_one_author(gateway, space):
    file = only(space, {"teams": {"a": {}, "b": {"team": "a"}}, "keys": [{"name": "k", "team": "b"}]})
    name = f"apply {next(FRESH)}"
    first = ask(gateway, "POST", "apply", file, idempotency_key=name)
    again = ask(gateway, "POST", "apply", file, idempotency_key=name)
    assert again.headers["idempotency-replayed"] == "true"
    assert first.json["keys"][0]["key"] and again.json["keys"][0]["key"] is None
    assert {**first.json, "keys": None} == {**again.json, "keys": None}
    other = ask(gateway, "POST", "apply?prune=true", file, idempotency_key=name)
    assert other.code == (422, "idempotency_key_reused")
    team = ask(gateway, "GET", f"teams?organization={space}&search=b").json["data"][0]
    event = ask(gateway, "GET", f"history?object={team['id']}").json["data"][0]
    assert (event["clock"], len(event["changes"])) == (first.json["clock"], 1)
    whole = [one for one in ask(gateway, "GET", "history?limit=50").json["data"] if one["clock"] == event["clock"]]
    assert [one["action"] for one in whole[0]["changes"]] == ["create"] * 3
    boss = ask(gateway, "GET", "keys/boss").json["id"]
    assert event["by"] == f"key:{boss}"
    refused = only(space, {"teams": {"c": {}}, "users": {"u": {"team": "none"}}})
    assert ask(gateway, "POST", "apply", refused).status == 400
    assert ask(gateway, "GET", f"teams?organization={space}&search=c").json["data"] == [], "all or nothing"
    page = ask(gateway, "GET", "history?limit=1").json
    rest = ask(gateway, "GET", f"history?limit=1&cursor={page['next_cursor']}").json
    assert rest["data"][0]["clock"] < page["data"][0]["clock"]
    text = done(gateway, "history", "--limit", "3")
    assert f'+ key "k"' in text or "+ team" in text
    assert ask(gateway, "GET", "audit/verify").json["whole"]


def test_the_registry_goes_back_to_what_it_was(gateway, space):
    start = apply(gateway, only(space, {
        "teams": {"a": {"tags": {"x": "1"}}, "b": {}, "c": {"team": "a"}},
        "projects": {"p": {"team": "c"}},
        "keys": [{"name": "kept", "team": "a"}, {"name": "lost", "team": "a"}],
    }))
    secret = next(one["key"] for one in start["keys"] if one["name"] == "kept")
    before = export(gateway, "--organization", space)
    ids = {name: one["id"] for name, one in before["teams"].items()}
    assert ask(gateway, "PATCH", f"teams/{ids['a']}", {"name": "renamed", "tags": {"x": "2"}}).status == 200
    for path in [f"projects/{before['projects']['p']['id']}", f"teams/{ids['c']}"]:
        assert ask(gateway, "DELETE", path).status == 200
    lost = next(one["id"] for one in before["keys"] if one["name"] == "lost")
    assert ask(gateway, "DELETE", f"keys/{lost}").status == 200
    new = made(gateway, "teams", {"name": "c", "organization": space})
    late = made(gateway, "keys", {"name": "late", "organization": space})
    rotated = ask(gateway, "POST", f"keys/{next(one['id'] for one in before['keys'] if one['name'] == 'kept')}/rotate").json
    assert call(gateway, late["key"]).status == 200

    words = ["rollback", str(start["clock"]), "--organization", space]
    shown = json.loads(done(gateway, *words, "--dry-run", "--json"))
    assert sorted(steps(shown)) == sorted([
        ("change", "team", "renamed"), ("end", "team", "c"), ("end", "key", "late"),
        ("revive", "team", "c"), ("revive", "project", "p"),
    ])
    assert any('"lost" has ended and stays so' in note for note in shown["notes"])
    assert ask(gateway, "GET", f"teams/{new['id']}").status == 200, "nothing was done"
    unasked = run(gateway, *words)
    assert unasked.returncode == 1 and "--yes" in unasked.stderr
    done(gateway, *words, "--yes")
    after = export(gateway, "--organization", space)
    expected = {**before, "keys": [one for one in before["keys"] if one["name"] != "lost"]}
    assert after == expected, "under the same ids"
    assert call(gateway, late["key"]).status == 401 and call(gateway, rotated["key"]).status == 200
    assert call(gateway, secret).status == 401, "secrets do not come back"
    again = json.loads(done(gateway, *words, "--dry-run", "--json"))
    assert steps(again) == [], "history goes on, and is not rewritten"
    versions = ask(gateway, "GET", f"teams/{ids['c']}/versions").json["data"]
    assert [one["action"] for one in versions] == ["revive", "end", "create"]
    assert versions[0]["by"].startswith("command:") and versions[2]["is"]["team"] == "a"
    for clock in ["0", "99999999"]:
        assert run(gateway, "rollback", clock, "--yes").returncode == 1
    assert problems(ask(gateway, "POST", "rollback", {"clock": 0}))["clock"]
    dry = ask(gateway, "POST", "rollback", {"clock": start["clock"], "dry_run": True}).json
    assert isinstance(dry["changes"], list)


def test_one_thing_goes_back_to_one_of_its_versions(gateway, space):
    team = made(gateway, "teams", {"name": f"v{next(FRESH)}", "organization": space, "tags": {"x": "1"}})
    path = f"teams/{team['id']}"
    ask(gateway, "PATCH", path, {"tags": {"x": "2"}, "budget": {"usd": 5, "per": "day"}})
    ask(gateway, "PATCH", path, {"tags": {"x": "3"}})
    versions = ask(gateway, "GET", f"{path}/versions").json["data"]
    assert [one["version"] for one in versions] == [3, 2, 1]
    assert versions[0]["differences"] == [{"path": "tags.x", "before": "2", "after": "3"}]
    assert versions[2]["is"]["tags"] == {"x": "1"} and versions[0]["clock"] > versions[1]["clock"] > 0
    back = ask(gateway, "POST", f"{path}/rollback", {"version": 2})
    assert back.status == 200 and steps(back.json) == [("change", "team", team["name"])], back.text
    found = ask(gateway, "GET", path).json
    assert (found["tags"], found["budget"]["usd"], found["version"]) == ({"x": "2"}, "5.00", 4)
    done(gateway, "rollback", "--object", team["name"], "--version", "1", "--yes")
    assert "budget" not in ask(gateway, "GET", path).json
    ask(gateway, "DELETE", path)
    done(gateway, "rollback", "--object", team["id"], "--version", "3", "--yes")
    assert ask(gateway, "GET", path).json["tags"] == {"x": "3"}, "what had ended goes on"
    assert "version" in problems(ask(gateway, "POST", f"{path}/rollback", {"version": 99}))
    assert "ended" in problems(ask(gateway, "POST", f"{path}/rollback", {"version": 6}))["version"]
    key = made(gateway, "keys", {"organization": space})
    ask(gateway, "DELETE", f"keys/{key['id']}")
    never = ask(gateway, "POST", f"keys/{key['id']}/rollback", {"version": 1})
    assert never.status == 200 and never.json["changes"] == [] and "never open again" in never.json["notes"][0]
    assert call(gateway, key["key"]).status == 401
    other = made(gateway, "users", {"organization": space})
    assert ask(gateway, "POST", f"teams/{other['id']}/rollback", {"version": 1}).code == (404, "not_found")
    assert ask(gateway, "GET", f"teams/{other['id']}/versions").code == (404, "not_found")


def test_a_key_of_one_organization_keeps_to_it(gateway):
    owner, viewer, developer = KEYS["acme_owner"], KEYS["acme_viewer"], KEYS["acme_developer"]
    mark = f"own {next(FRESH)}"
    foreign = made(gateway, "teams", {"name": f"foreign {mark}", "organization": "globex"})
    free = made(gateway, "users", {"name": f"free {mark}"})
    file = {"teams": {mark: {}}, "projects": {mark: {"team": "search"}}, "keys": [{"name": mark, "team": mark}]}
    applied = ask(gateway, "POST", "apply", file, owner)
    assert applied.status == 200 and len(applied.json["changes"]) == 3, applied.text
    shown = ask(gateway, "GET", "export", key=owner)
    assert foreign["id"] not in shown.text and free["id"] not in shown.text and mark in shown.json["teams"]
    assert {one["organization"] for one in shown.json["teams"].values()} == {"acme"}
    assert ask(gateway, "POST", "plan?prune=true", shown.json, owner).json["changes"] == []
    # Foreign ids and unknown ones are answered alike.
    said = set()
    for given in [foreign["id"], free["id"], str(uuid.uuid4())]:
        said.add(problems(ask(gateway, "POST", "apply", {"teams": {"x": {"id": given}}}, owner))["teams.x.id"])
    assert len(said) == 1
    for entry in [{"organization": "globex"}, {"team": foreign["id"]}, {"team": foreign["name"]}]:
        assert ask(gateway, "POST", "apply", {"users": {"x": entry}}, owner).status == 400, entry
    assert ask(gateway, "POST", "apply", {"organizations": {"mine": {}}}, owner).status in (400, 403)
    assert ask(gateway, "GET", "export?organization=globex", key=owner).status == 404
    pruned = ask(gateway, "POST", "plan?prune=true", {}, owner).json
    assert {one["organization"] for one in pruned["changes"]} <= {"acme"}
    for path, body in [("plan", {}), ("apply", {}), ("rollback", {"clock": 1})]:
        for key in [viewer, developer]:
            assert ask(gateway, "POST", path, body, key).code == (403, "permission_missing"), path
    assert ask(gateway, "GET", "export", key=viewer).status == 200
    assert ask(gateway, "GET", "history", key=viewer).code == (403, "permission_missing")
    assert foreign["id"] not in ask(gateway, "GET", "history?limit=500", key=owner).text
    assert ask(gateway, "GET", f"history?object={foreign['id']}", key=owner).json["data"] == []
    assert ask(gateway, "GET", f"teams/{foreign['id']}/versions", key=owner).code == (404, "not_found")
    assert ask(gateway, "POST", f"teams/{foreign['id']}/rollback", {"version": 1}, owner).code == (404, "not_found")
    ask(gateway, "PATCH", f"teams/{foreign['id']}", {"tags": {"x": "1"}})
    back = ask(gateway, "POST", "rollback", {"clock": 2, "dry_run": True}, owner).json
    assert foreign["id"] not in json.dumps(back)
    # An administrator gives no more than it has.
    admin = KEYS["acme_admin"]
    higher = ask(gateway, "POST", "plan", {"keys": [{"name": f"boss {mark}", "role": "owner"}]}, admin)
    assert higher.code == (403, "permission_missing")


def test_whoever_prunes_does_not_end_itself(gateway, space):
    of = made(gateway, "organizations")
    key = made(gateway, "keys", {"organization": of["id"], "role": "owner"})
    found = ask(gateway, "POST", "apply?prune=true", {}, key["key"]).json
    assert found["changes"] == [] and "does not end itself" in found["notes"][0]
    assert ask(gateway, "GET", "export", key=key["key"]).status == 200


def test_other_kinds_of_objects_are_left_alone(gateway, space):
    """Nothing but the six kinds comes into a file, and nothing else ends."""
    shown = export(gateway)
    assert set(shown) <= {"organizations", "teams", "projects", "users", "service_accounts", "keys"}
    found = plan(gateway, {}, "--prune")
    kinds = {one["kind"] for one in found["changes"]}
    assert kinds <= {"organization", "team", "project", "user", "service_account", "key"}


def test_a_large_file_is_applied(gateway, space):
    file = only(space, {
        "teams": {f"team {at}": {"tags": {"at": str(at)}} for at in range(100)},
        "projects": {f"project {at}": {"team": f"team {at % 100}", "budget": {"usd": at + 1, "per": "month"}} for at in range(300)},
        "users": {f"user {at}": {"team": f"team {at % 100}"} for at in range(400)},
        "keys": [{"name": f"key {at}", "project": f"project {at}"} for at in range(200)],
    })
    applied = apply(gateway, file)
    assert len(applied["changes"]) == 1000 and len(applied["keys"]) == 200
    assert plan(gateway, file)["changes"] == []
    file["users"]["user 7"]["tags"] = {"x": "1"}
    assert steps(plan(gateway, file)) == [("change", "user", "user 7")]
    ended = apply(gateway, {}, "--organization", space, "--prune")
    assert len(ended["changes"]) == 1000


def test_names_that_several_organizations_have(gateway, space):
    other = made(gateway, "organizations")["name"]
    for organization in (space, other):
        made(gateway, "teams", {"name": "twin", "organization": organization})
        made(gateway, "keys", {"name": f"twin {organization}", "organization": organization, "team": None})
    shown = export(gateway)
    labels = [label for label, one in shown["teams"].items() if label == "twin" or one.get("name") == "twin"]
    assert len(labels) == 2 and any("/" in label for label in labels)
    assert plan(gateway, shown, "--prune")["changes"] == []


@pytest.mark.parametrize("command", ["organizations", "teams", "projects", "users", "service-accounts"])
def test_commands_make_change_and_end_things(gateway, space, command):
    name = f"{command} {next(FRESH)}"
    place = [] if command == "organizations" else ["--organization", space]
    words = ["--model", "smart", "--budget", "100/month", "--tag", "floor=3", "--address", "10.0.0.0/8"]
    made_one = json.loads(done(gateway, command, "create", name, *place, *words, "--json"))
    assert made_one["budget"] == {"usd": "100.00", "per": "month"} and made_one["tags"] == {"floor": "3"}
    same = {**ask(gateway, "GET", f"{command}/{made_one['id']}").json}
    assert same == made_one, "as the admin API shows it"
    refused = run(gateway, command, "create", name, *place)
    assert refused.returncode == 1 and "already" in refused.stderr
    told = done(gateway, command, "set", name, "budget.usd=300", "tags.floor=", "disabled=true", "--patch", '{"limits": [{"requests": 5, "per": "minute"}]}')
    assert "budget.usd: 100.00 → 300.00" in told and "~" in told
    found = json.loads(done(gateway, command, "show", made_one["id"], "--json"))
    assert (found["budget"]["usd"], found["disabled"], found["limits"][0]["requests"]) == ("300.00", True, 5)
    assert "tags" not in found or found["tags"] == {}
    wrong = run(gateway, command, "set", name, "modles=x")
    assert wrong.returncode == 1 and 'did you mean "models"?' in wrong.stderr
    assert wrong.stderr.strip().removeprefix("tollgate: ") == ask(gateway, "PATCH", f"{command}/{made_one['id']}", {"modles": "x"}).message
    listed = json.loads(done(gateway, command, "list", "--json"))
    assert made_one["id"] in [one["id"] for one in listed]
    assert name in done(gateway, command, "list")
    assert "end" in json.loads(done(gateway, command, "delete", name, "--json"))["changes"][0]["action"]
    gone = run(gateway, command, "show", made_one["id"])
    assert gone.returncode == 1 and "there is no" in gone.stderr


def test_the_file_s_things_are_listed_and_not_changed_by_commands(gateway):
    listed = {one["name"]: one["owner"] for one in json.loads(done(gateway, "teams", "list", "--organization", "acme", "--json"))}
    assert listed["search"] == "file" and "rockets" not in listed
    for words in [["set", "search", "disabled=true"], ["delete", "search"], ["create", "search", "--organization", "acme"]]:
        refused = run(gateway, "teams", *words)
        assert refused.returncode == 1 and str(gateway.file) in refused.stderr, words


def test_commands_make_keys_in_their_places(gateway, space):
    apply(gateway, only(space, {"teams": {"t": {"models": ["smart"]}}, "users": {"u": {"team": "t"}}}))
    name = f"placed {next(FRESH)}"
    words = ["--organization", space, "--user", "u", "--budget", "5/day", "--set", "budget.unpriced=allow", "--tag", "a=b", "--model", "smart", "--expires", "2031-01-31"]
    key = json.loads(done(gateway, "keys", "create", name, *words, "--json"))
    assert call(gateway, key["key"]).status == 200
    assert (key["user"], key["budget"]["usd"], key["tags"]) == (ask(gateway, "GET", f"users?organization={space}").json["data"][0]["id"], "5.00", {"a": "b"})
    assert f"{space}/u" in next(line for line in done(gateway, "keys", "list").splitlines() if name in line)
    second = done(gateway, "keys", "rotate", name, "--overlap", "24h").strip()
    assert [call(gateway, one).status for one in (key["key"], second)] == [200, 200]
    assert "overlap" in run(gateway, "keys", "rotate", name, "--overlap", "soon").stderr
    viewer = done(gateway, "keys", "create", f"{name} viewer", "--role", "viewer", "--organization", space).strip()
    assert ask(gateway, "GET", "teams", key=viewer).status == 200
    assert ask(gateway, "POST", "teams", {"name": "x"}, viewer).status == 403
    plain = done(gateway, "keys", "create", f"{name} plain", "--model", "smart").strip()
    assert call(gateway, plain).status == 200
    third = done(gateway, "keys", "rotate", f"{name} plain").strip()
    assert [call(gateway, one).status for one in (plain, third)] == [401, 200]


def test_another_secret_changes_nothing_else_of_a_key(gateway, space):
    """A viewer's key stays one of a viewer, of its organization, and spent budgets stay spent."""
    name = f"turned {next(FRESH)}"
    made_one = json.loads(done(gateway, "keys", "create", name, "--role", "viewer", "--organization", space, "--json"))
    with_session = sign_in(gateway, made_one["key"])
    for word in [name, made_one["id"]]:
        again = done(gateway, "keys", "rotate", word).strip()
        me = ask(gateway, "GET", "me", key=again).json
        assert (me["role"], me["organization"]) == ("viewer", made_one["organization"])
    assert ask(gateway, "GET", "me", key=made_one["key"]).status == 401
    assert with_session().status == 401, "it was opened by the secret that went"
    settings = {"limits": [{"requests": 1, "per": "day"}], "budget": {"usd": "5", "unpriced": "allow"}, "tags": {"a": "b"}}
    key = made(gateway, "keys", {"name": f"{name} calls", "organization": space, **settings})
    assert [call(gateway, key["key"]).status for _ in range(2)] == [200, 429]
    again = json.loads(done(gateway, "keys", "rotate", f"{name} calls", "--json"))
    assert call(gateway, again["key"]).status == 429, "its day is used up"
    for member in ["id", "organization", "limits", "budget", "tags", "models"]:
        assert again.get(member) == key.get(member), member
    ask(gateway, "PATCH", f"keys/{key['id']}", {"disabled": True})
    again = done(gateway, "keys", "rotate", key["id"]).strip()
    assert call(gateway, again).code == (403, "disabled")


def sign_in(gateway, key):
    """Signs in with an admin key; what is returned asks who that is."""
    answered = ask(gateway, "POST", "sign-in", {"key": key})
    assert answered.status == 200, answered.json
    cookie = answered.headers["set-cookie"].split(";")[0]
    return lambda: ask(gateway, "GET", "me", key=None, cookie=cookie)


def test_commands_about_keys_heed_the_registry_s_rules(gateway, space):
    for words, why in [(["app"], str(gateway.file)), ([""], "name"), (["n" * 300], "name"), (["late", "--expires", "2020-01-31x"], "expires")]:
        refused = run(gateway, "keys", "create", *words)
        assert refused.returncode == 1 and why in refused.stderr, (words, refused.stderr)
    assert run(gateway, "keys", "revoke", "app").returncode == 1, "it is the file's"
    name = f"leaked {next(FRESH)}"
    key = made(gateway, "keys", {"name": name, "organization": space})
    assert call(gateway, key["key"]).status == 200
    row = next(line for line in done(gateway, "keys", "list").splitlines() if name in line)
    assert space in row and "models" in row and "good" in row
    assert done(gateway, "keys", "revoke", name).strip() == f"{name} is revoked"
    assert call(gateway, key["key"]).status == 401
    assert name not in done(gateway, "keys", "list")
    told = json.loads(done(gateway, "audit", "list", "--object", key["id"], "--json"))
    assert (told[0]["action"], told[0]["actor_kind"]) == ("delete", "command")
    again = run(gateway, "keys", "revoke", name)
    assert again.returncode == 1 and "there is no key" in again.stderr


def test_a_start_that_fails_shows_the_keys_that_it_made(gateway, tmp_path):
    """No later start would show them."""
    words = [BINARY, "--data-dir", str(tmp_path / "data"), "--listen", f"127.0.0.1:{gateway.port}"]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    failed = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
    lines = [line.split() for line in failed.stdout.splitlines()]
    assert failed.returncode == 1
    assert [(words[0], words[2].startswith("tg-")) for words in lines] == [("admin", True), ("app", True)]
    assert "tg-" not in subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment).stdout


def test_budgets_of_one_name_are_told_apart(gateway):
    team = f"same {next(FRESH)}"
    spaces = [made(gateway, "organizations", {"name": f"space {next(FRESH)}"})["name"] for _ in range(2)]
    for one in spaces:
        made(gateway, "teams", {"name": team, "organization": one, "budget": {"usd": "100", "per": "month"}})
    listed = lambda: [one for one in json.loads(done(gateway, "budgets", "--json")) if one["budget"].endswith(f"team {team}")]
    first, second = listed()
    assert first["budget"] == second["budget"] and first["id"] != second["id"]
    refused = run(gateway, "budgets", "top-up", first["budget"], "7")
    assert refused.returncode == 1 and first["id"] in refused.stderr and second["id"] in refused.stderr
    assert ask(gateway, "POST", f"budgets/{first['budget']}/top-up", {"usd": "7"}).code == (409, "name_ambiguous")
    done(gateway, "budgets", "top-up", second["id"], "7")
    assert {one["id"]: float(one["given_usd"]) for one in listed()} == {first["id"]: 0, second["id"]: 7}


def test_commands_read_the_audit(gateway, space):
    team = made(gateway, "teams", {"organization": space})
    listed = json.loads(done(gateway, "audit", "list", "--object", team["id"], "--json"))
    assert [(one["action"], one["after"]["name"]) for one in listed] == [("create", team["name"])]
    assert team["name"] in done(gateway, "audit", "list", "--limit", "3")
    done(gateway, "teams", "delete", team["id"])
    listed = json.loads(done(gateway, "audit", "list", "--object", team["id"], "--json"))
    assert (listed[0]["action"], listed[0]["actor_kind"], listed[0]["actor"]) == ("delete", "command", os.environ.get("USER", "somebody"))
    assert json.loads(done(gateway, "audit", "verify", "--json")) == {"whole": True, "broken_at": None}
    lines = [json.loads(line) for line in done(gateway, "audit", "export").rstrip("\n").split("\n")]
    numbers = [one["seq"] for one in lines]
    assert numbers == list(range(numbers[0], 0, -1)) and all(len(one["hash"]) == 64 for one in lines)
