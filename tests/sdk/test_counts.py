"""Token counts by the SDKs that ask for them, by the provider where it counts and here where it does not."""

import anthropic
import pytest
from conftest import APP_KEY, TARGETS
from google import genai
from google.genai import errors, types

QUESTION = "What is the capital of France?"


@pytest.fixture
def claude(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key=APP_KEY, max_retries=0)


@pytest.mark.parametrize("model", TARGETS)
def test_by_anthropic(claude, model):
    ask = lambda **more: claude.messages.with_raw_response.count_tokens(
        model=model, messages=[{"role": "user", "content": QUESTION}], **more
    )
    raw = ask()
    if model.startswith("anthropic"):
        # The simulator counts words.
        assert raw.parse().input_tokens == 6
        assert raw.headers["x-tollgate-target"] == model
        return
    # Seven tokens, times a factor, and what frames them.
    assert raw.parse().input_tokens == 3 + 3 + 8
    assert raw.headers["x-tollgate-counted"] == "estimate"
    tool = {"name": "get_weather", "description": "by city", "input_schema": {"type": "object"}}
    more = ask(system="Be brief.", tools=[tool]).parse().input_tokens
    assert 30 < more < 50


def test_by_an_encoding_that_is_known(claude):
    raw = claude.messages.with_raw_response.count_tokens(
        model="openai-sim/o200k", messages=[{"role": "user", "content": QUESTION}]
    )
    assert raw.headers["x-tollgate-counted"] == "encoding"
    assert raw.parse().input_tokens == 3 + 3 + 7


@pytest.mark.parametrize("model", TARGETS)
def test_by_google(gateway, model):
    client = genai.Client(api_key=APP_KEY, http_options=types.HttpOptions(base_url=gateway.url))
    found = client.models.count_tokens(model=model, contents=QUESTION)
    assert found.total_tokens == (6 if model.startswith("gemini") else 14)


def test_errors(claude, gateway):
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.count_tokens(model="nobody-knows/x", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.count_tokens(model="openai-sim/echo", messages=[{"role": "user", "content": 7}])
    assert "messages" in refused.value.message
    client = genai.Client(api_key="tg-wrong", http_options=types.HttpOptions(base_url=gateway.url))
    with pytest.raises(errors.ClientError) as refused:
        client.models.count_tokens(model="openai-sim/echo", contents="x")
    assert refused.value.code == 401
