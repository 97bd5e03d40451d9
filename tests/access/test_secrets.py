"""Secrets that are kept in stores: read at load, kept while a store is away, taken up when they change."""

import base64
import json
import os
import subprocess
import urllib.request

import pytest
from conftest import ADMIN_KEY, APP_KEY, BINARY, Gateway, wait_for
from cryptography import x509
from secret_stores import POD_TOKEN, ROLE_ID, SECRET_ID, Stores
from test_certificates import Authority

CONFIG = """
server: {{ listen: "127.0.0.1:{port}" }}
data_dir: {data}
secrets: {{ {stores} }}
providers:
  openai-sim: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: "{reference}" }}
keys: [ {{ name: app, key: {app} }}, {{ name: boss, key: {admin}, admin: true }} ]
"""
AWS_KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "aws-secret-access-key"}


@pytest.fixture
def stores():
    stores = Stores()
    stores.vault["kv/data/ai/openai"] = {"key": "sk-first", "other": "sk-other"}
    yield stores
    stores.close()


@pytest.fixture
def start(tmp_path, sim):
    started = []

    def start(stores, reference, environment=None):
        gateway = Gateway(tmp_path, sim, CONFIG, environment, stores=stores, reference=reference)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.process.kill()


def vault(stores, auth="token: root", more=""):
    return f"vault: {{ kind: vault, address: '{stores.url}', mount: kv, refresh: 1s, auth: {{ {auth} }} {more} }}"


