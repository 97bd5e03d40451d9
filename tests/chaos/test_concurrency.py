"""Places at a provider: how many calls it is sent at a time, who waits for one, and who is let in first."""

import collections
import http.client
import json
import re
import socket
import threading

import pytest
from conftest import ADMIN_KEY, APP_KEY, NARROW_KEY, Gateway, get, wait_for

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: {threads}, metrics: {{ public: true }} }}
data_dir: {data}
deadlines: {{ connect: 2s, first_byte: 20s, between_events: 5s, total: 30s }}
retries: {{ backoff: 20ms }}
providers:
  house:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-house
    concurrency: {concurrency}
    queue: {queue}
  cloud: {{ dialect: anthropic_messages, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-cloud }}
models:
  spills: [ "house/echo", "cloud/echo" ]
  nightly: {{ targets: house/echo, priority: batch }}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: other, key: {narrow} }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


@pytest.fixture
def start(tmp_path, sim):
    started = []

    def start(concurrency="1", queue="{ max: 20, wait: 20s }", threads=2, config=CONFIG):
        wait_for(lambda: sim.calls()["in_flight"] == 0, "calls of other tests to end")
        sim.reset()
        started.append(Gateway(tmp_path, sim, config, concurrency=concurrency, queue=queue, threads=threads))
        return started[-1]

    yield start
    for gateway in started:
        gateway.process.kill()


