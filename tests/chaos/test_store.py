"""Replicas that share a PostgreSQL, and what becomes of calls while it is away."""

import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest
from conftest import ADMIN_KEY, APP_KEY, BINARY, Gateway, get, wait_for

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1, metrics: {{ public: true }} }}
data_dir: {data}
store: {{ database: "{database}", secret: "{secret}" }}
providers:
  openai-sim: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-test-upstream }}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
"""
SECRET = "s" * 32


@pytest.fixture
def replica(tmp_path, sim, address):
    """Makes replicas by name."""
    made = []

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Gateway(folder, sim, CONFIG, database=address, secret=SECRET))
        return made[-1]

    yield make
    for gateway in made:
        gateway.process.kill()


def call(gateway, key=APP_KEY):
    body = {"model": "openai-sim/echo", "messages": [{"role": "user", "content": "hello"}]}
    request = urllib.request.Request(f"{gateway.url}/v1/chat/completions", json.dumps(body).encode())
    request.add_header("authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.headers["x-tollgate-request-id"]


def opens(gateway, key):
    """The id of a call, unless the key is refused."""
    try:
        return call(gateway, key)
    except urllib.error.HTTPError as refused:
        assert refused.code == 401
        return None


def made_key(gateway):
    request = urllib.request.Request(f"{gateway.url}/admin/v1/keys", b'{"name": "later"}')
    request.add_header("authorization", f"Bearer {ADMIN_KEY}")
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read())["key"]


def metric(gateway, name):
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_replicas_share_keys_and_journal(replica):
    one, other = replica("one"), replica("other")
    made = one.run("keys", "create", "shared", "--config", str(one.file), "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    ids = {call(one, key), wait_for(lambda: opens(other, key), "the key to reach the other replica")}
    listed = lambda: {one["id"] for one in get(f"{other.url}/admin/v1/calls", ADMIN_KEY)["data"]}
    wait_for(lambda: listed() == ids, "both calls in the journal")
    logs = one.run("logs", "--config", str(one.file), "--json")
    assert {found["id"] for found in json.loads(logs.stdout)} == ids
    revoked = get(f"{other.url}/admin/v1/keys/shared", ADMIN_KEY, method="DELETE")
    assert revoked["revoked_us"]
    assert not opens(other, key), "at once where it was revoked"
    wait_for(lambda: not opens(one, key), "the revocation to reach the other replica")


def test_changes_are_seen_again_when_the_database_was_away(replica, way):
    one, other = replica("one"), replica("other")
    way.cut()
    for gateway in (one, other):
        call(gateway)
        wait_for(lambda: metric(gateway, "tollgate_journal_failures_total") > 0, "the loss to be noticed")
    way.open = True
    made = wait_for(lambda: made_key(one), "a key")
    wait_for(lambda: opens(other, made), "the key to reach the other replica")


def test_calls_go_on_while_the_database_is_away(replica, way):
    gateway = replica("one")
    call(gateway)
    way.cut()
    wait_for(lambda: metric(gateway, "tollgate_journal_failures_total") > 0, "the loss to be noticed")
    ids = [call(gateway) for _ in range(5)]
    wait_for(lambda: metric(gateway, "tollgate_journal_lag_bytes") > 0, "a lag")
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(f"{gateway.url}/admin/v1/keys", ADMIN_KEY)
    assert refused.value.code == 503
    assert json.loads(refused.value.read())["error"]["code"] == "store_unreachable"
    way.open = True
    wait_for(lambda: len(get(f"{gateway.url}/admin/v1/calls", ADMIN_KEY)["data"]) == 6, "every call in the journal")
    found = [one["id"] for one in get(f"{gateway.url}/admin/v1/calls", ADMIN_KEY)["data"]]
    assert set(ids) < set(found)
    wait_for(lambda: metric(gateway, "tollgate_journal_lag_bytes") == 0, "the lag to end")
    assert "not-asked-for" not in gateway.log.read_text()
    failures = gateway.log.read_text().count("could not take records in")
    assert 1 <= failures <= 2, "a failure that lasts is told now and then"


def test_a_killed_replica_loses_no_call(replica, way):
    gateway = replica("one")
    ids = {call(gateway)}
    way.cut()
    ids |= {call(gateway) for _ in range(3)}
    gateway.kill()
    way.open = True
    gateway.start()
    found = get(f"{gateway.url}/admin/v1/calls", ADMIN_KEY)["data"]
    assert {one["id"] for one in found} == ids


def test_another_secret_is_refused(replica, tmp_path):
    replica("one")
    text = (tmp_path / "one/tollgate.yaml").read_text()
    other = tmp_path / "other.yaml"
    other.write_text(text.replace(SECRET, "t" * 32).replace(str(tmp_path / "one/data"), str(tmp_path / "other")))
    done = subprocess.run([BINARY, "serve", "--config", str(other)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "store.secret" in done.stderr and "t" * 32 not in done.stderr and "not-asked-for" not in done.stderr


def test_what_is_kept_in_memory_is_forgotten(tmp_path, sim):
    gateway = Gateway(tmp_path, sim, CONFIG, database="memory", secret=SECRET)
    key = made_key(gateway)
    gateway.record(call(gateway, key))
    assert "memory" in gateway.run("logs", "--config", str(gateway.file)).stderr
    assert gateway.stop() == 0
    assert "forgotten when this process ends" in gateway.log.read_text()
    gateway.start()
    with pytest.raises(urllib.error.HTTPError) as refused:
        call(gateway, key)
    assert refused.value.code == 401
    gateway.process.kill()
