"""What happens when things break: one record for each call that reached a provider, and honest answers."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import ADMIN_KEY, APP_KEY, BINARY, Gateway, get, wait_for


def body(model, stream=True, text="hello there"):
    return json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]})


def anthropic_body(model, stream=True):
    return json.dumps(
        {"model": model, "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": "hello there"}]}
    )


def ask(gateway, text, path="/v1/chat/completions", timeout=25):
    """One call; the status, the headers and whatever came of the body."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=timeout)
    try:
        connection.request("POST", path, text, {"authorization": f"Bearer {APP_KEY}"})
        response = connection.getresponse()
        data = b""
        try:
            while piece := response.read1(65536):
                data += piece
        except (http.client.IncompleteRead, ConnectionError) as error:
            data += getattr(error, "partial", b"")
        return response.status, response.headers, data.decode(errors="replace")
    finally:
        connection.close()


def settled(gateway, headers):
    return gateway.record(headers["x-tollgate-request-id"])


STREAM_FAULTS = [
    ("cut=4", "cut", "cut"),
    ("end=4", "cut", "cut"),
    ("end=0", "cut", "cut"),
    ("stall=4", "cut", "timeout"),
    ("garbage", "cut", "garbage"),
    ("error=4", "cut", None),
]


@pytest.mark.parametrize("fault, outcome, kind", STREAM_FAULTS)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("provider", ["openai-sim", "anthropic-sim"])
def test_a_broken_stream_never_looks_finished(gateway, provider, path, fault, outcome, kind):
    make = anthropic_body if path == "/v1/messages" else body
    status, headers, text = ask(gateway, make(f"{provider}/echo!{fault}"), path)
    # What breaks before anything was handed on is an error answer, later an error event.
    assert status == 200 or (status >= 500 and json.loads(text)["error"]["message"])
    assert "[DONE]" not in text and "message_stop" not in text
    assert '"error"' in text
    record = settled(gateway, headers)
    assert record["outcome"] == outcome
    if kind:
        assert record["fault"] == kind
    assert len(record["attempts"]) == 1


# Whole answers have no events to end early or to tell of an error.
EARLY_FAULTS = [
    *[(fault, tries, stream) for fault, tries in [("garbage", 2), ("cut", 3), ("stall", 2)] for stream in (True, False)],
    ("end", 2, True),
    ("error", 2, True),
]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("fault, tries, stream", EARLY_FAULTS)
def test_an_answer_that_breaks_before_it_reaches_the_caller_goes_to_the_next_target(
    gateway, path, fault, tries, stream
):
    make = anthropic_body if path == "/v1/messages" else body
    status, headers, text = ask(gateway, make(f"after-{fault}", stream=stream), path)
    assert status == 200 and "hello" in text, text
    assert headers["x-tollgate-attempts"] == str(tries)
    record = settled(gateway, headers)
    assert record["outcome"] == "complete" and record["counted"] == "reported"
    assert [tried["fault"] is None for tried in record["attempts"]] == [False] * (tries - 1) + [True]


@pytest.mark.parametrize("fault, status", [("cut=1", 502), ("stall=1", 504), ("garbage", 502), ("status=503", 503), ("hang", 504), ("slow-head=1s", 504)])
def test_a_broken_whole_answer_is_a_fault(gateway, fault, status):
    got, headers, text = ask(gateway, body(f"openai-sim/echo!{fault}", stream=False))
    assert got == status, text
    assert headers["x-tollgate-origin"] == "upstream"
    assert json.loads(text)["error"]["message"]
    assert settled(gateway, headers)["status"] == status


def test_tokens_are_estimated_where_none_are_reported(gateway):
    _, headers, _ = ask(gateway, body("openai-sim/echo!no-usage"))
    record = settled(gateway, headers)
    assert record["outcome"] == "complete" and record["counted"] == "estimated"
    assert 5 <= record["tokens"]["output"] <= 40 and record["tokens"]["input"] > 0
    assert record["cost"] > 0


