"""The official Anthropic SDK through the gateway, against either dialect."""

import base64
import json

import anthropic
import pytest
import requests
from conftest import ALWAYS_PARALLEL, APP_KEY, NO_ADDRESSES, NO_CHOICE, NO_DOCUMENTS, NO_STOPS, TARGETS

PIXEL = base64.b64encode(bytes.fromhex("89504e470d0a1a0a")).decode()


def tool(name):
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    return {"name": name, "description": name, "input_schema": schema}


TOOLS = [tool("get_weather"), tool("get_time")]


@pytest.fixture
def client(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key=APP_KEY, max_retries=0, timeout=20)


def user(text):
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("model", TARGETS)
def test_plain(client, gateway, model):
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=100, system="Be brief.", messages=user("good morning")
    )
    answer = raw.parse()
    assert "good morning" in answer.content[0].text
    assert answer.stop_reason == "end_turn" and answer.type == "message"
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    assert gateway.record(raw.headers["x-tollgate-request-id"])["tokens"]["output"] == answer.usage.output_tokens


@pytest.mark.parametrize("model", TARGETS)
def test_streamed(client, model):
    with client.messages.stream(model=model, max_tokens=100, messages=user("count to three")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text.startswith("You said: count to three")
    assert final.content[0].text == text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 5


@pytest.mark.parametrize("model", TARGETS)
def test_parallel_tools_and_their_results(client, model):
    messages = user("call get_weather and get_time for Paris")
    answer = client.messages.create(model=model, max_tokens=500, messages=messages, tools=TOOLS)
    assert answer.stop_reason == "tool_use"
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert calls[0].input == {"city": "Paris", "days": 7}
    messages.append({"role": "assistant", "content": answer.content})
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"sunny {at}"} for at, call in enumerate(calls)]
    messages.append({"role": "user", "content": results})
    final = client.messages.create(model=model, max_tokens=500, messages=messages, tools=TOOLS)
    assert "The tool answered: sunny" in final.content[0].text


@pytest.mark.parametrize("model", TARGETS)
def test_streamed_tools(client, model):
    asked = user("get_weather then get_time in Oslo")
    with client.messages.stream(model=model, max_tokens=500, messages=asked, tools=TOOLS) as stream:
        final = stream.get_final_message()
    calls = [block for block in final.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert all(call.input == {"city": "Oslo", "days": 7} for call in calls)
    assert final.stop_reason == "tool_use"


@pytest.mark.parametrize("model", TARGETS)
def test_tool_choice(client, model):
    choice = {"type": "tool", "name": "get_time"}
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=500, messages=user("hello"), tools=TOOLS, tool_choice=choice
    )
    if model in NO_CHOICE:
        assert "tool_choice" in raw.headers["x-tollgate-loss"].split(", ")
    else:
        assert [block.name for block in raw.parse().content if block.type == "tool_use"] == ["get_time"]
    one = {"type": "auto", "disable_parallel_tool_use": True}
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=500, messages=user("get_weather get_time"), tools=TOOLS, tool_choice=one
    )
    if model in ALWAYS_PARALLEL:
        assert "tool_choice.disable_parallel_tool_use" in raw.headers["x-tollgate-loss"].split(", ")
    else:
        assert len([block for block in raw.parse().content if block.type == "tool_use"]) == 1


@pytest.mark.parametrize("model", TARGETS)
def test_images_and_documents(client, model):
    content = [
        {"type": "text", "text": "look"},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PIXEL}},
    ]
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=100, messages=[{"role": "user", "content": content}]
    )
    text = raw.parse().content[0].text
    if model in NO_DOCUMENTS:
        assert NO_DOCUMENTS[model] in text
        assert "messages[0].content[3]" in raw.headers["x-tollgate-loss"].split(", ")
    elif model in NO_ADDRESSES:
        assert NO_ADDRESSES[model] in text
        assert "messages[0].content[1]" in raw.headers["x-tollgate-loss"].split(", ")
    else:
        assert "shown 3: https://example.com/cat.png, image/png, application/pdf" in text


@pytest.mark.parametrize("model", TARGETS)
def test_structured_output(client, model):
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "score": {"type": "integer"}}}
    form = {"format": {"type": "json_schema", "schema": schema}}
    answer = client.messages.create(
        model=model, max_tokens=100, messages=user("judge me"), extra_body={"output_config": form}
    )
    assert json.loads(answer.content[0].text) == {"name": "me", "score": 7}


def test_thinking_is_signed_and_accepted_again(client):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    messages = user("think about get_weather in Rome")
    with client.messages.stream(
        model="anthropic-sim/echo", max_tokens=2000, messages=messages, tools=TOOLS, thinking=thinking
    ) as stream:
        answer = stream.get_final_message()
    assert answer.content[0].type == "thinking" and answer.content[0].signature.startswith("sim")
    messages.append({"role": "assistant", "content": answer.content})
    call = answer.content[1]
    messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "hot"}]})
    final = client.messages.create(
        model="anthropic-sim/echo", max_tokens=2000, messages=messages, tools=TOOLS, thinking=thinking
    )
    assert "The tool answered: hot" in final.content[-1].text


