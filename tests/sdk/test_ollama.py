"""Ollama's own client through the gateway, against every dialect."""

import json

import ollama
import pytest
from conftest import APP_KEY, NO_STOPS, TARGETS

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
    for name in ["get_weather", "get_time"]
]
OF_EACH = pytest.mark.parametrize("model", TARGETS)


@pytest.fixture
def client(gateway):
    return ollama.Client(host=gateway.url, headers={"authorization": f"Bearer {APP_KEY}"}, timeout=20)


def user(text, **more):
    return [{"role": "user", "content": text, **more}]


@OF_EACH
def test_plain(client, model):
    messages = [{"role": "system", "content": "Be brief."}, *user("good morning")]
    answer = client.chat(model=model, messages=messages, options={"temperature": 0.5, "num_predict": 500})
    assert answer.message.content.startswith("You said: good morning")
    assert answer.done and answer.done_reason == "stop"
    assert answer.prompt_eval_count > 0 and answer.eval_count > 0


@OF_EACH
def test_streamed(client, model):
    lines = list(client.chat(model=model, messages=user("count to three"), stream=True))
    assert "".join(line.message.content for line in lines).startswith("You said: count to three")
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1].eval_count > 5


@OF_EACH
def test_parallel_tools_and_their_results(client, model):
    messages = user("call get_weather and get_time for Paris")
    answer = client.chat(model=model, messages=messages, tools=TOOLS)
    calls = answer.message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert calls[0].function.arguments == {"city": "Paris", "days": 7}
    messages.append(answer.message)
    messages += [{"role": "tool", "tool_name": call.function.name, "content": "sunny"} for call in calls]
    final = client.chat(model=model, messages=messages, tools=TOOLS)
    assert "The tool answered: sunny" in final.message.content


@OF_EACH
def test_streamed_tools(client, model):
    lines = client.chat(model=model, messages=user("get_weather then get_time in Oslo"), tools=TOOLS, stream=True)
    calls = [call for line in lines for call in line.message.tool_calls or []]
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert all(call.function.arguments["city"] == "Oslo" for call in calls)


@OF_EACH
def test_pictures(client, model):
    answer = client.chat(model=model, messages=user("look", images=["iVBORw0KGgo="]))
    assert "shown 1: image/png" in answer.message.content


@OF_EACH
def test_structured_output(client, model):
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "score": {"type": "integer"}}}
    answer = client.chat(model=model, messages=user("judge me"), format=schema)
    assert json.loads(answer.message.content) == {"name": "me", "score": 7}


@pytest.mark.parametrize("model", ["ollama-sim/echo", "anthropic-sim/thinker", "gemini-sim/third"])
def test_thinking(client, model):
    answer = client.chat(model=model, messages=user("hello"), think="high", options={"num_predict": 2000})
    assert "echo" in answer.message.thinking and answer.message.content.startswith("You said: hello")


@OF_EACH
def test_limit_and_stop(client, model):
    answer = client.chat(model=model, messages=user("a b c"), options={"num_predict": 2})
    assert answer.done_reason == "length"
    answer = client.chat(model=model, messages=user("alpha STOP beta"), options={"stop": ["STOP"]})
    assert (answer.message.content == "You said: alpha ") != (model in NO_STOPS)


@OF_EACH
@pytest.mark.parametrize("script, code", [("status=400", 400), ("status=404", 404), ("status=429", 429), ("garbage", 502)])
def test_errors(client, model, script, code):
    with pytest.raises(ollama.ResponseError) as refused:
        client.chat(model=f"{model}!{script}", messages=user("x"))
    assert refused.value.status_code == code and refused.value.error
    with pytest.raises(ollama.ResponseError):
        list(client.chat(model=f"{model}!{script}", messages=user("x"), stream=True))


@OF_EACH
@pytest.mark.parametrize("script", ["error=6", "cut=7", "stall=7"])
def test_a_broken_stream_never_looks_finished(client, model, script):
    done = []
    with pytest.raises(ollama.ResponseError):
        for line in client.chat(model=f"{model}!{script},pace=20ms", messages=user("x"), stream=True):
            done.append(line.done)
    assert not any(done)


def test_models(client):
    assert "ollama-sim/echo" in [model.model for model in client.list().models]
