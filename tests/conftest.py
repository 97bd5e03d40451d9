"""The real binary, twice: as a gateway, and as the simulated providers behind it."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
import uuid

import pytest

BINARY = os.environ.get("TOLLGATE_BIN") or str(
    pathlib.Path(__file__).parent.parent / "target/debug/tollgate"
)
APP_KEY = "tg-" + "a" * 43
ADMIN_KEY = "tg-admin-" + "b" * 43
NARROW_KEY = "tg-" + "n" * 43

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", limits: {{ body: 2MiB, drain_time: 3s }} }}
data_dir: {data}
deadlines: {{ connect: 2s, first_byte: 3s, between_events: 2s, total: 20s }}
retries: {{ max: 0 }}
providers:
  openai-sim:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-test-upstream
    health: {{ failures: 0, failure_share: 0% }}
    forms: {{ jina_rerank: "http://127.0.0.1:{sim}/v1/rerank" }}
    models:
      echo: {{ context_tokens: 9000, can: [tools, vision], price: {{ input: 1, cached: 0.1, output: 2 }} }}
      reasoner: {{ price: {{ input: 1, output: 2 }} }}
      "echo!no-usage": {{ price: {{ input: 1, output: 2 }} }}
      embed: {{ price: {{ input: 0.1 }} }}
      o200k: {{ price: {{ input: 1, output: 2 }}, quirks: {{ tokenizer: o200k }} }}
      "echo!tagged": {{ quirks: {{ thinking: tags, thinking_history: tags }} }}
      "echo!tagged,split": {{ quirks: {{ thinking: tags }} }}
      fussy:
        quirks:
          system_role: user
          turns: alternate
          call_ids: alphanumeric_9
          thinking_history: reasoning_content
          refused: [stop, temperature]
      batched: {{ price: {{ input: 1, output: 2, batch: 0.5 }} }}
      gpt-image-1: {{ price: {{ input: 5, image_input: 10, image_output: 40 }} }}
      dall-e: {{ price: {{ per_image: 0.04 }} }}
      tts: {{ price: {{ per_1m_characters: 15 }} }}
      whisper: {{ price: {{ per_minute: 0.006 }} }}
      rerank: {{ price: {{ input: 0.05 }} }}
      "echo!pace=20ms,words=400": {{ price: {{ input: 1, output: 2 }} }}
  talk-sim:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-test-upstream
    quirks: {{ prompts: chat }}
    models:
      echo: {{ price: {{ input: 1, output: 2 }} }}
  anthropic-sim:
    dialect: anthropic_messages
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-test-upstream
    health: {{ failures: 0, failure_share: 0% }}
    models:
      echo: {{ context_tokens: 200000, output_tokens: 4096, can: [tools, vision, reasoning], price: {{ input: 3, cached: 0.3, cache_write: 3.75, output: 15 }} }}
      thinker: {{ output_tokens: 4096, quirks: {{ reasoning: effort }} }}
      "echo!pace=20ms,words=400": {{ price: {{ input: 3, output: 15 }} }}
  responses-sim:
    dialect: openai_responses
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-test-upstream
    quirks: {{ prompts: chat }}
    models:
      echo: {{ price: {{ input: 2, cached: 0.2, output: 8 }} }}
      "echo!pace=20ms,words=400": {{ price: {{ input: 2, output: 8 }} }}
  gemini-sim:
    dialect: gemini
    base_url: http://127.0.0.1:{sim}/v1beta
    api_key: sk-test-upstream
    models:
      echo: {{ price: {{ input: 0.5, cached: 0.05, output: 3 }} }}
      third: {{ price: {{ input: 2, output: 12 }}, quirks: {{ reasoning: effort }} }}
      embed: {{ price: {{ input: 0.15 }} }}
      image: {{ can: [images], price: {{ input: 0.3, output: 2.5, image_output: 30 }} }}
      blind: {{ can: [tools] }}
      "echo!pace=20ms,words=400": {{ price: {{ input: 0.5, output: 3 }} }}
  ollama-sim:
    dialect: ollama
    base_url: http://127.0.0.1:{sim}/api
    api_key: sk-test-upstream
    auth: bearer
    models:
      echo: {{ price: {{ input: 0.25, output: 0.5 }} }}
      embed: {{ price: {{ input: 0 }} }}
      "echo!pace=20ms,words=400": {{ price: {{ input: 0.25, output: 0.5 }} }}
  cohere-sim:
    dialect: cohere_v2
    base_url: http://127.0.0.1:{sim}/v2
    api_key: sk-test-upstream
    models:
      echo: {{ price: {{ input: 2.5, output: 10 }} }}
      embed: {{ price: {{ input: 0.12 }} }}
      rerank: {{ price: {{ per_1k_searches: 2 }} }}
      "echo!pace=20ms,words=400": {{ price: {{ input: 2.5, output: 10 }} }}
  bedrock-sim:
    dialect: bedrock_converse
    base_url: http://127.0.0.1:{sim}
    api_key: sk-test-upstream
    models:
      echo: {{ price: {{ input: 3, output: 15 }} }}
      thinker: {{ output_tokens: 4096, quirks: {{ reasoning: budget }} }}
      "echo!pace=20ms,words=400": {{ price: {{ input: 3, output: 15 }} }}
  vertex-claude-sim:
    dialects: {{ anthropic_messages: "http://127.0.0.1:{sim}/v1/projects/p/locations/l/publishers/anthropic/models/{{model}}:{{method}}" }}
    api_key: sk-test-upstream
    auth: bearer
    quirks: {{ hosting: vertex }}
    models:
      echo: {{ output_tokens: 4096, price: {{ input: 3, output: 15 }} }}
  voyage-sim:
    base_url: http://127.0.0.1:{sim}/voyage/v1
    api_key: sk-test-upstream
    forms:
      voyage_embeddings: http://127.0.0.1:{sim}/voyage/v1/embeddings
      voyage_rerank: http://127.0.0.1:{sim}/voyage/v1/rerank
    models:
      embed: {{ price: {{ input: 0.06 }} }}
      rerank: {{ price: {{ input: 0.05 }} }}
  bad-credential: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-invalid, health: {{ failures: 0, failure_share: 0% }} }}
  nobody: {{ dialect: openai_chat, base_url: "http://127.0.0.1:9/v1", api_key: none, health: {{ failures: 0, failure_share: 0% }} }}
models:
  both: [ nobody/echo, openai-sim/echo ]
  after-garbage: [ "openai-sim/echo!garbage", anthropic-sim/echo ]
  after-cut: [ "openai-sim/echo!cut=0", "anthropic-sim/echo!cut=0", openai-sim/echo ]
  after-end: [ "anthropic-sim/echo!end=0", openai-sim/echo ]
  after-error: [ "anthropic-sim/echo!error=0", anthropic-sim/echo ]
  after-stall: [ "openai-sim/echo!stall=0", openai-sim/echo ]
  embed-both: [ "openai-sim/embed!status=503", cohere-sim/embed ]
  strict: {{ targets: anthropic-sim/echo, fidelity: strict }}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: narrow, key: {narrow}, models: [ "openai-sim/*" ] }}
  - {{ name: only-echo, key: tg-{o}, models: [ "openai-sim/echo" ] }}
  - {{ name: expired, key: {expired}, expires: 2020-01-01 }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


# One target for each dialect that the simulator speaks.
TARGETS = [
    "openai-sim/echo", "anthropic-sim/echo", "responses-sim/echo", "gemini-sim/echo", "ollama-sim/echo",
    "cohere-sim/echo", "bedrock-sim/echo",
]

# Those whose API has no stop sequences.
NO_STOPS = ["responses-sim/echo"]
# Those whose API cannot ask for one call at a time.
ALWAYS_PARALLEL = ["gemini-sim/echo", "ollama-sim/echo", "cohere-sim/echo", "bedrock-sim/echo"]
# Those that cannot be made to call a tool.
NO_CHOICE = ["ollama-sim/echo"]
# Those that take no documents, and what they are shown of a picture by address, one in bytes and a document.
NO_DOCUMENTS = {
    "ollama-sim/echo": "shown 1: image/png",
    "cohere-sim/echo": "shown 2: https://example.com/cat.png, image/png",
}
# Those that take pictures as bytes only.
NO_ADDRESSES = {"bedrock-sim/echo": "shown 2: image/png, application/pdf"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, key=None, method="GET"):
    request = urllib.request.Request(url, method=method)
    if key:
        request.add_header("authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.loads(response.read() or "null")


def wait_for(check, what, seconds=15):
    """Waits for something to become true; what it waits for is named when it does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = check()
            if found:
                return found
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


