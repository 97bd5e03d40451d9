"""Clients' certificates: whom they stand for, and until when they are good."""

import contextlib
import datetime
import http.client
import json
import socket
import ssl

import httpx2
import pytest
from conftest import ADMIN_KEY, APP_KEY, Gateway, wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from issuer import Issuer, encoded, token

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", tls: {{ certificate: server.pem, key: server.key }} }}
data_dir: {data}
providers:
  openai-sim: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-test-upstream }}
teams: {{ data: {{}}, sealed: {{ models: [ "openai-sim/nothing" ] }} }}
service_accounts: {{ crawler: {{ team: sealed }} }}
keys: [ {{ name: app, key: {app} }}, {{ name: boss, key: {admin}, admin: true }} ]
authentication:
  jwt: [ {{ issuer: "{issuer}", audience: tollgate }} ]
  certificates:
    ca: clients-ca.pem
    crl: revoked.pem
    required: {required}
    map:
      - {{ san_uri: "spiffe://prod/ns/*/sa/app", team: "*", name: "app of *" }}
      - {{ san_dns: "*.jobs.example.com", tags: {{ job: "*" }} }}
      - {{ san_email: "*@example.com", user: "*", models: [ "openai-sim/r*" ] }}
      - {{ subject_cn: crawler, service_account: crawler }}
      - {{ subject_cn: astray, team: gone }}
