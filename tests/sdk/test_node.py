"""JavaScript's clients through the gateway, against every dialect: a process runs a client's cases, a test looks at one."""

import json
import os
import subprocess

import pytest
from conftest import APP_KEY, NO_CHOICE, TARGETS

CASES = [
    "plain", "stream", "tools", "streamed_tools", "choice", "structured", "limit", "wrong_key", "unknown_model",
    "rate_limit", "broken_stream",
]
# Each client, which is a file of tests/node, and its cases.
CLIENTS = {
    "openai-chat": CASES,
    "openai-responses": CASES,
    "anthropic": CASES,
    "ai-openai-chat": CASES,
    "ai-openai-responses": CASES,
    "ai-anthropic": CASES,
    "ai-google": [*CASES, "bare_name"],
}
# Those that ask for a tool by name. Vercel's provider for Anthropic has structured answers made by a tool of its own
# where it does not know the model.
NEED_CHOICE = [*((client, "choice") for client in CLIENTS), ("ai-anthropic", "structured")]
# Those that show thoughts, and the models that think.
THOUGHTFUL = ["ai-openai-responses", "ai-anthropic", "ai-google"]
THINKERS = [
    "openai-sim/reasoner", "anthropic-sim/thinker", "responses-sim/echo", "gemini-sim/third", "ollama-sim/echo",
    "cohere-sim/echo", "bedrock-sim/thinker",
]


def pairs(client):
    spoken = [
        (target, case)
        for target in TARGETS
        for case in CLIENTS[client]
        if not (target in NO_CHOICE and (client, case) in NEED_CHOICE)
    ]
    thought = [(target, case) for target in THINKERS for case in ["thoughts", "streamed_thoughts"]]
    return spoken + (thought if client in THOUGHTFUL else [])


def run(client, folder, gateway):
    """The lines of a client's process, and what it complained of."""
    environment = {**os.environ, "TOLLGATE_URL": gateway.url, "TOLLGATE_KEY": APP_KEY}
    words = ["node", f"{client}.mjs", json.dumps(pairs(client))]
    try:
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired as slow:
        return {}, str(slow)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {(line["target"], line["case"]): line["error"] for line in lines}, done.stderr


@pytest.fixture(scope="module")
def outcome(gateway):
    """What came of a case: nothing, or why it failed. A client runs when the first of its cases is asked for."""
    folder = os.environ.get("TOLLGATE_NODE")
    if not folder:
        pytest.skip("TOLLGATE_NODE names no folder with the packages of tests/node; cargo xtask test makes one")
    ran = {}

    def find(client, target, case):
        if client not in ran:
            ran[client] = run(client, folder, gateway)
        outcomes, complaint = ran[client]
        return outcomes.get((target, case), f"{client} did not come to it: {complaint}")

    return find


@pytest.mark.parametrize("client, target, case", [(client, *pair) for client in CLIENTS for pair in pairs(client)])
def test_client(outcome, client, target, case):
    error = outcome(client, target, case)
    assert error is None, error
