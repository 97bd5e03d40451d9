"""Limits and budgets: what is let in, what is refused and how, and what is charged."""

import concurrent.futures
import http.client
import json
import re
import time

import anthropic
import openai
import pytest
from conftest import ADMIN_KEY, APP_KEY, NARROW_KEY, Gateway, get, wait_for

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 2, metrics: {{ public: true }} }}
data_dir: {data}
retries: {{ max: 0 }}
providers:
  house:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-house
    models:
      echo: {{ price: {{ input: 100, output: 200 }} }}
      cheap: {{ price: {{ input: 1, output: 2 }} }}
      free: {{}}
      embed: {{ price: {{ input: 100 }} }}
      dall-e: {{ price: {{ per_image: 0.04 }} }}
      "dall-e!hang": {{ price: {{ per_image: 0.04 }} }}
      tts: {{ price: {{ input: 1, output: 12 }} }}
      whisper: {{ price: {{ per_minute: 0.01 }} }}
      "echo!hang": {{ price: {{ input: 100, output: 200 }} }}
      "echo!hang,words=3": {{ price: {{ input: 100, output: 200 }} }}
      "echo!pace=20ms,words=400": {{ price: {{ input: 100, output: 200 }} }}
      "echo!pace=100ms,words=20": {{ price: {{ input: 100, output: 200 }} }}
  talk: {{ dialect: anthropic_messages, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-talk, models: {{ echo: {{ price: {{ input: 100, output: 200 }} }} }} }}