class Sim:
    """Simulated providers."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [BINARY, "sim", "--listen", f"127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL
        )
        wait_for(lambda: get(f"{self.url}/sim/calls"), "the simulator")

    def calls(self):
        return get(f"{self.url}/sim/calls")

    def last(self):
        return get(f"{self.url}/sim/calls/last")

    def reset(self):
        get(f"{self.url}/sim/reset", method="POST")


class Gateway:
    """A gateway with a configuration, data and log of its own."""

    def __init__(self, folder, sim, config=CONFIG, environment=None, **values):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**os.environ, **(environment or {})}
        self.data = folder / "data"
        self.file = folder / "tollgate.yaml"
        self.log = folder / "log.txt"
        self.file.write_text(
            config.format(
                port=self.port, sim=sim.port, data=self.data, app=APP_KEY, admin=ADMIN_KEY,
                narrow=NARROW_KEY, expired="tg-" + "e" * 43, o="o" * 43, **values,
            )
        )
        self.process = None
        self.start()

    def start(self):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            [BINARY, "serve", "--config", str(self.file)], stdout=log, stderr=log, env=self.environment
        )
        wait_for(self.listens, "the gateway")

    def listens(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def records(self):
        """The whole journal, oldest first."""
        found = json.loads(self.run("logs", "--limit", "1000000", "--json").stdout)
        return list(reversed(found))

    def record(self, request_id):
        """The record of one call, once it has reached the journal."""
        recent = f"{self.url}/admin/v1/calls?limit=1000"
        find = lambda: [one for one in get(recent, ADMIN_KEY)["data"] if one["id"] == request_id]
        found = wait_for(find, f"the record of {request_id}")
        assert len(found) == 1
        return found[0]

    def run(self, *words):
        done = subprocess.run(
            [BINARY, *words, "--data-dir", str(self.data)], capture_output=True, text=True, timeout=20
        )
        return done


@pytest.fixture(scope="session")
def sim():
    sim = Sim()
    yield sim
    sim.process.kill()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim):
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), sim)
    yield gateway
    gateway.process.kill()


class Way:
    """A way to a server that can be cut."""

    def __init__(self, address):
        self.address, self.open, self.pairs = address, True, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            if not self.open:
                client.close()
                continue
            server = socket.create_connection(self.address)
            self.pairs.append((client, server))
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.open = False
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.pairs = []


@pytest.fixture(scope="session")
def server():
    """The PostgreSQL of the tests."""
    address = os.environ.get("TOLLGATE_TEST_POSTGRES")
    if not address:
        assert not os.environ.get("CI"), "TOLLGATE_TEST_POSTGRES names no PostgreSQL, which CI must have"
        pytest.skip("TOLLGATE_TEST_POSTGRES names no PostgreSQL")
    return urllib.parse.urlsplit(address)


@pytest.fixture
def way(server):
    way = Way((server.hostname, server.port))
    yield way
    way.cut()


@pytest.fixture
def address(server, way):
    """A database of a test's own."""
    name = f"tollgate_{uuid.uuid4().hex}"
    psql = ["psql", "-q", server.geturl(), "-c"]
    subprocess.run([*psql, f"CREATE DATABASE {name}"], check=True)
    yield f"postgres://{server.username}:not-asked-for@127.0.0.1:{way.port}/{name}"
    subprocess.run([*psql, f"DROP DATABASE {name} WITH (FORCE)"], check=True)
