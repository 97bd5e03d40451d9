"""AWS' own SDK for Bedrock through the gateway, against every dialect."""

import json

import boto3
import botocore.config
import botocore.exceptions
import pytest
from conftest import APP_KEY, NO_STOPS, TARGETS

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
TOOLS = {
    "tools": [
        {"toolSpec": {"name": name, "description": name, "inputSchema": {"json": SCHEMA}}}
        for name in ["get_weather", "get_time"]
    ]
}
OF_EACH = pytest.mark.parametrize("model", TARGETS)


@pytest.fixture
def client(gateway):
    """It signs its requests: the key is the id, and the secret is anything."""
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=gateway.url,
        aws_access_key_id=APP_KEY,
        aws_secret_access_key="anything",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )


def user(text):
    return [{"role": "user", "content": [{"text": text}]}]


def said(answer):
    return "".join(block.get("text", "") for block in answer["output"]["message"]["content"])


@OF_EACH
def test_plain(client, gateway, model):
    answer = client.converse(
        modelId=model,
        system=[{"text": "Be brief."}],
        messages=user("good morning"),
        inferenceConfig={"temperature": 0.5, "maxTokens": 500},
    )
    assert said(answer).startswith("You said: good morning")
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"]["inputTokens"] > 0 and answer["usage"]["outputTokens"] > 0
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    record = gateway.record(headers["x-tollgate-request-id"])
    assert record["outcome"] == "complete" and record["counted"] == "reported"
    assert record["tokens"]["output"] == answer["usage"]["outputTokens"]


@OF_EACH
def test_streamed(client, model):
    events = list(client.converse_stream(modelId=model, messages=user("count to three"))["stream"])
    text = "".join(event["contentBlockDelta"]["delta"].get("text", "") for event in events if "contentBlockDelta" in event)
    assert text.startswith("You said: count to three")
    assert next(event["messageStop"]["stopReason"] for event in events if "messageStop" in event) == "end_turn"
    assert events[-1]["metadata"]["usage"]["outputTokens"] > 5


@OF_EACH
def test_parallel_tools_and_their_results(client, model):
    messages = user("call get_weather and get_time for Paris")
    answer = client.converse(modelId=model, messages=messages, toolConfig=TOOLS)
    assert answer["stopReason"] == "tool_use"
    message = answer["output"]["message"]
    calls = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    assert [call["name"] for call in calls] == ["get_weather", "get_time"]
    assert calls[0]["input"] == {"city": "Paris", "days": 7}
    results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "sunny"}]}} for call in calls]
    messages += [message, {"role": "user", "content": results}]
    assert "The tool answered: sunny" in said(client.converse(modelId=model, messages=messages, toolConfig=TOOLS))


@OF_EACH
def test_streamed_tools(client, model):
    calls = {}
    stream = client.converse_stream(modelId=model, messages=user("get_weather then get_time in Oslo"), toolConfig=TOOLS)
    for event in stream["stream"]:
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            calls[start["contentBlockIndex"]] = [start["start"]["toolUse"]["name"], ""]
        delta = event.get("contentBlockDelta", {"delta": {}})
        if "toolUse" in delta["delta"]:
            calls[delta["contentBlockIndex"]][1] += delta["delta"]["toolUse"]["input"]
    assert [name for name, _ in calls.values()] == ["get_weather", "get_time"]
    assert all(json.loads(arguments)["city"] == "Oslo" for _, arguments in calls.values())


@OF_EACH
def test_pictures(client, model):
    content = [{"text": "look"}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG\r\n\x1a\n"}}}]
    answer = client.converse(modelId=model, messages=[{"role": "user", "content": content}])
    assert "shown 1: image/png" in said(answer)


@pytest.mark.parametrize("model", ["bedrock-sim/echo", "anthropic-sim/echo", "gemini-sim/third"])
def test_thoughts_go_back_with_their_seals(client, model):
    """Whoever sealed a thought finds it unbroken in the next turn."""
    more = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    more |= {"toolConfig": TOOLS, "inferenceConfig": {"maxTokens": 4000}}
    messages = user("think about get_weather in Rome")
    message = client.converse(modelId=model, messages=messages, **more)["output"]["message"]
    assert "reasoningContent" in message["content"][0]
    call = message["content"][-1]["toolUse"]["toolUseId"]
    result = {"toolResult": {"toolUseId": call, "content": [{"text": "sunny"}]}}
    messages += [message, {"role": "user", "content": [result]}]
    assert "sunny" in said(client.converse(modelId=model, messages=messages, **more))


@OF_EACH
def test_limit_and_stop(client, model):
    answer = client.converse(modelId=model, messages=user("a b c"), inferenceConfig={"maxTokens": 2})
    assert answer["stopReason"] == "max_tokens"
    answer = client.converse(modelId=model, messages=user("alpha STOP beta"), inferenceConfig={"stopSequences": ["STOP"]})
    assert (said(answer) == "You said: alpha ") != (model in NO_STOPS)


@OF_EACH
@pytest.mark.parametrize(
    "script, name",
    [
        ("status=400", "ValidationException"),
        ("status=404", "ResourceNotFoundException"),
        ("status=429", "ThrottlingException"),
        ("garbage", "ServiceUnavailableException"),
    ],
)
def test_errors(client, model, script, name):
    for call in [client.converse, client.converse_stream]:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            call(modelId=f"{model}!{script}", messages=user("x"))
        assert refused.value.response["Error"]["Code"] == name


@OF_EACH
@pytest.mark.parametrize("script", ["error=6", "cut=7", "stall=7"])
def test_a_broken_stream_never_looks_finished(client, model, script):
    events = []
    with pytest.raises(botocore.exceptions.EventStreamError):
        for event in client.converse_stream(modelId=f"{model}!{script},pace=20ms", messages=user("x"))["stream"]:
            events.append(event)
    assert not any("messageStop" in event for event in events)


def test_keys(gateway):
    wrong = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=gateway.url, aws_access_key_id="tg-wrong",
        aws_secret_access_key="x",
    )
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        wrong.converse(modelId="both", messages=user("x"))
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
