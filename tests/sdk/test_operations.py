"""Operations beside chat with the official SDKs: embeddings, rankings, pictures, sound, files, batches."""

import base64
import json
import struct
import urllib.error
import urllib.request

import anthropic
import cohere
import ollama
import openai
import pytest
from conftest import APP_KEY, NARROW_KEY, wait_for
from google import genai
from google.genai import errors, types

# One target for each form of embeddings that the simulator speaks.
EMBEDDERS = [f"{name}-sim/embed" for name in ["openai", "cohere", "gemini", "ollama", "voyage"]]
RERANKERS = [f"{name}-sim/rerank" for name in ["openai", "cohere", "voyage"]]
TEXTS = ["one little text", "and another"]


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0, timeout=20)


def request_id(raw):
    return raw.headers["x-tollgate-request-id"]


@pytest.fixture
def expected(sim):
    """What the simulator makes of the texts, asked without a gateway."""
    direct = openai.OpenAI(base_url=f"{sim.url}/v1", api_key="sk-test")
    made = direct.embeddings.create(model="embed", input=TEXTS, encoding_format="float")
    return [one.embedding for one in made.data]


@pytest.mark.parametrize("encoding", ["float", "base64", None])
@pytest.mark.parametrize("model", EMBEDDERS)
def test_embeddings_by_openai(client, gateway, expected, model, encoding):
    wanted = {"encoding_format": encoding} if encoding else {}
    raw = client.embeddings.with_raw_response.create(model=model, input=TEXTS, **wanted)
    found = [one["embedding"] for one in json.loads(raw.text)["data"]]
    # The SDK asks for base64 of its own accord and reads it itself.
    if encoding != "float":
        unpack = lambda text: list(struct.unpack("<8f", base64.b64decode(text)))
        found = [unpack(one) for one in found]
    assert found == expected
    record = gateway.record(request_id(raw))
    assert (record["operation"], record["outcome"]) == ("embeddings", "complete")
    # Google's API does not say what was used.
    assert record["counted"] == ("estimated" if model.startswith("gemini") else "reported")
    assert record["tokens"]["input"] > 0
    price = {"openai": 100, "cohere": 120, "gemini": 150, "ollama": 0, "voyage": 60}[model.split("-")[0]]
    assert record["cost"] == record["tokens"]["input"] * price * 1000
    assert raw.headers["x-tollgate-target"] == model


def test_embeddings_of_one_text_with_dimensions(client):
    for model in EMBEDDERS:
        made = client.embeddings.create(model=model, input="one little text", dimensions=4)
        assert len(made.data) == 1 and len(made.data[0].embedding) == 4, model


def test_token_numbers_go_where_they_are_taken(client):
    made = client.embeddings.create(model="openai-sim/embed", input=[[1, 2, 3], [4]])
    assert len(made.data) == 2
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="cohere-sim/embed", input=[[1, 2, 3]])
    assert "input" in refused.value.message and "texts" in refused.value.message


def test_a_purpose_is_carried_or_lost_by_name(client, sim):
    raw = client.embeddings.with_raw_response.create(
        model="voyage-sim/embed", input="x", extra_body={"input_type": "query"}
    )
    assert "x-tollgate-loss" not in raw.headers
    assert sim.last()["body"]["input_type"] == "query"
    client.embeddings.create(model="cohere-sim/embed", input="x", extra_body={"input_type": "query"})
    assert sim.last()["body"]["input_type"] == "search_query"
    raw = client.embeddings.with_raw_response.create(
        model="ollama-sim/embed", input="x", extra_body={"input_type": "query"}, user="me"
    )
    assert "input_type" in raw.headers["x-tollgate-loss"] and "user" in raw.headers["x-tollgate-loss"]


@pytest.mark.parametrize("model", EMBEDDERS)
def test_embeddings_by_cohere(gateway, expected, model):
    client = cohere.ClientV2(api_key=APP_KEY, base_url=gateway.url)
    made = client.embed(model=model, texts=TEXTS, input_type="search_document", embedding_types=["float"])
    assert made.embeddings.float_ == expected
    assert made.texts == TEXTS


