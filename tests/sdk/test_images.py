"""Pictures by OpenAI's SDK from models that make them in a chat."""

import base64

import openai
import pytest
from conftest import APP_KEY

MODEL = "gemini-sim/image"


@pytest.fixture
def images(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=APP_KEY, max_retries=0, timeout=20).images


def losses(raw):
    return raw.headers.get("x-tollgate-loss", "")


def test_a_picture_from_a_chat(images, gateway):
    raw = images.with_raw_response.generate(model=MODEL, prompt="a cat", size="1024x1024")
    made = raw.parse()
    assert base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG")
    assert "a cat" in made.data[0].revised_prompt
    assert (made.output_format, made.size) == ("png", "1x1")
    assert made.created > 0 and losses(raw) == ""
    used = made.usage
    assert used.input_tokens > 0 and used.total_tokens == used.input_tokens + used.output_tokens
    record = gateway.record(raw.headers["x-tollgate-request-id"])
    assert (record["operation"], record["outcome"]) == ("images", "complete")
    assert record["units"]["images"] == 1 and record["units"]["image_output_tokens"] == 1290
    said = used.output_tokens - 1290
    assert said > 0
    assert record["cost"] == used.input_tokens * 300_000 + said * 2_500_000 + 1290 * 30_000_000


def test_what_a_chat_cannot_say_is_told(images):
    raw = images.with_raw_response.generate(
        model=MODEL, prompt="a cat", size="1536x1024", quality="high", response_format="url", user="u"
    )
    assert raw.parse().data[0].b64_json
    for name in ["~size", "quality", "~response_format", "user"]:
        assert name in losses(raw).replace(" ", "").split(","), losses(raw)


@pytest.mark.parametrize(
    "asked", [{"n": 2}, {"stream": True}, {"partial_images": 1}, {"size": "big"}], ids=lambda asked: next(iter(asked))
)
def test_what_would_be_another_answer_is_refused(images, asked):
    with pytest.raises(openai.BadRequestError) as refused:
        images.generate(model=MODEL, prompt="a cat", **asked)
    assert refused.value.param == next(iter(asked))


def test_an_answer_without_a_picture_says_why_and_is_charged(images, gateway):
    with pytest.raises(openai.APIStatusError) as refused:
        images.generate(model=MODEL, prompt="please refuse")
    assert refused.value.code == "no_picture"
    assert "I can not help with that." in refused.value.message
    record = gateway.record(refused.value.response.headers["x-tollgate-request-id"])
    assert record["tokens"]["input"] > 0 and record["cost"] > 0


@pytest.mark.parametrize("model", ["gemini-sim/blind", "anthropic-sim/unlisted"])
def test_models_that_make_no_pictures_are_not_asked(images, model):
    with pytest.raises(openai.BadRequestError) as refused:
        images.generate(model=model, prompt="a cat")
    assert refused.value.param == "model"
