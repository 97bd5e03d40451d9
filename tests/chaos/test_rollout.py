"""Candidates that are brought in by steps, calls that are mirrored, and what callers think of answers."""

import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import ADMIN_KEY, APP_KEY, NARROW_KEY, Gateway, get, wait_for

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 2, limits: {{ drain_time: 3s }}, metrics: {{ public: true }} }}
data_dir: {data}
deadlines: {{ connect: 2s, first_byte: 2s, between_events: 2s, total: 20s }}
retries: {{ max: 0 }}
providers:
  old:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-test-upstream
    health: {{ failures: 0, failure_share: 0% }}
    models:
      echo: {{ price: {{ input: 1, output: 2 }} }}
      "echo!words=5": {{ price: {{ input: 1, output: 2 }} }}
  new:
    dialect: anthropic_messages
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-test-upstream
    health: {{ failures: 0, failure_share: 0% }}
    models:
      echo: {{ output_tokens: 4096, price: {{ input: 1, output: 2 }} }}
      dear: {{ output_tokens: 4096, price: {{ input: 10, output: 20 }} }}
models:
  failing:
    targets: old/echo
    rollout: {{ candidate: "new/echo!status=503", steps: [50%, 100%], by: request, each: {{ calls: 1000, time: 0s }} }}
  dear:
    targets: old/echo
    rollout: {{ candidate: new/dear, steps: [50%], by: request, each: {{ calls: 1000, time: 0s }}, guard: {{ latency: off }} }}
  better: [ new/echo ]
  good:
    targets: old/echo
    rollout:
      candidate: better
      steps: [20%, 50%, 100%]
      by: request
      each: {{ calls: 10, time: 0s }}
      guard: {{ latency: off, cost: off }}
  sticky:
    targets: old/echo
    rollout: {{ candidate: new/echo, steps: [30%, 60%], each: {{ calls: 100000 }} }}
  prose:
    targets: old/echo
    rollout: {{ candidate: "old/echo!words=5", steps: [50%], by: request, each: {{ calls: 100000 }}, guard: {{ latency: off, cost: off }} }}
  rated:
    targets: old/echo
    rollout: {{ candidate: new/echo, steps: [50%], by: request, each: {{ calls: 100000 }}, guard: {{ latency: off, cost: off }} }}
  asked:
    targets: old/echo
    rollout: {{ candidate: new/echo, steps: [50%], by: request, each: {{ calls: 5, time: 0s }}, guard: {{ latency: off, cost: off }}, verdict: manual }}
  kept:
    targets: old/echo
    rollout: {{ candidate: new/echo, steps: [50%, 60%], by: request, each: {{ calls: 100000 }}, guard: {{ latency: off, cost: {kept_cost} }} }}
  mirrored: {{ targets: old/echo, shadow: {{ to: better, max_per_second: 1000 }} }}
  mirrored-nowhere: {{ targets: old/echo, shadow: {{ to: "new/echo!hang" }} }}
  mirrored-rarely: {{ targets: old/echo, shadow: {{ to: new/echo, max_per_second: 1000, max_in_flight: 0 }} }}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: narrow, key: {narrow} }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


@pytest.fixture(scope="module")
def rolling(tmp_path_factory, sim):
    gateway = Gateway(tmp_path_factory.mktemp("rolling"), sim, CONFIG, kept_cost="off")
    yield gateway
    gateway.process.kill()


def post(gateway, path, body, key=APP_KEY, headers=None):
    request = urllib.request.Request(gateway.url + path, json.dumps(body).encode(), method="POST")
    request.add_header("authorization", f"Bearer {key}")
    request.add_header("content-type", "application/json")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.headers, response.read().decode()


