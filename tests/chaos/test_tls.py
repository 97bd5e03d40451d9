"""HTTPS and HTTP/2 on both sides, and certificates that change while they are in use."""

import concurrent.futures
import signal
import socket
import ssl

import httpx2
import pytest
import trustme
from conftest import ADMIN_KEY, APP_KEY, Gateway, wait_for

INNER = """
server: {{ listen: "127.0.0.1:{port}", tls: {{ certificate: chain.pem, key: key.pem }} }}
data_dir: {data}
providers:
  openai-sim: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-test-upstream }}
keys: [ {{ name: app, key: {app} }}, {{ name: boss, key: {admin}, admin: true }} ]
"""
OUTER = """
server: {{ listen: "127.0.0.1:{port}" }}
data_dir: {data}
providers:
  inner: {{ dialect: openai_chat, base_url: "https://localhost:{inner}/v1", api_key: {app} }}
keys: [ {{ name: app, key: {app} }}, {{ name: boss, key: {admin}, admin: true }} ]
"""


def write_certificate(authority, folder):
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    (folder / "chain.pem").write_bytes(chain)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def inner(tmp_path_factory, sim, authority):
    folder = tmp_path_factory.mktemp("inner")
    write_certificate(authority, folder)
    gateway = Gateway(folder, sim, INNER)
    gateway.secure_url = f"https://localhost:{gateway.port}"
    yield gateway
    gateway.process.kill()


def outer_gateway(folder, sim, inner, **environment):
    return Gateway(folder, sim, OUTER, environment, inner=inner.port)


def body(model, stream):
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello there"}]}


def ask(client, url, model="openai-sim/echo", stream=False):
    headers = {"authorization": f"Bearer {APP_KEY}"}
    return client.post(f"{url}/v1/chat/completions", json=body(model, stream), headers=headers)


@pytest.mark.parametrize("http2, version", [(True, "HTTP/2"), (False, "HTTP/1.1")])
def test_callers_are_served_over_tls(inner, trusting, http2, version):
    with httpx2.Client(http2=http2, verify=trusting) as client:
        for stream in (False, True):
            answer = ask(client, inner.secure_url, stream=stream)
            assert answer.status_code == 200 and answer.http_version == version
            assert "simulator" in answer.text
        assert answer.text.rstrip().splitlines()[-1].startswith(": x-tollgate-cost-usd")
        refused = client.post(f"{inner.secure_url}/v1/chat/completions", json={})
        assert refused.status_code == 401 and refused.json()["error"]["code"] == "key_missing"


def test_plain_text_on_a_tls_port_gets_nothing(inner):
    with socket.create_connection(("127.0.0.1", inner.port), timeout=5) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200 OK" not in plain.recv(4096)


def test_upstreams_are_asked_over_http2(tmp_path, sim, inner, authority, trusting):
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(roots)
    outer = outer_gateway(tmp_path, sim, inner, SSL_CERT_FILE=str(roots))
    accepted = lambda: metric(inner, trusting, "tollgate_connections_accepted_total")
    try:
        with httpx2.Client() as client:
            answer = ask(client, outer.url, "inner/openai-sim/echo")
            assert answer.status_code == 200 and "simulator" in answer.text
            before = accepted()
            # Forty calls at once share the connections of each core, of which the first few calls make one each.
            with concurrent.futures.ThreadPoolExecutor(40) as pool:
                call = lambda _: ask(client, outer.url, "inner/openai-sim/echo!pace=10ms", stream=True)
                answers = list(pool.map(call, range(40)))
            assert all(answer.text.count("data: [DONE]") == 1 for answer in answers)
            assert accepted() - before <= 20
    finally:
        outer.process.kill()


def test_an_upstream_that_nobody_vouches_for_is_not_asked(tmp_path, sim, inner):
    outer = outer_gateway(tmp_path, sim, inner, SSL_CERT_FILE="/dev/null")
    try:
        with httpx2.Client() as client:
            answer = ask(client, outer.url, "inner/openai-sim/echo")
        assert answer.status_code == 502
        assert "certificate" in answer.json()["error"]["message"].lower()
    finally:
        outer.process.kill()


def test_a_certificate_is_changed_under_open_connections(inner, authority, trusting):
    def shown():
        with socket.create_connection(("127.0.0.1", inner.port), timeout=5) as plain:
            with trusting.wrap_socket(plain, server_hostname="localhost") as secure:
                return secure.getpeercert()["serialNumber"]

    first = shown()
    folder = inner.file.parent
    with httpx2.Client(verify=trusting) as client:
        assert ask(client, inner.secure_url).status_code == 200
        # One that cannot be read changes nothing.
        (folder / "chain.pem").write_text("no certificate")
        inner.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "certificate" in inner.log.read_text(), "word of the bad certificate")
        assert shown() == first
        write_certificate(authority, folder)
        wait_for(lambda: shown() != first, "the new certificate")
        assert ask(client, inner.secure_url).status_code == 200


def metric(gateway, trusting, name):
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    with httpx2.Client(verify=trusting) as client:
        text = client.get(f"{gateway.secure_url}/metrics", headers=headers).text
    return int(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])
