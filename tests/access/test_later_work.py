"""What is done after its request was answered, and what cannot be true: both are charged once, and neither stops the journal."""

import http.server
import json
import subprocess
import threading
import urllib.parse

import pytest
from conftest import ADMIN_KEY, APP_KEY, Gateway, wait_for
from test_admin import ask, database

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1 }}
data_dir: {data}
{store}
retries: {{ max: 0 }}
providers:
  house:
    dialect: openai_chat
    base_url: "{provider}/v1"
    api_key: sk-house
    models:
      echo: {{ price: {{ input: 1000, output: 1000 }} }}
      cheap: {{ price: {{ input: 1, output: 1 }} }}
      absurd: {{ price: {{ input: 1, output: 1, cached: 1 }} }}
  resp:
    dialect: openai_responses
    base_url: "{provider}/v1"
    api_key: sk-resp
    models: {{ echo: {{ price: {{ input: 1000, output: 1000 }} }} }}
  openai: {{ api_key: sk-openai, base_url: "{provider}/v1" }}
keys:
  - {{ name: boss, key: {admin}, admin: true }}
  - {{ name: app, key: {app}, budget: [ {{ usd: 500, per: month }} ] }}
"""
ENDED_S = 1_795_219_200
USAGE = {"input_tokens": 1000, "output_tokens": 1000, "total_tokens": 2000}


class Provider(http.server.BaseHTTPRequestHandler):
    """Work is named as its model: `batch_echo`, `resp_echo`; `queued` has not ended."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/chat/completions"):
            return self.tell(completion(body["model"]))
        response = stored(body["input"], background=body.get("background", False))
        self.stream(response) if body.get("stream") else self.tell(response)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        name = path.rsplit("/", 1)[1]
        if name == "batches":
            return self.tell({"object": "list", "data": [batch("batch_echo"), batch("batch_queued")]})
        if "/batches/" in path:
            return self.tell(batch(name))
        response = stored(name, background="plain" not in name)
        self.stream(response) if "stream=true" in query else self.tell(response)

    def tell(self, answer, kind="application/json"):
        answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def stream(self, response):
        begun = {**response, "status": "in_progress", "usage": None}
        events = [
            {"type": "response.created", "sequence_number": 0, "response": begun},
            {"type": "response.completed", "sequence_number": 1, "response": response},
        ]
        lines = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self.tell(lines.encode(), "text/event-stream")