def chat(gateway, model, text="hello there", headers=None, **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return post(gateway, "/v1/chat/completions", body, headers=headers)


def rollout(gateway, model):
    return get(f"{gateway.url}/admin/v1/rollouts/{urllib.parse.quote(model)}", ADMIN_KEY)


def order(gateway, model, action):
    return json.loads(post(gateway, f"/admin/v1/rollouts/{model}", {"action": action}, ADMIN_KEY)[1])


def call_until(gateway, model, phase, calls, **more):
    """Calls a model until its rollout is where it should be."""
    for number in range(calls):
        chat(gateway, model, **more)
        if number % 10 == 9 and rollout(gateway, model)["phase"] == phase:
            return rollout(gateway, model)
    raise AssertionError(f"not {phase} after {calls} calls: {rollout(gateway, model)}")


def test_a_candidate_that_fails_is_rolled_back_and_no_caller_notices(rolling):
    found = call_until(rolling, "failing", "rolled_back", 400)
    assert found["reason"].startswith("failures: candidate 100.0 % of"), found
    assert found["share"] == 0 and found["current"]["failures"] == 0
    assert found["candidate"]["calls"] < 60, found
    headers, _ = chat(rolling, "failing")
    assert headers["x-tollgate-target"] == "old/echo" and headers["x-tollgate-attempts"] == "1"
    assert "rollout: rolled back" in rolling.log.read_text()
    metrics = urllib.request.urlopen(f"{rolling.url}/metrics", timeout=10).read().decode()
    assert 'tollgate_rollout_verdict{model="failing"} -1' in metrics
    assert 'tollgate_rollout_share{model="failing"} 0' in metrics


def test_a_candidate_that_costs_more_is_rolled_back(rolling):
    found = call_until(rolling, "dear", "rolled_back", 400)
    assert found["reason"].startswith("cost: candidate 0.000"), found


def test_a_candidate_that_is_as_good_is_promoted_through_its_steps(rolling):
    found = call_until(rolling, "good", "promoted", 800)
    assert found["share"] == 1 and found["candidate"]["targets"] == ["new/echo"]
    for share in ("0.5", "1.0"):
        assert f'"share":{share},"reason":"nothing is worse than allowed' in rolling.log.read_text()
    headers, _ = chat(rolling, "good")
    assert headers["x-tollgate-target"] == "new/echo"
    record = rolling.record(headers["x-tollgate-request-id"])
    assert record["experiment"] == "rollout good: candidate at 100%"


def test_a_session_keeps_its_side_while_the_share_grows(rolling):
    def sides():
        found = {}
        for number in range(60):
            headers, _ = chat(rolling, "sticky", headers={"x-tollgate-session": f"session-{number}"})
            found[number] = headers["x-tollgate-target"]
        return found

    first = sides()
    assert sides() == first
    assert set(first.values()) == {"old/echo", "new/echo"}
    assert order(rolling, "sticky", "next_step")["share"] == 0.6
    wait_for(lambda: sides() != first, "the next step to reach the cores")
    second = sides()
    assert all(second[number] == "new/echo" for number, target in first.items() if target == "new/echo")
    assert list(second.values()).count("new/echo") > list(first.values()).count("new/echo")
    headers, _ = chat(rolling, "sticky", headers={"x-tollgate-route": '{"only": ["old"]}'})
    record = rolling.record(headers["x-tollgate-request-id"])
    assert record["experiment"] is None, "a caller that names its way is no part of it"


def test_answers_that_are_no_json_are_told_from_those_that_are(rolling):
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    found = call_until(rolling, "prose", "rolled_back", 400, response_format=wanted)
    assert found["reason"].startswith("schema: candidate 100.0 % of"), found
    assert found["current"]["invalid"] == 0


def test_refusals_are_counted(rolling):
    for stream in (False, True) * 4:
        chat(rolling, "kept", "please refuse", stream=stream)
    found = rollout(rolling, "kept")
    assert {side["refusals"] for side in (found["candidate"], found["current"]) if side["calls"]} == {1.0}
    order(rolling, "kept", "restart")


def test_a_stream_that_is_compared_goes_on_as_it_is(rolling):
    def events(model):
        headers, text = chat(rolling, model, stream=True)
        lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
        assert lines.pop() == "[DONE]"
        return headers["x-tollgate-target"], [{**json.loads(line), "id": 0, "created": 0} for line in lines]

    target, direct = events("old/echo")
    assert not any(event.get("usage") for event in direct), "usage was not asked for"
    compared = [found for found in (events("kept") for _ in range(12)) if found[0] == target]
    assert compared and all(found == (target, direct) for found in compared)
    order(rolling, "kept", "restart")


def test_a_person_decides_where_that_is_wanted(rolling):
    for _ in range(40):
        chat(rolling, "asked")
    found = rollout(rolling, "asked")
    assert (found["phase"], found["share"], found["advice"]) == ("running", 0.5, "promote"), found
    assert order(rolling, "asked", "promote")["share"] == 1
    wait_for(lambda: chat(rolling, "asked")[0]["x-tollgate-target"] == "new/echo", "the candidate")
    assert order(rolling, "asked", "roll_back")["phase"] == "rolled_back"
    with pytest.raises(urllib.error.HTTPError) as refused:
        order(rolling, "asked", "pause")
    assert refused.value.code == 400 and b"it has ended" in refused.value.read()
    with pytest.raises(urllib.error.HTTPError) as refused:
        rollout(rolling, "better")
    assert refused.value.code == 404 and b"no rollout" in refused.value.read()
    assert {one["model"] for one in get(f"{rolling.url}/admin/v1/rollouts", ADMIN_KEY)["data"]} >= {"asked", "good"}


def opinion(gateway, request_id, score, key=APP_KEY, **more):
    return post(gateway, "/v1/feedback", {"request_id": request_id, "score": score, **more}, key)


def test_what_callers_think_of_answers_reaches_the_verdict(rolling):
    for number in range(600):
        headers, _ = chat(rolling, "rated")
        score = 1.0 if headers["x-tollgate-target"] == "old/echo" else 0.2
        opinion(rolling, headers["x-tollgate-request-id"], score, comment="as a test would have it")
        if rollout(rolling, "rated")["phase"] == "rolled_back":
            break
    found = rollout(rolling, "rated")
    assert found["phase"] == "rolled_back" and found["reason"].startswith("score: candidate 20.0 % of"), found
    record = rolling.record(headers["x-tollgate-request-id"])
    assert record["feedback"] == {"score": score, "comment": "as a test would have it"}


@pytest.mark.parametrize(
    "key, body, status, said",
    [
        (NARROW_KEY, {"score": 1}, 404, "there is no call"),
        (APP_KEY, {"score": 1.5}, 400, "must be a number from 0 to 1"),
        (APP_KEY, {"score": 1, "stars": 3}, 400, "unknown field"),
        (APP_KEY, {"score": 1, "request_id": "x"}, 400, "x-tollgate-request-id"),
        (ADMIN_KEY, {"score": 1}, 403, "admin key"),
    ],
)
def test_feedback_that_makes_no_sense_is_refused(rolling, key, body, status, said):
    headers, _ = chat(rolling, "better")
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(rolling, "/v1/feedback", {"request_id": headers["x-tollgate-request-id"], **body}, key)
    assert refused.value.code == status
    assert said in refused.value.read().decode()


def shadow_of(gateway, headers):
    label = f"shadow of {headers['x-tollgate-request-id']}"
    recent = f"{gateway.url}/admin/v1/calls?limit=1000"
    find = lambda: [one for one in get(recent, ADMIN_KEY)["data"] if one["experiment"] == label]
    found = wait_for(find, label)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("stream", [False, True])
def test_a_mirrored_call_is_recorded_with_its_cost(rolling, stream):
    headers, text = chat(rolling, "mirrored", stream=stream)
    assert headers["x-tollgate-target"] == "old/echo" and "hello" in text
    record = shadow_of(rolling, headers)
    assert (record["provider"], record["model"], record["outcome"]) == ("new", "echo", "complete")
    assert record["cost"] > 0 and record["key_name"] == "app" and record["model_asked"] == "mirrored"
    assert rolling.record(headers["x-tollgate-request-id"])["experiment"] is None


def test_a_shadow_that_never_answers_holds_nobody_up(rolling, sim):
    headers, text = chat(rolling, "mirrored-nowhere")
    # The answer is here while the shadow is still asked.
    assert "hello there" in text
    wait_for(lambda: [one for one in sim.calls()["calls"] if one["model"] == "echo!hang"], "the shadow to be asked")
    assert not any(one["finished"] for one in sim.calls()["calls"] if one["model"] == "echo!hang")
    record = shadow_of(rolling, headers)
    assert (record["outcome"], record["fault"]) == ("failed", "timeout")


def test_mirrored_calls_have_a_bound(rolling):
    headers, _ = chat(rolling, "mirrored-rarely")
    later, _ = chat(rolling, "mirrored")
    shadow_of(rolling, later)
    label = f"shadow of {headers['x-tollgate-request-id']}"
    assert not any(record["experiment"] == label for record in rolling.records())


def test_how_far_a_rollout_is_survives_the_end_of_the_process_and_a_reload(rolling):
    order(rolling, "kept", "next_step")
    for _ in range(30):
        chat(rolling, "kept")
    before = wait_for(
        lambda: (found := rollout(rolling, "kept"))["candidate"]["calls"] + found["current"]["calls"] >= 30 and found,
        "all calls to be counted",
    )

    def both(found):
        sides = [(side["calls"], side["failures"], side["refusals"]) for side in (found["candidate"], found["current"])]
        return sides, found["step"], found["began_us"]

    def written():
        listed = json.loads(rolling.run("rollouts", "--json").stdout)
        return [one for one in listed if one["model"] == "kept" and one["calls"] == before["candidate"]["calls"]]

    wait_for(written, "the state to be written down")
    rolling.kill()
    rolling.start()
    assert both(rollout(rolling, "kept")) == both(before)
    assert "kept" in rolling.run("rollouts").stdout
    # A definition that stays the same goes on, one that does not begins again.
    text = rolling.file.read_text()
    rolling.file.write_text(text.replace("max_in_flight: 0", "max_in_flight: 1"))
    wait_for(lambda: rolling.log.read_text().count("configuration reloaded") >= 1, "the reload")
    assert both(rollout(rolling, "kept")) == both(before)
    at = text.index("  kept:")
    rolling.file.write_text(text[:at] + text[at:].replace("[50%, 60%]", "[40%, 60%]", 1))
    begun = wait_for(lambda: (found := rollout(rolling, "kept"))["share"] == 0.4 and found, "the new definition")
    assert begun["candidate"]["calls"] == 0 and begun["began_us"] > before["began_us"]
