"""Going on from a prompt, with OpenAI's and Ollama's own clients, against models that do and models that chat."""

import json
import urllib.request

import ollama
import openai
import pytest
from conftest import APP_KEY, NARROW_KEY, NO_STOPS, TARGETS, get

# Text completions go to the first as they are; all others are asked in a chat.
NATIVE = "openai-sim/echo"
CHATS = ["talk-sim/echo", *TARGETS[1:]]
OF_EACH = pytest.mark.parametrize("model", CHATS)
# The same of Ollama's API.
OLLAMA_NATIVE = "ollama-sim/echo"
OLLAMA_CHATS = [model for model in TARGETS if model != OLLAMA_NATIVE]
OLLAMA_OF_EACH = pytest.mark.parametrize("model", [OLLAMA_NATIVE, *OLLAMA_CHATS])
PICTURE = "iVBORw0KGgo="


@pytest.fixture
def client(gateway):
    return openai.OpenAI(api_key=APP_KEY, base_url=f"{gateway.url}/v1", max_retries=0, timeout=20)


@pytest.fixture
def llama(gateway):
    return ollama.Client(host=gateway.url, headers={"authorization": f"Bearer {APP_KEY}"}, timeout=20)


def lost(raw):
    """The fields of the request that were lost, as a header tells them."""
    names = raw.headers.get("x-tollgate-loss", "").split(", ")
    return [name for name in names if name and not name.startswith("response.")]


@OF_EACH
def test_whole(client, gateway, sim, model):
    raw = client.completions.with_raw_response.create(model=model, prompt="Once upon", temperature=0.5)
    made = raw.parse()
    choice = made.choices[0]
    assert (made.object, choice.index, choice.logprobs, choice.finish_reason) == ("text_completion", 0, None, "stop")
    assert choice.text.startswith("You said: Once upon")
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens > 5
    assert lost(raw) == [] and raw.headers["x-tollgate-target"] == model
    record = gateway.record(raw.headers["x-tollgate-request-id"])
    assert (record["operation"], record["dialect"], record["stream"]) == ("completions", "openai_completions", False)
    assert (record["outcome"], record["counted"], record["stop"] != "") == ("complete", "reported", True)
    assert record["tokens"]["output"] == made.usage.completion_tokens and record["cost"] > 0
    assert raw.headers["x-tollgate-cost-usd"] != "unpriced"
    # No limit is made up where the caller says none, but for the dialects that want one.
    sent = sim.last()["body"]
    assert "prompt" not in sent and sent.get("max_tokens") in (None, 4096)


@OF_EACH
def test_streamed(client, gateway, model):
    raw = client.completions.with_raw_response.create(model=model, prompt=["Once upon"], stream=True)
    chunks = list(raw.parse())
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert "".join(chunk.choices[0].text for chunk in chunks).startswith("You said: Once upon")
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks) and len(chunks) > 3
    record = gateway.record(raw.headers["x-tollgate-request-id"])
    assert (record["stream"], record["counted"]) == (True, "reported") and record["cost"] > 0


@OF_EACH
def test_usage_is_streamed_when_it_is_asked_for(client, model):
    options = {"include_usage": True}
    chunks = list(client.completions.create(model=model, prompt="Once", stream=True, stream_options=options))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 2
    assert all(chunk.choices and chunk.usage is None for chunk in chunks[:-1])


@OF_EACH
def test_limit_stop_and_echo(client, model):
    made = client.completions.create(model=model, prompt="a b c", max_tokens=2, echo=True)
    assert made.choices[0].finish_reason == "length" and made.choices[0].text.startswith("a b cYou said:")
    text = client.completions.create(model=model, prompt="alpha STOP beta", stop="STOP").choices[0].text
    assert (text == "You said: alpha ") != (model in NO_STOPS)