def completion(model):
    most = 2**64 - 1
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    if model == "absurd":
        usage = {"prompt_tokens": most, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": most}}
    message = {"role": "assistant", "content": "hello from the other side"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


def batch(name):
    ended = "queued" not in name
    return {
        "id": name, "object": "batch", "endpoint": "/v1/chat/completions", "model": name.partition("_")[2],
        "status": "completed" if ended else "in_progress", "created_at": ENDED_S - 9, "input_file_id": "file-1",
        "completed_at": ENDED_S if ended else None, "usage": USAGE if ended else None,
    }


def stored(name, background):
    ended = "queued" not in name
    return {
        "id": name, "object": "response", "created_at": ENDED_S, "status": "completed" if ended else "queued",
        "background": background, "model": "echo", "output": [], "usage": USAGE if ended else None,
    }


@pytest.fixture(scope="module")
def provider():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["sqlite", "postgres"])
def gateway(request, tmp_path, sim, provider):
    store, drop = database(request.param)
    gateway = Gateway(tmp_path, sim, CONFIG, store=store, provider=provider)
    yield gateway
    gateway.process.kill()
    gateway.process.wait()
    if drop:
        subprocess.run(drop, check=True)


def call(gateway, method, path, body=None, provider="resp"):
    answer = ask(gateway, method, path, body, APP_KEY, x_tollgate_provider=provider)
    assert answer.status == 200, answer.text
    return answer


def calls(gateway):
    """The journal, once it has everything that was done before."""
    last = call(gateway, "GET", "/v1/responses/queued").headers["x-tollgate-request-id"]
    read = lambda: ask(gateway, "GET", "calls?limit=1000").json["data"]
    return wait_for(lambda: (found := read()) and any(one["id"] == last for one in found) and found, "the journal")


def spent(gateway):
    """What the calls and the budget say that was spent, in US dollars."""
    sum_of = sum(one["cost"] or 0 for one in calls(gateway)) / 1e12
    [budget] = ask(gateway, "GET", "budgets").json["data"]
    assert float(budget["used_usd"]) == pytest.approx(sum_of)
    return sum_of


def test_a_use_that_cannot_be_true_is_not_believed(gateway):
    body = lambda model: {"model": f"house/{model}", "messages": [{"role": "user", "content": "hello there"}]}
    call(gateway, "POST", "/v1/chat/completions", body("cheap"))
    call(gateway, "POST", "/v1/chat/completions", body("absurd"))
    odd = [one for one in calls(gateway) if one["model"] == "absurd"]
    assert [one["counted"] for one in odd] == ["estimated"]
    assert 0 < odd[0]["tokens"]["input"] < 50 and 0 < odd[0]["tokens"]["output"] < 50
    assert 0 < odd[0]["cost"] < 1e12
    assert spent(gateway) < 1
    # Nothing of it keeps the gateway from starting again, or the journal from going on.
    gateway.kill()
    gateway.start()
    call(gateway, "POST", "/v1/chat/completions", body("cheap"))
    assert [one["model"] for one in calls(gateway)].count("cheap") == 2
    answer = ask(gateway, "GET", "/metrics")
    assert "tollgate_journal_refused_total 0" in answer.text


def test_a_dated_name_costs_what_its_model_does(gateway):
    for name in ["gpt-4.1", "gpt-4.1-2025-04-14"]:
        call(gateway, "GET", f"/v1/batches/batch_{name}", provider="openai")
    found = {one["model"]: one["cost"] for one in calls(gateway) if one["operation"] == "batches" and one["model"]}
    assert found == {"gpt-4.1": 5_000_000_000, "gpt-4.1-2025-04-14": 5_000_000_000}
    assert spent(gateway) == pytest.approx(0.01)


def test_work_without_a_price_is_not_free(gateway):
    for _ in range(2):
        call(gateway, "GET", "/v1/batches/batch_mystery", provider="house")
    [work] = [one for one in calls(gateway) if one["model"] == "mystery"]
    assert work["cost"] is None
    # A budget that allows nothing unpriced counts it as the provider's dearest model.
    [budget] = ask(gateway, "GET", "budgets").json["data"]
    assert float(budget["used_usd"]) == pytest.approx(2)


@pytest.mark.parametrize("path", [
    "/v1/responses/resp_1?stream=true", "/resp/v1/responses/resp_1", "/resp/v1/responses/resp_1?stream=true",
    "/v1/batches", "/house/v1/batches", "/house/v1/batches/batch_echo",
])
def test_each_look_at_ended_work_charges_it_once(gateway, path):
    name = "house" if "batches" in path else "resp"
    for _ in range(2):
        call(gateway, "GET", path, provider=name)
    assert spent(gateway) == pytest.approx(2)
    usual = "/v1/batches/batch_echo" if name == "house" else "/v1/responses/resp_1"
    call(gateway, "GET", usual, provider=name)
    assert spent(gateway) == pytest.approx(2)
    assert len([one for one in calls(gateway) if one["cost"]]) == 1


@pytest.mark.parametrize("path", ["/v1/responses", "/resp/v1/responses"])
@pytest.mark.parametrize("asked", [{"background": True, "stream": True}, {"background": True}, {"stream": True}, {}])
def test_a_response_is_charged_once(gateway, path, asked):
    name = "resp_1" if "background" in asked else "plain_1"
    model = "resp/echo" if path == "/v1/responses" else "echo"
    call(gateway, "POST", path, {"model": model, "input": name, **asked})
    assert spent(gateway) == pytest.approx(2)
    for look in [f"/v1/responses/{name}", f"/resp/v1/responses/{name}", f"/v1/responses/{name}?stream=true"]:
        call(gateway, "GET", look)
    assert spent(gateway) == pytest.approx(2)
