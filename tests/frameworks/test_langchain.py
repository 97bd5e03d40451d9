"""LangChain's clients of OpenAI and Anthropic through the gateway, against every dialect."""

import asyncio

import anthropic
import openai
import pytest
from conftest import APP_KEY, NO_CHOICE, TARGETS
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

CLIENTS = ["chat", "responses", "anthropic"]
BOTH = "call get_weather and get_time for Paris"


class Verdict(BaseModel):
    """What is thought of somebody."""

    name: str
    score: int


@tool
def get_weather(city: str, days: int) -> str:
    """Tells the weather."""
    return f"sunny in {city} for {days} days"


@tool
def get_time(city: str, days: int) -> str:
    """Tells the time."""
    return f"noon in {city} for {days} days"


TOOLS = {"get_weather": get_weather, "get_time": get_time}


@pytest.fixture
def opened(gateway):
    """Makes a client of a target."""

    def make(client, model, key=APP_KEY):
        if client == "anthropic":
            return ChatAnthropic(model=model, base_url=gateway.url, api_key=key, max_tokens=500, max_retries=0, timeout=20)
        return ChatOpenAI(
            model=model, base_url=f"{gateway.url}/v1", api_key=key, use_responses_api=client == "responses",
            stream_usage=True, max_retries=0, timeout=20,
        )

    return make


def said(text):
    return f"You said: {text} This is the simulator speaking, word by word."


def check_usage(usage, text):
    """The simulator counts every word as a token."""
    assert usage["output_tokens"] == len(text.split(" "))
    assert usage["input_tokens"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def ending(message):
    """Why it ended, in the words of the client's API; Responses tells calls apart by what it says only."""
    told = message.response_metadata
    return told.get("finish_reason") or told.get("stop_reason") or told.get("status")


ENDED = {"chat": "stop", "responses": "completed", "anthropic": "end_turn"}
CALLED = {"chat": "tool_calls", "responses": "completed", "anthropic": "tool_use"}
ERRORS = {"chat": openai, "responses": openai, "anthropic": anthropic}


def summed(chunks):
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


def of_each(test):
    return pytest.mark.parametrize("client", CLIENTS)(pytest.mark.parametrize("model", TARGETS)(test))


@of_each
def test_invoke(opened, client, model):
    answer = opened(client, model).invoke([SystemMessage("Be brief."), HumanMessage("good morning")])
    assert answer.text == said("good morning")
    assert ending(answer) == ENDED[client]
    check_usage(answer.usage_metadata, answer.text)


@of_each
def test_stream(opened, client, model):
    chunks = list(opened(client, model).stream("count to three"))
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    whole = summed(chunks)
    assert whole.text == said("count to three")
    assert ending(whole) == ENDED[client]
    check_usage(whole.usage_metadata, whole.text)


@pytest.fixture(scope="module")
def loop():
    """One loop for all, since LangChain keeps its connections."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@of_each
def test_stream_without_waiting(opened, loop, client, model):
    async def ask():
        return [chunk async for chunk in opened(client, model).astream("count to three")]

    assert summed(loop.run_until_complete(ask())).text == said("count to three")


@of_each
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_and_their_results(opened, client, model, streamed):
    able = opened(client, model).bind_tools(list(TOOLS.values()))
    ask = (lambda messages: summed(able.stream(messages))) if streamed else able.invoke
    messages = [HumanMessage(BOTH)]
    answer = ask(messages)
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [
        (name, {"city": "Paris", "days": 7}) for name in TOOLS
    ]
    assert not answer.invalid_tool_calls
    assert len({call["id"] for call in answer.tool_calls}) == 2
    assert ending(answer) == CALLED[client]
    results = [TOOLS[call["name"]].invoke(call) for call in answer.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    final = ask([*messages, answer, *results])
    assert "The tool answered: " in final.text and final.text.endswith("noon in Paris for 7 days")
    assert not final.tool_calls


# A function that must be called is not for those that cannot be made to.
METHODS = [("json_schema", model) for model in TARGETS] + [
    ("function_calling", model) for model in TARGETS if model not in NO_CHOICE
]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("method, model", METHODS)
def test_structured_output(opened, client, method, model):
    shaped = opened(client, model).with_structured_output(Verdict, method=method)
    assert shaped.invoke("judge me") == Verdict(name="me", score=7)


@of_each
def test_errors(opened, client, model):
    errors = ERRORS[client]
    with pytest.raises(errors.AuthenticationError) as refused:
        opened(client, model, "tg-" + "x" * 43).invoke("x")
    assert refused.value.status_code == 401
    for script, error in [("status=404", errors.NotFoundError), ("status=429,retry-after=7", errors.RateLimitError)]:
        for ask in [lambda client: client.invoke("x"), lambda client: list(client.stream("x"))]:
            with pytest.raises(error) as refused:
                ask(opened(client, f"{model}!{script}"))
            assert refused.value.response.headers["x-tollgate-request-id"]
    assert refused.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unknown_model(opened, client):
    with pytest.raises(ERRORS[client].NotFoundError):
        opened(client, "nosuch/echo").invoke("x")


@of_each
def test_a_broken_stream_never_looks_finished(opened, client, model):
    chunks = []
    # LangChain makes an error of its own of an event that says so among those of Responses.
    with pytest.raises(ValueError if client == "responses" else ERRORS[client].APIError):
        for chunk in opened(client, f"{model}!error=6,pace=20ms").stream("x"):
            chunks.append(chunk)
    assert chunks and ending(summed(chunks)) is None