def test_several_answers(client):
    made = client.completions.create(model="talk-sim/echo", prompt="Once", n=2)
    assert [choice.index for choice in made.choices] == [0, 1]
    chunks = list(client.completions.create(model="talk-sim/echo", prompt="Once", n=2, stream=True))
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}
    raw = client.completions.with_raw_response.create(model="anthropic-sim/echo", prompt="Once", n=2, best_of=3)
    assert len(raw.parse().choices) == 1 and sorted(lost(raw)) == ["best_of", "n"]


def test_log_probabilities(client):
    made = client.completions.create(model="talk-sim/echo", prompt="Once", logprobs=2)
    choice = made.choices[0]
    assert "".join(choice.logprobs.tokens) == choice.text
    assert set(choice.logprobs.token_logprobs) == {-0.25}
    before = ["".join(choice.logprobs.tokens[:at]) for at in range(len(choice.logprobs.tokens))]
    assert choice.logprobs.text_offset == [len(text) for text in before]
    chunks = client.completions.create(model="talk-sim/echo", prompt="Once", logprobs=2, stream=True)
    lists = [choice.logprobs for chunk in chunks for choice in chunk.choices if choice.logprobs]
    assert [token for one in lists for token in one.tokens] == choice.logprobs.tokens
    assert [offset for one in lists for offset in one.text_offset] == choice.logprobs.text_offset
    raw = client.completions.with_raw_response.create(model="anthropic-sim/echo", prompt="Once", logprobs=2)
    assert lost(raw) == ["logprobs"] and raw.parse().choices[0].logprobs is None


@pytest.mark.parametrize(
    "more, param",
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "temperature": "hot"}, "temperature"),
    ],
)
def test_what_a_chat_does_not_take_is_refused_by_name(client, sim, more, param):
    before = sim.calls()["total"]
    for model in ["talk-sim/echo", "anthropic-sim/echo"]:
        with pytest.raises(openai.BadRequestError) as refused:
            client.completions.create(model=model, **more)
        assert refused.value.param == param and refused.value.message
    assert sim.calls()["total"] == before


@OF_EACH
@pytest.mark.parametrize("script, code", [("status=400", 400), ("status=429", 429), ("status=503", 503), ("garbage", 502)])
def test_errors(client, model, script, code):
    for stream in [False, True]:
        with pytest.raises(openai.APIStatusError) as refused:
            client.completions.create(model=f"{model}!{script}", prompt="x", stream=stream)
        assert refused.value.status_code == code and refused.value.body["message"]


@pytest.mark.parametrize("model, script", [(NATIVE, "cut=3"), *((model, script) for model in CHATS for script in ["error=6", "cut=7"])])
def test_a_broken_stream_never_looks_finished(client, model, script):
    reasons = []
    with pytest.raises(openai.APIError):
        for chunk in client.completions.create(model=f"{model}!{script},pace=20ms", prompt="x", stream=True):
            reasons += [choice.finish_reason for choice in chunk.choices]
    assert not any(reasons)


def test_a_strict_caller_loses_nothing(client):
    assert client.completions.create(model="strict", prompt="Once").choices[0].text.startswith("You said")
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model="strict", prompt="Once", best_of=2)
    assert refused.value.param == "best_of"


def test_models_that_take_the_form_get_it_byte_for_byte(client, gateway, sim):
    """Also where others of the same name only chat."""
    for model in [NATIVE, "both"]:
        body = json.dumps({"model": model, "prompt": [1, 2], "suffix": "end", "odd": 1.50}).encode()
        headers = {"authorization": f"Bearer {APP_KEY}", "content-type": "application/json"}
        request = urllib.request.Request(f"{gateway.url}/v1/completions", body, headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            assert "x-tollgate-loss" not in response.headers
            assert json.load(response)["choices"][0]["text"] == "[1,2] and so on, word by word"
        assert sim.last()["body"] == {"model": "echo", "prompt": [1, 2], "suffix": "end", "odd": 1.5}


def test_azure(gateway):
    client = openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key=APP_KEY, api_version="2024-10-21", azure_deployment="talk"
    )
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="talk", prompt="x")
    client = openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key=APP_KEY, api_version="2024-10-21", azure_deployment="strict"
    )
    assert client.completions.create(model="strict", prompt="x").choices[0].text.startswith("You said: x")


