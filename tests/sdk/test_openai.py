"""The official OpenAI SDK through the gateway, against either dialect."""

import base64
import json

import openai
import pytest
from conftest import ALWAYS_PARALLEL, APP_KEY, NO_ADDRESSES, NO_CHOICE, NO_DOCUMENTS, NO_STOPS, TARGETS

PIXEL = base64.b64encode(bytes.fromhex("89504e470d0a1a0a")).decode()


def tool(name):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    }
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


TOOLS = [tool("get_weather"), tool("get_time")]


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0, timeout=20)


def user(text):
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("model", TARGETS)
def test_plain(client, gateway, model):
    raw = client.chat.completions.with_raw_response.create(
        model=model,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "And kind."},
            {"role": "user", "content": "good morning"},
        ],
    )
    answer = raw.parse()
    assert "good morning" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert raw.headers["x-tollgate-target"] == model
    record = gateway.record(raw.headers["x-tollgate-request-id"])
    assert record["outcome"] == "complete" and record["counted"] == "reported"
    assert record["tokens"]["output"] == answer.usage.completion_tokens
    price = {"openai-sim": (1_000_000, 2_000_000), "anthropic-sim": (3_000_000, 15_000_000),
             "responses-sim": (2_000_000, 8_000_000), "gemini-sim": (500_000, 3_000_000),
             "ollama-sim": (250_000, 500_000), "cohere-sim": (2_500_000, 10_000_000),
             "bedrock-sim": (3_000_000, 15_000_000)}[record["provider"]]
    assert record["cost"] == record["tokens"]["input"] * price[0] + record["tokens"]["output"] * price[1]
    assert float(raw.headers["x-tollgate-cost-usd"]) == pytest.approx(record["cost"] / 1e12)


@pytest.mark.parametrize("model", TARGETS)
@pytest.mark.parametrize("usage", [False, True])
def test_streamed(client, model, usage):
    options = {"stream_options": {"include_usage": True}} if usage else {}
    chunks = list(client.chat.completions.create(model=model, messages=user("count to three"), stream=True, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("You said: count to three")
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    reported = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(reported) == (1 if usage else 0)
    assert all(chunk.choices for chunk in chunks) != usage
    if usage:
        assert reported[0].completion_tokens > 5


@pytest.mark.parametrize("model", TARGETS)
def test_parallel_tools_and_their_results(client, model):
    messages = user("call get_weather and get_time for Paris")
    answer = client.chat.completions.create(model=model, messages=messages, tools=TOOLS).choices[0]
    assert answer.finish_reason == "tool_calls"
    calls = answer.message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert json.loads(calls[0].function.arguments) == {"city": "Paris", "days": 7}
    messages.append(answer.message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"sunny {at}"} for at, call in enumerate(calls)]
    final = client.chat.completions.create(model=model, messages=messages, tools=TOOLS).choices[0]
    assert "The tool answered: sunny" in final.message.content


@pytest.mark.parametrize("model", TARGETS)
def test_streamed_tools(client, model):
    calls = {}
    stream = client.chat.completions.create(
        model=model, messages=user("get_weather then get_time in Oslo"), tools=TOOLS, stream=True
    )
    for chunk in stream:
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            known = calls.setdefault(call.index, {"id": call.id, "name": call.function.name, "arguments": ""})
            known["arguments"] += call.function.arguments or ""
        finish = chunk.choices[0].finish_reason if chunk.choices else None
        if finish:
            assert finish == "tool_calls"
    assert [calls[0]["name"], calls[1]["name"]] == ["get_weather", "get_time"]
    assert all(json.loads(call["arguments"])["city"] == "Oslo" for call in calls.values())
    assert calls[0]["id"] != calls[1]["id"]


@pytest.mark.parametrize("model", TARGETS)
def test_tool_choice(client, model):
    named = {"type": "function", "function": {"name": "get_time"}}
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=user("hello"), tools=TOOLS, tool_choice=named
    )
    if model in NO_CHOICE:
        assert "tool_choice" in raw.headers["x-tollgate-loss"].split(", ")
    else:
        assert [call.function.name for call in raw.parse().choices[0].message.tool_calls] == ["get_time"]
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=user("get_weather get_time"), tools=TOOLS, parallel_tool_calls=False
    )
    if model in ALWAYS_PARALLEL:
        assert "parallel_tool_calls" in raw.headers["x-tollgate-loss"].split(", ")
    else:
        assert len(raw.parse().choices[0].message.tool_calls) == 1


