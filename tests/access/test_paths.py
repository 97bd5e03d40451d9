"""Paths that lead to a provider: whatever their spelling, what is forwarded is what was checked, and is paid for."""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from conftest import ADMIN_KEY, APP_KEY, NARROW_KEY, Gateway, get, wait_for

FILES_KEY, LISTED_KEY, SPENT_KEY, LAX_KEY, USERS_KEY = ("tg-" + letter * 43 for letter in "flsxu")

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1 }}
data_dir: {data}
retries: {{ max: 0 }}
providers:
  house:
    dialect: openai_chat
    base_url: http://127.0.0.1:{upstream}/v1
    api_key: sk-house
    models: {{ echo: {{ price: {{ input: 1000, output: 1000 }} }}, cheap: {{ price: {{ input: 1, output: 1 }} }} }}
  resp:
    dialect: openai_responses
    base_url: http://127.0.0.1:{upstream}/v1
    api_key: sk-resp
    models: {{ echo: {{ price: {{ input: 1000, output: 1000 }} }} }}
  gem:
    dialect: gemini
    base_url: http://127.0.0.1:{upstream}/v1beta
    api_key: sk-gem
    models: {{ dear: {{ price: {{ input: 1000, output: 1000 }} }}, cheap: {{ price: {{ input: 1, output: 1 }} }} }}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: files, key: {files}, operations: [files], budget: {{ usd: 0.01, per: month }} }}
  - {{ name: listed, key: {listed}, models: [ gem/cheap, "gem/ch*", house/cheap ] }}
  - {{ name: spent, key: {spent}, budget: {{ usd: 1000, per: month }} }}
  - {{ name: lax, key: {lax}, budget: {{ usd: 1000, per: month, unpriced: allow }} }}
  - {{ name: users, key: {users}, limits: [ {{ requests: 2, per: day, each: [end_user] }} ] }}
  - {{ name: narrow, key: {narrow}, models: [ house/echo ] }}
  - {{ name: boss, key: {admin}, admin: true }}