@OLLAMA_OF_EACH
def test_generate(llama, gateway, model):
    options = {"temperature": 0.5, "num_predict": 500}
    made = llama.generate(model=model, prompt="good morning", system="Be brief.", options=options)
    assert made.response.startswith("You said: good morning")
    assert (made.done, made.done_reason) == (True, "stop")
    assert made.prompt_eval_count > 0 and made.eval_count > 0
    # Durations come from where they are measured.
    assert (made.eval_duration is not None) == (model == OLLAMA_NATIVE)


@OLLAMA_OF_EACH
def test_generate_streamed(llama, gateway, model):
    lines = list(llama.generate(model=model, prompt="count to three", stream=True))
    assert "".join(line.response for line in lines).startswith("You said: count to three")
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1].eval_count > 5 and lines[-1].done_reason == "stop"


@pytest.mark.parametrize("model", [OLLAMA_NATIVE, "anthropic-sim/echo"])
@pytest.mark.parametrize("stream", [False, True])
def test_generate_is_recorded(gateway, model, stream):
    body = {"model": model, "prompt": "hi"} if stream else {"model": model, "prompt": "hi", "stream": False}
    headers = {"authorization": f"Bearer {APP_KEY}"}
    request = urllib.request.Request(f"{gateway.url}/api/generate", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        kind = response.headers["content-type"].split(";")[0]
        last = json.loads(response.read().splitlines()[-1])
        assert kind == ("application/x-ndjson" if stream else "application/json")
    record = gateway.record(response.headers["x-tollgate-request-id"])
    assert (record["operation"], record["dialect"]) == ("completions", "ollama_generate")
    assert (record["stream"], record["counted"], record["outcome"]) == (stream, "reported", "complete")
    assert record["tokens"]["output"] == last["eval_count"] and record["cost"] > 0


@OLLAMA_OF_EACH
def test_generate_with_pictures_and_formats(llama, model):
    assert "shown 1: image/png" in llama.generate(model=model, prompt="look", images=[PICTURE]).response
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "score": {"type": "integer"}}}
    made = llama.generate(model=model, prompt="judge me", format=schema)
    assert json.loads(made.response) == {"name": "me", "score": 7}


@pytest.mark.parametrize("model", [OLLAMA_NATIVE, "anthropic-sim/thinker", "gemini-sim/third"])
def test_generate_thinking(llama, model):
    made = llama.generate(model=model, prompt="hello", think="high", options={"num_predict": 2000})
    assert "echo" in made.thinking and made.response.startswith("You said: hello")
    lines = list(llama.generate(model=model, prompt="hello", think="high", options={"num_predict": 2000}, stream=True))
    assert "echo" in "".join(line.thinking or "" for line in lines)


@OLLAMA_OF_EACH
def test_generate_limit_and_stop(llama, model):
    assert llama.generate(model=model, prompt="a b c", options={"num_predict": 2}).done_reason == "length"
    made = llama.generate(model=model, prompt="alpha STOP beta", options={"stop": ["STOP"]})
    assert (made.response == "You said: alpha ") != (model in NO_STOPS)


@OLLAMA_OF_EACH
@pytest.mark.parametrize("script", ["error=6", "cut=7"])
def test_a_broken_generation_never_looks_finished(llama, model, script):
    done = []
    with pytest.raises(ollama.ResponseError):
        for line in llama.generate(model=f"{model}!{script},pace=20ms", prompt="x", stream=True):
            done.append(line.done)
    assert not any(done)


def test_generate_refusals(llama, sim):
    before = sim.calls()["total"]
    for more in [{"suffix": "end"}, {"context": [1, 2]}]:
        with pytest.raises(ollama.ResponseError) as refused:
            llama.generate(model="anthropic-sim/echo", prompt="x", **more)
        assert refused.value.status_code == 400 and next(iter(more)) in refused.value.error
    assert sim.calls()["total"] == before
    assert llama.generate(model=OLLAMA_NATIVE, prompt="x", suffix="end", context=[1, 2]).response
    assert sim.last()["body"]["context"] == [1, 2]


