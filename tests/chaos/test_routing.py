"""Where calls go: strategies, rules, demands, pools of keys, hedges, streams that are held back, and why."""

import collections
import http.client
import json
import subprocess
import urllib.request

import pytest
from conftest import ADMIN_KEY, APP_KEY, BINARY, Gateway

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1 }}
data_dir: {data}
deadlines: {{ connect: 2s, first_byte: 3s, between_events: 2s, total: 10s }}
retries: {{ backoff: 20ms }}
providers:
  dear:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-dear
    regions: us
    models:
      echo: {{ context_tokens: 100000, can: [tools, vision], price: {{ input: 10, cached: 1, output: 30 }} }}
      "echo!latency=700ms": {{ price: {{ input: 10, output: 30 }} }}
      "echo!cut=6,times=1": {{ price: {{ input: 10, output: 30 }} }}
      "echo!stall=6": {{ price: {{ input: 10, output: 30 }} }}
      "echo!cut=6": {{ price: {{ input: 10, output: 30 }} }}
  cheap:
    dialect: anthropic_messages
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-cheap
    regions: eu
    data: [ no_training ]
    models:
      echo: {{ context_tokens: 4000, can: [tools], price: {{ input: 1, output: 3 }} }}
      other: {{ price: {{ input: 1, output: 3 }} }}
  pool:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_keys:
      - {{ name: spoilt, key: sk-invalid }}
      - {{ name: good, key: sk-good, weight: 3 }}
      - {{ name: narrow, key: sk-narrow, models: [ "other*" ] }}
    models: {{ echo: {{ price: {{ input: 1, output: 2 }} }} }}
models:
  cheapest: {{ strategy: cheapest, targets: [ dear/echo, cheap/echo ] }}
  weighted: {{ strategy: weighted, targets: [ {{ model: dear/echo, weight: 3 }}, {{ model: cheap/echo, weight: 1 }} ] }}
  turns: {{ strategy: round_robin, targets: [ dear/echo, cheap/echo ] }}
  sticky: {{ strategy: sticky, targets: [ dear/echo, cheap/echo, cheap/other ] }}
  european: {{ targets: [ dear/echo, cheap/echo ], only: {{ regions: [ eu ], data: no_training }} }}
  nowhere: {{ targets: [ dear/echo, cheap/echo ], only: {{ regions: [ mars ] }} }}
  ruled:
    route:
      - {{ when: 'headers["x-team"] == "search"', to: cheap/echo }}
      - {{ when: "request.tokens > 1000", to: turns }}
      - {{ when: 'request.intent == "refund"', to: cheap/other }}
    targets: [ dear/echo, {{ model: cheap/other, when: "request.stream" }} ]
  pooled: pool/echo
  hedged:
    targets: [ "dear/echo!latency=700ms", cheap/echo ]
    hedge: {{ after: 100ms, calls: 100%, cost: 100% }}
  continued: {{ targets: [ "dear/echo!cut=6,times=1", cheap/echo ], on_break: continue }}
  continued-own: {{ targets: [ "dear/echo!stall=6", dear/echo ], on_break: continue }}
  continued-not: {{ targets: [ "dear/echo!cut=6", "dear/echo!status=500" ], on_break: continue, retries: {{ max: 0 }} }}
  first-token:
    targets: [ "dear/echo!first-event=2500ms", cheap/echo ]
    deadlines: {{ first_token: 300ms }}
  kept-in: {{ targets: [ "cheap/echo!refuse=context" ], only: {{ regions: eu }}, fallbacks: {{ context_too_long: [ dear/echo ] }} }}
  let-out: {{ targets: [ "cheap/echo!refuse=context" ], fallbacks: {{ context_too_long: [ dear/echo ] }} }}
  slow: [ "dear/echo!latency=400ms", cheap/echo ]
  window: {{ targets: [ cheap/echo ], fallbacks: {{ context_too_long: [ dear/echo ] }} }}
  by-difficulty:
    route: [ {{ when: "request.difficulty > 0.5", to: dear/echo }} ]
    targets: cheap/echo
intents:
  refund: [ I want my money back, please refund my order, give me a refund, return the money for this purchase ]
  greeting: [ hello, good morning, hi there, how are you ]
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim):
    gateway = Gateway(tmp_path_factory.mktemp("routing"), sim, CONFIG)
    yield gateway
    gateway.process.kill()