@pytest.mark.parametrize("model", TARGETS)
def test_images_and_files(client, model):
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PIXEL}"}},
    ]
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": content}]
    )
    text = raw.parse().choices[0].message.content
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
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "score": {"type": "integer"}},
        "required": ["name", "score"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    answer = client.chat.completions.create(model=model, messages=user("judge me"), response_format=form)
    assert json.loads(answer.choices[0].message.content) == {"name": "me", "score": 7}


def test_reasoning_and_its_signature_come_back(client, gateway):
    messages = user("think about get_weather in Rome")
    extra = {"extra_body": {"reasoning_effort": "low"}}
    answer = client.chat.completions.create(model="openai-sim/reasoner", messages=messages, **extra).choices[0]
    assert "echo" in answer.message.reasoning_content


def test_refusal_limit_and_stop(client):
    for model in TARGETS:
        answer = client.chat.completions.create(model=model, messages=user("a b c"), max_completion_tokens=2)
        assert answer.choices[0].finish_reason == "length"
        raw = client.chat.completions.with_raw_response.create(model=model, messages=user("alpha STOP beta"), stop=["STOP"])
        answer = raw.parse()
        if model in NO_STOPS:
            assert "stop" in raw.headers["x-tollgate-loss"].split(", ")
        else:
            assert answer.choices[0].message.content == "You said: alpha "
        assert answer.choices[0].finish_reason == "stop"
        answer = client.chat.completions.create(model=model, messages=user("please refuse"))
        assert "can not help" in (answer.choices[0].message.refusal or answer.choices[0].message.content)


def test_n_and_logprobs_in_the_same_dialect(client):
    answer = client.chat.completions.create(model="openai-sim/echo", messages=user("x"), n=2, logprobs=True, seed=7)
    assert len(answer.choices) == 2
    assert answer.choices[0].logprobs.content[0].logprob == -0.25


def test_losses_are_named(client, gateway):
    raw = client.chat.completions.with_raw_response.create(
        model="anthropic-sim/echo", messages=user("x"), seed=7, logit_bias={"1": 2}, temperature=1.5
    )
    losses = raw.headers["x-tollgate-loss"].split(", ")
    assert {loss for loss in losses if "response" not in loss} == {"seed", "logit_bias", "~temperature"}
    assert "response.usage.service_tier" in losses
    assert set(gateway.record(raw.headers["x-tollgate-request-id"])["losses"]) == set(losses)


def test_strict_fidelity_refuses_and_names_the_field(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="strict", messages=user("x"), seed=7)
    assert refused.value.param == "seed" and refused.value.code == "unsupported_field"
    assert client.chat.completions.create(model="strict", messages=user("x")).choices


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert "both" in names and "openai-sim/echo" in names


@pytest.mark.parametrize(
    "model, error",
    [
        ("openai-sim/echo!status=400", openai.BadRequestError),
        ("anthropic-sim/echo!status=400", openai.BadRequestError),
        ("openai-sim/echo!status=404", openai.NotFoundError),
        ("openai-sim/echo!status=429,retry-after=7", openai.RateLimitError),
        ("anthropic-sim/echo!status=429,retry-after=7", openai.RateLimitError),
        ("openai-sim/echo!status=500", openai.InternalServerError),
        ("anthropic-sim/echo!status=529", openai.InternalServerError),
        ("openai-sim/echo!garbage", openai.InternalServerError),
        ("openai-sim/echo!html=502", openai.InternalServerError),
        ("bad-credential/echo", openai.InternalServerError),
        ("nobody/echo", openai.InternalServerError),
        ("nosuch/echo", openai.NotFoundError),
        ("nosuch", openai.NotFoundError),
    ],
)
def test_errors(client, model, error):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=model, messages=user("x"))
    assert caught.value.response.headers["x-tollgate-request-id"]
    assert caught.value.message
    if "retry-after" in model:
        assert caught.value.response.headers["retry-after"] == "7"
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("model", TARGETS)
def test_an_error_inside_a_stream_is_raised(client, model):
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model=f"{model}!error=4", messages=user("x"), stream=True):
            pass


def test_keys(client, gateway):
    def ask(key, model="openai-sim/echo"):
        client.with_options(api_key=key).chat.completions.create(model=model, messages=user("x"))

    for key in ["tg-" + "x" * 43, "sk-other", "tg-" + "e" * 43]:
        with pytest.raises(openai.AuthenticationError):
            ask(key)
    ask("tg-" + "n" * 43)
    with pytest.raises(openai.PermissionDeniedError) as denied:
        ask("tg-" + "n" * 43, "anthropic-sim/echo")
    assert denied.value.code == "model_not_allowed"


def test_the_next_target_is_tried(client):
    raw = client.chat.completions.with_raw_response.create(model="both", messages=user("x"))
    assert raw.headers["x-tollgate-target"] == "openai-sim/echo"
    assert raw.headers["x-tollgate-attempts"] == "2"


def test_azures_client(gateway):
    """It names the deployment in the path and the key in a header of its own."""
    azure = openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key=APP_KEY, api_version="2025-03-01-preview", max_retries=0
    )
    answer = azure.chat.completions.create(model="both", messages=user("hello"))
    assert answer.choices[0].message.content.startswith("You said: hello")
    answer = azure.responses.create(model="anthropic-sim/echo", input="hello")
    assert answer.output_text.startswith("You said: hello")


def test_one_model(client):
    assert client.models.retrieve("openai-sim/echo").id == "openai-sim/echo"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("openai-sim/nothing")
