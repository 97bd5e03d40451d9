"""Signed tokens and opaque ones: who gets in, who does not, and what is never asked."""

import concurrent.futures
import json
import time
import urllib.request

import pytest
from conftest import ADMIN_KEY, APP_KEY, Gateway, get, wait_for
from issuer import Issuer, Key, ask, by_secret, code, encoded, signed, token

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 2 }}
data_dir: {data}
providers:
  openai-sim: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-test-upstream }}
models: {{ fast: openai-sim/echo }}
organizations: {{ acme: {{ tags: {{ bill: acme }} }} }}
teams:
  data: {{ organization: acme, models: [ "openai-sim/*" ] }}
  narrow: {{ organization: acme, models: [ "openai-sim/nothing" ] }}
  elsewhere: {{}}
users: {{ known@example.com: {{ organization: acme, models: [ "openai-sim/re*" ] }} }}
keys: [ {{ name: app, key: {app} }}, {{ name: boss, key: {admin}, admin: true }} ]
authentication:
  jwt:
    - issuer: {issuer}
      audience: tollgate
      clock_skew: 1s
      required_claims: {{ tenant: [a, b] }}
    - issuer: {teams}
      audience: [ tollgate, other ]
      jwks_url: {teams}/keys
      token_types: [ at+jwt ]
      map:
        organization: {{ value: acme }}
        team: {{ claim: realm.groups, values: {{ idp-data: data, idp-narrow: narrow, idp-elsewhere: elsewhere, idp-gone: gone }} }}
        user: email
        models: models
        tags: {{ department: dept }}
    - issuer: shared
      audience: tollgate
      secret: {secret}
  introspection:
    url: {opaque}/introspect
    client_id: "gate:way"
    client_secret: "s%cret"
    cache: 1m
    timeout: 2s
    map: {{ team: {{ claim: group, required: false }} }}
