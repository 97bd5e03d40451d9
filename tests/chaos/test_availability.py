"""Three providers, of which one fails every second call, one never answers and one is well: how many calls succeed."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import time

import pytest
from conftest import APP_KEY, Gateway

PAGE = pathlib.Path(__file__).parents[2] / "docs/failures.md"
MARKS = ("<!-- availability -->", "<!-- end of availability -->")
CALLS = 320
AT_ONCE = 16

CONFIG = """
server: {{ listen: "127.0.0.1:{port}" }}
data_dir: {data}
deadlines: {{ first_byte: 1s }}
providers: {providers}
models: {models}
keys: [ {{ name: app, key: {app} }}, {{ name: boss, key: {admin}, admin: true }} ]
"""

# How a name is set, whether its targets may rest, and what its caller wishes.
SETTINGS = {
    "one attempt, in turns": ({"strategy": "round_robin", "retries": {"max": 0}}, False, {"allow_fallbacks": False}),
    "defaults, in turns": ({"strategy": "round_robin"}, True, {}),
    "defaults, by latency": ({"strategy": "latency"}, True, {}),
    "defaults, as they stand": ({}, True, {}),
}
RUNS = [(setting, stream) for setting in SETTINGS for stream in (False, True)]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim):
    providers, models = {}, {}
    for number, (setting, stream) in enumerate(RUNS):
        name, (settings, rests, _) = f"run-{number}", SETTINGS[setting]
        targets = [f"fails-{number}/echo!fail=50%", f"hangs-{number}/echo!hang", f"well-{number}/echo"]
        for target in targets:
            health = {} if rests else {"failures": 0, "failure_share": "0%"}
            providers[target.split("/")[0]] = {
                "dialect": "openai_chat", "base_url": f"{sim.url}/v1", "api_key": "sk-test", "health": health,
            }
        models[name] = {**settings, "targets": targets}
    folder = tmp_path_factory.mktemp("availability")
    gateway = Gateway(folder, sim, CONFIG, providers=json.dumps(providers), models=json.dumps(models))
    yield gateway
    gateway.process.kill()


def call(gateway, model, stream, wishes):
    """Whether a call succeeded, and how long it took."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello there"}]}
        headers = {"authorization": f"Bearer {APP_KEY}", "x-tollgate-route": json.dumps(wishes)}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    good = response.status == 200 and ("data: [DONE]" in text if stream else '"finish_reason"' in text)
    return good, time.monotonic() - began


@pytest.mark.parametrize("number", range(len(RUNS)), ids=lambda number: f"{RUNS[number][0]}, {'stream' if RUNS[number][1] else 'whole'}")
def test_how_many_calls_succeed(gateway, number):
    setting, stream = RUNS[number]
    wishes = SETTINGS[setting][2]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(lambda _: call(gateway, f"run-{number}", stream, wishes), range(CALLS)))
    rate = sum(good for good, _ in ended) / CALLS
    times = sorted(took for _, took in ended)
    p50, p99 = times[CALLS // 2], times[CALLS * 99 // 100]
    line = f"| {setting} | {'stream' if stream else 'whole'} | {rate:.1%} | {p50 * 1e3:.0f} ms | {p99 * 1e3:.0f} ms |"
    print(line)
    LINES.append(line)
    if wishes:
        # Half of a third, and all of another.
        assert 0.4 < rate < 0.6
    else:
        assert rate >= 0.995


LINES = []


def test_the_page_has_the_figures():
    """They are measurements: the page has those of the run that wrote it."""
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    told, _, behind = rest.partition(MARKS[1])
    if os.environ.get("TOLLGATE_UPDATE") and len(LINES) == len(RUNS):
        told = "\n| how the name is set | answer | calls that succeed | p50 | p99 |\n| --- | --- | --- | --- | --- |\n"
        told += "".join(line + "\n" for line in LINES) + "\n"
        PAGE.write_text(f"{before}{MARKS[0]}\n{told}{MARKS[1]}{behind}")
    for setting, stream in RUNS:
        assert f"| {setting} | {'stream' if stream else 'whole'} |" in told