class Call:
    """A call on a connection of its own."""

    def __init__(self, gateway, model="house/echo", text="hello", path="/v1/chat/completions", key=APP_KEY, **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("POST", path, json.dumps(body), {"authorization": f"Bearer {key}", **headers})

    def answer(self):
        response = self.connection.getresponse()
        body = json.loads(response.read())
        self.connection.close()
        return response.status, response.headers, body

    def go_away(self):
        self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def metrics(gateway):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {name: float(value) for name, value in re.findall(r"^(tollgate_[^#]*?) (\S+)$", text, re.M)}


def queued(gateway):
    found = metrics(gateway).items()
    return sum(int(value) for name, value in found if name.startswith("tollgate_queue_length"))


def wait_for_queue(gateway, length):
    wait_for(lambda: queued(gateway) == length, f"{length} calls to wait")


def in_flight(gateway):
    return metrics(gateway)['tollgate_concurrency_in_flight{provider="house"}']


def blocked(gateway, sim, count=1):
    """Calls that hold places until they go away."""
    gateway.blockers = calls = [Call(gateway, "house/echo!hang") for _ in range(count)]
    wait_for(lambda: sim.calls()["total"] == in_flight(gateway) == count, "the places to be taken")
    return calls


def test_the_limit_holds_over_all_cores(start, sim):
    gateway = start("3", "{ max: 100, wait: 20s }", threads=4)
    statuses = []

    def ask():
        statuses.append(Call(gateway, "house/echo!latency=20ms").answer()[0])

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40
    assert sim.calls()["peak"] == 3
    assert in_flight(gateway) == 0 and queued(gateway) == 0
    assert metrics(gateway)['tollgate_queue_wait_seconds_count{provider="house"}'] > 0


def test_priorities_overtake_and_keys_take_turns(start, sim):
    gateway = start()
    (blocker,) = blocked(gateway, sim)
    waiting = []

    def wait(text, model="house/echo", key=APP_KEY, **headers):
        waiting.append(Call(gateway, model, text, key=key, traceparent=text, **headers))
        wait_for_queue(gateway, len(waiting))

    # The class is the model's, or what the caller says.
    wait("batch-1", "nightly")
    wait("batch-2", x_tollgate_priority="batch")
    wait("default-1")
    wait("default-2")
    wait("default-other", key=NARROW_KEY)
    wait("interactive-1", "nightly", x_tollgate_priority="interactive")
    wait("interactive-2", x_tollgate_priority="interactive")
    blocker.go_away()
    assert [call.answer()[0] for call in waiting] == [200] * len(waiting)
    order = [call["request_id"] for call in sim.calls()["calls"] if call["request_id"]]
    assert order == [
        "interactive-1", "interactive-2", "default-1", "default-other", "default-2", "batch-1", "batch-2",
    ]


def test_a_class_of_service_that_is_none_is_refused(start):
    status, _, body = Call(start(), x_tollgate_priority="urgent").answer()
    assert status == 400
    assert body["error"]["code"] == "invalid_priority" and body["error"]["param"] == "x-tollgate-priority"


@pytest.mark.parametrize("path, status, kind", [
    ("/v1/chat/completions", 503, None), ("/v1/messages", 529, "overloaded_error"),
])
@pytest.mark.parametrize("queue, code", [
    ("{ max: 1, wait: 20s }", "queue_full"),
    ("{ max: 0 }", "queue_full"),
    ("{ max: 5, wait: 50ms }", "queue_timeout"),
])
def test_who_is_not_let_in_is_told_so(start, sim, path, status, kind, queue, code):
    gateway = start(queue=queue)
    blocked(gateway, sim)
    waiting = Call(gateway) if "max: 1" in queue else None
    if waiting:
        wait_for_queue(gateway, 1)
    got, headers, body = Call(gateway, path=path).answer()
    assert (got, body["error"]["code"]) == (status, code), body
    assert kind is None or body["error"]["type"] == kind
    assert "providers.house." in body["error"]["message"]
    assert int(headers["retry-after"]) >= 1
    assert headers["x-tollgate-origin"] == "gateway"
    assert metrics(gateway)[f'tollgate_queue_refused_total{{provider="house",reason="{code}"}}'] == 1
    # Nothing has reached the provider, and nothing was written down.
    assert sim.calls()["total"] == 1
    assert gateway.records() == []


def test_a_deadline_holds_in_the_queue(start, sim):
    gateway = start()
    blocked(gateway, sim)
    status, _, body = Call(gateway, x_tollgate_timeout="100ms").answer()
    assert (status, body["error"]["code"]) == (503, "queue_timeout")
    assert queued(gateway) == 0


def test_a_full_queue_spills_over_to_the_next_target(start, sim):
    gateway = start(queue="{ max: 0 }")
    blocked(gateway, sim)
    for _ in range(30):
        status, headers, _ = Call(gateway, "spills").answer()
        assert (status, headers["x-tollgate-target"]) == (200, "cloud/echo")
    assert headers["x-tollgate-attempts"] == "1", "the first was not asked"


def test_callers_that_go_away_free_their_places(start, sim):
    gateway = start("2", "{ max: 3, wait: 20s }")
    blockers = blocked(gateway, sim, 2)
    waiting = [Call(gateway) for _ in range(3)]
    wait_for_queue(gateway, 3)
    waiting[1].go_away()
    wait_for_queue(gateway, 2)
    again = Call(gateway)
    wait_for_queue(gateway, 3)
    for blocker in blockers:
        blocker.go_away()
    for call in (waiting[0], waiting[2], again):
        assert call.answer()[0] == 200
    wait_for(lambda: in_flight(gateway) == 0, "the places to be free")
    records = wait_for(lambda: len(gateway.records()) >= 5 and gateway.records(), "the records")
    assert collections.Counter(record["outcome"] for record in records) == {"cancelled": 2, "complete": 3}


def test_whoever_takes_the_most_gives_way(start, sim):
    gateway = start(queue="{ max: 2, wait: 20s }")
    (blocker,) = blocked(gateway, sim)
    batch = []
    for number in range(2):
        batch.append(Call(gateway, "nightly"))
        wait_for_queue(gateway, number + 1)
    urgent = Call(gateway, x_tollgate_priority="interactive")
    status, _, body = batch[1].answer()
    assert (status, body["error"]["code"]) == (503, "queue_full")
    blocker.go_away()
    assert urgent.answer()[0] == 200 and batch[0].answer()[0] == 200


def test_limits_survive_a_reload(start, sim):
    gateway = start()
    blockers = blocked(gateway, sim)
    waiting = Call(gateway)
    wait_for_queue(gateway, 1)
    text = gateway.file.read_text()
    gateway.file.write_text(text.replace("concurrency: 1", "concurrency: 2"))
    assert waiting.answer()[0] == 200
    assert metrics(gateway)['tollgate_concurrency_limit{provider="house"}'] == 2
    assert in_flight(gateway) == 1, "what was in flight still counts"
    blockers[0].go_away()
    wait_for(lambda: in_flight(gateway) == 0, "the place to be free")


def test_a_learned_limit_grows_and_falls(start, sim):
    gateway = start("{ max: 16, min: 2, adapt: aimd }", "{ max: 100, wait: 20s }")
    limit = lambda: metrics(gateway)['tollgate_concurrency_limit{provider="house"}']
    assert limit() == 2

    def ask_many(model, count):
        def ask():
            for _ in range(count):
                Call(gateway, model).answer()

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    ask_many("house/echo!latency=5ms", 15)
    grown = limit()
    assert grown > 4
    ask_many("house/echo!status=503", 2)
    assert 2 <= limit() < grown
    assert sim.calls()["peak"] <= 16


CHECKED = """
server: {{ listen: "127.0.0.1:{port}", threads: 2, metrics: {{ public: true }} }}
data_dir: {data}
providers:
  house:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-house
    health: {{ check: {{ path: /health, every: 50ms, timeout: 2s, failures: 2 }} }}
  asked:
    dialect: anthropic_messages
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-asked
    health: {{ check: {{ model: echo, every: 50ms }} }}
  broken:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-invalid
    health: {{ check: {{ model: echo, every: 50ms, failures: 1 }} }}
  cloud: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-cloud }}
models:
  smart: [ house/echo, cloud/echo ]
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


def test_a_health_check_takes_a_provider_out_and_back(start, sim):
    gateway = start(config=CHECKED)

    def up(provider):
        return metrics(gateway).get(f'tollgate_provider_up{{provider="{provider}"}}')

    def target():
        return Call(gateway, "smart").answer()[1]["x-tollgate-target"]

    def health(status):
        get(f"{sim.url}/sim/health?status={status}", method="POST")

    wait_for(lambda: up("house") == 1 and up("asked") == 1 and up("broken") == 0, "the first answers")
    assert {target() for _ in range(8)} == {"house/echo"}
    try:
        health(503)
        wait_for(lambda: up("house") == 0, "the provider to be found ill")
        # All cores have heard of it.
        assert {target() for _ in range(8)} == {"cloud/echo"}
        assert Call(gateway, "house/echo").answer()[0] == 200, "where nothing else is left it is asked"
    finally:
        health(200)
    wait_for(lambda: up("house") == 1, "the provider to be found well")
    assert {target() for _ in range(8)} == {"house/echo"}
    # Nobody's key asks: these questions are in no journal.
    assert {record["key_name"] for record in gateway.records()} <= {"app"}
    # Who is not asked any more is not ill any more.
    health(503)
    wait_for(lambda: up("house") == 0, "the provider to be found ill")
    text = gateway.file.read_text()
    gateway.file.write_text(re.sub(r"health: \{ check: \{ path.*", "", text))
    wait_for(lambda: up("house") is None, "the new configuration")
    health(200)
    assert target() == "house/echo"
