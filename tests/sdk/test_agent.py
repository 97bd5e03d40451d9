"""A long run of an agent with Anthropic's SDK: the conversation is the same whichever dialect answers it."""

import anthropic
import pytest
from conftest import APP_KEY

TURNS = 40
PLACES = ["Rome", "Oslo", "Paris", "Basel"]
TOOLS = [
    {
        "name": name,
        "description": f"Tells the {name}.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    }
    for name in ["get_weather", "get_time"]
]
TOOLS[-1]["cache_control"] = {"type": "ephemeral"}
SYSTEM = [{"type": "text", "text": "You look things up.", "cache_control": {"type": "ephemeral"}}]


def essence(block):
    """What a block says, without the ids and seals that each provider makes for itself."""
    if block.type == "text":
        return ("text", block.text)
    if block.type == "tool_use":
        return ("call", block.name, block.input)
    return None


def run(client, model):
    """Forty turns: a question, then parallel calls, then their results; every answer goes back as it came."""
    messages, told, losses = [], [], set()
    for turn in range(TURNS):
        if turn % 2 == 0:
            ask = f"Turn {turn}: call get_weather and get_time for {PLACES[turn // 2 % len(PLACES)]}"
            messages.append({"role": "user", "content": ask})
        raw = client.messages.with_raw_response.create(
            model=model,
            max_tokens=3000,
            system=SYSTEM,
            tools=TOOLS,
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=messages,
        )
        answer = raw.parse()
        losses |= set(filter(None, raw.headers.get("x-tollgate-loss", "").split(", ")))
        told.append([essence(block) for block in answer.content if essence(block)])
        messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
        calls = [block for block in answer.content if block.type == "tool_use"]
        if calls:
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.input['city']}: sunny {turn}"}
                for call in calls
            ]
            messages.append({"role": "user", "content": results})
    return told, losses


@pytest.mark.parametrize(
    "model",
    ["openai-sim/reasoner", "gemini-sim/third", "responses-sim/echo", "bedrock-sim/thinker", "cohere-sim/echo", "ollama-sim/echo"],
)
def test_a_long_run_is_the_same_everywhere(gateway, model):
    client = anthropic.Anthropic(base_url=gateway.url, api_key=APP_KEY, max_retries=0, timeout=20)
    expected, none = run(client, "anthropic-sim/echo")
    assert len(expected) == TURNS and not none
    assert [len(blocks) for blocks in expected] == [2, 1] * (TURNS // 2)
    told, losses = run(client, model)
    assert told == expected
    known = ("cache_control", "thinking", "content", "signature", "usage", "response")
    assert all(any(word in loss for word in known) for loss in losses), losses
