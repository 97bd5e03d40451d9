"""Attacks on the way in, each tried against the real binary: what is tried, and how it is refused."""

import json
import os
import pathlib
import re
import socket
import time

import pytest
from conftest import ADMIN_KEY, APP_KEY, NARROW_KEY, Gateway, get

PAGE = pathlib.Path(__file__).parents[2] / "docs/attacks.md"
EXPIRED, REVOKED = "tg-" + "e" * 43, "tg-" + "r" * 43

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1, limits: {{ body: 64KiB, headers: 16KiB, header_time: 2s, body_time: 2s }} }}
data_dir: {data}
store: {{ database: "{database}", secret: "{secret}", shared: "{redis}" }}
retries: {{ max: 0 }}
providers:
  house: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-upstream, models: {{ echo: {{ price: {{ input: 1, output: 2 }} }} }} }}
  gem: {{ dialect: gemini, base_url: "http://127.0.0.1:{sim}/v1beta", api_key: sk-upstream }}
organizations:
  acme: {{ limits: [ {{ requests: 100000, per: day }} ] }}
  other: {{ limits: [ {{ requests: 100000, per: day, each: [end_user, model] }} ] }}
keys:
  - {{ name: app, key: {app}, organization: acme, models: [ house/echo ] }}
  - {{ name: stranger, key: {narrow}, organization: other }}
  - {{ name: expired, key: {expired}, expires: 2020-01-01 }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim):
    redis = os.environ.get("TOLLGATE_TEST_REDIS")
    if not redis:
        assert not os.environ.get("CI"), "TOLLGATE_TEST_REDIS names no Redis, which CI must have"
        pytest.skip("TOLLGATE_TEST_REDIS names no Redis")
    gateway = Gateway(
        tmp_path_factory.mktemp("attacks"), sim, CONFIG, database="sqlite", secret="s" * 32, redis=redis
    )
    yield gateway
    gateway.process.kill()


