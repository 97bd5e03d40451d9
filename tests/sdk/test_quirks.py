"""What models of a server make of its dialect, seen by the official Anthropic SDK."""

import anthropic
import openai
import pytest
from conftest import APP_KEY

TAGGED = ["openai-sim/echo!tagged", "openai-sim/echo!tagged,split"]
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key=APP_KEY, max_retries=0, timeout=20)


def check_blocks(message):
    assert [block.type for block in message.content] == ["thinking", "text"]
    thought, said = message.content
    assert thought.thinking == "They speak." and said.text.startswith("You said: hello")


@pytest.mark.parametrize("model", TAGGED)
def test_thinking_in_the_text_is_thinking(client, model):
    check_blocks(client.messages.create(model=model, max_tokens=100, messages=HELLO))
    with client.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
        check_blocks(stream.get_final_message())


def test_callers_of_the_dialect_get_the_bytes(gateway):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0)
    answer = client.chat.completions.create(model=TAGGED[0], messages=HELLO)
    assert answer.choices[0].message.content.startswith("<think>\nThey speak.\n</think>\n\nYou said")


def test_thinking_goes_back_into_the_text(client, sim):
    answer = client.messages.create(model=TAGGED[0], max_tokens=100, messages=HELLO)
    turns = [*HELLO, {"role": "assistant", "content": answer.content}, {"role": "user", "content": "and?"}]
    client.messages.create(model=TAGGED[0], max_tokens=100, messages=turns)
    sent = sim.last()["body"]["messages"][1]
    assert sent["content"].startswith("<think>\nThey speak.\n</think>\n\nYou said: hello")


def test_a_request_is_made_to_fit(client, sim):
    call = {"type": "tool_use", "id": "toolu_01", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_01", "content": "x"}
    raw = client.messages.with_raw_response.create(
        model="openai-sim/fussy",
        max_tokens=100,
        system="Be brief.",
        extra_body={"temperature": 0.5},
        stop_sequences=["END"],
        messages=[
            {"role": "user", "content": "one"},
            {"role": "user", "content": "two"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result, {"type": "text", "text": "three"}]},
        ],
    )
    sent = sim.last()["body"]
    assert "stop" not in sent and "temperature" not in sent
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool", "assistant", "user"]
    told, called, answered, _, _ = sent["messages"]
    assert [part["text"] for part in told["content"]] == ["Be brief.", "one", "two"]
    assert called["reasoning_content"] == " "
    assert len(answered["tool_call_id"]) == 9 and answered["tool_call_id"].isalnum()
    assert called["tool_calls"][0]["id"] == answered["tool_call_id"]
    lost = {path for path in raw.headers["x-tollgate-loss"].split(", ") if not path.startswith("response.")}
    assert lost == {"temperature", "stop_sequences", "~system", "~messages[3]"}


def test_what_is_cut_of_a_schema_is_told(gateway):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0)
    properties = {"größe": {"type": "integer", "minimum": 1}}
    schema = {"type": "object", "properties": properties, "required": ["größe"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    raw = client.chat.completions.with_raw_response.create(
        model="anthropic-sim/echo", messages=HELLO, response_format=form
    )
    place = "~response_format.json_schema.schema.properties.gr??e.minimum"
    assert place in raw.headers["x-tollgate-loss"].split(", ")