def test_a_model_is_loaded_without_being_asked(llama, sim):
    before = sim.calls()["total"]
    made = llama.generate(model="anthropic-sim/echo")
    assert (made.response, made.done, made.done_reason) == ("", True, "load")
    assert llama.generate(model="anthropic-sim/echo", keep_alive=0).done_reason == "unload"
    assert [line.done for line in llama.generate(model="anthropic-sim/echo", stream=True)] == [True]
    with pytest.raises(ollama.ResponseError) as refused:
        llama.generate(model="nobody-knows/echo")
    assert refused.value.status_code == 404
    assert sim.calls()["total"] == before
    # Ollama loads its own.
    assert llama.generate(model=OLLAMA_NATIVE).done_reason == "load"
    assert sim.calls()["total"] != before


@pytest.mark.parametrize("path, more", [("/ollama-sim/api/generate", {}), ("/openai-sim/v1/completions", {"stream": True})])
def test_what_is_passed_through_is_metered(gateway, path, more):
    body = json.dumps({"model": "echo", "prompt": "hi", **more}).encode()
    headers = {"authorization": f"Bearer {APP_KEY}", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(gateway.url + path, body, headers), timeout=20) as response:
        assert len(response.read().splitlines()) > 3
    record = gateway.record(response.headers["x-tollgate-request-id"])
    assert (record["operation"], record["counted"]) == ("pass_through", "reported")
    assert record["tokens"]["output"] > 5 and record["cost"] > 0


@pytest.mark.parametrize("model", [NATIVE, "anthropic-sim/echo"])
def test_a_stream_ends_with_its_cost(gateway, model):
    body = json.dumps({"model": model, "prompt": "hi", "stream": True}).encode()
    headers = {"authorization": f"Bearer {APP_KEY}", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{gateway.url}/v1/completions", body, headers)) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *_, done, cost = [line for line in response.read().decode().splitlines() if line]
    assert done == "data: [DONE]" and float(cost.removeprefix(": x-tollgate-cost-usd ")) > 0


def test_who_goes_away_is_charged_what_was_said(client, gateway):
    """Also where nothing was translated."""
    model = "openai-sim/echo!pace=20ms,words=400"
    raw = client.completions.with_raw_response.create(model=model, prompt="word " * 100, stream=True)
    stream = raw.parse()
    for _ in range(10):
        next(stream)
    stream.close()
    record = gateway.record(raw.headers["x-tollgate-request-id"])
    assert (record["outcome"], record["counted"]) == ("cancelled", "estimated")
    assert 5 <= record["tokens"]["output"] < 100


def test_what_models_can_do(llama, gateway):
    shown = llama.show("anthropic-sim/echo")
    assert shown.capabilities == ["completion", "tools", "vision", "thinking"]
    assert shown.modelinfo == {"general.architecture": "anthropic-sim", "anthropic-sim.context_length": 200000}
    assert shown.details.family == "anthropic-sim"
    assert llama.show("strict").modelinfo["tollgate.context_length"] == 200000
    assert llama.show("cohere-sim/echo").capabilities == ["completion"]
    narrow = ollama.Client(host=gateway.url, headers={"authorization": f"Bearer {NARROW_KEY}"})
    assert narrow.show("openai-sim/echo").capabilities == ["completion", "tools", "vision"]
    for client, name in [(narrow, "anthropic-sim/echo"), (llama, "nobody-knows/echo")]:
        with pytest.raises(ollama.ResponseError) as refused:
            client.show(name)
        assert refused.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as refused:
        ollama.Client(host=gateway.url, headers={"authorization": "Bearer tg-none"}).show("strict")
    assert refused.value.status_code == 401


def test_nothing_is_loaded_here(llama, gateway):
    assert llama.ps().models == []
    assert get(f"{gateway.url}/api/version")["version"]
    with pytest.raises(ollama.ResponseError) as refused:
        ollama.Client(host=gateway.url).ps()
    assert refused.value.status_code == 401