def test_a_model_without_a_price_is_unpriced_and_not_free(gateway):
    _, headers, _ = ask(gateway, body("openai-sim/other", stream=False))
    assert headers["x-tollgate-cost-usd"] == "unpriced"
    assert settled(gateway, headers)["cost"] is None


@pytest.mark.parametrize("provider", ["openai-sim", "anthropic-sim"])
def test_a_caller_that_goes_away_cancels_its_call(gateway, sim, provider):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    text = body(f"{provider}/echo!pace=20ms,words=400")
    connection.request("POST", "/v1/chat/completions", text, {"authorization": f"Bearer {APP_KEY}"})
    response = connection.getresponse()
    for _ in range(5):
        response.readline()
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    record = settled(gateway, response.headers)
    assert record["outcome"] == "cancelled"
    assert record["counted"] == "estimated" and record["tokens"]["output"] > 0 and record["cost"] > 0
    wait_for(lambda: sim.calls()["calls"][-1]["gone"], "the provider to learn of it")


def test_a_caller_that_goes_away_before_the_answer_is_recorded(gateway, sim):
    before = len(gateway.records())
    connection = socket.create_connection(("127.0.0.1", gateway.port))
    text = body("openai-sim/echo!latency=2s")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {APP_KEY}\r\ncontent-length: {len(text)}\r\n\r\n"
    connection.sendall((head + text).encode())
    wait_for(lambda: sim.calls()["calls"] and sim.calls()["calls"][-1]["model"].endswith("latency=2s"), "the call")
    connection.close()
    records = wait_for(lambda: (found := gateway.records()) and len(found) > before and found, "the record")
    assert records[-1]["outcome"] == "cancelled"


def test_limits(gateway):
    status, headers, text = ask(gateway, body("openai-sim/echo", text="x" * (3 << 20)))
    assert status == 413 and "server.limits.body" in text
    for bad in ["", "{", "[]", '{"model": 7}', '{"model":"a","model":"b"}', "\x00" * 100]:
        status, _, text = ask(gateway, bad)
        assert status == 400 and json.loads(text)["error"]["message"]
    status, _, _ = ask(gateway, "{}", "/v1/nothing")
    assert status == 404
    deep = '{"model":"openai-sim/echo","messages":' + "[" * 100_000 + "]" * 100_000 + "}"
    status, _, text = ask(gateway, deep, timeout=25)
    assert status in (400, 500, 502) or "error" in text
    assert get(f"{gateway.url}/readyz")


def test_admin_side_is_closed(gateway):
    for path in ["/metrics", "/admin/v1/keys", "/admin/v1/calls"]:
        for key in [None, APP_KEY]:
            with pytest.raises(Exception) as refused:
                get(f"{gateway.url}{path}", key)
            assert refused.value.code in (401, 403)


def test_metrics(gateway):
    ask(gateway, body("openai-sim/echo", stream=False))
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("GET", "/metrics", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    text = connection.getresponse().read().decode()
    assert 'tollgate_calls_total{provider="openai-sim",model="echo",outcome="complete"}' in text
    assert "tollgate_call_seconds_bucket" in text


def test_keys_are_made_and_revoked_at_once(gateway):
    made = gateway.run("keys", "create", "fresh", "--model", "openai-sim/*", "--json")
    key = json.loads(made.stdout)["key"]

    def status():
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
        connection.request("POST", "/v1/chat/completions", body("openai-sim/echo", False), {"x-api-key": key})
        return connection.getresponse().status

    assert status() == 200
    assert key not in gateway.run("keys", "list").stdout
    assert gateway.run("keys", "revoke", "fresh").returncode == 0
    assert status() == 401


def test_a_broken_file_leaves_the_old_configuration_in_force(gateway):
    good = gateway.file.read_text()
    stop = threading.Event()
    statuses = []

    def load():
        while not stop.is_set():
            statuses.append(ask(gateway, body("openai-sim/echo", stream=False))[0])

    threads = [threading.Thread(target=load) for _ in range(4)]
    [thread.start() for thread in threads]
    try:
        gateway.file.write_text(good + "\nmodles: {}\n")
        wait_for(lambda: "unknown key" in gateway.log.read_text(), "the error in the log")
        gateway.file.write_text(good.replace("both: [ nobody/echo, openai-sim/echo ]", "renamed: openai-sim/echo"))
        wait_for(lambda: ask(gateway, body("renamed", stream=False))[0] == 200, "the new name")
        assert ask(gateway, body("both", stream=False))[0] == 404
        gateway.file.write_text(good)
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: ask(gateway, body("both", stream=False))[0] == 200, "the old name")
    finally:
        stop.set()
        [thread.join() for thread in threads]
    assert len(statuses) > 20 and set(statuses) == {200}


