"""Every provider's own word for each reason of a refusal is understood."""

import json
import urllib.error
import urllib.request

import pytest
from conftest import APP_KEY, TARGETS

# What each reason is for the journal.
KINDS = {
    "overloaded": "overloaded",
    "rate-limit": "rate_limited",
    "quota": "quota_exhausted",
    "context": "context_too_long",
    "policy": "content_policy",
    "key": "unauthenticated",
    "model": "not_found",
    "invalid": "invalid_request",
}
# Whose API has no error for a content policy.
WITHOUT_POLICY = ["gemini-sim/echo", "bedrock-sim/echo", "ollama-sim/echo"]
CASES = [(target, why) for target in TARGETS for why in KINDS if why != "policy" or target not in WITHOUT_POLICY]


def ask(gateway, model, stream=False):
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello there"}]}
    headers = {"authorization": f"Bearer {APP_KEY}", "content-type": "application/json"}
    request = urllib.request.Request(f"{gateway.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    try:
        response = urllib.request.urlopen(request, timeout=15)
    except urllib.error.HTTPError as refused:
        response = refused
    with response:
        return response.status, response.headers, response.read().decode()


@pytest.mark.parametrize("target, why", CASES)
def test_reasons_are_understood(gateway, target, why):
    status, headers, text = ask(gateway, f"{target}!refuse={why}")
    assert status >= 400 and json.loads(text)["error"]["message"], text
    record = gateway.record(headers["x-tollgate-request-id"])
    assert [attempt["fault"] for attempt in record["attempts"]] == [KINDS[why]]
    assert record["cost"] == 0 and record["counted"] == "nothing"


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_gemini_blocks_is_an_answer(gateway, stream):
    status, headers, text = ask(gateway, "gemini-sim/echo!refuse=policy", stream)
    assert status == 200 and '"finish_reason":"content_filter"' in text, text
    record = gateway.record(headers["x-tollgate-request-id"])
    assert record["outcome"] == "complete"
    # What was read is reported, and so charged.
    assert record["counted"] == "reported" and record["tokens"]["input"] == 2