@pytest.mark.parametrize("model", EMBEDDERS)
def test_embeddings_by_google(gateway, expected, model):
    options = types.HttpOptions(base_url=gateway.url)
    client = genai.Client(api_key=APP_KEY, http_options=options)
    made = client.models.embed_content(model=model, contents=TEXTS)
    assert [one.values for one in made.embeddings] == expected
    with pytest.raises(errors.ClientError) as refused:
        client.models.embed_content(model="nobody-knows/embed", contents="x")
    assert refused.value.code == 404


@pytest.mark.parametrize("model", EMBEDDERS)
def test_embeddings_by_ollama(gateway, expected, model):
    client = ollama.Client(host=gateway.url, headers={"authorization": f"Bearer {APP_KEY}"})
    made = client.embed(model=model, input=TEXTS)
    assert [list(one) for one in made.embeddings] == expected
    older = client.embeddings(model=model, prompt=TEXTS[0])
    assert list(older.embedding) == expected[0]


@pytest.mark.parametrize("model", RERANKERS)
def test_rankings(gateway, model):
    documents = ["rivers and lakes", "capital cities of France", "the capital of France is Paris"]
    client = cohere.ClientV2(api_key=APP_KEY, base_url=gateway.url)
    made = client.rerank(model=model, query="capital of France is", documents=documents, top_n=2)
    assert [one.index for one in made.results] == [2, 1]
    assert made.results[0].relevance_score == 1.0
    # The same in Jina's form, which brings the documents along.
    body = {"model": model, "query": "capital of France is", "documents": documents, "top_n": 1}
    answer, headers = post(gateway, "/v1/rerank", body)
    assert answer["results"] == [
        {"index": 2, "relevance_score": 1.0, "document": {"text": "the capital of France is Paris"}}
    ]
    record = gateway.record(headers["x-tollgate-request-id"])
    assert record["operation"] == "rerank"
    if model.startswith("cohere"):
        assert record["units"]["searches"] == 1 and record["cost"] == 2_000_000_000
    else:
        assert record["cost"] == record["tokens"]["input"] * 50_000


def test_pictures(client, gateway, sim):
    raw = client.images.with_raw_response.generate(model="openai-sim/dall-e", prompt="a cat", n=2)
    assert len(raw.parse().data) == 2
    record = gateway.record(request_id(raw))
    assert record["units"]["images"] == 2 and record["cost"] == 80_000_000_000
    raw = client.images.with_raw_response.generate(model="openai-sim/gpt-image-1", prompt="a cat")
    record = gateway.record(request_id(raw))
    assert record["cost"] == 10 * 5_000_000 + 200 * 40_000_000
    assert raw.headers["x-tollgate-cost-usd"] == "0.00805"
    raw = client.images.with_raw_response.edit(
        model="openai-sim/gpt-image-1", prompt="a dog", image=("a.png", b"\x89PNG", "image/png")
    )
    assert raw.parse().data[0].b64_json
    record = gateway.record(request_id(raw))
    assert record["cost"] == 10 * 5_000_000 + 100 * 10_000_000 + 200 * 40_000_000


def test_streamed_pictures(client, gateway):
    raw = client.images.with_raw_response.generate(
        model="openai-sim/gpt-image-1", prompt="a cat", stream=True, partial_images=1
    )
    names = [event.type for event in raw.parse()]
    assert names == ["image_generation.partial_image", "image_generation.completed"]
    assert gateway.record(request_id(raw))["units"]["images"] == 1


def test_speech(client, gateway):
    raw = client.audio.speech.with_raw_response.create(model="openai-sim/tts", voice="alloy", input="Grüße")
    assert raw.content == "ID3 alloy: Grüße".encode()
    assert raw.headers["content-type"] == "audio/mpeg"
    record = gateway.record(request_id(raw))
    assert record["units"]["characters"] == 5 and record["cost"] == 75_000_000


def test_sound_that_breaks_off_is_no_sound(client, gateway):
    with pytest.raises(openai.APIConnectionError):
        client.audio.speech.create(model="openai-sim/tts!cut=1", voice="alloy", input="long " * 200)
    asked = "openai-sim/tts!cut=1"
    find = lambda: [one["outcome"] for one in gateway.records() if one["model_asked"] == asked]
    assert wait_for(find, "the record") == ["cut"]