"""
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Authority:
    """Vouches for others."""

    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self.builder(self.name, self.key.public_key(), NOW + 30 * DAY)
        made = made.add_extension(x509.BasicConstraints(True, None), True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = made.add_extension(usage, True).sign(self.key, hashes.SHA256())

    def builder(self, subject, public, until):
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public)
        made = made.serial_number(x509.random_serial_number())
        return made.not_valid_before(NOW - DAY).not_valid_after(until)

    def issue(self, folder, name, *alternative, until=NOW + DAY, usage=x509.ExtendedKeyUsageOID.CLIENT_AUTH):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in name.split("+") if one])
        made = self.builder(subject, key.public_key(), until)
        made = made.add_extension(x509.BasicConstraints(False, None), True)
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), False)
        if alternative:
            made = made.add_extension(x509.SubjectAlternativeName(alternative), False)
        certificate = made.sign(self.key, hashes.SHA256())
        return Client(folder, key, certificate)

    def revoke(self, *clients):
        made = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        made = made.last_update(NOW - DAY).next_update(NOW + 30 * DAY).add_extension(x509.CRLNumber(1), False)
        key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = made.add_extension(key, False)
        for client in clients:
            revoked = x509.RevokedCertificateBuilder().serial_number(client.certificate.serial_number)
            made = made.add_revoked_certificate(revoked.revocation_date(NOW - DAY).build())
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)


class Client:
    """A certificate and its key, in files."""

    def __init__(self, folder, key, certificate):
        self.certificate = certificate
        stem = folder / f"{certificate.serial_number:x}"
        self.files = (str(stem) + ".pem", str(stem) + ".key")
        plain = serialization.NoEncryption()
        shape = serialization.PrivateFormat.PKCS8
        with open(self.files[0], "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(self.files[1], "wb") as file:
            file.write(key.private_bytes(serialization.Encoding.PEM, shape, plain))

    def hash(self):
        return encoded(self.certificate.fingerprint(hashes.SHA256()))


class Secure(Gateway):
    """A gateway that serves HTTPS."""

    def __init__(self, folder, sim, clients, server, **values):
        leaf = server.issue(folder, "localhost", x509.DNSName("localhost"), usage=x509.ExtendedKeyUsageOID.SERVER_AUTH)
        (folder / "server.pem").write_bytes(open(leaf.files[0], "rb").read())
        (folder / "server.key").write_bytes(open(leaf.files[1], "rb").read())
        (folder / "clients-ca.pem").write_bytes(clients.pem())
        (folder / "revoked.pem").write_bytes(clients.revoke())
        self.folder, self.trusted = folder, server.pem().decode()
        super().__init__(folder, sim, CONFIG, **values)

    @contextlib.contextmanager
    def connected(self, client=None):
        context = ssl.create_default_context(cadata=self.trusted)
        if client:
            context.load_cert_chain(*client.files)
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=context)
        try:
            yield connection
        finally:
            connection.close()


def call(connection, shown=None, model="openai-sim/echo"):
    headers = {"content-type": "application/json"}
    if shown:
        headers["authorization"] = f"Bearer {shown}"
    body = {"model": model, "messages": [{"role": "user", "content": "hello there"}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    told = json.loads(response.read())
    return response.status, told["error"]["code"] if response.status >= 400 else None, response.headers


def keys(connection):
    """The admin side, by its own key."""
    connection.request("GET", "/admin/v1/keys", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    response = connection.getresponse()
    told = json.loads(response.read())
    return response.status, told["error"]["code"] if response.status >= 400 else None


def outcome(gateway, client=None, shown=None, model="openai-sim/echo"):
    """What comes of one call over a connection of its own; nothing where the connection is refused."""
    try:
        with gateway.connected(client) as connection:
            return call(connection, shown, model)[:2]
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return None


@pytest.fixture(scope="module")
def clients():
    return Authority("clients")


@pytest.fixture(scope="module")
def server():
    return Authority("servers")


@pytest.fixture(scope="module")
def issuer():
    made = Issuer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim, clients, server, issuer):
    folder = tmp_path_factory.mktemp("certificates")
    gateway = Secure(folder, sim, clients, server, required="false", issuer=issuer.url)
    yield gateway
    gateway.process.kill()


def uri(text):
    return x509.UniformResourceIdentifier(text)


def test_a_certificate_says_who_calls(gateway, clients, tmp_path):
    cases = [
        (("x", uri("spiffe://prod/ns/data/sa/app")), (200, None), "app of data"),
        (("x", uri("spiffe://prod/ns/sealed/sa/app")), (403, "model_not_allowed"), None),
        (("x", uri("spiffe://prod/ns/gone/sa/app")), (403, "token_not_mapped"), None),
        (("x", uri("spiffe://test/ns/data/sa/app")), (401, "certificate_unknown"), None),
        (("x", x509.DNSName("other.example.com"), x509.DNSName("night.jobs.example.com")), (200, None), "night.jobs.example.com"),
        (("x", x509.DNSName("one.night.jobs.example.com")), (401, "certificate_unknown"), None),
        (("night.jobs.example.com",), (401, "certificate_unknown"), None),
        (("x", x509.RFC822Name("kim@example.com")), (403, "model_not_allowed"), None),
        (("crawler",), (403, "model_not_allowed"), None),
        (("crawler+other",), (401, "certificate_unknown"), None),
        (("astray",), (403, "token_not_mapped"), None),
        (("",), (401, "certificate_unknown"), None),
    ]
    for names, expected, shown in cases:
        with gateway.connected(clients.issue(tmp_path, *names)) as connection:
            # A connection on which a body was left unread is not used again.
            for _ in range(2 if expected[0] == 200 else 1):
                status, code, headers = call(connection)
                assert (status, code) == expected, names
        if shown:
            find = lambda: [record for record in gateway.records() if record["id"] == headers["x-tollgate-request-id"]]
            assert wait_for(find, "the record")[0]["key_name"] == shown
    kim = clients.issue(tmp_path, "x", x509.RFC822Name("kim@example.com"))
    assert outcome(gateway, kim, model="openai-sim/reasoner") == (200, None)


def test_a_certificate_holds_for_all_that_comes_over_its_connection(gateway, clients, tmp_path):
    context = ssl.create_default_context(cadata=gateway.trusted)
    context.load_cert_chain(*clients.issue(tmp_path, "x", uri("spiffe://prod/ns/data/sa/app")).files)
    body = {"model": "openai-sim/echo", "messages": [{"role": "user", "content": "hello there"}]}
    with httpx2.Client(http2=True, verify=context) as client:
        for _ in range(3):
            answer = client.post(f"https://localhost:{gateway.port}/v1/chat/completions", json=body)
            assert answer.status_code == 200 and answer.http_version == "HTTP/2"


def test_a_key_or_a_token_says_more_than_a_certificate(gateway, clients, issuer, tmp_path):
    nobody = clients.issue(tmp_path, "nobody")
    assert outcome(gateway, nobody, APP_KEY) == (200, None)
    assert outcome(gateway, nobody, issuer.token()) == (200, None)
    assert outcome(gateway, nobody, "tg-" + "x" * 43) == (401, "key_unknown")
    crawler = clients.issue(tmp_path, "crawler")
    assert outcome(gateway, crawler, APP_KEY) == (200, None)
    assert outcome(gateway, None, APP_KEY) == (200, None)
    assert outcome(gateway) == (401, "key_missing")


def test_only_the_owner_shows_a_token_that_is_bound_to_a_certificate(gateway, clients, issuer, tmp_path):
    owner, other = (clients.issue(tmp_path, name) for name in ("owner", "other"))
    bound = issuer.token(cnf={"x5t#S256": owner.hash()})
    assert outcome(gateway, owner, bound) == (200, None)
    assert outcome(gateway, other, bound) == (401, "token_bound")
    assert outcome(gateway, None, bound) == (401, "token_bound")


def test_certificates_that_nobody_vouches_for_are_refused(gateway, clients, server, tmp_path):
    assert outcome(gateway, Authority("clients").issue(tmp_path, "crawler"), APP_KEY) is None
    assert outcome(gateway, server.issue(tmp_path, "crawler"), APP_KEY) is None
    assert outcome(gateway, clients.issue(tmp_path, "crawler", until=NOW - DAY / 2), APP_KEY) is None
    # One that is for servers is none of a client.
    wrong = clients.issue(tmp_path, "crawler", usage=x509.ExtendedKeyUsageOID.SERVER_AUTH)
    assert outcome(gateway, wrong, APP_KEY) is None


def test_a_connection_does_not_outlive_its_certificate(gateway, clients, tmp_path):
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
    with gateway.connected(clients.issue(tmp_path, "brief", until=until)) as connection:
        assert call(connection, APP_KEY)[:2] == (200, None)
        ended = lambda: call(connection, APP_KEY)[:2] == (401, "certificate_ended")
        wait_for(ended, "the end of a certificate")


def test_what_is_revoked_is_refused_on_open_connections_too(gateway, clients, tmp_path):
    good, bad = (clients.issue(tmp_path, name) for name in ("good", "bad"))
    file = gateway.folder / "revoked.pem"
    before = file.read_bytes()
    with gateway.connected(good) as first, gateway.connected(bad) as second, gateway.connected(bad) as third:
        assert call(first, APP_KEY)[0] == 200 and call(second, APP_KEY)[0] == 200 and keys(third) == (200, None)
        try:
            file.write_bytes(clients.revoke(bad))
            wait_for(lambda: call(second, APP_KEY)[:2] == (401, "certificate_ended"), "the revocation")
            assert keys(third) == (401, "certificate_ended")
            assert call(first, APP_KEY)[0] == 200
            assert outcome(gateway, bad, APP_KEY) is None
            # A list that cannot be read opens nothing.
            file.write_text("no list")
            wait_for(lambda: "revoked.pem: " in gateway.log.read_text(), "word of the bad list")
            assert outcome(gateway, bad, APP_KEY) is None and outcome(gateway, good, APP_KEY) == (200, None)
        finally:
            file.write_bytes(before)
    wait_for(lambda: outcome(gateway, bad, APP_KEY) == (200, None), "the old list")


def test_authorities_change_while_connections_are_open(gateway, clients, tmp_path):
    fresh = Authority("fresh")
    old, new = clients.issue(tmp_path, "old"), fresh.issue(tmp_path, "new")
    authorities, revoked = gateway.folder / "clients-ca.pem", gateway.folder / "revoked.pem"
    with gateway.connected(old) as connection:
        assert call(connection, APP_KEY)[0] == 200
        try:
            revoked.write_bytes(clients.revoke() + fresh.revoke())
            authorities.write_bytes(fresh.pem())
            wait_for(lambda: outcome(gateway, new, APP_KEY) == (200, None), "the new authority")
            assert call(connection, APP_KEY)[:2] == (401, "certificate_ended")
        finally:
            authorities.write_bytes(clients.pem())
            revoked.write_bytes(clients.revoke())
    wait_for(lambda: outcome(gateway, old, APP_KEY) == (200, None), "the old authority")


def test_where_certificates_are_required_nobody_comes_without_one(tmp_path, sim, clients, server, issuer):
    gateway = Secure(tmp_path, sim, clients, server, required="true", issuer=issuer.url)
    try:
        assert outcome(gateway, None, APP_KEY) is None
        assert outcome(gateway, clients.issue(tmp_path, "nobody"), APP_KEY) == (200, None)
        text = gateway.file.read_text()
        gateway.file.write_text(text.replace("required: true", "required: false"))
        wait_for(lambda: outcome(gateway, None, APP_KEY) == (200, None), "the new configuration")
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200 OK" not in plain.recv(4096)
    finally:
        gateway.process.kill()