def test_a_thought_of_another_dialect_is_shown(client):
    answer = client.messages.create(model="openai-sim/reasoner", max_tokens=500, messages=user("hm"))
    assert [block.type for block in answer.content] == ["thinking", "text"]


def test_cached_tokens_are_told_and_charged(client, gateway):
    system = [{"type": "text", "text": "A long preface of several words.", "cache_control": {"type": "ephemeral"}}]
    records = []
    for _ in range(2):
        raw = client.messages.with_raw_response.create(
            model="anthropic-sim/echo", max_tokens=100, system=system, messages=user("x")
        )
        records.append(gateway.record(raw.headers["x-tollgate-request-id"]))
    first, second = records
    assert first["tokens"]["cache_write"] > 0 and second["tokens"]["cache_read"] > 0
    written, output = first["tokens"]["cache_write"], first["tokens"]["output"]
    assert first["cost"] == written * 3_750_000 + (first["tokens"]["input"] - written) * 3_000_000 + output * 15_000_000


@pytest.mark.parametrize("model", TARGETS)
def test_limit_stop_and_refusal(client, model):
    answer = client.messages.create(model=model, max_tokens=2, messages=user("a b c"))
    assert answer.stop_reason == "max_tokens"
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=50, messages=user("alpha STOP beta"), stop_sequences=["STOP"]
    )
    if model in NO_STOPS:
        assert "stop_sequences" in raw.headers["x-tollgate-loss"].split(", ")
    else:
        assert raw.parse().content[0].text == "You said: alpha "
    answer = client.messages.create(model=model, max_tokens=50, messages=user("please refuse"))
    assert "can not help" in answer.content[0].text


@pytest.mark.parametrize(
    "model, error",
    [
        ("anthropic-sim/echo!status=400", anthropic.BadRequestError),
        ("openai-sim/echo!status=400", anthropic.BadRequestError),
        ("anthropic-sim/echo!status=429,retry-after=7", anthropic.RateLimitError),
        ("openai-sim/echo!status=429,retry-after=7", anthropic.RateLimitError),
        ("anthropic-sim/echo!status=529", anthropic.InternalServerError),
        ("openai-sim/echo!status=503", anthropic.InternalServerError),
        ("anthropic-sim/echo!garbage", anthropic.InternalServerError),
        ("bad-credential/echo", anthropic.InternalServerError),
        ("nosuch/echo", anthropic.NotFoundError),
    ],
)
def test_errors(client, model, error):
    with pytest.raises(error) as caught:
        client.messages.create(model=model, max_tokens=10, messages=user("x"))
    assert caught.value.response.headers["x-tollgate-request-id"]
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("model", TARGETS)
def test_an_error_inside_a_stream_is_raised(client, model):
    with pytest.raises(anthropic.APIError):
        with client.messages.stream(model=f"{model}!error=5", max_tokens=50, messages=user("x")) as stream:
            stream.until_done()


def test_keys(client):
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="tg-" + "x" * 43).messages.create(
            model="anthropic-sim/echo", max_tokens=10, messages=user("x")
        )


def test_what_is_missing_is_named(client):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.post("/v1/messages", body={"messages": []}, cast_to=object)
    assert "model" in str(caught.value)


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert "anthropic-sim/echo" in names
    assert client.models.retrieve("anthropic-sim/echo").display_name == "anthropic-sim/echo"


def test_claude_on_vertex_is_named_in_the_address(client, gateway, sim):
    answer = client.messages.create(
        model="vertex-claude-sim/echo", max_tokens=500, tools=TOOLS,
        messages=user("call get_weather and get_time for Paris"),
    )
    assert [block.name for block in answer.content if block.type == "tool_use"] == ["get_weather", "get_time"]
    with client.messages.stream(
        model="vertex-claude-sim/echo", max_tokens=100, messages=user("count to three")
    ) as stream:
        assert "count to three" in "".join(stream.text_stream)
    assert sim.last()["body"]["anthropic_version"] == "vertex-2023-10-16"
    # From another dialect, too.
    body = {"model": "vertex-claude-sim/echo", "messages": user("hello"), "max_tokens": 50}
    headers = {"authorization": f"Bearer {APP_KEY}"}
    told = requests.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=10)
    assert told.status_code == 200, told.text
    assert "hello" in told.json()["choices"][0]["message"]["content"]
    record = gateway.record(told.headers["x-tollgate-request-id"])
    assert record["cost"] == record["tokens"]["input"] * 3_000_000 + record["tokens"]["output"] * 15_000_000
    assert "model" not in sim.last()["body"]
