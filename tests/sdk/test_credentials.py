"""Identities in AWS, Google Cloud and Entra ID: a cloud's own endpoints, told here, and providers that check what they are shown."""

import base64
import datetime
import http.server
import json
import subprocess
import threading
import types
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
import requests
from conftest import APP_KEY, BINARY, Gateway, wait_for
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE_PEM = RSA_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)

# The secret of each access key that is good.
SECRETS = {
    "AKIDFIXED": "fixed-secret", "AKIDPROFILE": "profile-secret", "AKIDPROCESS": "process-secret",
    "ASIAWEB": "web-secret", "ASIAROLE000000000001": "role-secret", "ASIAINSTANCE": "instance-secret",
}
REGION = "eu-central-1"

CONFIG = """
server: {{ listen: "127.0.0.1:{port}" }}
data_dir: {data}
deadlines: {{ connect: 2s }}
providers:
  aws-fixed: &aws
    dialect: bedrock_converse
    base_url: http://127.0.0.1:{cloud}/aws
    region: eu-central-1
    aws: {{ access_key_id: AKIDFIXED, secret_access_key: fixed-secret, session_token: fixed-token }}
  aws-profile: {{ dialect: bedrock_converse, base_url: "http://127.0.0.1:{cloud}/aws", region: eu-central-1, aws: {{ profile: apps }} }}
  aws-process: {{ dialect: bedrock_converse, base_url: "http://127.0.0.1:{cloud}/aws", region: eu-central-1, aws: {{ profile: helper }} }}
  aws-web: {{ dialect: bedrock_converse, base_url: "http://127.0.0.1:{cloud}/aws", region: eu-central-1, aws: {{ role: "arn:aws:iam::123456789012:role/web", web_identity_token_file: web-token, session_name: gate }} }}
  aws-role: {{ dialect: bedrock_converse, base_url: "http://127.0.0.1:{cloud}/aws", region: eu-central-1, aws: {{ access_key_id: AKIDFIXED, secret_access_key: fixed-secret, role: "arn:aws:iam::123456789012:role/apps", external_id: ours }} }}
  aws-instance: {{ dialect: bedrock_converse, base_url: "http://127.0.0.1:{cloud}/aws", region: eu-central-1, auth: aws }}
  aws-unknown: {{ dialect: bedrock_converse, base_url: "http://127.0.0.1:{cloud}/aws", region: eu-central-1, aws: {{ profile: nobody }} }}
  google-account: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{cloud}/google/v1", google: {{ credentials: "secret:file/account.json" }} }}
  google-user: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{cloud}/google/v1", google: {{ credentials: "secret:file/user.json" }} }}
  google-federated: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{cloud}/google/v1", google: {{ credentials: "secret:file/federated.json" }} }}
  google-machine: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{cloud}/google/v1", auth: google }}
  azure-client: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{cloud}/azure/v1", azure: {{ tenant_id: tenant-1, client_id: app-1, client_secret: s3cret, authority: "http://127.0.0.1:{cloud}/login/" }} }}
  azure-pod: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{cloud}/azure/v1", azure: {{ tenant_id: tenant-1, client_id: app-2, federated_token_file: pod-token, authority: "http://127.0.0.1:{cloud}/login" }} }}
  azure-machine: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{cloud}/azure/v1", auth: azure }}
  in-query: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{cloud}/query/v1", auth: "query: key", api_key: "se cret&" }}
models:
  aws-both: [ aws-unknown/m, aws-fixed/m ]
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


class Cloud(http.server.ThreadingHTTPServer):
    """Whoever gives credentials out, and providers that ask for them."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.port = self.server_address[1]
        # How often each endpoint gave a credential out.
        self.given = {}
        # What the last provider was sent.
        self.seen = None
        # Tokens that providers refuse from now on.
        self.revoked = set()
        self.lasts = 3600
        # Whether no credential is given out, and how often one was asked for meanwhile.
        self.closed, self.turned_away = False, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def give(self, kind):
        if self.closed:
            self.turned_away += 1
            raise AssertionError("no credential is given out")
        self.given[kind] = self.given.get(kind, 0) + 1
        return f"{kind}-token-{self.given[kind]}"


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(b"")

    def do_PUT(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def answer(self, body):
        url = urllib.parse.urlsplit(self.path)
        asked = types.SimpleNamespace(
            path=url.path, query=dict(urllib.parse.parse_qsl(url.query)), headers=self.headers, body=body,
            form=dict(urllib.parse.parse_qsl(body.decode(errors="replace") or url.query)), target=self.path,
            method=self.command,
        )
        for start, told in ROUTES.items():
            if url.path == start or start != "/" and url.path.startswith(start):
                try:
                    status, answer = told(self.server, asked)
                except AssertionError as error:
                    status, answer = 403, {"message": f"refused: {error}", "error": {"message": str(error)}}
                break
        else:
            status, answer = 404, {"message": "nothing here"}
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def check_signature(asked, service):
    """Signs what came as AWS's own library does, and compares."""
    kind, _, rest = asked.headers["authorization"].partition(" ")
    assert kind == "AWS4-HMAC-SHA256"
    said = dict(part.strip().split("=", 1) for part in rest.split(","))
    key, day, region, of, end = said["Credential"].split("/")
    assert (of, end) == (service, "aws4_request")
    assert key in SECRETS, "the access key is unknown"
    names = said["SignedHeaders"].split(";")
    assert "host" in names and "x-amz-date" in names
    sent = datetime.datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert abs((now - sent).total_seconds()) < 300 and asked.headers["x-amz-date"].startswith(day)
    credentials = botocore.credentials.Credentials(key, SECRETS[key])
    signer = botocore.auth.SigV4Auth(credentials, service, region)
    headers = {name: asked.headers[name] for name in names}
    url = f"http://{asked.headers['host']}{asked.target}"
    request = botocore.awsrequest.AWSRequest(asked.method, url, headers=headers, data=asked.body)
    request.context["timestamp"] = asked.headers["x-amz-date"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert signer.signature(text, request) == said["Signature"], "the signature is another"
    return key, region


def bedrock(cloud, asked):
    key, region = check_signature(asked, "bedrock")
    assert region == REGION
    if key.startswith("ASIA") or key == "AKIDFIXED":
        assert asked.headers["x-amz-security-token"] not in cloud.revoked, "the token has ended"
    cloud.seen = (key, asked.headers.get("x-amz-security-token"), asked.target)
    return 200, {
        "output": {"message": {"role": "assistant", "content": [{"text": f"signed by {key}"}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
        "metrics": {"latencyMs": 1},
    }


def sts(cloud, asked):
    action = asked.form["Action"]
    if action == "AssumeRoleWithWebIdentity":
        assert asked.form["WebIdentityToken"] == "web-token-1" and asked.form["RoleSessionName"] == "gate"
        assert asked.form["RoleArn"].endswith("role/web")
        key, secret = "ASIAWEB", SECRETS["ASIAWEB"]
    else:
        assert action == "AssumeRole"
        assert check_signature(asked, "sts")[0] == "AKIDFIXED"
        assert asked.form["RoleArn"].endswith("role/apps") and asked.form["ExternalId"] == "ours"
        key, secret = "ASIAROLE000000000001", SECRETS["ASIAROLE000000000001"]
    token = cloud.give(key)
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=cloud.lasts)
    return 200, (
        f"<{action}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{action}Result><Credentials>"
        f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
        f"<SessionToken>{token}</SessionToken><Expiration>{end:%Y-%m-%dT%H:%M:%SZ}</Expiration>"
        f"</Credentials></{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )


def instance(cloud, asked):
    if asked.path == "/latest/api/token":
        assert asked.method == "PUT"
        return 200, "imds-session"
    assert asked.headers["x-aws-ec2-metadata-token"] == "imds-session"
    if asked.path.endswith("security-credentials/"):
        return 200, "apps"
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=cloud.lasts)
    return 200, {
        "Code": "Success", "AccessKeyId": "ASIAINSTANCE", "SecretAccessKey": SECRETS["ASIAINSTANCE"],
        "Token": cloud.give("ASIAINSTANCE"), "Expiration": f"{end:%Y-%m-%dT%H:%M:%SZ}",
    }


def google_token(cloud, asked):
    grant = asked.form["grant_type"]
    if grant == "refresh_token":
        assert asked.form["refresh_token"] == "refresh-1" and asked.form["client_secret"] == "user-secret"
        return 200, {"access_token": cloud.give("user"), "expires_in": cloud.lasts}
    if grant.endswith("token-exchange"):
        assert asked.form["subject_token"] == "subject-1"
        assert asked.form["audience"] == "//iam.googleapis.com/pool"
        return 200, {"access_token": cloud.give("exchanged"), "expires_in": cloud.lasts, "token_type": "Bearer"}
    assert grant.endswith("jwt-bearer")
    claims = jwt.decode(asked.form["assertion"], certs=PUBLIC_PEM, audience=f"http://127.0.0.1:{cloud.port}/google-token")
    assert claims["iss"] == "app@project.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert jwt.decode_header(asked.form["assertion"])["kid"] == "key-1"
    return 200, {"access_token": cloud.give("account"), "expires_in": cloud.lasts}


def google_impersonation(cloud, asked):
    assert asked.headers["authorization"].startswith("Bearer exchanged-token-")
    assert json.loads(asked.body)["scope"] == ["https://www.googleapis.com/auth/cloud-platform"]
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=cloud.lasts)
    return 200, {"accessToken": cloud.give("impersonated"), "expireTime": f"{end:%Y-%m-%dT%H:%M:%SZ}"}


def google_machine(cloud, asked):
    assert asked.headers["metadata-flavor"] == "Google"
    assert asked.query["scopes"] == "https://www.googleapis.com/auth/cloud-platform"
    return 200, {"access_token": cloud.give("machine"), "expires_in": cloud.lasts}


def azure_login(cloud, asked):
    assert asked.path == "/login/tenant-1/oauth2/v2.0/token" and asked.form["grant_type"] == "client_credentials"
    assert asked.form["scope"] == "https://cognitiveservices.azure.com/.default"
    if asked.form["client_id"] == "app-1":
        assert asked.form["client_secret"] == "s3cret"
        return 200, {"access_token": cloud.give("client"), "expires_in": cloud.lasts, "token_type": "Bearer"}
    assert asked.form["client_assertion"] == "pod-token-1"
    return 200, {"access_token": cloud.give("pod"), "expires_in": cloud.lasts, "token_type": "Bearer"}


def azure_machine(cloud, asked):
    assert asked.headers["metadata"] == "true"
    assert asked.query["resource"] == "https://cognitiveservices.azure.com"
    # This endpoint tells numbers as texts.
    return 200, {"access_token": cloud.give("azure-machine"), "expires_in": str(cloud.lasts)}


def chat(cloud, asked):
    shown = asked.headers.get("authorization", "")
    if asked.path.startswith("/query/"):
        assert asked.query == {"key": "se cret&"} and not shown
    else:
        kind, _, token = shown.partition(" ")
        assert kind == "Bearer" and "-token-" in token, "no token was shown"
        if token in cloud.revoked:
            return 401, {"error": {"message": "the token has ended", "type": "invalid_request_error"}}
    cloud.seen = shown
    return 200, {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": shown}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


ROUTES = {
    "/aws/": bedrock, "/": sts, "/latest/": instance, "/google-token": google_token,
    "/google-impersonation": google_impersonation, "/computeMetadata/": google_machine,
    "/login/": azure_login, "/metadata/identity/": azure_machine, "/google/": chat, "/azure/": chat,
    "/query/": chat,
}


def write_files(folder, port):
    base = f"http://127.0.0.1:{port}"
    (folder / "web-token").write_text("web-token-1\n")
    (folder / "pod-token").write_text("pod-token-1\n")
    (folder / "subject").write_text(json.dumps({"id_token": "subject-1"}))
    (folder / "account.json").write_text(json.dumps({
        "type": "service_account", "client_email": "app@project.iam.gserviceaccount.com",
        "private_key": PRIVATE_PEM, "private_key_id": "key-1", "token_uri": f"{base}/google-token",
    }))
    (folder / "user.json").write_text(json.dumps({
        "type": "authorized_user", "client_id": "c", "client_secret": "user-secret",
        "refresh_token": "refresh-1", "token_uri": f"{base}/google-token",
    }))
    (folder / "federated.json").write_text(json.dumps({
        "type": "external_account", "audience": "//iam.googleapis.com/pool",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": f"{base}/google-token",
        "service_account_impersonation_url": f"{base}/google-impersonation",
        "credential_source": {
            "file": str(folder / "subject"),
            "format": {"type": "json", "subject_token_field_name": "id_token"},
        },
    }))
    helper = {
        "Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "process-secret",
    }
    (folder / "helper.sh").write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(helper)}\nEND\n")
    (folder / "helper.sh").chmod(0o755)
    (folder / "aws-config").write_text(f"[profile helper]\ncredential_process = {folder}/helper.sh\n")
    (folder / "aws-credentials").write_text(
        "[apps]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = profile-secret\n"
    )
    return {
        "AWS_CONFIG_FILE": str(folder / "aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws-credentials"),
        "AWS_ENDPOINT_URL_STS": base,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": base,
        "GCE_METADATA_HOST": f"127.0.0.1:{port}",
        "CLOUDSDK_CONFIG": str(folder / "no-gcloud"),
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": base,
    }


@pytest.fixture(scope="module")
def clouded(tmp_path_factory, sim):
    cloud = Cloud()
    folder = tmp_path_factory.mktemp("clouded")
    environment = write_files(folder, cloud.port)
    gateway = Gateway(folder, sim, CONFIG, environment, cloud=cloud.port)
    yield gateway, cloud
    gateway.process.kill()
    cloud.shutdown()


def ask(gateway, model):
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {APP_KEY}"}
    return requests.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=10)


@pytest.mark.parametrize("provider, key, token", [
    ("aws-fixed", "AKIDFIXED", "fixed-token"),
    ("aws-profile", "AKIDPROFILE", None),
    ("aws-process", "AKIDPROCESS", None),
    ("aws-web", "ASIAWEB", "ASIAWEB-token-1"),
    ("aws-role", "ASIAROLE000000000001", "ASIAROLE000000000001-token-1"),
    ("aws-instance", "ASIAINSTANCE", "ASIAINSTANCE-token-1"),
])
@pytest.mark.parametrize("model", ["m", "anthropic.claude-x-v1:0", "arn:aws:bedrock:eu-central-1:1:inference-profile/a b+ü"])
def test_requests_to_aws_are_signed(clouded, provider, key, token, model):
    gateway, cloud = clouded
    answer = ask(gateway, f"{provider}/{model}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == f"signed by {key}"
    assert cloud.seen[:2] == (key, token)


@pytest.mark.parametrize("path", ["/model/m/converse", "/async-invoke?maxResults=2&statusEquals=In%20Progress&a"])
def test_what_is_passed_through_to_aws_is_signed(clouded, path):
    gateway, _ = clouded
    headers = {"authorization": f"Bearer {APP_KEY}"}
    answer = requests.post(f"{gateway.url}/aws-fixed/aws{path}", json={"messages": []}, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("provider, token", [
    ("google-account", "account-token-1"),
    ("google-user", "user-token-1"),
    ("google-federated", "impersonated-token-1"),
    ("google-machine", "machine-token-1"),
    ("azure-client", "client-token-1"),
    ("azure-pod", "pod-token-1"),
    ("azure-machine", "azure-machine-token-1"),
])
def test_tokens_are_fetched_once_and_shown(clouded, provider, token):
    gateway, cloud = clouded
    for _ in range(3):
        answer = ask(gateway, f"{provider}/m")
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == f"Bearer {token}"


def test_a_key_in_the_query_is_escaped_and_never_logged(clouded):
    gateway, _ = clouded
    answer = ask(gateway, "in-query/m")
    assert answer.status_code == 200, answer.text
    assert "se cret" not in gateway.log.read_text() and "se%20cret" not in gateway.log.read_text()


def test_an_identity_without_a_credential_is_the_gateways_fault(clouded):
    gateway, _ = clouded
    answer = ask(gateway, "aws-unknown/m")
    assert answer.status_code == 502, answer.text
    error = answer.json()["error"]
    assert error["code"] == "credential_unavailable" and "aws-unknown" in error["message"]
    wait_for(lambda: "could not be fetched" in gateway.log.read_text(), "the log to say why")


def test_the_next_target_is_asked_where_there_is_no_credential(clouded):
    gateway, _ = clouded
    answer = ask(gateway, "aws-both")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tollgate-target"] == "aws-fixed/m"


def test_no_secret_is_in_the_log(clouded):
    gateway, _ = clouded
    log = gateway.log.read_text()
    for secret in [*SECRETS.values(), "s3cret", "refresh-1", "user-secret", "-token-1", "PRIVATE KEY"]:
        assert secret not in log, secret


def test_tokens_are_refreshed_ahead_of_their_end_and_when_they_are_refused(tmp_path, sim):
    cloud = Cloud()
    # Fetched again when a fifth of the time is left.
    cloud.lasts = 12
    gateway = Gateway(tmp_path, sim, CONFIG, write_files(tmp_path, cloud.port), cloud=cloud.port)
    try:
        first = ask(gateway, "azure-client/m").json()["choices"][0]["message"]["content"]
        assert first == "Bearer client-token-1"
        wait_for(lambda: cloud.given["client"] >= 2, "a second token", seconds=20)
        renewed = lambda: ask(gateway, "azure-client/m").json()["choices"][0]["message"]["content"] != first
        wait_for(renewed, "the second token to be shown")
        # From now on tokens last, and only a refusal has one fetched.
        cloud.lasts = 3600
        count = cloud.given["client"]
        wait_for(lambda: cloud.given["client"] > count, "a token that lasts", seconds=20)
        cloud.revoked.add(ask(gateway, "azure-client/m").json()["choices"][0]["message"]["content"].split()[1])
        assert ask(gateway, "azure-client/m").status_code == 502
        wait_for(lambda: ask(gateway, "azure-client/m").status_code == 200, "another token", seconds=25)
    finally:
        gateway.process.kill()
        cloud.shutdown()


def test_a_credential_is_used_to_its_end_while_none_is_given_out(tmp_path, sim):
    cloud = Cloud()
    cloud.lasts = 15
    gateway = Gateway(tmp_path, sim, CONFIG, write_files(tmp_path, cloud.port), cloud=cloud.port)
    try:
        assert ask(gateway, "google-user/m").status_code == 200
        cloud.closed = True
        wait_for(lambda: cloud.turned_away >= 1, "an attempt to renew", seconds=30)
        assert ask(gateway, "google-user/m").status_code == 200
        wait_for(lambda: ask(gateway, "google-user/m").status_code == 502, "the end of the old one", seconds=30)
        cloud.closed = False
        wait_for(lambda: ask(gateway, "google-user/m").status_code == 200, "a new one", seconds=60)
    finally:
        gateway.process.kill()
        cloud.shutdown()


def test_a_reload_keeps_credentials(tmp_path, sim):
    cloud = Cloud()
    gateway = Gateway(tmp_path, sim, CONFIG, write_files(tmp_path, cloud.port), cloud=cloud.port)
    try:
        assert ask(gateway, "google-account/m").status_code == 200
        gateway.file.write_text(gateway.file.read_text().replace("client_id: app-1", "client_id: app-3"))
        # The client is another one and is refused; the other identities go on with what they have.
        wait_for(lambda: ask(gateway, "azure-client/m").status_code == 502, "the new configuration")
        assert ask(gateway, "google-account/m").status_code == 200
        assert cloud.given["account"] == 1
    finally:
        gateway.process.kill()
        cloud.shutdown()


@pytest.mark.parametrize("entry, problem", [
    ("aws: { access_key_id: A }, region: r", "secret_access_key"),
    ("aws: {}", "region"),
    ("aws: {}, google: {}, region: r", "one identity"),
    ("aws: {}, api_key: k, region: r", "two ways"),
    ("aws: { external_id: x }, region: r", "role"),
    ("google: { credentials: nonsense }", "credential file"),
    ("azure: { client_secret: s }", "tenant_id"),
    ("auth: 'query: a b'", "query: NAME"),
    ("region: 'a/b'", "letters, digits"),
])
def test_what_is_wrong_with_an_identity_is_told(tmp_path, entry, problem):
    file = tmp_path / "tollgate.yaml"
    file.write_text(f"providers:\n  p: {{ dialect: openai_chat, base_url: 'http://h/v1', {entry} }}\n")
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run([BINARY, "check", str(file)], capture_output=True, text=True, env=environment)
    assert done.returncode != 0
    assert problem in done.stdout + done.stderr