models:
  smart: house/echo
  thrifty: house/cheap
{parts}
keys:
  - {{ name: app, key: {app}, {of} }}
  - {{ name: other, key: {narrow}, {other} }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


@pytest.fixture
def start(tmp_path, sim):
    started = []

    def start(of="", other="", parts=""):
        sim.reset()
        started.append(Gateway(tmp_path, sim, CONFIG, of=of, other=other, parts=parts))
        return started[-1]

    yield start
    for gateway in started:
        gateway.process.kill()


def post(gateway, body, key=APP_KEY, path="/v1/chat/completions", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, json.dumps(body), {"authorization": f"Bearer {key}", **headers})
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    return answer.status, answer.headers, told


def chat(gateway, model="smart", text="hello", key=APP_KEY, headers=None, **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    status, told, answer = post(gateway, body, key, **(headers or {}))
    return status, told, json.loads(answer)


def refused(answer, code, status=429):
    found, headers, body = answer
    assert (found, body["error"].get("code")) == (status, code), body
    return headers, body["error"]["message"]


def metric(gateway, name):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


def test_a_refusal_says_which_limit_and_when_to_come_again(start, sim):
    gateway = start("limits: [ { requests: 2, per: hour } ]")
    for left in ["1", "0"]:
        status, headers, _ = chat(gateway)
        assert status == 200
        assert headers["x-ratelimit-limit-requests"] == "2"
        assert headers["x-ratelimit-remaining-requests"] == left
        assert re.fullmatch(r"[0-9hms.]+", headers["x-ratelimit-reset-requests"])
    headers, message = refused(chat(gateway), "rate_limit_reached")
    assert re.match(r'requests per hour of key "app": 2 of 2 requests are used; try again in \d+ s \(request', message)
    assert 0 < int(headers["retry-after"]) <= 3660
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-tollgate-origin"] == "gateway"
    assert len(sim.calls()["calls"]) == 2, "what is refused goes nowhere"
    assert metric(gateway, "tollgate_limits_refused_total") == 1


def test_each_dialect_is_refused_in_its_own_words(start):
    gateway = start("limits: [ { requests: 1, per: day }, { input_tokens: 1M, per: day } ]")
    client = anthropic.Anthropic(base_url=gateway.url, api_key=APP_KEY, max_retries=0)
    ask = lambda: client.messages.with_raw_response.create(
        model="talk/echo", max_tokens=50, messages=[{"role": "user", "content": "hi"}]
    )
    first = ask()
    assert first.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert int(first.headers["anthropic-ratelimit-input-tokens-remaining"]) < 1_000_000
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:]+Z$", first.headers["anthropic-ratelimit-requests-reset"])
    with pytest.raises(anthropic.RateLimitError) as caught:
        ask()
    assert caught.value.body["error"]["type"] == "rate_limit_error"
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="smart", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "rate_limit_reached"


def test_what_stands_above_is_shared_by_what_is_below(start):
    parts = """
organizations: { acme: { limits: [ { requests: 3, per: hour, name: all of acme } ] } }
teams:
  research: { organization: acme }
  search: { team: research, limits: [ { requests: 2, per: hour } ] }
  ads: { organization: acme }
""".replace("{", "{{").replace("}", "}}").format()
    gateway = start("team: search", "team: ads", parts)
    assert chat(gateway)[0] == 200
    assert chat(gateway)[0] == 200
    _, message = refused(chat(gateway), "rate_limit_reached")
    assert "requests per hour of team search" in message
    assert chat(gateway, key=NARROW_KEY)[0] == 200, "another team has room of its own"
    _, message = refused(chat(gateway, key=NARROW_KEY), "rate_limit_reached")
    assert "all of acme of organization acme" in message


def test_of_many_at_once_exactly_as_many_get_in_as_there_is_room_for(start):
    gateway = start("limits: [ { requests: 25, per: hour } ]", "limits: [ { requests: 10, per: hour } ]")
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        ours = [pool.submit(chat, gateway) for _ in range(80)]
        theirs = [pool.submit(chat, gateway, key=NARROW_KEY) for _ in range(40)]
        statuses = lambda futures: sorted(future.result()[0] for future in futures)
        assert statuses(ours) == [200] * 25 + [429] * 55
        assert statuses(theirs) == [200] * 10 + [429] * 30


def test_a_budget_is_passed_by_no_more_than_the_calls_in_flight(start):
    gateway = start("budget: { usd: 0.02, per: month }")
    spent = 0.0
    for _ in range(200):
        answer = chat(gateway)
        if answer[0] != 200:
            break
        each = float(answer[1]["x-tollgate-cost-usd"])
        spent += each
    headers, message = refused(answer, "budget_exhausted")
    assert re.match(r'budget per month of key "app" (is used up: |has )0\.0\d+', message), message
    assert re.search(r"it renews on \d{4}-\d\d-01 00:00 UTC", message)
    assert headers["x-should-retry"] == "false"
    assert 0.02 - each <= spent <= 0.02 + each, "the last call may take more than there was room for"
    journal = lambda: sum(float(one["cost"]) for one in gateway.records()) / 1e12
    wait_for(lambda: abs(journal() - spent) < 1e-12, "the journal to have the same sum")


def test_every_route_spends_the_budget(start):
    gateway = start("budget: { usd: 1, per: month }, limits: [ { requests: 100, per: month } ]")
    body = {"model": "house/embed", "input": "a few words to embed"}
    assert post(gateway, body, path="/v1/embeddings")[0] == 200
    picture = {"model": "house/dall-e", "prompt": "a cat", "n": 1}
    assert post(gateway, picture, path="/v1/images/generations")[0] == 200
    passed = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    assert post(gateway, passed, path="/house/v1/chat/completions")[0] == 200
    streamed = {"model": "smart", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    assert post(gateway, streamed)[0] == 200
    # A caller that goes away in the middle pays for what it had.
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    long = {**streamed, "model": "house/echo!pace=20ms,words=400"}
    connection.request("POST", "/v1/chat/completions", json.dumps(long), {"authorization": f"Bearer {APP_KEY}"})
    answer = connection.getresponse()
    answer.read(200)
    answer.close()
    connection.close()
    deadline = time.monotonic() + 10
    while len(gateway.records()) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    records = gateway.records()
    assert len(records) == 5 and all(record["cost"] > 0 for record in records), records
    status, headers, _ = chat(gateway)
    assert headers["x-ratelimit-remaining-requests"] == "94"


def test_what_was_claimed_too_much_is_given_back(start):
    gateway = start("limits: [ { tokens: 600, per: hour } ]")
    used = 0
    # Nothing is known of answers' lengths at first, so that 256 tokens are claimed: what is not used comes back.
    for _ in range(12):
        status, headers, body = chat(gateway)
        assert status == 200, body
        used += body["usage"]["total_tokens"]
        left = int(headers["x-ratelimit-remaining-tokens"])
        assert left <= 600 - used
    assert used < 300


def test_calls_at_a_time_are_counted_while_they_last(start):
    gateway = start("limits: [ { concurrent: 2 } ]")
    long = "house/echo!pace=100ms,words=20"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        streamed = {"model": long, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        held = [pool.submit(post, gateway, streamed) for _ in range(2)]
        wait_for(lambda: metric(gateway, "tollgate_calls_open") == 2, "two calls under way")
        _, message = refused(chat(gateway), "concurrency_limit_reached")
        assert "2 calls are under way, which is the most" in message
        assert [future.result()[0] for future in held] == [200, 200]
    assert chat(gateway)[0] == 200


def test_a_bucket_lets_bursts_through_and_fills_again(start):
    gateway = start("limits: [ { requests: 2, per: second, burst: 5 } ]")
    statuses = [chat(gateway)[0] for _ in range(12)]
    assert statuses[:5] == [200] * 5 and 429 in statuses
    time.sleep(1.1)
    assert chat(gateway)[0] == 200


def test_a_leaky_bucket_makes_calls_wait_instead_of_refusing_them(start):
    gateway = start("limits: [ { requests: 10, per: second, wait: 3s } ]")
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = [future.result()[0] for future in [pool.submit(chat, gateway) for _ in range(8)]]
    assert statuses == [200] * 8
    assert time.monotonic() - began > 0.5, "eight calls at ten in a second take 0.7 s"
    assert metric(gateway, "tollgate_limits_waited_total") >= 6


def test_calls_may_queue_for_room(start):
    gateway = start("limits: [ { requests: 2, per: second, algorithm: fixed_window, on_exceeded: queue } ]")
    assert [chat(gateway)[0] for _ in range(6)] == [200] * 6


def test_a_call_waits_for_room_no_longer_than_its_caller_does(start):
    gateway = start("limits: [ { requests: 1, per: day, on_exceeded: queue } ]")
    assert chat(gateway)[0] == 200
    _, message = refused(chat(gateway, headers={"x_tollgate_timeout": "200ms"}), "rate_limit_reached")
    assert "requests per day" in message
    status, _, body = chat(gateway, headers={"x_tollgate_timeout": "soon"})
    assert status == 400 and "x-tollgate-timeout" in json.dumps(body)


def test_a_cheaper_model_takes_over_where_the_budget_ends(start, sim):
    gateway = start("budget: { usd: 0.004, per: day, downgrade_to: thrifty }")
    answered = []
    for _ in range(8):
        status, headers, _ = chat(gateway, max_tokens=10)
        assert status == 200
        answered.append(headers["x-tollgate-target"])
    assert answered[0] == "house/echo" and answered[-1] == "house/cheap"
    assert metric(gateway, "tollgate_limits_downgraded_total") >= 1


def test_a_limit_in_shadow_tells_and_does_not_refuse(start):
    gateway = start("limits: [ { requests: 1, per: day, mode: shadow, name: trial }, { requests: 4, per: day, warn_at: 50% } ]")
    assert "x-tollgate-warning" not in chat(gateway)[1]
    _, headers, _ = chat(gateway)
    assert headers["x-tollgate-warning"] == (
        'trial of key "app" would have refused this call; requests per day of key "app" is used up to 50 %'
    )
    assert chat(gateway)[0] == 200
    assert metric(gateway, "tollgate_limits_shadowed_total") == 2


def test_end_users_models_and_tags_have_limits_of_their_own(start):
    gateway = start(
        "limits: [ { requests: 1, per: day, each: [end_user], operations: [chat] },"
        " { requests: 1, per: day, models: [thrifty], name: thrift }, { requests: 1, per: day, tags: { job: nightly }, name: night } ]"
    )
    assert chat(gateway, user="ada")[0] == 200
    refused(chat(gateway, user="ada"), "rate_limit_reached")
    assert chat(gateway, headers={"x_tollgate_user": "bob"})[0] == 200
    assert chat(gateway, model="thrifty", user="c")[0] == 200
    _, message = refused(chat(gateway, model="thrifty", user="d"), "rate_limit_reached")
    assert message.startswith("thrift of")
    assert chat(gateway, user="e", headers={"x_tollgate_tags": "job=nightly, unit=a"})[0] == 200
    _, message = refused(chat(gateway, user="f", headers={"x_tollgate_tags": "job=nightly"}), "rate_limit_reached")
    assert message.startswith("night of")
    headers, message = refused(chat(gateway, headers={"x_tollgate_tags": "nightly"}), "invalid_tags", 400)
    assert "name=value" in message


def test_where_money_is_counted_everything_has_a_price(start):
    gateway = start("budget: { usd: 1, per: day }", "budget: { usd: 1, per: day, unpriced: allow }")
    _, message = refused(chat(gateway, model="house/free"), "model_unpriced", 403)
    assert "give the model a price (0 where it is free), or write unpriced: allow there" in message
    assert chat(gateway, model="house/free", key=NARROW_KEY)[0] == 200


def test_one_request_may_be_only_so_much(start):
    gateway = start("per_request: { usd: 0.01, input_tokens: 50 }")
    assert chat(gateway, max_tokens=5)[0] == 200
    headers, message = refused(chat(gateway, text="word " * 500, max_tokens=5), "request_too_large", 413)
    assert 'key "app" allows 50 in one request' in message
    _, message = refused(chat(gateway, max_tokens=100_000), "request_too_expensive", 403)
    assert re.search(r'may cost 20\.\d+ USD, and key "app" allows 0\.01 USD', message)


def test_what_one_request_may_be_is_told_by_the_request_alone(start):
    gateway = start("per_request: { usd: 0.1, input_tokens: 50 }")
    passed = lambda text, **more: post(
        gateway,
        {"model": "echo", "messages": [{"role": "user", "content": text}], **more},
        path="/house/v1/chat/completions",
    )
    assert passed("hello")[0] == 200
    assert passed("word " * 500)[0] == 413
    status, _, told = passed("hello", max_tokens=9_000_000)
    assert status == 403 and b"request_too_expensive" in told
    assert chat(gateway, max_tokens=200)[0] == 200
    refused(chat(gateway, max_tokens=200, n=3), "request_too_expensive", 403)
    picture = lambda count: post(
        gateway, {"model": "house/dall-e", "prompt": "a cat", "n": count}, path="/v1/images/generations"
    )[0]
    assert [picture(2), picture(3), picture(10), picture(2), picture(1)] == [200, 403, 403, 200, 200]


def test_keys_are_bound_to_operations_and_addresses_and_can_be_disabled(start):
    gateway = start("operations: [embeddings]", "addresses: [ 10.0.0.0/8 ]")
    _, message = refused(chat(gateway), "operation_not_allowed", 403)
    assert message.startswith('key "app" may not ask for chat; it may ask for: embeddings')
    assert post(gateway, {"model": "house/embed", "input": "x"}, path="/v1/embeddings")[0] == 200
    _, message = refused(chat(gateway, key=NARROW_KEY), "address_not_allowed", 403)
    assert 'key "other" may not call from 127.0.0.1' in message
    # Nobody is believed who is no trusted proxy.
    refused(chat(gateway, key=NARROW_KEY, headers={"x_forwarded_for": "10.0.0.1"}), "address_not_allowed", 403)


def test_budgets_outlive_the_process(start):
    gateway = start("budget: { usd: 0.02, per: month }, limits: [ { requests: 50, per: day } ]")
    spent = sum(float(chat(gateway, max_tokens=20)[1]["x-tollgate-cost-usd"]) for _ in range(3))
    wait_for(lambda: len(gateway.records()) == 3, "three records")
    gateway.kill()
    gateway.start()
    status, headers, _ = chat(gateway, max_tokens=20)
    assert status == 200 and headers["x-ratelimit-remaining-requests"] == "46"
    spent += float(headers["x-tollgate-cost-usd"])
    for _ in range(50):
        answer = chat(gateway, max_tokens=20)
        if answer[0] != 200:
            break
        spent += float(answer[1]["x-tollgate-cost-usd"])
    refused(answer, "budget_exhausted")
    assert spent <= 0.02 + 0.005
    assert gateway.stop() == 0
    gateway.start()
    refused(chat(gateway, max_tokens=20), "budget_exhausted")


def test_credit_is_topped_up_and_budgets_are_started_anew(start):
    gateway = start("budget: { usd: 0.004 }", "budget: { usd: 0.004, per: month, name: monthly }")

    def spend(key):
        while (answer := chat(gateway, max_tokens=10, key=key))[0] == 200:
            pass
        return refused(answer, "budget_exhausted")[1]

    def budgets(*words):
        done = gateway.run("budgets", *words, "--config", str(gateway.file))
        return done.returncode, done.stdout or done.stderr

    assert "have it topped up" in spend(APP_KEY)
    wait_for(lambda: not chat(gateway, max_tokens=10)[0] == 200, "the budget to be used up")
    code, told = budgets("top-up", 'credit of key "app"', "0.01", "--note", "invoice 17")
    assert code == 0 and 'credit of key "app" has 0.01 USD more' in told, told
    assert chat(gateway, max_tokens=10)[0] == 200, "at once"
    assert "0.014" in spend(APP_KEY)
    spend(NARROW_KEY)
    used = lambda: {one["budget"]: float(one["used_usd"]) for one in json.loads(budgets("--json", "list")[1])}
    wait_for(lambda: used()['monthly of key "other"'] > 0.003, "the journal")
    code, told = budgets("reset", 'monthly of key "other"')
    assert code == 0, told
    assert chat(gateway, max_tokens=10, key=NARROW_KEY)[0] == 200
    code, told = budgets("reset", "monthly of nobody")
    assert code == 1 and "there is no budget" in told and 'monthly of key "other"' in told
    listed = json.loads(budgets("--json", "list")[1])
    assert [one["given_usd"] for one in listed][0] == "0.01"


def test_tags_that_are_set_for_a_caller_are_not_its_own_to_say(start):
    parts = """
teams:
  search: { tags: { cost_center: "4711" }, limits: [ { requests: 1, per: day, tags: { cost_center: "4711" }, name: hard } ] }
""".replace("{", "{{").replace("}", "}}").format()
    gateway = start("team: search", parts=parts)
    other = {"x_tollgate_tags": "cost_center=x, job=nightly"}
    assert chat(gateway, headers=other)[0] == 200
    _, message = refused(chat(gateway, headers=other), "rate_limit_reached")
    assert message.startswith("hard of team search")
    [record] = wait_for(gateway.records, "the record")
    assert record["tags"] == {"cost_center": "4711", "job": "nightly"}


def test_a_mirrored_call_counts_for_whom_the_call_counts(start):
    nightly = "budget: { usd: 1, per: month, name: nightly, tags: { job: nightly } }"
    mirrored = "  mirrored: { targets: [ house/cheap ], shadow: { to: house/echo, share: 100% } }"
    gateway = start(nightly, parts=mirrored)
    marks = {"x_tollgate_user": "ada", "x_tollgate_tags": "job=nightly"}
    assert chat(gateway, model="mirrored", max_tokens=50, headers=marks)[0] == 200
    wait_for(lambda: len(gateway.records()) == 2, "the record of the mirrored call")
    cost = 0
    for record in gateway.records():
        assert (record["end_user"], record["tags"]) == ("ada", {"job": "nightly"})
        cost += record["cost"]
    listed = gateway.run("budgets", "--json", "list", "--config", str(gateway.file))
    [budget] = json.loads(listed.stdout)
    assert float(budget["used_usd"]) == pytest.approx(cost / 1e12), "both are charged to the budget of their tag"


def test_exhausted_credit_does_not_ask_to_come_again(start):
    gateway = start("budget: { usd: 0.004 }")
    while (answer := chat(gateway, max_tokens=10))[0] == 200:
        pass
    headers, message = refused(answer, "budget_exhausted")
    assert "have it topped up" in message
    assert "retry-after" not in headers


def used(gateway):
    """What is used of each budget, in USD."""
    listed = gateway.run("budgets", "--json", "list", "--config", str(gateway.file)).stdout
    return {one["budget"]: float(one["used_usd"]) for one in json.loads(listed)}


def leave(gateway, sim, path, body, times=1):
    """Asks for something that never comes, and goes away when so many providers were asked."""
    seen = len(sim.calls()["calls"]) + times - 1
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    connection.request("POST", path, json.dumps(body), {"authorization": f"Bearer {APP_KEY}"})
    wait_for(lambda: len(sim.calls()["calls"]) > seen, "the provider to be asked")
    connection.close()


def test_what_nobody_tells_the_use_of_is_charged_as_it_was_expected(start, sim):
    gateway = start("budget: { usd: 1, per: month, name: monthly }")
    name, before = 'monthly of key "app"', 0.0

    def charged():
        nonlocal before
        found = wait_for(lambda: (now := used(gateway)[name]) > before and now, "the budget to be charged")
        before, charge = found, found - before
        return charge

    speech = {"model": "house/tts", "input": "a few words " * 20, "voice": "a"}
    assert post(gateway, speech, path="/v1/audio/speech")[0] == 200
    assert 0.0001 < charged() < 0.1
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0)
    sound = ("a.mp3", b"x" * 48_000)
    assert client.audio.transcriptions.create(model="house/whisper", file=sound, response_format="text")
    assert charged() == pytest.approx(0.001, rel=0.1), "48 kB are about six seconds"
    leave(gateway, sim, "/v1/images/generations", {"model": "house/dall-e!hang", "prompt": "a cat", "n": 3})
    assert charged() == pytest.approx(0.12)
    passed = {"model": "echo!hang", "messages": [{"role": "user", "content": "hello"}]}
    leave(gateway, sim, "/house/v1/chat/completions", passed)
    assert charged() > 0
    refused(
        (lambda answer: (answer[0], answer[1], json.loads(answer[2])))(
            post(gateway, {"model": "house/dall-e", "prompt": "a cat", "n": 30}, path="/v1/images/generations")
        ),
        "budget_exhausted",
    )


def test_limits_hold_wherever_a_name_leads(start):
    parts = """
  first: { targets: [ house/echo, house/cheap ] }
  last: { targets: [ house/cheap, house/echo ] }
"""
    limit = "limits: [ { requests: 2, per: day, models: [house/echo], name: dear } ]"
    budget = "budget: { usd: 1, per: month, models: [house/echo], name: echoes }"
    gateway = start(f"{limit}, {budget}", parts=parts)
    asked = lambda model: chat(gateway, model=model)[1]["x-tollgate-target"]
    assert [asked("last") for _ in range(3)] == ["house/cheap"] * 3, "nothing of the limit is used"
    assert [asked("first") for _ in range(3)] == ["house/echo", "house/echo", "house/cheap"]
    refused(chat(gateway), "rate_limit_reached")
    assert asked("last") == "house/cheap"
    wait_for(lambda: len(gateway.records()) == 7, "the records")
    cost = sum(record["cost"] for record in gateway.records() if record["model"] == "echo")
    assert used(gateway)['echoes of key "app"'] == pytest.approx(cost / 1e12)
    why = [one["why"] for one in gateway.records()[-1]["routed"]["candidates"] if one["model"] == "echo"]
    assert why and why[0].startswith('dear of key "app": 2 of 2 requests are used'), why


def test_where_money_is_counted_only_targets_with_a_price_are_asked(start):
    parts = """
  mixed: { strategy: weighted, targets: [ { model: house/cheap, weight: 1 }, { model: house/free, weight: 1000 } ] }
  capped: { strategy: weighted, targets: [ { model: house/cheap, weight: 1 }, { model: house/echo, weight: 1000 } ] }
"""
    gateway = start("budget: { usd: 1, per: month }", "per_request: { usd: 0.01 }", parts=parts)
    assert {chat(gateway, model="mixed")[1]["x-tollgate-target"] for _ in range(4)} == {"house/cheap"}
    found = [chat(gateway, model="capped", key=NARROW_KEY, max_tokens=200) for _ in range(4)]
    assert {headers["x-tollgate-target"] for _, headers, _ in found} == {"house/cheap"}
    refused(chat(gateway, model="capped", key=NARROW_KEY, max_tokens=100_000), "request_too_expensive", 403)


def test_a_header_that_is_wrong_takes_no_place(tmp_path, sim):
    few = CONFIG.replace("threads: 2,", "threads: 2, limits: {{ calls: 3 }},")
    gateway = Gateway(tmp_path, sim, few, of="", other="", parts="")
    try:
        assert [chat(gateway, headers={"x_tollgate_timeout": "soon"})[0] for _ in range(5)] == [400] * 5
        assert chat(gateway)[0] == 200
    finally:
        gateway.kill()


def test_tokens_that_are_counted_here_are_requests_too(start):
    gateway = start("limits: [ { requests: 3, per: hour } ]")
    body = {"model": "smart", "messages": [{"role": "user", "content": "hi"}]}
    counted = lambda: post(gateway, body, path="/v1/messages/count_tokens")[0]
    assert [counted() for _ in range(5)] == [200, 200, 200, 429, 429]
    refused(chat(gateway), "rate_limit_reached")
    assert metric(gateway, "tollgate_calls_open") == 0


def test_who_leaves_while_two_targets_are_asked_pays_both_for_reading(start, sim):
    hedged = '  hedged: { targets: [ "house/echo!hang", "house/echo!hang,words=3" ], hedge: { after: 50ms, calls: 100% } }'
    gateway = start("budget: { usd: 1, per: month }", parts=hedged)
    body = {"model": "hedged", "messages": [{"role": "user", "content": "word " * 50}]}
    leave(gateway, sim, "/v1/chat/completions", body, times=2)
    [record] = wait_for(gateway.records, "the record")
    first, second = [attempt["cost"] for attempt in record["attempts"]]
    assert first > 0 and second is None
    assert record["cost"] == 2 * first


def test_budgets_that_are_counted_apart_have_no_sum(start):
    gateway = start("budget: [ { usd: 1, per: month, each: [end_user], name: pocket }, { usd: 2, per: month } ]")
    whole, pocket = get(f"{gateway.url}/admin/v1/budgets", ADMIN_KEY)["data"]
    assert (pocket["each"], pocket["used_usd"], pocket["left_usd"]) == (["end_user"], None, None)
    assert (whole["each"], whole["used_usd"], whole["left_usd"]) == ([], "0.00", "2.00")
