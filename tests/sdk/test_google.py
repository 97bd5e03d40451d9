"""Google's own SDK through the gateway, against every dialect."""

import json

import pytest
import requests
from conftest import APP_KEY, NO_CHOICE, NO_STOPS, TARGETS
from google import genai
from google.auth.credentials import Credentials
from google.genai import errors, types

WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather",
    parameters=types.Schema(
        type="OBJECT",
        properties={"city": types.Schema(type="STRING"), "days": types.Schema(type="INTEGER")},
        required=["city"],
    ),
)
CLOCK = types.FunctionDeclaration(
    name="get_time",
    description="The time",
    parameters_json_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)
TOOLS = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[WEATHER, CLOCK])],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)
OF_EACH = pytest.mark.parametrize("model", TARGETS)


@pytest.fixture
def client(gateway):
    options = types.HttpOptions(base_url=gateway.url, timeout=20_000)
    return genai.Client(api_key=APP_KEY, http_options=options)


@OF_EACH
def test_plain(client, gateway, model):
    config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5, max_output_tokens=500)
    answer = client.models.generate_content(model=model, contents="good morning", config=config)
    assert answer.text.startswith("You said: good morning")
    assert answer.candidates[0].finish_reason == "STOP"
    assert answer.usage_metadata.prompt_token_count > 0 and answer.usage_metadata.candidates_token_count > 0
    headers = answer.sdk_http_response.headers
    record = gateway.record(headers["x-tollgate-request-id"])
    assert record["outcome"] == "complete" and record["counted"] == "reported"
    assert record["tokens"]["output"] == answer.usage_metadata.candidates_token_count


@OF_EACH
def test_streamed(client, model):
    chunks = list(client.models.generate_content_stream(model=model, contents="count to three"))
    assert "".join(chunk.text or "" for chunk in chunks).startswith("You said: count to three")
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata.candidates_token_count > 5


@OF_EACH
def test_streamed_as_an_array(gateway, model):
    """Without `alt=sse` the stream is one JSON array; the key may stand in the address."""
    url = f"{gateway.url}/v1beta/models/{model}:streamGenerateContent?key={APP_KEY}"
    answer = requests.post(url, json={"contents": [{"parts": [{"text": "hello"}]}]}, timeout=20)
    assert answer.headers["content-type"] == "application/json"
    chunks = answer.json()
    parts = [part for chunk in chunks for one in chunk["candidates"] for part in one.get("content", {}).get("parts", [])]
    assert "".join(part.get("text", "") for part in parts).startswith("You said: hello")
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"


@OF_EACH
def test_a_cut_array_ends_with_the_error(gateway, model):
    url = f"{gateway.url}/v1beta/models/{model}!cut=7,pace=20ms:streamGenerateContent"
    body = {"contents": [{"parts": [{"text": "hello"}]}]}
    answer = requests.post(url, json=body, headers={"x-goog-api-key": APP_KEY}, timeout=20)
    chunks = answer.json()
    assert "candidates" in chunks[0] and chunks[-1]["error"]["status"] == "UNAVAILABLE"


@OF_EACH
def test_parallel_tools_and_their_results(client, model):
    chat = client.chats.create(model=model, config=TOOLS)
    answer = chat.send_message("call get_weather and get_time for Paris")
    assert [call.name for call in answer.function_calls] == ["get_weather", "get_time"]
    assert answer.function_calls[0].args == {"city": "Paris", "days": 7}
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny"}))
        for call in answer.function_calls
    ]
    assert "The tool answered: sunny" in chat.send_message(results).text


@OF_EACH
def test_streamed_tools(client, model):
    chunks = client.models.generate_content_stream(model=model, contents="get_weather then get_time in Oslo", config=TOOLS)
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    assert all(call.args["city"] == "Oslo" for call in calls)


@OF_EACH
def test_tool_choice(client, model):
    only = types.FunctionCallingConfig(mode="ANY", allowed_function_names=["get_time"])
    config = TOOLS.model_copy(update={"tool_config": types.ToolConfig(function_calling_config=only)})
    answer = client.models.generate_content(model=model, contents="hello", config=config)
    if model in NO_CHOICE:
        assert "toolConfig.functionCallingConfig" in answer.sdk_http_response.headers["x-tollgate-loss"]
    else:
        assert [call.name for call in answer.function_calls] == ["get_time"]


@OF_EACH
def test_pictures(client, model):
    picture = types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png")
    answer = client.models.generate_content(model=model, contents=["look", picture])
    assert "shown 1: image/png" in answer.text


@OF_EACH
def test_structured_output(client, model):
    schema = {"type": "OBJECT", "properties": {"name": {"type": "STRING"}, "score": {"type": "INTEGER"}}}
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema)
    answer = client.models.generate_content(model=model, contents="judge me", config=config)
    assert json.loads(answer.text) == {"name": "me", "score": 7}


@pytest.mark.parametrize("model", ["gemini-sim/third", "anthropic-sim/thinker", "responses-sim/echo"])
def test_thoughts_go_back_with_their_seals(client, model):
    """Whoever sealed a thought finds it unbroken in the next turn."""
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="LOW")
    config = TOOLS.model_copy(update={"thinking_config": thinking, "max_output_tokens": 4000})
    chat = client.chats.create(model=model, config=config)
    answer = chat.send_message("think about get_weather in Rome")
    parts = answer.candidates[0].content.parts
    assert parts[0].thought and any(part.thought_signature for part in parts)
    call = answer.function_calls[0]
    result = types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny"})
    assert "sunny" in chat.send_message([types.Part(function_response=result)]).text