"""

USAGE = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
RESPONSES_USAGE = {"input_tokens": 1000, "output_tokens": 1000, "total_tokens": 2000}
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


class Upstream(BaseHTTPRequestHandler):
    """A provider that answers at every path, and reads each as leniently as any server does."""

    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *_):
        pass

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        kind, told = "application/json", {"ok": True}
        if body and json.loads(body).get("stream"):
            chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [
                {"index": 0, "delta": {"role": "assistant", "content": "hello " * 100}, "finish_reason": "stop"}]}
            kind, told = "text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        elif "/chat/" in self.path:
            told = {"id": "c", "object": "chat.completion", "model": "m", "usage": USAGE, "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
        elif "enerateContent" in self.path:
            told = {"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
                    "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 1000, "totalTokenCount": 2000}}
        elif self.path.endswith("/compact"):
            told = {"id": "r", "object": "response.compaction", "created_at": 1, "output": [], "usage": RESPONSES_USAGE}
        elif "/batches/" in self.path:
            told = {"id": self.path.split("/")[-1], "object": "batch", "model": "echo", "status": "completed",
                    "completed_at": 1_700_000_001, "usage": RESPONSES_USAGE}
        data = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer


@pytest.fixture(scope="module")
def upstream():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim, upstream):
    keys = {"files": FILES_KEY, "listed": LISTED_KEY, "spent": SPENT_KEY, "lax": LAX_KEY, "users": USERS_KEY}
    gateway = Gateway(tmp_path_factory.mktemp("paths"), sim, CONFIG, upstream=upstream.server_port, **keys)
    yield gateway
    gateway.process.kill()


def ask(gateway, path, body=CHAT, key=APP_KEY, method="POST", **headers):
    """A request whose path goes out as it is written here."""
    before = len(Upstream.seen)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.putrequest(method, path, skip_accept_encoding=True)
    data = b"" if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {"authorization": f"Bearer {key}", "content-length": str(len(data)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(data)
    answer = connection.getresponse()
    text = answer.read().decode()
    told = {name.lower(): value for name, value in answer.getheaders()}
    return SimpleNamespace(status=answer.status, headers=told, text=text, forwarded=Upstream.seen[before:])


def refused(answer, status, *words):
    assert answer.status == status, answer.text
    assert all(word in answer.text for word in words), answer.text
    assert answer.forwarded == [], "what is refused goes nowhere"


def record(gateway, answer):
    return gateway.record(answer.headers["x-tollgate-request-id"])


def spent_usd(gateway, name):
    budgets = get(f"{gateway.url}/admin/v1/budgets", ADMIN_KEY)["data"]
    return next(float(one["used_usd"]) for one in budgets if name in one["name"])


ASIDE = [
    "/../chat/completions", "/%2e%2e/chat/completions", "/..%2fchat/completions", "/..;/chat/completions",
    "/x/../../chat/completions", "/", "//", "/x/", "/x//content", "/chat/completions",
]


@pytest.mark.parametrize("resource", ["files", "batches", "responses"])
@pytest.mark.parametrize("rest", ASIDE)
def test_nothing_is_reached_by_a_resource_but_what_it_has(gateway, resource, rest):
    for key in [APP_KEY] if resource != "files" else [APP_KEY, FILES_KEY]:
        provider = "resp" if resource == "responses" else "house"
        answer = ask(gateway, f"/v1/{resource}{rest}", key=key, x_tollgate_provider=provider)
        refused(answer, 404, "path_not_found", f"GET /v1/{resource}/{{id}}")


def test_resources_are_reached_as_they_are(gateway):
    for method, path in [("GET", "/v1/files"), ("GET", "/v1/files/file-1/content"), ("DELETE", "/v1/files/file-1")]:
        answer = ask(gateway, f"{path}?limit=2", None, FILES_KEY, method, x_tollgate_provider="house")
        assert answer.status == 200, answer.text
        assert answer.forwarded[0][:2] == (method, f"{path}?limit=2")
        assert record(gateway, answer)["cost"] == 0
    refused(ask(gateway, "/v1/files/file-1", None, method="PUT", x_tollgate_provider="house"), 405, "method_not_allowed")


def test_a_compaction_is_paid_for(gateway):
    before = spent_usd(gateway, "spent")
    body = {"model": "resp/echo", "input": "a long talk"}
    answer = ask(gateway, "/v1/responses/compact", body, SPENT_KEY)
    assert answer.status == 200 and answer.forwarded[0][1] == "/v1/responses/compact", answer.text
    told = record(gateway, answer)
    assert (told["operation"], told["model"], told["counted"]) == ("chat", "echo", "reported")
    assert told["cost"] == 2_000_000_000_000
    wait_for(lambda: spent_usd(gateway, "spent") == pytest.approx(before + 2), "the budget")
    refused(ask(gateway, "/v1/responses/compact", body, LISTED_KEY), 403, "model_not_allowed")
    refused(ask(gateway, "/v1/responses/compact", body, FILES_KEY), 403, "operation_not_allowed")
    refused(ask(gateway, "/v1/responses/compact", {**body, "model": "house/echo"}), 400, "openai_compactions")


@pytest.mark.parametrize("model", ["gem/cheap/../dear", "gem/ch/../dear", "gem/ch/./x"])
def test_a_models_name_leads_to_no_other_model(gateway, model):
    refused(ask(gateway, "/v1/chat/completions", {**CHAT, "model": model}, LISTED_KEY), 400, "invalid_path")


GEMINI = {"model": "cheap", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


@pytest.mark.parametrize("spelling", [
    "dear:generateContent", "dear%3AgenerateContent", "d%65ar:generateContent", "dear:rawPredict", "dear:generateContent/",
    "dear:streamGenerateContent?alt=sse",
])
def test_the_address_decides_which_model_is_asked(gateway, spelling):
    """A key for some models does not get another by writing its address differently."""
    for version in ["v1beta", "v1", "v1alpha"]:
        refused(ask(gateway, f"/gem/{version}/models/{spelling}", GEMINI, LISTED_KEY), 403, "model_not_allowed")
    answer = ask(gateway, "/gem/v1beta/models/che%61p%3AgenerateContent", GEMINI, LISTED_KEY)
    assert answer.status == 200 and answer.forwarded[0][1] == "/v1beta/models/cheap:generateContent"
    told = record(gateway, answer)
    assert (told["model"], told["cost"]) == ("cheap", 2_000_000_000)


@pytest.mark.parametrize("path", [
    "/house/v1/chat/..;/x", "/house/v1/chat%2f..%2fx", "/house/v1/x%253f", "/house/v1/x%3fa", "/house/v1/x%23a",
    "/house/v1//x", "/house/v1/%2fx", "/house/v1/x%5cy", "/house/v1/x%0a", "/house/v1/x%zz",
])
def test_what_may_be_read_in_two_ways_is_refused(gateway, path):
    refused(ask(gateway, path), 400, "invalid_path")


def test_a_chat_is_one_however_its_path_is_spelt(gateway):
    before = spent_usd(gateway, "spent")
    for number, path in enumerate(["completions", "completion%73", "%63ompletions?x=1"]):
        answer = ask(gateway, f"/house/v1/chat/{path}", {**CHAT, "stream": True}, SPENT_KEY)
        assert answer.status == 200, answer.text
        assert answer.forwarded[0][1].split("?")[0] == "/v1/chat/completions"
        told = record(gateway, answer)
        assert told["counted"] == "estimated" and told["cost"] > 0, path
        wait_for(lambda: spent_usd(gateway, "spent") > before + 0.05 * (number + 1), "the budget")


UNKNOWN = [
    ("POST", "/house/v1/videos", CHAT), ("POST", "/house/v1/chat/completions/", CHAT), ("GET", "/house/v1/chat/completions", None),
    ("GET", "/house/v1/chat/completions", CHAT), ("GET", "/house/v1/videos/1", None), ("PUT", "/house/v1/files/x", CHAT),
]


@pytest.mark.parametrize(("method", "path", "body"), UNKNOWN)
def test_what_nobody_knows_the_cost_of_is_not_free(gateway, method, path, body):
    refused(ask(gateway, path, body, SPENT_KEY, method), 403, "path_unpriced", "unpriced: allow")
    refused(ask(gateway, path, body, LISTED_KEY, method), 403, "model_not_allowed", "house/*")
    for key in [APP_KEY, LAX_KEY]:
        answer = ask(gateway, path, body, key, method)
        assert answer.status == 200, answer.text
        told = record(gateway, answer)
        assert (told["cost"], told["model"]) == (None, "") and told["counted"] != "nothing"


def test_what_is_known_to_be_free_is_free(gateway):
    before = spent_usd(gateway, "spent")
    for method, path in [
        ("GET", "/house/v1/models"), ("GET", "/house/v1/models/echo"), ("GET", "/gem/v1beta/models"),
        ("GET", "/house/v1/files/file-1"), ("POST", "/house/v1/files"), ("GET", "/gem/v1/files/f"),
    ]:
        answer = ask(gateway, path, None, SPENT_KEY, method)
        assert answer.status == 200, (path, answer.text)
        assert record(gateway, answer)["cost"] == 0, path
    assert spent_usd(gateway, "spent") == before


def test_a_batch_that_is_passed_through_is_charged_when_it_has_ended(gateway):
    before = spent_usd(gateway, "spent")
    for _ in range(2):
        answer = ask(gateway, "/house/v1/batches/batch_passed", None, SPENT_KEY, "GET")
        assert record(gateway, answer)["cost"] == 0
    wait_for(lambda: spent_usd(gateway, "spent") == pytest.approx(before + 2), "the budget")
    # A list of models holds for what a batch asks, which its request does not say.
    refused(ask(gateway, "/house/v1/batches", {"model": "cheap"}, LISTED_KEY), 403, "model_not_allowed")


def test_a_request_is_not_taken_for_another_one(gateway):
    override = {name: "POST" for name in ["x_http_method_override", "x_http_method", "x_method_override"]}
    answer = ask(gateway, "/house/v1/models", None, method="GET", **override, x_original_url="/a", x_rewrite_url="/b", x_kept="1")
    kept = answer.forwarded[0][2]
    assert kept["x-kept"] == "1"
    assert not [name for name in kept if "method" in name or name.endswith("-url")], kept


def test_the_end_user_is_the_same_however_it_is_asked(gateway):
    asked = [ask(gateway, "/v1/chat/completions", {**CHAT, "model": "house/cheap", "user": "ada"}, USERS_KEY).status for _ in range(3)]
    assert asked == [200, 200, 429]
    passed = {**CHAT, "model": "cheap"}
    refused(ask(gateway, "/house/v1/chat/completions", {**passed, "user": "ada"}, USERS_KEY), 429)
    refused(ask(gateway, "/house/v1/videos", {"safety_identifier": "ada"}, USERS_KEY), 429)
    refused(ask(gateway, "/gem/v1beta/models/cheap:generateContent", {**GEMINI, "user": "ada"}, USERS_KEY), 429)
    refused(ask(gateway, "/house/v1/messages", {**passed, "metadata": {"user_id": "ada"}}, USERS_KEY), 429)
    answer = ask(gateway, "/house/v1/chat/completions", {**passed, "user": "bob"}, USERS_KEY)
    assert answer.status == 200 and record(gateway, answer)["end_user"] == "bob"
    # What the header says goes before.
    answer = ask(gateway, "/house/v1/chat/completions", {**passed, "user": "ada"}, USERS_KEY, x_tollgate_user="eve")
    assert answer.status == 200 and record(gateway, answer)["end_user"] == "eve"
