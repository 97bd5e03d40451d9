"""Cohere's own SDK through the gateway, against every dialect."""

import json

import cohere
import pytest
from cohere.core.api_error import ApiError
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
    return cohere.ClientV2(api_key=APP_KEY, base_url=gateway.url, timeout=20)


def user(text):
    return [{"role": "user", "content": text}]


def said(answer):
    return "".join(block.text for block in answer.message.content or [] if block.type == "text")


@OF_EACH
def test_plain(client, model):
    messages = [{"role": "system", "content": "Be brief."}, *user("good morning")]
    answer = client.chat(model=model, messages=messages, temperature=0.5, max_tokens=500)
    assert said(answer).startswith("You said: good morning")
    assert answer.finish_reason == "COMPLETE"
    assert answer.usage.billed_units.input_tokens > 0 and answer.usage.billed_units.output_tokens > 0


@OF_EACH
def test_streamed(client, model):
    events = list(client.chat_stream(model=model, messages=user("count to three")))
    kinds = [event.type for event in events]
    assert kinds[0] == "message-start" and kinds[-1] == "message-end"
    text = "".join(event.delta.message.content.text for event in events if event.type == "content-delta")
    assert text.startswith("You said: count to three")
    assert events[-1].delta.finish_reason == "COMPLETE" and events[-1].delta.usage.billed_units.output_tokens > 5


@OF_EACH
def test_parallel_tools_and_their_results(client, model):
    messages = user("call get_weather and get_time for Paris")
    answer = client.chat(model=model, messages=messages, tools=TOOLS)
    calls = answer.message.tool_calls
    assert answer.finish_reason == "TOOL_CALL"
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert json.loads(calls[0].function.arguments) == {"city": "Paris", "days": 7}
    messages.append(answer.message)
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    assert "The tool answered: sunny" in said(client.chat(model=model, messages=messages, tools=TOOLS))


@OF_EACH
def test_streamed_tools(client, model):
    calls = {}
    for event in client.chat_stream(model=model, messages=user("get_weather then get_time in Oslo"), tools=TOOLS):
        if event.type == "tool-call-start":
            calls[event.index] = [event.delta.message.tool_calls.function.name, ""]
        if event.type == "tool-call-delta":
            calls[event.index][1] += event.delta.message.tool_calls.function.arguments
    assert [name for name, _ in calls.values()] == ["get_weather", "get_time"]
    assert all(json.loads(arguments)["city"] == "Oslo" for _, arguments in calls.values())


@OF_EACH
def test_structured_output(client, model):
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "score": {"type": "integer"}}}
    form = {"type": "json_object", "json_schema": schema}
    answer = client.chat(model=model, messages=user("judge me"), response_format=form)
    assert json.loads(said(answer)) == {"name": "me", "score": 7}


@pytest.mark.parametrize("model", ["cohere-sim/echo", "anthropic-sim/echo", "gemini-sim/third"])
def test_thinking(client, model):
    thinking = {"type": "enabled", "token_budget": 1024}
    answer = client.chat(model=model, messages=user("hello"), thinking=thinking, max_tokens=4000)
    assert "echo" in answer.message.content[0].thinking and said(answer).startswith("You said: hello")


@OF_EACH
def test_limit_and_stop(client, model):
    assert client.chat(model=model, messages=user("a b c"), max_tokens=2).finish_reason == "MAX_TOKENS"
    answer = client.chat(model=model, messages=user("alpha STOP beta"), stop_sequences=["STOP"])
    assert (said(answer) == "You said: alpha ") != (model in NO_STOPS)


@OF_EACH
@pytest.mark.parametrize("script, code", [("status=400", 400), ("status=404", 404), ("status=429", 429), ("garbage", 502)])
def test_errors(client, model, script, code):
    once = {"max_retries": 0}
    with pytest.raises(ApiError) as refused:
        client.chat(model=f"{model}!{script}", messages=user("x"), request_options=once)
    assert refused.value.status_code == code and refused.value.body["message"]
    with pytest.raises(ApiError):
        list(client.chat_stream(model=f"{model}!{script}", messages=user("x"), request_options=once))


@OF_EACH
@pytest.mark.parametrize("script", ["error=6", "cut=7", "stall=7"])
def test_a_broken_stream_never_looks_finished(client, model, script):
    events = list(client.chat_stream(model=f"{model}!{script},pace=20ms", messages=user("x")))
    assert events[-1].type == "message-end" and events[-1].delta.finish_reason == "ERROR"


def test_models(client):
    """Its SDK has no call for them of its own in the second version: it asks at the address of the first."""
    names = [model.name for model in client.models.list().models]
    assert "cohere-sim/echo" in names
    assert client.models.get("cohere-sim/echo").name == "cohere-sim/echo"
