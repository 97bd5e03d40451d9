"""A certified OpenID provider (tests/idp): discovery, keys that change, tokens that only it knows."""

import base64
import json
import os
import subprocess
import urllib.parse
import urllib.request

import pytest
from conftest import Gateway, get, wait_for
from issuer import Issuer, Key, ask, code, token

CONFIG = """
server: {{ listen: "127.0.0.1:{port}" }}
data_dir: {data}
providers:
  openai-sim: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-test-upstream }}
teams: {{ data: {{}} }}
keys: [ {{ name: boss, key: {admin}, admin: true }} ]
authentication:
  jwt:
    - issuer: {issuer}
      audience: tollgate
      map: {{ user: email, team: {{ claim: groups, values: {{ idp-data: data }} }} }}
  introspection:
    url: {issuer}/token/introspection
    client_id: gateway
    client_secret: gateway-secret
    audience: tollgate
    required_claims: {{ scope: llm }}
    cache: 500ms
    map: {{ user: email, team: {{ claim: groups, values: {{ idp-data: data }} }} }}
"""
PLAIN = """
server: {{ listen: "127.0.0.1:{port}" }}
data_dir: {data}
providers:
  openai-sim: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-test-upstream }}
authentication: {{ jwt: [ {{ issuer: "{issuer}", audience: tollgate }} ] }}
"""


class Provider:
    """A process of tests/idp."""

    def __init__(self, folder):
        self.process = subprocess.Popen(["node", "server.mjs"], cwd=folder, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def grant(self, resource):
        """A token of a program."""
        fields = {"grant_type": "client_credentials", "scope": "llm", "resource": f"urn:{resource}"}
        return self.post("/token", fields, "app")["access_token"]

    def post(self, path, fields, client):
        basic = base64.b64encode(f"{client}:{client}-secret".encode()).decode()
        data = urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request, timeout=20) as response:
            text = response.read()
        return json.loads(text) if text else None

    def rotate(self):
        get(f"{self.url}/test/rotate", method="POST")

    def requests(self, path):
        return get(f"{self.url}/test/requests").get(path, 0)


@pytest.fixture(scope="module")
def provider():
    folder = os.environ.get("TOLLGATE_IDP")
    if not folder:
        pytest.skip("TOLLGATE_IDP names no folder with the packages of tests/idp; cargo xtask test makes one")
    provider = Provider(folder)
    yield provider
    provider.process.kill()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim, provider):
    gateway = Gateway(tmp_path_factory.mktemp("provider"), sim, CONFIG, issuer=provider.url)
    yield gateway
    gateway.process.kill()


@pytest.mark.parametrize("resource", ["jwt:RS256", "jwt:ES256", "opaque:x"])
def test_its_tokens_open_models(gateway, provider, resource):
    answer = ask(gateway, provider.grant(resource))
    assert code(answer) == (200, None)
    assert gateway.record(answer[1]["x-tollgate-request-id"])["key_name"] == "kim@example.com"


def test_one_caller_is_the_same_by_every_kind_of_token(gateway, provider):
    answers = [ask(gateway, provider.grant(resource)) for resource in ("jwt:RS256", "opaque:x")]
    records = [gateway.record(answer[1]["x-tollgate-request-id"]) for answer in answers]
    assert records[0]["key_id"] == records[1]["key_id"]


def test_a_token_that_is_revoked_is_refused_when_the_answer_is_old(gateway, provider):
    shown = provider.grant("opaque:x")
    assert code(ask(gateway, shown)) == (200, None)
    provider.post("/token/revocation", {"token": shown}, "app")
    wait_for(lambda: code(ask(gateway, shown)) == (401, "token_inactive"), "the revocation")


def test_new_keys_are_found_by_the_first_token_that_names_one(gateway, provider):
    old = provider.grant("jwt:RS256")
    assert code(ask(gateway, old)) == (200, None)
    provider.rotate()
    new = provider.grant("jwt:RS256")
    before = provider.requests("/jwks")
    assert code(ask(gateway, new)) == (200, None)
    assert provider.requests("/jwks") == before + 1
    # The old key is gone, and what was signed with it.
    assert code(ask(gateway, old)) == (401, "token_signature")


def test_nobody_makes_the_gateway_ask_too_often(tmp_path, sim):
    issuer = Issuer()
    gateway = Gateway(tmp_path, sim, PLAIN, issuer=issuer.url)
    try:
        assert code(ask(gateway, issuer.token())) == (200, None)
        for number in range(30):
            unknown = token(issuer.keys[0], issuer.claims(), kid=f"unknown-{number}")
            assert code(ask(gateway, unknown)) == (401, "token_signature")
        # The first time, and four out of turn.
        assert issuer.asked.count("/keys") <= 6
        # A token that is refused anyway is no reason to ask.
        asked = len(issuer.asked)
        stale = token(issuer.keys[0], issuer.claims(exp=1), kid="unknown")
        assert code(ask(gateway, stale)) == (401, "token_expired")
        assert len(issuer.asked) == asked
    finally:
        gateway.process.kill()
        issuer.close()


def test_old_keys_serve_on_while_the_issuer_is_away(tmp_path, sim):
    issuer = Issuer()
    gateway = Gateway(tmp_path, sim, PLAIN, issuer=issuer.url)
    try:
        assert code(ask(gateway, issuer.token())) == (200, None)
        issuer.status = 503
        assert code(ask(gateway, token(issuer.keys[0], issuer.claims(), kid="new"))) == (401, "token_signature")
        assert "keys could not be fetched" in gateway.log.read_text()
        assert code(ask(gateway, issuer.token(jti="another"))) == (200, None)
    finally:
        gateway.process.kill()
        issuer.close()


@pytest.mark.parametrize("trouble", ["away", "redirect", "another issuer", "keys without https"])
def test_an_issuer_without_keys_opens_nothing_until_it_has_some(tmp_path, sim, trouble):
    issuer, other = Issuer(), Issuer()
    other.keys = [Key("first")]
    if trouble == "away":
        issuer.status = 500
    elif trouble == "redirect":
        issuer.redirect = other.url
    elif trouble == "another issuer":
        issuer.description = {"issuer": other.url, "jwks_uri": f"{other.url}/keys"}
    else:
        issuer.description = {"jwks_uri": "http://keys.example.com/keys"}
    gateway = Gateway(tmp_path, sim, PLAIN, issuer=issuer.url)
    try:
        status, headers, body = ask(gateway, issuer.token())
        assert (status, body["error"]["code"]) == (503, "issuer_unavailable") and int(headers["retry-after"]) >= 1
        assert other.asked == []
        issuer.status, issuer.redirect, issuer.description = None, None, {}
        wait_for(lambda: code(ask(gateway, issuer.token())) == (200, None), "the keys", 20)
    finally:
        gateway.process.kill()
        for one in (issuer, other):
            one.close()
