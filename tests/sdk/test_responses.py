"""The official OpenAI SDK's Responses API through the gateway, against every dialect."""

import json

import openai
import pytest
from conftest import APP_KEY, TARGETS

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
    "strict": False,
}
CLOCK = {**WEATHER, "name": "get_time"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="

pytestmark = pytest.mark.parametrize("model", TARGETS)


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0, timeout=20)


def test_plain(client, gateway, model):
    raw = client.responses.with_raw_response.create(model=model, instructions="Be brief.", input="good morning")
    answer = raw.parse()
    assert answer.output_text.startswith("You said: good morning")
    assert answer.status == "completed" and answer.id.startswith("resp_")
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    record = gateway.record(raw.headers["x-tollgate-request-id"])
    assert record["outcome"] == "complete" and record["counted"] == "reported"
    assert record["tokens"]["output"] == answer.usage.output_tokens


def test_streamed(client, model):
    events = list(client.responses.create(model=model, input="count to three", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text.startswith("You said: count to three")
    final = events[-1].response
    assert final.output_text == text and final.usage.output_tokens > 5


def test_streamed_with_the_helper(client, model):
    with client.responses.stream(model=model, input="hello") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text.startswith("You said: hello")


def test_parallel_tools_and_their_results(client, model):
    asked = [{"role": "user", "content": "call get_weather and get_time for Paris"}]
    answer = client.responses.create(model=model, input=asked, tools=[WEATHER, CLOCK])
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert json.loads(calls[0].arguments) == {"city": "Paris", "days": 7}
    asked += [item.model_dump(exclude_none=True) for item in answer.output]
    asked += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    final = client.responses.create(model=model, input=asked, tools=[WEATHER, CLOCK])
    assert "The tool answered: sunny" in final.output_text


def test_streamed_tools(client, model):
    stream = client.responses.create(model=model, input="get_weather in Oslo", tools=[WEATHER], stream=True)
    events = list(stream)
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert json.loads("".join(pieces)) == json.loads(done[0].arguments) == {"city": "Oslo", "days": 7}


def test_images(client, model):
    content = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": PIXEL, "detail": "auto"}]
    answer = client.responses.create(model=model, input=[{"role": "user", "content": content}])
    assert "shown 1: image/png" in answer.output_text


def test_structured_output(client, model):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "score": {"type": "integer"}},
        "required": ["name", "score"],
        "additionalProperties": False,
    }
    form = {"format": {"type": "json_schema", "name": "verdict", "strict": True, "schema": schema}}
    answer = client.responses.create(model=model, input="judge me", text=form)
    assert json.loads(answer.output_text) == {"name": "me", "score": 7}


def test_reasoning_goes_back_with_its_seal(client, model):
    """The whole output is sent again, as OpenAI's guide says: whoever sealed a thought finds it unbroken."""
    asked = [{"role": "user", "content": "think about get_weather in Rome"}]
    more = {"tools": [WEATHER], "include": ["reasoning.encrypted_content"], "store": False}
    more["reasoning"] = {"effort": "low", "summary": "auto"}
    model = model.replace("anthropic-sim/echo", "anthropic-sim/thinker")
    answer = client.responses.create(model=model, input=asked, max_output_tokens=4000, **more)
    kinds = [item.type for item in answer.output]
    assert kinds[-1] == "function_call"
    if not model.startswith("openai-sim"):
        assert kinds[0] == "reasoning"
    asked += [item.model_dump(exclude_none=True) for item in answer.output]
    call = answer.output[-1].call_id
    asked.append({"type": "function_call_output", "call_id": call, "output": "sunny"})
    final = client.responses.create(model=model, input=asked, max_output_tokens=4000, **more)
    assert "sunny" in final.output_text


def test_limit(client, model):
    answer = client.responses.create(model=model, input="a b c d e f", max_output_tokens=2)
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens"


def test_state_is_never_lost_in_silence(client, model):
    if model.startswith("responses-sim"):
        first = client.responses.create(model=model, input="hello")
        second = client.responses.create(model=model, input="again", previous_response_id=first.id)
        assert second.previous_response_id == first.id
        return
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=model, input="again", previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id" and refused.value.code == "unsupported_field"


@pytest.mark.parametrize(
    "script, error",
    [
        ("status=400", openai.BadRequestError),
        ("status=404", openai.NotFoundError),
        ("status=429,retry-after=7", openai.RateLimitError),
        ("status=500", openai.InternalServerError),
        ("garbage", openai.InternalServerError),
    ],
)
def test_errors(client, model, script, error):
    with pytest.raises(error):
        client.responses.create(model=f"{model}!{script}", input="x")
    with pytest.raises(error):
        client.responses.create(model=f"{model}!{script}", input="x", stream=True)


@pytest.mark.parametrize("script", ["error=6", "cut=7", "stall=7", "end=7"])
def test_a_broken_stream_never_looks_finished(client, model, script):
    stream = client.responses.create(model=f"{model}!{script},pace=20ms", input="x", stream=True)
    kinds = [event.type for event in stream]
    assert "response.completed" not in kinds
    assert kinds[-1] in ("error", "response.failed")