def ask(gateway, model, text="hello there", headers=None, key=APP_KEY, path="/v1/chat/completions", **members):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **members}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    try:
        connection.request("POST", path, json.dumps(body), {"authorization": f"Bearer {key}", **(headers or {})})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def target(gateway, model, **more):
    status, headers, text = ask(gateway, model, **more)
    assert status == 200, text
    return headers["x-tollgate-target"]


def test_the_cheapest_is_asked_and_what_cannot_take_it_is_not(gateway):
    assert target(gateway, "cheapest") == "cheap/echo"
    picture = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    status, headers, text = ask(gateway, "cheapest", text=picture)
    assert status == 200 and headers["x-tollgate-target"] == "dear/echo", text
    routed = gateway.record(headers["x-tollgate-request-id"])["routed"]
    assert routed["strategy"] == "cheapest"
    whys = {f"{one['provider']}/{one['model']}": one["why"] for one in routed["candidates"]}
    assert whys == {"dear/echo": "ready", "cheap/echo": "it has no vision"}
    assert target(gateway, "cheapest", text="word " * 5000) == "dear/echo"


def test_weights_and_turns(gateway):
    count = collections.Counter(target(gateway, "turns") for _ in range(10))
    assert count == {"dear/echo": 5, "cheap/echo": 5}
    count = collections.Counter(target(gateway, "weighted") for _ in range(80))
    assert 35 <= count["dear/echo"] <= 75 and count["cheap/echo"] >= 5, count


def test_a_session_stays_where_it_is(gateway):
    places = {}
    for session in range(12):
        headers = {"x-tollgate-session": f"session-{session}"}
        found = {target(gateway, "sticky", text=f"turn {turn}", headers=headers) for turn in range(3)}
        assert len(found) == 1
        places[session] = found.pop()
    assert len(set(places.values())) > 1, places
    # Without one, the beginning of the conversation holds it together.
    turns = [{"role": "user", "content": "a beginning"}]
    first = target(gateway, "sticky", messages=turns)
    turns += [{"role": "assistant", "content": "an answer"}, {"role": "user", "content": "more"}]
    assert target(gateway, "sticky", messages=turns) == first


def test_demands_are_kept_or_refused(gateway):
    assert target(gateway, "european") == "cheap/echo"
    status, _, text = ask(gateway, "nowhere")
    assert status == 400 and json.loads(text)["error"]["code"] == "no_target_fits"
    assert "its region is us, not mars" in text and "cheap/echo" in text


def test_demands_and_wishes_hold_for_fallbacks_and_direct_names(gateway):
    assert target(gateway, "let-out") == "dear/echo"
    assert ask(gateway, "kept-in")[0] == 400, "its data stays in the region"
    assert ask(gateway, "let-out", headers={"x-tollgate-route": '{"ignore":["dear"]}'})[0] == 400
    assert target(gateway, "dear/echo", headers={"x-tollgate-route": '{"max_price":{"input":10}}'}) == "dear/echo"
    status, _, text = ask(gateway, "dear/echo", headers={"x-tollgate-route": '{"max_price":{"input":9}}'})
    assert status == 400 and "its price of input is over the most" in text, text


def test_a_caller_in_a_hurry_rests_nobody(gateway):
    for _ in range(8):
        status, headers, _ = ask(gateway, "slow", headers={"x-tollgate-timeout": "50ms"})
        assert status == 504 and headers["x-tollgate-attempts"] == "1"
    status, headers, text = ask(gateway, "slow")
    assert status == 200 and headers["x-tollgate-target"] == "dear/echo!latency=400ms", text


def test_rules_send_requests_elsewhere(gateway):
    assert target(gateway, "ruled") == "dear/echo"
    assert target(gateway, "ruled", headers={"x-team": "search"}) == "cheap/echo"
    status, headers, _ = ask(gateway, "ruled", text="word " * 2000)
    assert headers["x-tollgate-target"] == "dear/echo"
    routed = gateway.record(headers["x-tollgate-request-id"])["routed"]
    assert (routed["strategy"], routed["rule"]) == ("round_robin", "request.tokens > 1000")
    assert target(gateway, "ruled", headers={"x-tollgate-route": '{"ignore":["dear"]}'}, stream=True) == "cheap/other"


