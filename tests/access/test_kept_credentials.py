"""Credentials of providers that the registry keeps: sealed, never shown, and taken up while calls go on."""

import contextlib
import json
import os
import sqlite3
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest
from conftest import ADMIN_KEY, APP_KEY, BINARY, Gateway, wait_for
from key_keepers import ARN, GOOGLE_KEY, Keepers
from secret_stores import ROLE_ID, SECRET_ID

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1 }}
data_dir: {data}
store: {{ {database} {encryption} }}
{more}
retries: {{ max: 0 }}
providers:
  kept: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: "credential:main", health: {{ failures: 0 }} }}
  pooled:
    dialect: openai_chat
    base_url: "http://127.0.0.1:{sim}/v1"
    api_keys: [ "credential:first", {{ key: sk-written, models: [ none ] }} ]
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
  - {{ name: developer, key: {developer}, role: developer }}
  - {{ name: acme owner, key: {acme}, role: owner, organization: acme }}
organizations: {{ acme: {{}} }}
"""
DEVELOPER, ACME = "tg-admin-" + "d" * 43, "tg-admin-" + "c" * 43
PATH = "/admin/v1/provider-credentials"
SECRETS = [f"sk-kept-{number}-0123456789abcdef" for number in range(4)]
KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


def start(folder, sim, encryption=f"encryption: {{ key: {KEY} }}", database="", more="", environment=None):
    folder.mkdir(exist_ok=True)
    return Gateway(
        folder, sim, CONFIG, environment, encryption=encryption, database=database, more=more, developer=DEVELOPER,
        acme=ACME,
    )


def ask(gateway, method, path=PATH, body=None, key=ADMIN_KEY, headers=None):
    sent = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(gateway.url + path, sent, {"authorization": f"Bearer {key}", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def called(gateway, sim, provider="kept"):
    """The key that the provider was shown; nothing where there was none to show."""
    body = {"model": f"{provider}/echo", "messages": [{"role": "user", "content": "hi"}]}
    status, answer = ask(gateway, "POST", "/v1/chat/completions", body, APP_KEY)
    if status != 200:
        assert answer["error"]["code"] == "credential_unavailable", answer
        return None
    return sim.calls()["calls"][-1]["key"]


def command(gateway, *words, secret=None):
    return subprocess.run(
        [BINARY, *words, "--config", str(gateway.file)], capture_output=True, text=True, timeout=30, input=secret,
        env=gateway.environment,
    )


@contextlib.contextmanager
def postgres():
    address = os.environ.get("TOLLGATE_TEST_POSTGRES")
    if not address:
        assert not os.environ.get("CI"), "TOLLGATE_TEST_POSTGRES names no PostgreSQL, which CI must have"
        pytest.skip("TOLLGATE_TEST_POSTGRES names no PostgreSQL")
    name = f"tollgate_{uuid.uuid4().hex}"
    subprocess.run(["psql", "-q", address, "-c", f"CREATE DATABASE {name}"], check=True)
    of = urllib.parse.urlsplit(address)._replace(path=f"/{name}").geturl()
    yield of
    subprocess.run(["psql", "-q", address, "-c", f"DROP DATABASE {name} WITH (FORCE)"], check=True)


def test_a_credential_is_taken_up_replaced_and_deleted(tmp_path, sim):
    gateway = start(tmp_path, sim)
    try:
        assert called(gateway, sim) is None
        body = {"name": "main", "provider": "kept", "secret": SECRETS[0]}
        status, made = ask(gateway, "POST", body=body)
        assert (status, made["hint"], made["in_use"], made["version"]) == (201, "cdef", True, 1)
        wait_for(lambda: called(gateway, sim) == SECRETS[0], "the credential")
        assert ask(gateway, "POST", body=body)[1]["error"]["code"] == "name_taken"
        status, shown = ask(gateway, "PUT", f"{PATH}/main", {"secret": SECRETS[1]}, headers={"if-match": '"7"'})
        assert (status, shown["error"]["code"]) == (412, "version_mismatch")
        status, shown = ask(gateway, "PUT", f"{PATH}/{made['id']}", {"secret": SECRETS[1]})
        assert (status, shown["version"], shown["provider"]) == (200, 2, "kept")
        wait_for(lambda: called(gateway, sim) == SECRETS[1], "the other credential")
        for change, code in [({"provider": "pooled"}, "in_use"), ({"name": "other"}, "in_use")]:
            assert ask(gateway, "PUT", f"{PATH}/main", {"secret": "x", **change})[1]["error"]["code"] == code
        status, refused = ask(gateway, "DELETE", f"{PATH}/main")
        assert (status, refused["error"]["code"]) == (409, "in_use") and 'provider "kept"' in refused["error"]["message"]
        status, other = ask(gateway, "POST", body={"name": "spare", "provider": "kept", "secret": "short"})
        assert (status, other["hint"], other["in_use"]) == (201, "", False)
        assert [one["name"] for one in ask(gateway, "GET")[1]["data"]] == ["main", "spare"]
        assert ask(gateway, "DELETE", f"{PATH}/spare")[0] == 200
        assert ask(gateway, "GET", f"{PATH}/spare")[0] == 404
        page = ask(gateway, "GET", f"{PATH}?limit=1")[1]
        assert [one["name"] for one in page["data"]] == ["main"] and page["next_cursor"] is None
    finally:
        gateway.kill()


def test_a_credential_opens_the_provider_that_it_is_for_and_no_other(tmp_path, sim):
    gateway = start(tmp_path, sim)
    try:
        ask(gateway, "POST", body={"name": "first", "provider": "kept", "secret": SECRETS[0]})
        wait_for(lambda: "is for the provider kept" in gateway.log.read_text(), "the warning")
        assert called(gateway, sim, "pooled") is None
        status, moved = ask(gateway, "PUT", f"{PATH}/first", {"provider": "pooled", "secret": SECRETS[1]})
        assert (status, moved["in_use"]) == (200, True)
        wait_for(lambda: called(gateway, sim, "pooled") == SECRETS[1], "a pool's key")
    finally:
        gateway.kill()


def test_what_is_wrong_is_told_and_never_the_secret(tmp_path, sim):
    gateway = start(tmp_path, sim)
    try:
        cases = [
            ({"name": "a", "provider": "kept"}, '"secret" is missing'),
            ({"name": "a", "provider": "opnai", "secret": "sk-x"}, 'did you mean "openai"?'),
            ({"name": " a", "provider": "a/b", "secret": "sk-with space"}, "secret: goes into a header line"),
            ({"name": "a", "provider": "kept", "secret": ["sk-in-a-list"]}, "secret: must be a text, not a list"),
            ({"name": "a", "provider": "kept", "secret": "x", "key": "sk-x"}, 'unknown key "key"'),
        ]
        for body, told in cases:
            status, refused = ask(gateway, "POST", body=body)
            assert status == 400 and told in refused["error"]["message"], refused
            assert "sk-" not in json.dumps(refused)
        assert ask(gateway, "GET", key=DEVELOPER)[0] == 200
        for key, method in [(DEVELOPER, "POST"), (ACME, "POST"), (ACME, "GET"), (DEVELOPER, "DELETE")]:
            path = PATH if method != "DELETE" else f"{PATH}/main"
            status, refused = ask(gateway, method, path, {} if method == "POST" else None, key)
            assert (status, refused["error"]["code"]) == (403, "permission_missing")
            assert "credentials:" in refused["error"]["message"]
    finally:
        gateway.kill()


def test_without_a_key_to_seal_under_none_is_kept(tmp_path, sim):
    config = CONFIG.replace('"credential:main"', "sk-x").replace('"credential:first"', "sk-y")
    gateway = Gateway(tmp_path, sim, config, encryption="", database="", more="", developer=DEVELOPER, acme=ACME)
    try:
        status, refused = ask(gateway, "POST", body={"name": "a", "provider": "kept", "secret": SECRETS[0]})
        assert (status, refused["error"]["code"]) == (409, "encryption_missing")
        assert "tollgate secrets generate" in refused["error"]["message"]
    finally:
        gateway.kill()
    gateway.file.write_text(gateway.file.read_text().replace("sk-x", '"credential:main"'))
    done = subprocess.run([BINARY, "check", str(gateway.file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "providers.kept.api_key  names a credential of the registry" in done.stderr


def test_nothing_that_lasts_has_a_credential_in_the_clear(tmp_path, sim):
    gateway = start(tmp_path, sim)
    try:
        assert command(gateway, "credentials", "set", "main", "--provider", "kept", secret=SECRETS[0] + "\n").returncode == 0
        wait_for(lambda: called(gateway, sim) == SECRETS[0], "the credential")
        ask(gateway, "PUT", f"{PATH}/main", {"secret": SECRETS[1]})
        wait_for(lambda: called(gateway, sim) == SECRETS[1], "the other credential")
        status, gone = ask(gateway, "POST", body={"name": "gone", "provider": "kept", "secret": SECRETS[2]})
        assert status == 201 and ask(gateway, "DELETE", f"{PATH}/{gone['id']}")[0] == 200
        audit = ask(gateway, "GET", "/admin/v1/audit?kind=provider_credential")[1]["data"]
        assert [one["action"] for one in audit] == ["delete", "create", "update", "create"]
        assert {one["actor_kind"] for one in audit} == {"key", "command"} and "sealed" not in json.dumps(audit)
        assert ask(gateway, "GET", "/admin/v1/audit/verify")[1]["whole"]
    finally:
        gateway.stop()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "tollgate.db" for path in files) and gateway.log in files
    for path in files:
        text = path.read_bytes()
        for secret in SECRETS:
            assert secret.encode() not in text, path
    database = sqlite3.connect(gateway.data / "tollgate.db")
    of = "kind = 'provider_credential'"
    assert database.execute(f"SELECT count(*) FROM objects WHERE {of} AND body LIKE '%sealed%'").fetchone() == (1,)
    kept = f"id IN (SELECT id FROM objects WHERE {of})"
    assert database.execute(f"SELECT count(*) FROM object_versions WHERE {kept} AND body LIKE '%sealed%'").fetchone() == (0,)


def test_the_command_keeps_lists_and_deletes(tmp_path, sim):
    gateway = start(tmp_path, sim)
    try:
        for words, told in [((), "a provider"), (("--provider", "kept"), "holds no credential")]:
            done = command(gateway, "credentials", "set", "spare", *words, secret="two words")
            assert done.returncode != 0 and "two words" not in done.stderr
            assert told in done.stderr or "--provider" in done.stderr
        for name in ["main", "spare"]:
            assert command(gateway, "credentials", "set", name, "--provider", "kept", secret=SECRETS[0]).returncode == 0
        found = json.loads(command(gateway, "credentials", "list", "--json").stdout)
        assert [(one["name"], one["hint"], one["in_use"]) for one in found] == [
            ("main", "cdef", True), ("spare", "cdef", False),
        ]
        assert SECRETS[0] not in command(gateway, "credentials", "list").stdout
        done = command(gateway, "credentials", "delete", "main")
        assert done.returncode == 1 and "it opens the provider kept" in done.stderr
        assert command(gateway, "credentials", "delete", "spare").returncode == 0
    finally:
        gateway.kill()


def test_replicas_take_a_change_up_and_go_on_while_the_database_is_away(tmp_path, sim):
    with postgres() as address:
        database = f'database: "{address}", secret: "{"s" * 32}",'
        one, two = (start(tmp_path / name, sim, database=database) for name in ("one", "two"))
        try:
            ask(one, "POST", body={"name": "main", "provider": "kept", "secret": SECRETS[0]})
            for gateway in (one, two):
                wait_for(lambda: called(gateway, sim) == SECRETS[0], "the credential")
            ask(two, "PUT", f"{PATH}/main", {"secret": SECRETS[1]})
            wait_for(lambda: called(one, sim) == SECRETS[1], "the other credential")
            name = address.rsplit("/", 1)[-1]
            server = os.environ["TOLLGATE_TEST_POSTGRES"]
            close = f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"
            end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            subprocess.run(["psql", "-q", server, "-c", close, "-c", end], check=True, capture_output=True)
            one.file.write_text(one.file.read_text() + "\nfidelity: strict\n")
            wait_for(lambda: "the last known ones stay" in one.log.read_text(), "the reload")
            assert called(one, sim) == SECRETS[1] and called(two, sim) == SECRETS[1]
            subprocess.run(["psql", "-q", server, "-c", close.replace("false", "true")], check=True)
        finally:
            one.kill()
            two.kill()


@pytest.fixture
def keepers(tmp_path):
    keepers = Keepers()
    user = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "refresh-1"}
    (tmp_path / "user.json").write_text(json.dumps({**user, "token_uri": f"{keepers.url}/google/token"}))
    yield keepers
    keepers.close()


def kept_by(kind, keepers):
    """What the configuration says, and the environment."""
    auth = f"approle: {{ role_id: {ROLE_ID}, secret_id: {SECRET_ID} }}"
    vault = f"secrets: {{ house: {{ kind: vault, address: '{keepers.url}', auth: {{ {auth} }} }} }}"
    azure = {
        "AZURE_TENANT_ID": "tenant-1", "AZURE_CLIENT_ID": "client-1", "AZURE_CLIENT_SECRET": "client-secret-1",
        "AZURE_AUTHORITY_HOST": keepers.url,
    }
    aws = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "aws-secret-access-key"}
    return {
        "vault": ("{ vault: house, transit: tollgate }", vault, {}),
        "aws": (f"{{ aws_kms: '{ARN}', address: '{keepers.url}' }}", "", aws),
        "google": (f"{{ google_kms: {GOOGLE_KEY}, credentials: 'secret:file/user.json', address: '{keepers.url}' }}", "", {}),
        "azure": (f"{{ azure_key: '{keepers.url}/keys/tollgate' }}", "", azure),
    }[kind]


@pytest.mark.parametrize("kind", ["vault", "aws", "google", "azure"])
def test_a_keeper_is_asked_at_the_start_and_not_for_calls(tmp_path, sim, keepers, kind):
    key, more, environment = kept_by(kind, keepers)
    gateway = start(tmp_path, sim, f"encryption: {{ key: {key} }}", more=more, environment=environment)
    try:
        ask(gateway, "POST", body={"name": "main", "provider": "kept", "secret": SECRETS[0]})
        wait_for(lambda: called(gateway, sim) == SECRETS[0], "the credential")
        gateway.kill()
        gateway.start()
        asked = len(keepers.asked())
        keepers.away = True
        assert called(gateway, sim) == SECRETS[0]
        assert ask(gateway, "PUT", f"{PATH}/main", {"secret": SECRETS[1]})[0] == 200
        wait_for(lambda: called(gateway, sim) == SECRETS[1], "the other credential")
        assert len(keepers.asked()) == asked, "what was unwrapped stays in memory"
        if kind != "azure":
            assert keepers.bound and all("settings/" in bound and "/value" in bound for bound in keepers.bound)
        gateway.kill()
        done = command(gateway, "serve")
        assert done.returncode == 1 and "store.encryption: " in done.stderr and "503" in done.stderr, done.stderr
        keepers.away = False
        keepers.rotate()
        done = command(gateway, "secrets", "rotate")
        assert done.returncode == 0 and "1 of 1 data keys" in done.stdout, done.stderr
        wrapped = one_setting(gateway)
        gateway.start()
        assert called(gateway, sim) == SECRETS[1]
        move(gateway, wrapped)
        gateway.kill()
        done = command(gateway, "serve")
        assert done.returncode == 1 and "store.encryption: " in done.stderr, "a data key was taken for another"
    finally:
        gateway.kill()


def one_setting(gateway):
    with contextlib.closing(sqlite3.connect(gateway.data / "tollgate.db")) as database:
        found = database.execute("SELECT name, value FROM settings WHERE name LIKE 'data_key.%'").fetchall()
    assert len(found) == 1
    return found[0]


def move(gateway, wrapped):
    """Puts what was wrapped for one place into another."""
    name, value = wrapped
    other = name.rsplit(".", 1)[0] + f".{uuid.uuid4()}"
    with contextlib.closing(sqlite3.connect(gateway.data / "tollgate.db", timeout=10)) as database, database:
        database.execute("UPDATE settings SET name = ? WHERE name = ? AND value = ?", (other, name, value))


def test_data_keys_move_from_a_key_to_keepers_and_back(tmp_path, sim, keepers):
    gateway = start(tmp_path, sim)
    ask(gateway, "POST", body={"name": "main", "provider": "kept", "secret": SECRETS[0]})
    wait_for(lambda: called(gateway, sim) == SECRETS[0], "the credential")
    gateway.kill()
    written, before = gateway.file.read_text(), KEY
    for kind in ["vault", "aws", "google", "azure", None]:
        key, more, environment = kept_by(kind, keepers) if kind else (KEY, "", {})
        gateway.environment.update(environment)
        stores = kept_by("vault", keepers)[1]
        text = written.replace(f"key: {KEY}", f"key: {key}, previous: [ {before} ]")
        gateway.file.write_text(f"{text}\n{stores}\n")
        done = command(gateway, "secrets", "rotate")
        assert done.returncode == 0 and "1 of 1 data keys" in done.stdout, (kind, done.stderr)
        gateway.file.write_text(f"{written.replace(f'key: {KEY}', f'key: {key}')}\n{stores}\n")
        gateway.start()
        assert called(gateway, sim) == SECRETS[0], kind
        gateway.kill()
        before = key


@pytest.mark.parametrize(
    "key, told",
    [
        ("{ vault: none, transit: a }", 'key.vault  there is no store "none" under secrets'),
        ("{ vault: house }", "key.transit  is missing"),
        ("{ aws_kms: alias/a }", "key.aws_kms  is no ARN of a key"),
        ("{ google_kms: projects/a }", "key.google_kms  is no key; write it as projects/P"),
        ("{ azure_key: 'https://a.vault.azure.net' }", "key.azure_key  is no key; write it as https://"),
        ("{ azure_key: 'http://a.vault.azure.net/keys/a' }", "key.azure_key  must begin with https://"),
        (f"{{ aws_kms: '{ARN}', transit: a }}", "key.transit  belongs to vault; take it out"),
        (f"{{ aws_kms: '{ARN}', azure_key: 'https://a/keys/b' }}", "key  must name one keeper"),
        ("{}", "key  must name one keeper"),
    ],
)
def test_what_names_no_keeper_is_told_with_its_place(tmp_path, key, told):
    file = tmp_path / "t.yaml"
    house = "secrets: { house: { kind: vault, address: 'https://v', auth: { token: t } } }"
    file.write_text(f"{house}\nproviders: {{}}\nstore: {{ encryption: {{ key: {key} }} }}\n")
    done = subprocess.run([BINARY, "check", str(file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and f"store.encryption.{told}" in done.stderr, done.stderr