def raw(gateway, text, wait=5):
    """The first line, the headers and the beginning of the body of what is answered; nothing where it hangs up."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=wait) as connection:
        connection.sendall(text if isinstance(text, bytes) else text.encode("latin-1"))
        told = b""
        try:
            while b"\r\n\r\n" not in told:
                more = connection.recv(65536)
                if not more:
                    break
                told += more
            length = re.search(rb"content-length: (\d+)", told)
            while len(told.split(b"\r\n\r\n", 1)[-1]) < int(length[1] if length else 0):
                more = connection.recv(65536)
                if not more:
                    break
                told += more
        except OSError:
            pass
    return told.decode("latin-1")


BODY = json.dumps({"model": "house/echo", "messages": [{"role": "user", "content": "hi"}]})


def request(path="/v1/chat/completions", key=APP_KEY, body=BODY, method="POST", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "host: t", f"content-length: {len(body.encode())}", *headers]
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    return "\r\n".join(lines) + "\r\n\r\n" + body


def admin(path, method="GET", key=APP_KEY, body=""):
    return request(path, key, body, method)


def chat(**more):
    return json.dumps({**json.loads(BODY), **more})


SQL = "x'); DROP TABLE calls; --"
LUA = "]] redis.call('FLUSHALL') --[["
NEST = '{"a":' * 20_000 + "1" + "}" * 20_000

# What it is, what is tried, the request, and what is answered: a status, and words that the answer holds.
ATTACKS = [
    ("keys", "no key", lambda: request(key=None), 401, "key_missing"),
    ("keys", "an empty key", lambda: request(key=""), 401, "key_"),
    ("keys", "a key that nobody has", lambda: request(key="tg-" + "z" * 43), 401, "key_unknown"),
    ("keys", "a key cut short", lambda: request(key=APP_KEY[:-1]), 401, "key_unknown"),
    ("keys", "a key with another letter at its end", lambda: request(key=APP_KEY[:-1] + "b"), 401, "key_unknown"),
    ("keys", "a key with text behind it", lambda: request(key=APP_KEY + " or 1=1"), 401, "key_unknown"),
    ("keys", "a key in capitals", lambda: request(key=APP_KEY.upper()), 401, "key_unknown"),
    ("keys", "an expired key", lambda: request(key=EXPIRED), 401, "key_expired"),
    ("keys", "a revoked key", lambda: request(key=REVOKED), 401, "key_"),
    ("keys", "SQL in place of a key", lambda: request(key="tg-' OR '1'='1"), 401, "key_unknown"),
    ("keys", "a key of 12 kB", lambda: request(key="tg-" + "a" * 12_000), 401, "key_unknown"),
    ("keys", "another scheme", lambda: request(key=None, headers=["authorization: Basic dGc6YQ=="]), 401, "key_missing"),
    ("keys", "bytes that are no text", lambda: request(key="tg-\xff\xfe"), 401, "key_"),
    ("keys", "the key in the address of the admin API", lambda: admin(f"/admin/v1/keys?key={ADMIN_KEY}", key=None), 401, "key_missing"),
    ("scopes", "an application's key at the admin API", lambda: admin("/admin/v1/keys"), 403, "wrong_key_scope"),
    ("scopes", "an application's key at the metrics", lambda: admin("/metrics"), 403, "wrong_key_scope"),
    ("scopes", "an admin key for a model", lambda: request(key=ADMIN_KEY), 403, "wrong_key_scope"),
    ("scopes", "a model that the key may not use", lambda: request(body=chat(model="house/other")), 403, "model_not_allowed"),
    ("scopes", "the same by the provider's own path", lambda: request("/house/v1/chat/completions", body=chat(model="other")), 403, "model_not_allowed"),
    ("scopes", "a path of the provider that names no model", lambda: request("/house/v1/files", body=""), 403, "model_not_allowed"),
    ("tokens", "a token without a signature, where no issuer is configured", lambda: request(key="eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0."), 401, "key_unknown"),
    ("paths", "up to the admin API", lambda: admin("/house/../admin/v1/keys"), 400, "invalid_path"),
    ("paths", "the same, encoded", lambda: admin("/house/%2e%2e/admin/v1/keys"), 400, "invalid_path"),
    ("paths", "with a backslash", lambda: admin("/house/..\\admin\\v1\\keys"), 400, ""),
    ("paths", "with two slashes", lambda: admin("//admin/v1/keys"), 404, ""),
    ("paths", "from files to a chat", lambda: request("/v1/files/../chat/completions"), 404, "path_not_found"),
    ("paths", "the same, encoded twice over", lambda: request("/v1/batches/..%2f%2e%2e/chat/completions"), 404, "path_not_found"),
    ("paths", "a model's name that leads elsewhere", lambda: request(key=NARROW_KEY, body=chat(model="gem/x/../echo")), 400, "invalid_path"),
    ("paths", "a provider's path with a letter encoded, for another model", lambda: request("/house/v1/chat/completion%73", body=chat(model="other")), 403, "model_not_allowed"),
    ("paths", "a provider's path that nobody knows", lambda: request("/house/v1/videos", body=chat(model="echo")), 403, "model_not_allowed"),
    ("paths", "a provider's path that is encoded twice", lambda: request("/house/v1/chat/completion%2573"), 400, "invalid_path"),
    ("paths", "one with a parameter that some servers cut off", lambda: request("/house/v1/x/..;/chat/completions"), 400, "invalid_path"),
    ("paths", "an address in place of a path", lambda: admin("http://127.0.0.1:1/admin/v1/keys"), 403, "wrong_key_scope"),
    ("paths", "a provider's name that is an address", lambda: admin("/127.0.0.1:1/v1/models"), 404, ""),
    ("smuggling", "two lengths", lambda: request(headers=["content-length: 5"]), 400, ""),
    ("smuggling", "a length and chunks", lambda: "POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /admin/v1/keys HTTP/1.1\r\n\r\n", 401, "connection: close"),
    ("smuggling", "an unknown transfer encoding", lambda: request(headers=["transfer-encoding: xchunked"]), 400, ""),
    ("smuggling", "a folded header", lambda: request(headers=["x-a: b", " authorization: Bearer " + ADMIN_KEY]), 400, ""),
    ("smuggling", "a space before the colon", lambda: request(headers=["content-length : 0"]), 400, ""),
    ("smuggling", "a line feed in a header's value", lambda: request(headers=["x-a: b\nx-b: c"], key="tg-" + "z" * 43), 401, "key_unknown"),
    ("smuggling", "a zero in a header", lambda: request(headers=["x-a: \0"]), 400, ""),
    ("smuggling", "a bad size of a chunk", lambda: "POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\nauthorization: Bearer " + APP_KEY + "\r\n\r\n-5\r\nhello\r\n", 400, ""),
    ("smuggling", "two keys", lambda: request(key=None, headers=["authorization: Bearer tg-" + "z" * 43, f"authorization: Bearer {APP_KEY}"]), 401, "key_unknown"),
    ("smuggling", "an address that the caller gives itself", lambda: request(key="tg-" + "z" * 43, headers=["x-forwarded-for: 127.0.0.1"]), 401, "key_unknown"),
    ("bodies", "no JSON", lambda: request(body="{"), 400, "invalid_json"),
    ("bodies", "a list", lambda: request(body="[]"), 400, "invalid_json"),
    ("bodies", "a member twice", lambda: request(body='{"model":"house/echo","model":"house/other","messages":[]}'), 400, "stands twice"),
    ("bodies", "the same, spelt another way", lambda: request(body='{"model":"house/echo","mod\\u0065l":"house/other","messages":[]}'), 400, "stands twice"),
    ("bodies", "nested 20,000 deep", lambda: request(body=NEST[:60_000]), 400, "invalid_json"),
    ("bodies", "more than is allowed", lambda: request(body=chat(messages=[{"role": "user", "content": "x" * 70_000}])), 413, "body_too_large"),
    ("bodies", "a model's name of 10 kB", lambda: request(body=chat(model="m" * 10_000)), 400, "model"),
    ("bodies", "bytes that are no UTF-8", lambda: b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\nauthorization: Bearer " + APP_KEY.encode() + b"\r\n\r\n\xff\xfe\xfd\xfc", 400, "invalid_json"),
    ("headers", "a header of 20 kB", lambda: request(headers=["x-a: " + "b" * 20_000]), 431, ""),
    ("headers", "two hundred headers", lambda: request(headers=[f"x-{number}: b" for number in range(200)]), 431, ""),
    ("headers", "a list of tags that is none", lambda: request(headers=["x-tollgate-tags: nonsense"]), 400, "invalid_tags"),
    ("headers", "a hundred tags", lambda: request(headers=["x-tollgate-tags: " + ",".join(f"a{number}=b" for number in range(100))]), 400, "invalid_tags"),
    ("headers", "a wish that is no wish", lambda: request(headers=["x-tollgate-route: []"]), 400, ""),
    ("injection", "SQL as an end user", lambda: request(key=NARROW_KEY, headers=[f"x-tollgate-user: {SQL}"]), 200, ""),
    ("injection", "Lua as an end user", lambda: request(key=NARROW_KEY, headers=[f"x-tollgate-user: {LUA}"]), 200, ""),
    ("injection", "Redis' protocol as an end user", lambda: request(key=NARROW_KEY, body=chat(user="x\r\n*1\r\n$8\r\nFLUSHALL\r\n")), 200, ""),
    ("injection", "SQL as a model's name", lambda: request(key=NARROW_KEY, body=chat(model=SQL)), 404, ""),
    ("injection", "SQL as a tag", lambda: request(key=NARROW_KEY, headers=[f"x-tollgate-tags: a={SQL.replace(',', '')}"]), 200, ""),
    ("injection", "SQL as a filter of the journal", lambda: admin(f"/admin/v1/calls?key={SQL.replace(' ', '%20')}", key=ADMIN_KEY), 200, '"data":[]'),
    ("injection", "SQL as a key to revoke", lambda: admin(f"/admin/v1/keys/{SQL.replace(' ', '%20')}", "DELETE", ADMIN_KEY), 404, "no"),
    ("methods", "a method that nobody knows", lambda: admin("/v1/chat/completions", "BREW"), 405, ""),
    ("methods", "a tunnel", lambda: "CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: t\r\n\r\n", 404, ""),
    ("methods", "an echo of the request", lambda: admin("/v1/models", "TRACE"), 405, ""),
]


@pytest.mark.parametrize(("group", "what", "attack", "status", "words"), ATTACKS, ids=[row[1] for row in ATTACKS])
def test_each_is_refused(gateway, sim, group, what, attack, status, words):
    before = sim.calls()["total"]
    answer = raw(gateway, attack())
    assert answer.startswith(f"HTTP/1.1 {status} "), answer[:600]
    assert words in answer, answer[:600]
    assert ADMIN_KEY not in answer and APP_KEY not in answer and "sk-upstream" not in answer
    if status != 200:
        assert sim.calls()["total"] == before, "what is refused goes nowhere"


def test_nothing_was_lost_of_the_stores(gateway):
    for _ in range(100):
        if len(get(f"{gateway.url}/admin/v1/calls?limit=1000", ADMIN_KEY)["data"]) >= 4:
            break
        time.sleep(0.05)
    assert len(get(f"{gateway.url}/admin/v1/calls?limit=1000", ADMIN_KEY)["data"]) >= 4, "the journal is there"
    told = raw(gateway, request())
    left = int(re.search(r"x-ratelimit-remaining-requests: (\d+)", told)[1])
    assert left < 100_000 and raw(gateway, request()).startswith("HTTP/1.1 200")


def test_guesses_tell_nothing_and_open_nothing(gateway):
    """Keys are compared by a keyed hash: a guess that begins right is answered as one that does not."""
    told = set()
    for length in range(4, 46):
        answer = raw(gateway, request(key=APP_KEY[:length] + "q" * (46 - length)))
        told.add(re.sub(r"[0-9a-f-]{36}", "", answer.split("\r\n\r\n")[1]))
    assert len(told) == 1


def test_a_slow_caller_is_let_go(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\n")
        assert b"authorization" not in connection.recv(1000), "it ends, with an answer or without"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        head = request().split("\r\n\r\n")[0]
        connection.sendall((head + "\r\n\r\n{").encode())
        assert b"body_timeout" in connection.recv(10_000)


def test_the_page_tells_of_each():
    told = {200: "taken as the text it is"}
    rows = [f"| {group} | {what} | {told.get(status, status)} |" for group, what, _, status, _ in ATTACKS]
    page = "\n".join([
        "# Attacks that are tried",
        "",
        "Each line is a test against the real binary (`tests/access/test_attacks.py`), with limits counted in a Redis. What is refused goes to",
        "no provider, and no answer holds a key or a credential. Tokens and certificates have tables of their own",
        "(`tests/access/test_tokens.py`, `test_certificates.py`): `alg: none`, a public key as a shared secret, other issuers' and expired",
        "tokens, keys that a token brings along, replay, and more. So have sign-in and sessions of people (`test_people.py`): guesses, lock-out,",
        "forged and fixed sessions, other sites' pages, mixed-up providers, logins that come twice; and SCIM (`test_scim.py`).",
        "",
        "| | what is tried | answer |",
        "| --- | --- | --- |",
        *rows,
        "",
    ])
    if os.environ.get("TOLLGATE_UPDATE"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run with TOLLGATE_UPDATE=1"