def test_secrets_are_in_no_log(gateway):
    text = gateway.log.read_text()
    for secret in [APP_KEY, "sk-test-upstream"]:
        assert secret not in text


def test_a_stop_lets_streams_finish(tmp_path, sim):
    gateway = Gateway(tmp_path, sim)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(ask(gateway, body("openai-sim/echo!pace=20ms,words=40"))))
        for _ in range(8)
    ]
    [thread.start() for thread in threads]
    started = sim.calls()["total"]
    wait_for(lambda: sim.calls()["total"] >= started and len(threading.enumerate()) > 8, "the calls")
    time.sleep(0.3)
    assert gateway.stop() == 0
    [thread.join() for thread in threads]
    assert len(results) == 8
    assert all(status == 200 and "[DONE]" in text for status, _, text in results)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", gateway.port), timeout=1)
    gateway.start()
    assert [record["outcome"] for record in gateway.records()] == ["complete"] * 8
    gateway.kill()


def test_killed_under_load_every_call_has_one_record(tmp_path, sim):
    """Kill -9, several times; then each call that reached the provider has exactly one record."""
    gateway = Gateway(tmp_path, sim)
    sim.reset()
    for _ in range(4):
        stop = threading.Event()

        def load():
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    fault = ["", "!pace=2ms,words=30", "!cut=3"][number % 3]
                    ask(gateway, body(f"openai-sim/echo{fault}", stream=number % 2 == 0), timeout=5)
                except (OSError, http.client.HTTPException):
                    pass

        threads = [threading.Thread(target=load) for _ in range(8)]
        [thread.start() for thread in threads]
        time.sleep(0.7)
        gateway.kill()
        stop.set()
        [thread.join() for thread in threads]
        gateway.start()
    records = gateway.records()
    seen = sim.calls()["total"]
    attempts = sum(attempt["sent"] for record in records for attempt in record["attempts"])
    ids = [record["id"] for record in records]
    assert len(ids) == len(set(ids))
    unknown = sum(record["outcome"] == "unknown" for record in records)
    # A call that was noted when the kill came may not have left: it is recorded, and counted as unknown.
    assert seen <= attempts <= seen + unknown, (seen, attempts, unknown)
    assert seen > 100
    gateway.kill()


def test_two_cannot_serve_from_one_directory(gateway):
    second = subprocess.run(
        [BINARY, "serve", "--config", str(gateway.file), "--listen", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=20, env={**os.environ},
    )
    assert second.returncode == 1 and "another tollgate" in second.stderr


def test_an_invalid_file_is_told_at_the_start(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("server: { listen: nowhere }\nmodels: { smart: openia/gpt }\nproviders: { opnai: {} }\n")
    done = subprocess.run([BINARY, "check", str(file)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert f'{file}:1:19  server.listen  "nowhere" is no address' in done.stderr
    assert 'did you mean "openai"' in done.stderr
    assert "3 errors. Nothing was applied." in done.stderr