def test_wishes_may_stand_in_the_body(gateway, sim):
    for path, model in [("/v1/chat/completions", "turns"), ("/v1/messages", "turns")]:
        wish = {"route": {"only": ["cheap"]}}
        found = {target(gateway, model, path=path, max_tokens=50, tollgate=wish) for _ in range(3)}
        assert found == {"cheap/echo"}
        assert "tollgate" not in sim.last()["body"]
    session = {"session": "a-session"}
    assert len({target(gateway, "sticky", text=f"{turn}", tollgate=session) for turn in range(4)}) == 1
    status, _, text = ask(gateway, "turns", tollgate={"root": {}})
    assert status == 400 and json.loads(text)["error"]["param"] == "tollgate", text


def test_requests_go_by_what_they_say(gateway):
    assert target(gateway, "ruled", text="can I get a refund for my order please") == "cheap/other"
    assert target(gateway, "by-difficulty", text="hello, how are you today?") == "cheap/echo"
    hard = (
        "Let f be a continuous function on [0,1] with f(0)=f(1). Prove that for every integer n there is an x with "
        "f(x)=f(x+1/n), and find the number of solutions where f is a polynomial of degree 5. A) 1 B) 2 C) 3 D) 4"
    )
    told = explained(gateway, {"request": {"model": "by-difficulty", "messages": [{"role": "user", "content": hard}]}})
    expected = "dear/echo" if told[1]["request"]["difficulty"] > 0.5 else "cheap/echo"
    assert target(gateway, "by-difficulty", text=hard) == expected
    assert told[1]["request"]["difficulty"] > explained(
        gateway, {"request": {"model": "by-difficulty", "messages": [{"role": "user", "content": "hello, how are you today?"}]}}
    )[1]["request"]["difficulty"]


def test_a_pool_passes_over_a_key_that_is_refused(gateway):
    records = []
    for _ in range(6):
        status, headers, text = ask(gateway, "pooled")
        assert status == 200, text
        records.append(gateway.record(headers["x-tollgate-request-id"]))
    tried = [[one["credential"] for one in record["attempts"]] for record in records]
    # Each of them answers with the good key; the spoilt one is tried once, and then left alone.
    assert all(one[-1] == "good" for one in tried), tried
    assert sum(one.count("spoilt") for one in tried) == 1, tried
    spoilt = next(record for record in records if len(record["attempts"]) > 1)
    assert spoilt["attempts"][0]["status"] == 401 and spoilt["attempts"][0]["fault"] == "unauthenticated"


@pytest.mark.parametrize("stream", [False, True])
def test_a_late_target_is_overtaken(gateway, stream):
    status, headers, text = ask(gateway, "hedged", stream=stream)
    assert status == 200 and "hello" in text, text
    assert headers["x-tollgate-target"] == "cheap/echo" and headers["x-tollgate-attempts"] == "2"
    record = gateway.record(headers["x-tollgate-request-id"])
    late, quick = record["attempts"]
    assert (late["fault"], late["model"], quick["fault"]) == ("overtaken", "echo!latency=700ms", None)
    assert late["began_us"] < quick["began_us"]
    # Both are paid for: what the late one read, by estimate, and what the quick one reported.
    used = record["tokens"]
    assert late["cost"] > 0 and quick["cost"] is None
    assert record["cost"] == late["cost"] + (used["input"] * 1 + used["output"] * 3) * 1_000_000


def test_what_was_done_beside_is_counted(gateway):
    request = urllib.request.Request(f"{gateway.url}/metrics", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    text = urllib.request.urlopen(request, timeout=10).read().decode()
    counts = dict(line.split() for line in text.splitlines() if line and line[0] != "#" and "{" not in line)
    assert int(counts["tollgate_hedges_total"]) >= 2


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_a_first_token_that_is_late_goes_to_another_target(gateway, dialect):
    path = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}[dialect]
    status, headers, text = ask(gateway, "first-token", path=path, stream=True, max_tokens=50)
    assert status == 200 and headers["x-tollgate-target"] == "cheap/echo" and "hello" in text, text
    record = gateway.record(headers["x-tollgate-request-id"])
    assert [one["fault"] for one in record["attempts"]] == ["timeout", None]


def test_a_hedge_that_is_not_needed_is_not_made(gateway):
    status, headers, text = ask(gateway, "hedged", headers={"x-tollgate-route": '{"order":["cheap"]}'})
    assert status == 200 and headers["x-tollgate-attempts"] == "1", text


def told(text):
    """What a stream of chat completions says, its reason to stop, and its usage."""
    said, stops, usage = "", [], None
    for line in text.splitlines():
        if line.startswith("data: {"):
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            for choice in chunk.get("choices", []):
                said += choice["delta"].get("content") or ""
                stops += [choice["finish_reason"]] if choice["finish_reason"] else []
    return said, stops, usage