def shown(gateway, sim):
    """The key that the provider is shown."""
    body = json.dumps({"model": "openai-sim/echo", "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = urllib.request.Request(f"{gateway.url}/v1/chat/completions", body, {"content-type": "application/json"})
    request.add_header("authorization", f"Bearer {APP_KEY}")
    with urllib.request.urlopen(request, timeout=10) as response:
        response.read()
    return sim.calls()["calls"][-1]["key"]


def metric(gateway, name):
    request = urllib.request.Request(f"{gateway.url}/metrics", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        lines = response.read().decode().splitlines()
    return next(int(line.split()[-1]) for line in lines if line.startswith(name + "{"))


def check(*words, environment=None):
    return subprocess.run(
        [BINARY, "secrets", "check", *words], capture_output=True, text=True, timeout=30,
        env={**os.environ, **(environment or {})},
    )


def test_a_change_in_vault_is_taken_up_while_calls_go_on(stores, start, sim):
    gateway = start(vault(stores, more=", namespace: team-a"), "secret:vault/ai/openai#key")
    assert shown(gateway, sim) == "sk-first"
    headers = {name.lower(): value for name, value in stores.asked("/v1/kv/data/ai/openai")[0][2].items()}
    assert (headers["x-vault-namespace"], headers["x-vault-request"]) == ("team-a", "true")
    stores.vault["kv/data/ai/openai"] = {"key": "sk-second"}
    wait_for(lambda: shown(gateway, sim) == "sk-second", "the new key")
    assert "sk-second" not in gateway.log.read_text()


def test_a_store_that_refuses_leaves_the_last_value_and_tells(stores, start, sim):
    gateway = start(vault(stores), "secret:vault/ai/openai#key")
    assert metric(gateway, "tollgate_secrets_stale") == 0
    stores.refuse = (403, {"errors": ["permission denied"]})
    wait_for(lambda: metric(gateway, "tollgate_secrets_stale") == 1, "the metric")
    assert metric(gateway, "tollgate_secret_failures_total") >= 1
    log = gateway.log.read_text()
    assert "access is refused (403: permission denied)" in log and "its last known value stays" in log
    asked = len(stores.seen)
    gateway.file.write_text(gateway.file.read_text() + "\nfidelity: strict\n")
    wait_for(lambda: "configuration reloaded" in gateway.log.read_text(), "the reload")
    assert len(stores.seen) > asked
    assert shown(gateway, sim) == "sk-first"
    stores.refuse = None
    stores.vault["kv/data/ai/openai"] = {"key": "sk-second"}
    wait_for(lambda: shown(gateway, sim) == "sk-second", "the new key")
    assert metric(gateway, "tollgate_secrets_stale") == 0


def test_at_the_first_start_a_store_must_answer(stores, tmp_path):
    stores.refuse = (503, {"errors": ["Vault is sealed"]})
    file = tmp_path / "t.yaml"
    file.write_text(CONFIG.format(
        port=1, sim=1, data="data", app=APP_KEY, admin=ADMIN_KEY, stores=vault(stores),
        reference="secret:vault/ai/openai#key",
    ))
    done = subprocess.run([BINARY, "serve", "--config", str(file)], capture_output=True, text=True, timeout=30)
    told = "providers.openai-sim.api_key  vault/ai/openai#key: it answered with 503: Vault is sealed"
    assert done.returncode == 1 and told in done.stderr


def test_a_role_logs_in_again_when_its_token_is_revoked(stores, start, sim):
    auth = f"approle: {{ role_id: {ROLE_ID}, secret_id: 'secret:env/SECRET_ID' }}"
    gateway = start(vault(stores, auth), "secret:vault/ai/openai#key", {"SECRET_ID": SECRET_ID})
    assert shown(gateway, sim) == "sk-first"
    stores.tokens.clear()
    stores.vault["kv/data/ai/openai"] = {"key": "sk-second"}
    wait_for(lambda: shown(gateway, sim) == "sk-second", "the new key", 30)
    assert len(stores.asked("/v1/auth/approle/login")) > 1


def test_a_pod_renews_its_token_before_it_ends(stores, start, sim, tmp_path):
    stores.lease = 3
    (tmp_path / "pod").write_text(POD_TOKEN + "\n")
    auth = "kubernetes: { role: gateway, token_file: pod, mount: pods }"
    gateway = start(vault(stores, auth), "secret:vault/ai/openai#key")
    wait_for(lambda: len(stores.asked("/v1/auth/token/renew-self")) >= 2, "renewals")
    logins = len(stores.asked("/v1/auth/pods/login"))
    assert logins == 1
    assert shown(gateway, sim) == "sk-first"


def test_the_first_version_of_the_engine_keeps_no_versions(stores, start, sim):
    stores.vault["kv/ai/one"] = {"value": "sk-only"}
    gateway = start(vault(stores, more=", version: 1"), "secret:vault/ai/one")
    assert shown(gateway, sim) == "sk-only"


def test_an_authority_of_ones_own_vouches_for_vault(start, sim, tmp_path):
    authority = Authority("vault authority")
    usage = x509.ExtendedKeyUsageOID.SERVER_AUTH
    server = authority.issue(tmp_path, "vault", x509.DNSName("localhost"), usage=usage)
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    stores = Stores(server.files)
    stores.vault["kv/data/ai/openai"] = {"key": "sk-sealed"}
    gateway = start(vault(stores, more=", ca: ca.pem"), "secret:vault/ai/openai#key")
    assert shown(gateway, sim) == "sk-sealed"
    stores.close()


def test_aws_is_asked_with_a_signature(stores, start, sim):
    stores.plain["prod/openai"] = json.dumps({"key": "sk-aws"})
    store = f"aws: {{ kind: aws_secrets_manager, region: eu-west-1, address: '{stores.url}' }}"
    gateway = start(store, "secret:aws/prod/openai#key", AWS_KEYS)
    assert shown(gateway, sim) == "sk-aws"


def test_azure_is_asked_with_a_token_for_vaults(stores, start, sim):
    stores.plain["openai-key"] = "sk-azure"
    store = f"azure: {{ kind: azure_key_vault, address: '{stores.url}' }}"
    environment = {
        "AZURE_TENANT_ID": "tenant-1", "AZURE_CLIENT_ID": "client-1", "AZURE_CLIENT_SECRET": "client-secret-1",
        "AZURE_AUTHORITY_HOST": stores.url,
    }
    gateway = start(store, "secret:azure/openai-key", environment)
    assert shown(gateway, sim) == "sk-azure"


def test_google_is_asked_with_a_token(stores, start, sim, tmp_path):
    stores.plain["openai-key"] = "sk-google"
    user = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "refresh-1"}
    (tmp_path / "user.json").write_text(json.dumps({**user, "token_uri": f"{stores.url}/google/token"}))
    kind = "kind: google_secret_manager, project: p1, credentials: 'secret:file/user.json'"
    gateway = start(f"google: {{ {kind}, address: '{stores.url}' }}", "secret:google/openai-key")
    assert shown(gateway, sim) == "sk-google"


SEALED = "store: { encryption: { key: QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE= } }"


def serve(gateway):
    """A start that is expected to fail."""
    words = [BINARY, "serve", "--config", str(gateway.file)]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, env=gateway.environment)


def kept_file(gateway):
    return gateway.data / "last-secrets"


def start_offline(stores, tmp_path, sim, time):
    config = CONFIG + SEALED.replace("{", "{{").replace("}", "}}")
    gateway = Gateway(
        tmp_path, sim, config, stores=vault(stores, more=f", offline: {time}"), reference="secret:vault/ai/openai#key"
    )
    wait_for(kept_file(gateway).exists, "the last known values")
    return gateway


def test_a_gateway_starts_from_last_known_values_while_a_store_is_away(stores, tmp_path, sim):
    gateway = start_offline(stores, tmp_path, sim, "24h")
    try:
        assert shown(gateway, sim) == "sk-first"
        stores.vault["kv/data/ai/openai"] = {"key": "sk-second"}
        before = kept_file(gateway).read_bytes()
        wait_for(lambda: shown(gateway, sim) == "sk-second" and kept_file(gateway).read_bytes() != before, "the new key")
        gateway.kill()
        assert kept_file(gateway).stat().st_mode & 0o777 == 0o600
        for path in gateway.data.rglob("*"):
            if path.is_file():
                assert b"sk-first" not in path.read_bytes() and b"sk-second" not in path.read_bytes(), path
        stores.refuse = (503, {"errors": ["Vault is sealed"]})
        gateway.start()
        assert shown(gateway, sim) == "sk-second"
        assert "vault/ai/openai: the store is away, and what it said" in gateway.log.read_text()
        assert metric(gateway, "tollgate_secrets_stale") == 1
        stores.refuse = None
        stores.vault["kv/data/ai/openai"] = {"key": "sk-third"}
        gateway.kill()
        stores.refuse = (403, {"errors": ["permission denied"]})
        done = serve(gateway)
        assert done.returncode == 1 and "access is refused (403" in done.stderr, "who is refused has no last values"
        stores.refuse = (503, {"errors": ["Vault is sealed"]})
        sealed = kept_file(gateway).read_bytes()
        kept_file(gateway).write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
        done = serve(gateway)
        assert done.returncode == 1 and "it answered with 503" in done.stderr
        kept_file(gateway).write_bytes(sealed)
        file = gateway.file.read_text()
        gateway.file.write_text(file.replace(", offline: 24h", ""))
        assert serve(gateway).returncode == 1
        stores.refuse = None
        gateway.start()
        wait_for(lambda: not kept_file(gateway).exists(), "the end of what is not to be kept")
    finally:
        gateway.kill()


def test_last_known_values_that_are_too_old_start_nothing(stores, tmp_path, sim):
    gateway = start_offline(stores, tmp_path, sim, "1s")
    gateway.kill()
    stores.refuse = (503, {"errors": ["Vault is sealed"]})

    def refused():
        done = subprocess.Popen(
            [BINARY, "serve", "--config", str(gateway.file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            return "it answered with 503" in done.communicate(timeout=3)[1]
        except subprocess.TimeoutExpired:
            done.kill()
            done.communicate()
            return False

    wait_for(refused, "a start that is refused")


@pytest.mark.parametrize(
    "key, told",
    [
        (None, "needs store.encryption, which seals what is kept"),
        ("'secret:vault/a'", 'needs a key of store.encryption that is there without stores, and "vault" is one'),
        ("{ vault: vault, transit: a }", 'needs a key of store.encryption that is there without stores, and "vault" is one'),
    ],
)
def test_last_known_values_need_a_key_of_their_own(tmp_path, key, told):
    file = tmp_path / "t.yaml"
    store = f"store: {{ encryption: {{ key: {key} }} }}\n" if key else ""
    stores = "secrets: { vault: { kind: vault, address: 'https://v', auth: { token: t }, offline: 1h } }\n"
    file.write_text(f"{store}{stores}providers: {{}}\n")
    done = subprocess.run([BINARY, "check", str(file)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and f"secrets.vault.offline  {told}" in done.stderr, done.stderr


def test_the_command_tells_which_store_answers_and_no_value(stores, tmp_path):
    file = tmp_path / "t.yaml"
    aws = f"aws: {{ kind: aws_secrets_manager, region: eu-west-1, address: '{stores.url}' }}"
    stores.plain["there"] = "sk-there"
    file.write_text(
        f"secrets: {{ {vault(stores)}, {aws}, idle: {{ kind: vault, address: '{stores.url}', auth: {{ token: root }} }} }}\n"
        "providers:\n"
        "  openai: { api_keys: [ 'secret:vault/ai/openai#key', 'secret:vault/ai/none', 'secret:aws/there' ] }\n"
        "  anthropic: { api_keys: [ 'secret:vault/ai/openai', 'secret:aws/gone' ] }\n"
    )
    done = check("--config", str(file), "--json", environment=AWS_KEYS)
    assert done.returncode == 1, done.stderr
    found = {one["secret"] or one["store"]: one["error"] for one in json.loads(done.stdout)}
    assert found == {
        "vault/ai/openai#key": None,
        "vault/ai/none": "there is no such secret (404)",
        "vault/ai/openai": "the secret has the members key, other; name one behind a #",
        "aws/there": None,
        "aws/gone": "it answered with 400: ResourceNotFoundException, "
        "Secrets Manager can't find the specified secret.",
        "idle": None,
    }
    assert "sk-" not in done.stdout + done.stderr
    table = check("--config", str(file), environment={**AWS_KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert "access is refused (403: InvalidSignatureException, the signature does not match)" in table.stdout


def test_keys_of_the_database_are_made_and_changed_by_commands(tmp_path):
    def run(*words, key=None):
        environment = {**os.environ, **({"NEW_KEY": key} if key else {})}
        return subprocess.run(
            [BINARY, "secrets", *words], capture_output=True, text=True, timeout=30, env=environment
        )

    first, second = (run("generate").stdout.strip() for _ in range(2))
    assert first != second and len(base64.b64decode(first)) == 32
    file = tmp_path / "t.yaml"
    (tmp_path / "data").mkdir()
    file.write_text("data_dir: data\nproviders: {}\n")
    unset = run("rotate", "--config", str(file))
    assert unset.returncode == 1 and "store.encryption is not set" in unset.stderr
    encryption = f"store: {{ encryption: {{ key: 'secret:env/NEW_KEY', previous: [ '{first}' ] }} }}\n"
    file.write_text(file.read_text() + encryption)
    done = run("rotate", "--config", str(file), key=second)
    assert done.returncode == 0 and "0 of 0 data keys" in done.stdout, done.stderr
    wrong = run("rotate", "--config", str(file), key="short")
    assert wrong.returncode == 1 and "store.encryption.key  must be 32 bytes in base64" in wrong.stderr
    assert "short" not in wrong.stderr
