"""LiteLLM as a client through the gateway: each API that it can be pointed at, against every dialect."""

import asyncio
import gc
import json
import os

import pytest
from conftest import APP_KEY, NO_CHOICE, TARGETS

# It would fetch its prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import openai  # noqa: E402

litellm.suppress_debug_info = True

# What it must know of a model before it sends a system message and a schema to Gemini as they are.
ABLE = {"litellm_provider": "gemini", "mode": "chat", "supports_system_messages": True, "supports_response_schema": True}
litellm.register_model({f"gemini/{target}": ABLE for target in TARGETS})

# What each of its providers wants as its address.
BASES = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta", "ollama_chat": ""}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
NAMES = ["get_weather", "get_time"]
TOOLS = [{"type": "function", "function": {"name": name, "description": name, "parameters": SCHEMA}} for name in NAMES]
BOTH = "call get_weather and get_time for Paris"


@pytest.fixture(autouse=True)
def collected():
    """LiteLLM leaves streams unread: one that is collected while its pool of connections is locked waits for itself."""
    gc.disable()
    gc.freeze()
    yield
    gc.collect()
    gc.enable()


def of_each(but=()):
    """Each API with each target but those that cannot do it."""
    every = [(provider, model) for provider in BASES for model in TARGETS]
    return pytest.mark.parametrize("provider, model", [pair for pair in every if pair not in but])


def asked(gateway, provider, model, text, **more):
    return {
        "model": f"{provider}/{model}",
        "messages": [{"role": "user", "content": text}] if isinstance(text, str) else text,
        "api_base": gateway.url + BASES[provider],
        "api_key": APP_KEY,
        "num_retries": 0,
        "max_retries": 0,
        "timeout": 20,
        **more,
    }


def said(text):
    return f"You said: {text} This is the simulator speaking, word by word."


def check_usage(usage, text):
    """The simulator counts every word as a token."""
    assert usage.completion_tokens == len(text.split(" "))
    assert usage.prompt_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@of_each()
def test_plain(gateway, provider, model):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "good morning"}]
    answer = litellm.completion(**asked(gateway, provider, model, messages))
    assert answer.choices[0].message.content == said("good morning")
    assert answer.choices[0].finish_reason == "stop"
    check_usage(answer.usage, said("good morning"))


def check_stream(chunks):
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 1 and "".join(pieces) == said("count to three")
    assert [one.finish_reason for chunk in chunks for one in chunk.choices if one.finish_reason] == ["stop"]
    check_usage([chunk.usage for chunk in chunks if getattr(chunk, "usage", None)][-1], said("count to three"))


STREAM = {"stream": True, "stream_options": {"include_usage": True}}


@of_each()
def test_streamed(gateway, provider, model):
    check_stream(list(litellm.completion(**asked(gateway, provider, model, "count to three", **STREAM))))


@of_each()
def test_streamed_without_waiting(gateway, provider, model):
    """It has another HTTP client for this."""

    async def ask():
        stream = await litellm.acompletion(**asked(gateway, provider, model, "count to three", **STREAM))
        return [chunk async for chunk in stream]

    check_stream(asyncio.run(ask()))


def check_tools(ask):
    messages = [{"role": "user", "content": BOTH}]
    choice = ask(messages).choices[0]
    calls = choice.message.tool_calls
    assert [call.function.name for call in calls] == NAMES
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris", "days": 7}] * 2
    assert len({call.id for call in calls}) == 2
    assert choice.finish_reason == "tool_calls"
    messages.append(choice.message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": "sunny"} for call in calls]
    final = ask(messages).choices[0]
    assert "The tool answered: " in final.message.content and "sunny" in final.message.content
    assert final.finish_reason == "stop"


@of_each()
def test_tools_and_their_results(gateway, provider, model):
    check_tools(lambda messages: litellm.completion(**asked(gateway, provider, model, messages, tools=TOOLS)))


# It makes one call of all that Ollama streams.
@of_each(but=[("ollama_chat", model) for model in TARGETS])
def test_streamed_tools_and_their_results(gateway, provider, model):
    def ask(messages):
        chunks = list(litellm.completion(**asked(gateway, provider, model, messages, tools=TOOLS, stream=True)))
        return litellm.stream_chunk_builder(chunks, messages=messages)

    check_tools(ask)


# Of a model that it does not know at Anthropic it demands a call.
@of_each(but=[("anthropic", model) for model in NO_CHOICE])
def test_structured_output(gateway, provider, model):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "score": {"type": "integer"}},
        "required": ["name", "score"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    answer = litellm.completion(**asked(gateway, provider, model, "judge me", response_format=form))
    assert json.loads(answer.choices[0].message.content) == {"name": "me", "score": 7}


def refusal(gateway, provider, model, **more):
    """What is raised; an error of a stream carries it.

    LiteLLM takes any "403" in the text of one of Google's errors for its status, and a request's id may hold one: such
    an error is asked for again.
    """
    for _ in range(10):
        with pytest.raises(openai.APIError) as refused:
            list(litellm.completion(**asked(gateway, provider, model, "x", **more)))
        wrong = getattr(refused.value, "original_exception", None) or refused.value
        if "403" not in str(wrong):
            break
    return wrong


@of_each()
@pytest.mark.parametrize("stream", [False, True])
def test_errors(gateway, provider, model, stream):
    wrong = refusal(gateway, provider, model, stream=stream, api_key="tg-" + "x" * 43)
    assert isinstance(wrong, litellm.AuthenticationError) and wrong.status_code == 401
    busy = refusal(gateway, provider, f"{model}!status=429", stream=stream)
    assert isinstance(busy, litellm.RateLimitError) and busy.status_code == 429


@of_each()
@pytest.mark.parametrize("stream", [False, True])
def test_a_model_unknown_to_its_provider(gateway, provider, model, stream):
    unknown = refusal(gateway, provider, f"{model}!status=404", stream=stream)
    assert isinstance(unknown, litellm.NotFoundError) and unknown.status_code == 404


@pytest.mark.parametrize("provider", BASES)
def test_an_unknown_model(gateway, provider):
    unknown = refusal(gateway, provider, "nosuch/echo")
    assert isinstance(unknown, litellm.NotFoundError) and "nosuch" in str(unknown)


@of_each()
def test_a_broken_stream_never_looks_finished(gateway, provider, model):
    reasons = []
    with pytest.raises(openai.APIError):
        broken = asked(gateway, provider, f"{model}!error=6,pace=20ms", "x", stream=True)
        for chunk in litellm.completion(**broken):
            reasons += [one.finish_reason for one in chunk.choices]
    assert reasons and not any(reasons)


@pytest.mark.parametrize("model", TARGETS)
def test_responses(gateway, model):
    more = {"model": f"openai/{model}", "api_base": f"{gateway.url}/v1", "api_key": APP_KEY, "timeout": 20}
    answer = litellm.responses(input="hello", **more)
    assert answer.output[-1].content[0].text == said("hello")
    assert answer.status == "completed"
    kinds = [event.type for event in litellm.responses(input="hello", stream=True, **more)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