@OF_EACH
def test_limit_and_stop(client, model):
    config = types.GenerateContentConfig(max_output_tokens=2)
    answer = client.models.generate_content(model=model, contents="a b c", config=config)
    assert answer.candidates[0].finish_reason == "MAX_TOKENS"
    config = types.GenerateContentConfig(stop_sequences=["STOP"])
    answer = client.models.generate_content(model=model, contents="alpha STOP beta", config=config)
    if model in NO_STOPS:
        assert "generationConfig.stopSequences" in answer.sdk_http_response.headers["x-tollgate-loss"]
    else:
        assert answer.text == "You said: alpha "


@OF_EACH
@pytest.mark.parametrize(
    "script, code", [("status=400", 400), ("status=404", 404), ("status=429,retry-after=7", 429), ("garbage", 502)]
)
def test_errors(client, model, script, code):
    with pytest.raises(errors.APIError) as refused:
        client.models.generate_content(model=f"{model}!{script}", contents="x")
    assert refused.value.code == code and refused.value.status and refused.value.message
    with pytest.raises(errors.APIError):
        list(client.models.generate_content_stream(model=f"{model}!{script}", contents="x"))


@OF_EACH
@pytest.mark.parametrize("script", ["error=6", "cut=7", "stall=7"])
def test_a_broken_stream_never_looks_finished(client, model, script):
    reasons = []
    with pytest.raises(errors.APIError):
        for chunk in client.models.generate_content_stream(model=f"{model}!{script},pace=20ms", contents="x"):
            reasons += [one.finish_reason for one in chunk.candidates or []]
    assert not any(reasons)


def test_keys(gateway):
    wrong = genai.Client(api_key="tg-wrong", http_options=types.HttpOptions(base_url=gateway.url))
    with pytest.raises(errors.ClientError) as refused:
        wrong.models.generate_content(model="both", contents="x")
    assert refused.value.code == 401 and refused.value.status == "UNAUTHENTICATED"


def test_models(client):
    names = [model.name for model in client.models.list()]
    assert "models/gemini-sim/echo" in names
    assert client.models.get(model="gemini-sim/echo").name == "models/gemini-sim/echo"


@pytest.mark.parametrize("model", ["gemini-sim/third", "anthropic-sim/thinker", "responses-sim/echo", "bedrock-sim/thinker"])
def test_streamed_thoughts_go_back(client, model):
    """The SDK keeps every chunk of a stream as a content of its own: the thought, and its seal behind it."""
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
    chat = client.chats.create(model=model, config=TOOLS.model_copy(update={"thinking_config": thinking}))
    chunks = list(chat.send_message_stream("call get_weather for Rome"))
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert any(part.thought_signature for part in parts)
    [call] = [part.function_call for part in parts if part.function_call]
    response = types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny"})
    answer = chat.send_message(types.Part(function_response=response))
    assert "The tool answered: sunny" in answer.text


@pytest.mark.parametrize("version", ["v1beta", "v1"])
@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent?alt=sse", "countTokens", "embedContent"])
def test_names_without_models(gateway, version, method):
    """Some clients take a name with a slash for a resource's, and put no models/ before it."""
    body = {"contents": [{"parts": [{"text": "hello"}]}], "content": {"parts": [{"text": "hello"}]}}
    wanted = ["content"] if method == "embedContent" else ["contents"]
    url = f"{gateway.url}/{version}/gemini-sim/echo:{method}"
    sent = {name: body[name] for name in wanted}
    answer = requests.post(url, json=sent, headers={"x-goog-api-key": APP_KEY}, timeout=20)
    assert answer.status_code == 200, answer.text


@OF_EACH
def test_a_streamed_chat_is_remembered(client, model):
    """The SDK forgets a turn in which a chunk held no content."""
    chat = client.chats.create(model=model)
    list(chat.send_message_stream("count to three"))
    said = [part.text for content in chat.get_history(curated=True) if content.role == "model" for part in content.parts]
    assert "".join(said).startswith("You said: count to three")
    assert chat.send_message("and again").text.startswith("You said: and again")


class Key(Credentials):
    """A gateway's key in the place of an access token."""

    def __init__(self):
        super().__init__()
        self.token = APP_KEY

    def refresh(self, request):
        raise AssertionError("a key does not end")


@OF_EACH
def test_vertex_addresses(gateway, model):
    options = types.HttpOptions(base_url=gateway.url, timeout=20_000)
    client = genai.Client(
        vertexai=True, project="p", location="europe-west4", credentials=Key(), http_options=options
    )
    answer = client.models.generate_content(model=model, contents="hello from vertex")
    assert "hello from vertex" in answer.text
    streamed = client.models.generate_content_stream(model=model, contents="hello from vertex")
    assert "".join(chunk.text or "" for chunk in streamed) == answer.text
    assert client.models.count_tokens(model=model, contents="hello").total_tokens > 0
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="nobody", contents="hello")
    assert refused.value.code == 404