"""
SECRET = "s" * 40
CORES = 2
BOSS = {"authorization": f"Bearer {ADMIN_KEY}"}


class Issuers:
    def __init__(self):
        self.main, self.teams, self.opaque, self.evil = Issuer(), Issuer(), Issuer(), Issuer()


@pytest.fixture(scope="module")
def issuers():
    made = Issuers()
    made.main.keys = [Key("first"), *(Key(f"k-{alg}", alg) for alg in ("PS256", "RS512", "ES256", "ES384", "EdDSA"))]
    yield made
    for one in (made.main, made.teams, made.opaque, made.evil):
        one.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim, issuers):
    values = {"issuer": issuers.main.url, "teams": issuers.teams.url, "opaque": issuers.opaque.url, "secret": SECRET}
    gateway = Gateway(tmp_path_factory.mktemp("tokens"), sim, CONFIG, **values)
    yield gateway
    gateway.process.kill()


def good(issuers, **claims):
    return issuers.main.claims(tenant="a", **claims)


def test_a_token_opens_models_and_the_journal_shows_whose_it_was(gateway, issuers):
    first = ask(gateway, token(issuers.main.keys[0], good(issuers)))
    second = ask(gateway, token(issuers.main.keys[0], good(issuers, jti="other")))
    other = ask(gateway, token(issuers.main.keys[0], good(issuers, sub="u-2")))
    records = [gateway.record(answer[1]["x-tollgate-request-id"]) for answer in (first, second, other)]
    assert [record["key_name"] for record in records] == ["u-1", "u-1", "u-2"]
    assert records[0]["key_id"] == records[1]["key_id"] != records[2]["key_id"]


def test_every_algorithm_that_needs_a_public_key_is_taken(gateway, issuers):
    for key in issuers.main.keys:
        assert code(ask(gateway, token(key, good(issuers)))) == (200, None), key.alg
    # One that names no key is held against all of its kind.
    assert code(ask(gateway, unnamed(issuers.main.keys[0], good(issuers)))) == (200, None)
    modern = token(issuers.main.keys[-1], good(issuers), alg="Ed25519")
    assert code(ask(gateway, modern)) == (200, None)


def test_a_token_that_comes_again_is_known(gateway, issuers):
    def checked():
        with urllib.request.urlopen(urllib.request.Request(f"{gateway.url}/metrics", headers=BOSS)) as answer:
            lines = answer.read().decode().splitlines()
        return int(next(line for line in lines if line.startswith("tollgate_tokens_checked_total ")).split()[1])

    shown = token(issuers.main.keys[0], good(issuers, jti="again"))
    before = checked()
    for _ in range(10):
        assert code(ask(gateway, shown)) == (200, None)
    assert 1 <= checked() - before <= CORES


def test_tokens_are_taken_where_sdks_show_keys(gateway, issuers):
    shown = token(issuers.main.keys[0], good(issuers))
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        assert code(ask(gateway, None, headers={name: shown})) == (200, None)
    assert code(ask(gateway, None, url=f"/v1/chat/completions?key={shown}")) == (401, "key_unknown")
    assert code(ask(gateway, APP_KEY)) == (200, None)
    assert code(ask(gateway, None)) == (401, "key_missing")


def test_all_that_a_caller_does_takes_a_token(gateway, issuers):
    shown = token(issuers.main.keys[0], good(issuers))
    answer = ask(gateway, shown)
    call = answer[1]["x-tollgate-request-id"]
    opinion = {"request_id": call, "score": 1}
    assert ask(gateway, shown, url="/v1/feedback", body=opinion)[0] == 200
    stranger = token(issuers.main.keys[0], good(issuers, sub="u-9"))
    assert ask(gateway, stranger, url="/v1/feedback", body=opinion)[0] == 404
    assert ask(gateway, shown, url="/v1/embeddings", body={"model": "openai-sim/embed", "input": "a"})[0] == 200
    assert [model["id"] for model in get(f"{gateway.url}/v1/models", shown)["data"]] == ["fast"]
    assert code(ask(gateway, shown, url="/admin/v1/keys", body={"name": "x"}))[0] in (401, 403)


def altered(text):
    """One letter of a signature is another."""
    return text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]


ATTACKS = {
    "no signature": lambda i, k: (signed('{"alg":"none"}', json.dumps(good(i)), lambda _: b""), "token_signature"),
    "alg none, signed": lambda i, k: (token(k, good(i), alg="none"), "token_signature"),
    "alg None": lambda i, k: (token(k, good(i), alg="NoNe"), "token_signature"),
    "signed by the public key as a secret": lambda i, k: (confused(i, k), "token_signature"),
    "another algorithm of the same key": lambda i, k: (token(k, good(i), alg="RS384"), "token_signature"),
    "another kind of algorithm": lambda i, k: (token(k, good(i), alg="ES256"), "token_signature"),
    "an algorithm nobody knows": lambda i, k: (token(k, good(i), alg="RS1"), "token_signature"),
    "no algorithm": lambda i, k: (signed('{"typ":"JWT"}', json.dumps(good(i)), k.sign), "token_malformed"),
    "an empty signature": lambda i, k: (token(k, good(i)).rsplit(".", 1)[0] + ".", "token_signature"),
    "an altered signature": lambda i, k: (altered(token(k, good(i))), "token_signature"),
    "altered claims": lambda i, k: (grafted(token(k, good(i)), good(i, sub="boss")), "token_signature"),
    "signed by a stranger": lambda i, k: (token(i.evil.keys[0], good(i)), "token_signature"),
    "signed by a stranger, of no name": lambda i, k: (unnamed(i.evil.keys[0], good(i)), "token_signature"),
    "an unknown kid": lambda i, k: (token(k, good(i), kid="nobody"), "token_signature"),
    "a kid that is a path": lambda i, k: (token(k, good(i), kid="../../../../dev/null"), "token_signature"),
    "a kid that is SQL": lambda i, k: (token(k, good(i), kid="' OR '1'='1"), "token_signature"),
    "a kid that is no text": lambda i, k: (token(k, good(i), kid={"$ne": 1}), "token_malformed"),
    "keys from elsewhere (jku)": lambda i, k: (brought(i, jku=f"{i.evil.url}/keys"), "token_signature"),
    "keys from elsewhere (x5u)": lambda i, k: (brought(i, x5u=f"{i.evil.url}/keys"), "token_signature"),
    "a key in the header": lambda i, k: (brought(i, jwk=i.evil.keys[0].jwk()), "token_signature"),
    "expired": lambda i, k: (token(k, good(i, exp=int(time.time()) - 60)), "token_expired"),
    "expired long ago": lambda i, k: (token(k, good(i, exp=0)), "token_expired"),
    "no end": lambda i, k: (token(k, good(i, exp=None)), "token_claims"),
    "an end that is no number": lambda i, k: (token(k, good(i, exp="never")), "token_malformed"),
    "not yet good": lambda i, k: (token(k, good(i, nbf=int(time.time()) + 60)), "token_not_yet_valid"),
    "issued in the future": lambda i, k: (token(k, good(i, iat=int(time.time()) + 60)), "token_not_yet_valid"),
    "for another audience": lambda i, k: (token(k, good(i, aud="elsewhere")), "token_not_for_here"),
    "for other audiences": lambda i, k: (token(k, good(i, aud=["tollgate2", "x"])), "token_not_for_here"),
    "for no audience": lambda i, k: (token(k, good(i, aud=None)), "token_not_for_here"),
    "of another issuer": lambda i, k: (token(k, good(i, iss="https://evil.example.com")), "token_untrusted"),
    "of no issuer": lambda i, k: (token(k, good(i, iss=None)), "token_untrusted"),
    "of an issuer and something": lambda i, k: (token(k, good(i, iss=f"{i.main.url}/")), "token_untrusted"),
    "of another trusted issuer": lambda i, k: (token(k, good(i, iss=i.teams.url)), "token_signature"),
    "without a subject": lambda i, k: (token(k, good(i, sub=None)), "token_claims"),
    "with a subject of two lines": lambda i, k: (token(k, good(i, sub="a\nb")), "token_malformed"),
    "of another tenant": lambda i, k: (token(k, i.main.claims(tenant="c")), "token_claims"),
    "of no tenant": lambda i, k: (token(k, i.main.claims()), "token_claims"),
    "for logging out": lambda i, k: (token(k, good(i), typ="logout+jwt"), "token_type"),
    "a proof of possession": lambda i, k: (token(k, good(i), typ="dpop+jwt"), "token_type"),
    "an extension": lambda i, k: (token(k, good(i), crit=["exp"]), "token_malformed"),
    "unencoded claims": lambda i, k: (token(k, good(i), crit=["b64"], b64=False), "token_malformed"),
    "a claim twice": lambda i, k: (token(k, json.dumps(good(i))[:-1] + ', "sub": "boss"}'), "token_malformed"),
    "alg twice": lambda i, k: (signed('{"alg":"RS256","alg":"none"}', json.dumps(good(i)), k.sign), "token_malformed"),
    "deep claims": lambda i, k: (token(k, json.dumps(good(i))[:-1] + ', "a": ' + "[" * 3000 + "]" * 3000 + "}"), "token_malformed"),
    "claims that are a list": lambda i, k: (token(k, "[]"), "token_malformed"),
    "claims that are nothing": lambda i, k: (token(k, ""), "token_malformed"),
    "too long": lambda i, k: (token(k, good(i, pad="x" * 20000)), "token_malformed"),
    "bound to a certificate": lambda i, k: (token(k, good(i, cnf={"x5t#S256": "A" * 43})), "token_bound"),
    "bound to a key": lambda i, k: (token(k, good(i, cnf={"jkt": "A" * 43})), "token_bound"),
    "encrypted": lambda i, k: (token(k, good(i)) + ".a.b", "token_inactive"),
}


def confused(issuers, key):
    """The oldest trick: what is public as the secret of an algorithm that needs one."""
    from cryptography.hazmat.primitives import serialization

    shape = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.private.public_key().public_bytes(serialization.Encoding.PEM, shape)
    return signed(json.dumps({"alg": "HS256", "kid": key.kid}), json.dumps(good(issuers)), by_secret(public))


def grafted(text, claims):
    header, _, signature = text.split(".")
    return f"{header}.{encoded(json.dumps(claims).encode())}.{signature}"


def unnamed(key, claims):
    return signed(json.dumps({"alg": key.alg}), json.dumps(claims), key.sign)


def brought(issuers, **header):
    return token(issuers.evil.keys[0], good(issuers), kid="evil", **header)


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(gateway, issuers, attack):
    shown, expected = ATTACKS[attack](issuers, issuers.main.keys[0])
    for _ in range(2):
        status, headers, body = ask(gateway, shown)
        assert (status, body["error"]["code"]) == (401, expected)
        assert headers["www-authenticate"] == 'Bearer error="invalid_token"'
        longest = max(shown.split("."), key=len)
        assert longest not in json.dumps(body) and longest not in gateway.log.read_text()
    assert issuers.evil.asked == []


def test_refusals_come_in_the_callers_dialect(gateway, issuers):
    shown = token(issuers.main.keys[0], good(issuers, exp=1))
    body = {"model": "openai-sim/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}
    status, _, told = ask(gateway, None, headers={"x-api-key": shown}, url="/v1/messages", body=body)
    assert status == 401 and told["error"]["type"] == "authentication_error" and "expired" in told["error"]["message"]


def test_a_token_that_was_good_is_not_good_after_its_end(gateway, issuers):
    end = time.time() + 3
    shown = token(issuers.main.keys[0], good(issuers, exp=end))
    assert code(ask(gateway, shown)) == (200, None)
    wait_for(lambda: code(ask(gateway, shown)) == (401, "token_expired"), "the end of a token")
    # Clocks may be one second apart.
    assert time.time() >= end + 1


def test_secrets_are_used_only_for_those_who_have_one(gateway, issuers):
    claims = good(issuers, iss="shared")
    header = json.dumps({"alg": "HS256", "typ": "JWT"})
    assert code(ask(gateway, signed(header, json.dumps(claims), by_secret(SECRET.encode())))) == (200, None)
    assert code(ask(gateway, signed(header, json.dumps(claims), by_secret(b"x" * 40)))) == (401, "token_signature")
    assert code(ask(gateway, signed(header, json.dumps(good(issuers)), by_secret(SECRET.encode())))) == (401, "token_signature")
    assert code(ask(gateway, token(issuers.main.keys[0], claims))) == (401, "token_signature")


def member(issuers, groups, **claims):
    claims = issuers.teams.claims(realm={"groups": groups}, **claims)
    return token(issuers.teams.keys[0], claims)


def test_claims_put_a_caller_into_a_team(gateway, issuers):
    status, headers, _ = ask(gateway, member(issuers, ["idp-data"], email="kim@example.com", aud=["x", "other"]))
    assert status == 200
    assert gateway.record(headers["x-tollgate-request-id"])["key_name"] == "kim@example.com"
    cases = [
        (["everyone", "idp-data"], (200, None)),
        (["idp-gone", "idp-data"], (200, None)),
        (["idp-narrow", "idp-data"], (403, "model_not_allowed")),
        ("idp-data", (200, None)),
        (["everyone"], (403, "token_not_mapped")),
        (["data"], (403, "token_not_mapped")),
        (["idp-gone"], (403, "token_not_mapped")),
        (["idp-elsewhere"], (403, "token_not_mapped")),
        ([], (403, "token_not_mapped")),
        (None, (403, "token_not_mapped")),
    ]
    for groups, expected in cases:
        assert code(ask(gateway, member(issuers, groups))) == expected, groups


def test_claims_narrow_what_a_caller_may_ask_for(gateway, issuers):
    def check(models, asked, expected):
        assert code(ask(gateway, member(issuers, ["idp-data"], models=models), asked)) == expected, (models, asked)

    check(["openai-sim/echo"], "openai-sim/echo", (200, None))
    check(["openai-sim/e*"], "openai-sim/echo", (200, None))
    check(["openai-sim/echo"], "openai-sim/reasoner", (403, "model_not_allowed"))
    check("openai-sim/echo", "openai-sim/echo", (200, None))
    check([], "openai-sim/echo", (403, "model_not_allowed"))
    known = member(issuers, ["idp-data"], email="known@example.com")
    assert code(ask(gateway, known, "openai-sim/reasoner")) == (200, None)
    assert code(ask(gateway, known, "openai-sim/echo")) == (403, "model_not_allowed")


def test_types_that_are_listed_are_the_only_ones(gateway, issuers):
    claims = issuers.teams.claims(realm={"groups": ["idp-data"]})
    for named, expected in [("at+jwt", 200), ("application/AT+jwt", 200), ("JWT", 401)]:
        assert ask(gateway, token(issuers.teams.keys[0], claims, typ=named))[0] == expected
    key = issuers.teams.keys[0]
    untyped = signed(json.dumps({"alg": key.alg, "kid": key.kid}), json.dumps(claims), key.sign)
    assert code(ask(gateway, untyped)) == (401, "token_type")


def test_keys_whose_address_is_written_are_not_looked_for(issuers, gateway):
    assert code(ask(gateway, member(issuers, ["idp-data"]))) == (200, None)
    assert set(issuers.teams.asked) == {"/keys"}


def test_tokens_hold_under_a_new_configuration_only_as_far_as_it_says(gateway, issuers):
    shown = member(issuers, ["idp-data"])
    assert code(ask(gateway, shown)) == (200, None)
    text = gateway.file.read_text()
    try:
        gateway.file.write_text(text.replace("idp-data: data", "idp-data: narrow"))
        wait_for(lambda: code(ask(gateway, shown)) == (403, "model_not_allowed"), "the new team")
        gateway.file.write_text(text.replace("audience: [ tollgate, other ]", "audience: [ other ]"))
        wait_for(lambda: code(ask(gateway, shown)) == (401, "token_not_for_here"), "the new audience")
    finally:
        gateway.file.write_text(text)
    wait_for(lambda: code(ask(gateway, shown)) == (200, None), "the old configuration")


def test_opaque_tokens_are_asked_about_once(gateway, issuers):
    opaque = issuers.opaque
    now = int(time.time())
    opaque.known["opaque-1"] = {"active": True, "sub": "kim", "iss": "https://idp", "exp": now + 300}
    before = len(opaque.forms)
    for _ in range(5):
        answer = ask(gateway, "opaque-1")
        assert code(answer) == (200, None)
    assert gateway.record(answer[1]["x-tollgate-request-id"])["key_name"] == "kim"
    # Each core asks for itself.
    assert 1 <= len(opaque.forms) - before <= CORES
    form, authorization = opaque.forms[-1]
    assert form == {"token": "opaque-1", "token_type_hint": "access_token"}
    # Both parts are written as in a form: gate%3Away:s%25cret.
    assert authorization == "Basic Z2F0ZSUzQXdheTpzJTI1Y3JldA=="


@pytest.mark.parametrize(
    "said, expected",
    [
        ({"active": False}, (401, "token_inactive")),
        ({"active": "true", "sub": "a"}, (401, "token_inactive")),
        ({"sub": "a"}, (401, "token_inactive")),
        ({"active": True}, (401, "token_claims")),
        ({"active": True, "client_id": "cron"}, (200, None)),
        ({"active": True, "sub": "a", "exp": 1}, (401, "token_expired")),
        ({"active": True, "sub": "a", "nbf": 9e9}, (401, "token_not_yet_valid")),
        ({"active": True, "sub": "a", "cnf": {"jkt": "x"}}, (401, "token_bound")),
        ({"active": True, "sub": "a", "group": "elsewhere"}, (200, None)),
        ({"active": True, "sub": "a", "group": "gone"}, (200, None)),
    ],
)
def test_what_is_said_of_an_opaque_token_counts(gateway, issuers, said, expected):
    shown = "opaque-" + encoded(json.dumps(said).encode())
    issuers.opaque.known[shown] = said
    assert code(ask(gateway, shown)) == expected
    assert code(ask(gateway, shown)) == expected


def test_callers_with_the_same_token_wait_for_the_same_answer(gateway, issuers):
    opaque = issuers.opaque
    opaque.known["opaque-slow"] = {"active": True, "sub": "kim"}
    before = len(opaque.forms)
    opaque.hold.clear()
    try:
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            calls = [pool.submit(ask, gateway, "opaque-slow") for _ in range(20)]
            wait_for(lambda: len(opaque.forms) > before, "the question")
            opaque.hold.set()
            assert {code(call.result()) for call in calls} == {(200, None)}
    finally:
        opaque.hold.set()
    assert len(opaque.forms) - before <= CORES


def test_nobody_is_let_in_while_nobody_can_be_asked(gateway, issuers):
    opaque = issuers.opaque
    opaque.known["opaque-2"] = {"active": True, "sub": "kim"}
    for status in (500, 401, 404):
        opaque.status = status
        try:
            answer = wait_for(lambda: refused(gateway), "a refusal")
        finally:
            opaque.status = None
        assert code(answer) == (503, "introspection_unavailable")
        assert int(answer[1]["retry-after"]) >= 1
    wait_for(lambda: code(ask(gateway, "opaque-2")) == (200, None), "the answer")


def refused(gateway):
    answer = ask(gateway, "opaque-2")
    return answer if answer[0] == 503 else None


def test_an_answer_that_does_not_come_is_no_answer(gateway, issuers):
    issuers.opaque.hold.clear()
    try:
        answer = ask(gateway, "opaque-3")
    finally:
        issuers.opaque.hold.set()
    assert code(answer) == (503, "introspection_unavailable")