@pytest.mark.parametrize("size", [100, 3_000_000])
@pytest.mark.parametrize("form", ["json", "verbose_json", "text"])
def test_transcriptions(client, gateway, form, size):
    sound = ("talk.wav", b"\r\n--RIFF" * (size // 8), "audio/wav")
    raw = client.audio.transcriptions.with_raw_response.create(
        model="openai-sim/whisper", file=sound, response_format=form
    )
    length = size // 8 * 8
    assert f"heard {length} bytes of talk.wav" in raw.text
    record = gateway.record(request_id(raw))
    assert record["operation"] == "transcription"
    if form == "text":
        # Nobody says how long it was: unpriced, and not free.
        assert (record["counted"], record["cost"]) == ("unknown", None)
    else:
        seconds = -(-length // 1000)
        assert record["units"]["audio_ms"] == seconds * 1000
        assert record["cost"] == seconds * 100_000_000


def test_the_file_may_come_before_the_model(gateway):
    # Node's SDK writes fields in the order in which they were given.
    parts = [("file", 'filename="a.wav"', b"x" * 500_000), ("model", None, b"openai-sim/whisper")]
    body, kind = form_of(parts)
    answer, _ = post(gateway, "/v1/audio/transcriptions", body, kind)
    assert answer["text"] == "heard 500000 bytes of a.wav"
    # What is larger than is kept must name its model first.
    parts[0] = ("file", 'filename="a.wav"', b"x" * 3_000_000)
    body, kind = form_of(parts)
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(gateway, "/v1/audio/transcriptions", body, kind)
    assert refused.value.code == 413
    assert "before the file" in json.load(refused.value)["error"]["message"]


def test_transcriptions_are_streamed(client, gateway):
    raw = client.audio.transcriptions.with_raw_response.create(
        model="openai-sim/whisper", file=("a.wav", b"RIFF"), stream=True
    )
    assert [event.type for event in raw.parse()] == ["transcript.text.delta", "transcript.text.done"]
    record = gateway.record(request_id(raw))
    assert record["tokens"]["input"] == 14


def test_translations(client):
    made = client.audio.translations.create(model="openai-sim/whisper", file=("a.wav", b"RIFF"))
    assert made.text == "heard 4 bytes of a.wav"


def test_moderations(client, gateway):
    raw = client.moderations.with_raw_response.create(
        model="openai-sim/echo", input=["I kill time", "hello"]
    )
    assert [one.flagged for one in raw.parse().results] == [True, False]
    record = gateway.record(request_id(raw))
    assert (record["operation"], record["counted"], record["cost"]) == ("moderations", "nothing", 0)


def test_completions(client, gateway):
    made = client.completions.create(model="openai-sim/echo", prompt="Once")
    assert made.choices[0].text.startswith("Once and so on")
    raw = client.completions.with_raw_response.create(model="openai-sim/echo", prompt="Once", stream=True)
    pieces = [event.choices[0].text for event in raw.parse()]
    assert "".join(pieces) == made.choices[0].text
    record = gateway.record(request_id(raw))
    assert record["tokens"]["output"] == made.usage.completion_tokens
    assert record["cost"] == record["tokens"]["input"] * 1_000_000 + record["tokens"]["output"] * 2_000_000


@pytest.mark.parametrize("size", [300, 5_000_000])
def test_files(gateway, size):
    client = files_client(gateway)
    content = b"0123456789" * (size // 10)
    made = client.files.create(file=("data.jsonl", content), purpose="user_data")
    assert made.bytes == size
    assert client.files.retrieve(made.id).filename == "data.jsonl"
    assert client.files.content(made.id).content == content
    assert made.id in [one.id for one in client.files.list(limit=10)]
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError) as missing:
        client.files.retrieve(made.id)
    assert missing.value.response.headers["x-tollgate-origin"] == "upstream"


def test_files_want_a_provider(gateway):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0)
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.list()
    assert "x-tollgate-provider" in refused.value.message and "openai-sim" in refused.value.message
    narrow = files_client(gateway, NARROW_KEY)
    assert narrow.files.list() is not None
    foreign = files_client(gateway, NARROW_KEY, "responses-sim")
    with pytest.raises(openai.PermissionDeniedError):
        foreign.files.list()


def test_batches(gateway):
    client = files_client(gateway)
    body = {"model": "batched", "messages": [{"role": "user", "content": "hello there"}]}
    line = lambda name: json.dumps({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body})
    lines = "\n".join(line(name) for name in ["a", "b", "c"]).encode()
    file = client.files.create(file=("in.jsonl", lines), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert batch.status == "in_progress"
    # However often one looks at it, it is charged once.
    for _ in range(3):
        raw = client.batches.with_raw_response.retrieve(batch.id)
    batch = raw.parse()
    assert batch.status == "completed" and batch.request_counts.completed == 3
    output = client.files.content(batch.output_file_id).text.splitlines()
    assert [json.loads(one)["custom_id"] for one in output] == ["a", "b", "c"]
    gateway.record(request_id(raw))
    charged = [one for one in gateway.records() if one["operation"] == "batches" and one["tokens"]["input"]]
    assert len(charged) == 1
    tokens = charged[0]["tokens"]
    assert (tokens["input"], tokens["output"]) == (batch.usage.input_tokens, batch.usage.output_tokens)
    # Half of the usual price.
    assert charged[0]["cost"] == tokens["input"] * 500_000 + tokens["output"] * 1_000_000


def test_stored_responses_are_their_providers(client, gateway):
    made = client.responses.create(model="responses-sim/echo", input="keep this")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    items = client.responses.input_items.list(made.id).data
    assert items[0].content[0].text == "keep this"
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(made.id)
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError) as gone:
        client.responses.retrieve(made.id)
    assert gone.value.response.headers["x-tollgate-origin"] == "upstream"
    record = gateway.record(gone.value.response.headers["x-tollgate-request-id"])
    assert (record["operation"], record["provider"], record["cost"]) == ("stored_responses", "responses-sim", 0)


def test_a_response_in_the_background_is_charged_once_it_has_ended(client, gateway):
    raw = client.responses.with_raw_response.create(model="responses-sim/echo", input="take your time", background=True)
    made = raw.parse()
    assert made.status == "queued"
    record = gateway.record(request_id(raw))
    assert (record["cost"], record["tokens"]["input"], record["outcome"]) == (0, 0, "complete")
    for _ in range(3):
        raw = client.responses.with_raw_response.retrieve(made.id)
    ended = raw.parse()
    assert ended.status == "completed" and "take your time" in ended.output_text
    gateway.record(request_id(raw))
    same = lambda one: one["dialect"] == "openai_stored_responses" and one["tokens"]["input"]
    charged = [one for one in gateway.records() if same(one)]
    assert len(charged) == 1
    tokens = charged[0]["tokens"]
    assert (tokens["input"], tokens["output"]) == (ended.usage.input_tokens, ended.usage.output_tokens)
    assert (charged[0]["operation"], charged[0]["model"]) == ("chat", "echo")
    assert charged[0]["cost"] == tokens["input"] * 2_000_000 + tokens["output"] * 8_000_000


def test_other_providers_are_told_apart(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model="anthropic-sim/echo", prompt="a cat")
    assert "anthropic-sim takes no images" in refused.value.message
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="voyage-sim/embed", messages=[{"role": "user", "content": "x"}])
    assert "voyage-sim takes no chat" in refused.value.message


def test_the_next_target_answers(client, gateway):
    raw = client.embeddings.with_raw_response.create(model="embed-both", input=TEXTS)
    assert raw.headers["x-tollgate-target"] == "cohere-sim/embed"
    record = gateway.record(request_id(raw))
    assert [one["provider"] for one in record["attempts"]] == ["openai-sim", "cohere-sim"]


class TestPassThrough:
    """Any path of a provider, with the gateway's key and journal."""

    def test_a_chat_is_metered(self, gateway):
        client = openai.OpenAI(base_url=f"{gateway.url}/openai-sim/v1", api_key=APP_KEY, max_retries=0)
        messages = [{"role": "user", "content": "hello"}]
        raw = client.chat.completions.with_raw_response.create(model="echo", messages=messages)
        record = gateway.record(request_id(raw))
        assert (record["operation"], record["counted"]) == ("pass_through", "reported")
        tokens = record["tokens"]
        assert record["cost"] == tokens["input"] * 1_000_000 + tokens["output"] * 2_000_000
        raw = client.chat.completions.with_raw_response.create(model="echo", messages=messages, stream=True)
        said = "".join(event.choices[0].delta.content or "" for event in raw.parse() if event.choices)
        assert "You said: hello" in said
        # Nobody asked for usage on the stream, so that it is counted here.
        assert gateway.record(request_id(raw))["counted"] == "estimated"

    def test_claude(self, gateway, sim):
        client = anthropic.Anthropic(base_url=f"{gateway.url}/anthropic-sim", api_key=APP_KEY, max_retries=0)
        with client.messages.stream(
            model="echo", max_tokens=50, messages=[{"role": "user", "content": "hello"}]
        ) as stream:
            assert "You said: hello" in stream.get_final_text()
        headers = sim.last()["headers"]
        assert headers["x-api-key"] == "sk-test-upstream"
        assert headers["anthropic-version"] and APP_KEY not in json.dumps(headers)

    def test_gemini(self, gateway, sim):
        options = types.HttpOptions(base_url=f"{gateway.url}/gemini-sim")
        client = genai.Client(api_key=APP_KEY, http_options=options)
        answer = client.models.generate_content(model="echo", contents="passing through")
        assert "You said: passing through" in answer.text
        seen = lambda one: one["operation"] == "pass_through" and one["provider"] == "gemini-sim"
        record = wait_for(lambda: [one for one in gateway.records() if seen(one)], "the record")[0]
        assert record["model"] == "echo" and record["counted"] == "reported"

    def test_reading_is_free_and_unknown_use_is_unpriced(self, gateway):
        answer, headers = post(gateway, "/openai-sim/v1/models", None)
        assert answer["object"] == "list"
        record = gateway.record(headers["x-tollgate-request-id"])
        assert (record["counted"], record["cost"]) == ("nothing", 0)
        _, headers = post(gateway, "/openai-sim/v1/moderations", {"model": "echo", "input": "x"})
        record = gateway.record(headers["x-tollgate-request-id"])
        assert (record["counted"], record["cost"]) == ("unknown", None)

    @pytest.mark.parametrize("path", ["/openai-sim/../admin/v1/keys", "/openai-sim/v1/%2e%2e/x", "/openai-sim//x"])
    def test_paths_lead_down(self, gateway, path):
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(gateway, path, None)
        assert refused.value.code == 400

    def test_keys_for_some_models_pass_with_those_only(self, gateway):
        allowed = {"model": "echo", "messages": [{"role": "user", "content": "x"}]}
        answer, _ = post(gateway, "/openai-sim/v1/chat/completions", allowed, key=ONLY_ECHO)
        assert answer["object"] == "chat.completion"
        for path, body in [
            ("/openai-sim/v1/chat/completions", {**allowed, "model": "reasoner"}),
            ("/openai-sim/v1/models", None),
            ("/openai-sim/v1/files", None),
        ]:
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(gateway, path, body, key=ONLY_ECHO)
            assert refused.value.code == 403, path

    def test_no_key_no_way(self, gateway):
        for key in ["tg-" + "z" * 43, "sk-test-upstream"]:
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(gateway, "/openai-sim/v1/models", None, key=key)
            assert refused.value.code == 401

    def test_errors_are_the_providers(self, gateway):
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(gateway, "/openai-sim/v1/chat/completions", {"model": "echo!status=429"})
        assert refused.value.code == 429
        assert json.load(refused.value)["error"]["code"] == "rate_limit_exceeded"


ONLY_ECHO = "tg-" + "o" * 43


def post(gateway, path, body, kind="application/json", key=APP_KEY):
    """A request by hand; without a body it is a GET."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    request = urllib.request.Request(gateway.url + path, data=data)
    request.add_header("authorization", f"Bearer {key}")
    if data is not None:
        request.add_header("content-type", kind)
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.loads(response.read()), response.headers


def form_of(parts):
    lines = []
    for name, more, value in parts:
        head = f'--frontier\r\nContent-Disposition: form-data; name="{name}"' + (f"; {more}" if more else "")
        lines.append(head.encode() + b"\r\n\r\n" + value + b"\r\n")
    return b"".join(lines) + b"--frontier--\r\n", "multipart/form-data; boundary=frontier"


def files_client(gateway, key=APP_KEY, provider="openai-sim"):
    return openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=20,
        default_headers={"x-tollgate-provider": provider},
    )