@pytest.mark.parametrize("model, by", [("continued", "cheap/echo"), ("continued-own", "dear/echo")])
def test_another_target_goes_on_with_a_broken_stream(gateway, sim, model, by):
    question = "one two three four five six seven eight nine ten"
    status, headers, text = ask(gateway, model, text=question, stream=True, stream_options={"include_usage": True})
    said, stops, usage = told(text)
    assert status == 200 and text.rstrip().splitlines()[-1].startswith((": x-tollgate-cost", "data: [DONE]"))
    # The simulated provider echoes what it is asked: the beginning, and then the wish to go on.
    assert said.startswith("You said: one two") and "Your answer was cut off" in said and stops == ["stop"], said
    assert f": x-tollgate-continued-by {by}" in text and '"error"' not in text
    sent = json.loads(json.dumps(sim.last()))
    assert "one two" in json.dumps(sent)
    record = gateway.record(headers["x-tollgate-request-id"])
    broken, rest = record["attempts"]
    assert record["outcome"] == "complete" and broken["fault"] in ("cut", "timeout") and rest["fault"] is None
    assert broken["told_chars"] == said.index("You said: Your answer") and broken["cost"] > 0 and rest["cost"] is None
    price = {"cheap/echo": (1, 3), "dear/echo": (10, 30)}[by]
    used = record["tokens"]
    cost = (used["input"] * price[0] + used["output"] * price[1]) * 1_000_000
    cached = used["cache_read"] * 9 * 1_000_000 if by == "dear/echo" else 0
    assert record["cost"] == broken["cost"] + cost - cached
    assert usage["completion_tokens"] > used["output"]


def test_a_stream_that_nobody_goes_on_with_ends_in_an_error(gateway):
    status, headers, text = ask(gateway, "continued-not", text="one two three four five six seven", stream=True)
    assert status == 200 and '"error"' in text and "[DONE]" not in text, text
    record = gateway.record(headers["x-tollgate-request-id"])
    assert record["outcome"] == "cut" and [one["status"] for one in record["attempts"]] == [200, 500]
    assert record["cost"] == record["attempts"][0]["cost"] > 0


def test_a_request_that_is_too_long_goes_where_there_is_room(gateway):
    # The simulated one refuses it by itself; the catalogue's numbers are only a guess.
    status, headers, text = ask(gateway, "window", text="word " * 5000)
    assert status == 200, text
    assert headers["x-tollgate-target"] in ("cheap/echo", "dear/echo")


def explained(gateway, question, key=ADMIN_KEY):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("POST", "/admin/v1/explain", json.dumps(question), {"authorization": f"Bearer {key}"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_a_plan_is_explained_and_nothing_is_sent(gateway, sim):
    before = sim.calls()["total"]
    request = {"model": "cheapest", "messages": [{"role": "user", "content": "hello"}], "seed": 7}
    status, told = explained(gateway, {"request": request, "key": "app"})
    assert status == 200, told
    assert [one["target"] for one in told["targets"]] == ["cheap/echo", "dear/echo"]
    assert told["strategy"] == "cheapest" and told["targets"][0]["losses"] == ["seed"], told
    assert float(told["targets"][0]["cost_usd"]) < float(told["targets"][1]["cost_usd"])
    picture = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    request["messages"][0]["content"] = picture
    _, told = explained(gateway, {"request": request})
    assert told["skipped"] == [{"target": "cheap/echo", "why": "it has no vision"}] and told["request"]["needs"] == ["vision"]
    _, told = explained(gateway, {"request": {**request, "model": "ruled"}, "headers": {"x-team": "search"}})
    assert told["rule"] == 'headers["x-team"] == "search"' and told["targets"][0]["target"] == "cheap/echo"
    assert sim.calls()["total"] == before
    assert explained(gateway, {"request": request}, key=APP_KEY)[0] in (401, 403)
    assert explained(gateway, {"request": request, "key": "nobody"})[0] == 404
    assert explained(gateway, {"body": request})[0] == 400


def test_the_command_line_explains(gateway, tmp_path):
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"model": "european", "messages": [{"role": "user", "content": "hello"}]}))
    words = [BINARY, "explain", "--config", str(gateway.file), "--request", str(body), "--key", "app"]
    told = json.loads(subprocess.run([*words, "--json"], capture_output=True, text=True, check=True).stdout)
    assert [one["target"] for one in told["targets"]] == ["cheap/echo"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "its region is us, not eu" in shown and "cheap/echo" in shown
