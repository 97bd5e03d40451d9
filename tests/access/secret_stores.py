"""Stores of secrets in one small server, each as its public documentation says.

Vault: https://developer.hashicorp.com/vault/api-docs
AWS: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
Azure: https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
Google: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

import base64
import http.server
import itertools
import json
import ssl
import threading
import time
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AWS = Credentials("AKIATEST", "aws-secret-access-key")
ROLE_ID, SECRET_ID, POD_TOKEN = "role-1", "secret-id-1", "pod-token-1"


class Stores:
    """What is kept, who may read it, and what was asked."""

    def __init__(self, certificate=None, answers=None):
        self.vault = {}
        self.plain = {}
        self.tokens = {"root": float("inf")}
        self.lease = 3600
        self.refuse = None
        self.seen = []
        self.numbers = itertools.count(1)
        stores = self
        handler = type("Handler", (answers or Answers,), {"stores": stores})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = self.url.replace("http://127.0.0.1", "https://localhost")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, path):
        return [one for one in self.seen if one[1] == path]

    def give(self):
        """A token of Vault for the lease."""
        token = f"s.{next(self.numbers)}"
        self.tokens[token] = time.monotonic() + self.lease
        return {"auth": {"client_token": token, "lease_duration": self.lease, "renewable": True}}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Answers(http.server.BaseHTTPRequestHandler):
    stores = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer("")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("content-length") or 0)).decode())

    def answer(self, body):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self.stores.seen.append((self.command, path, dict(self.headers.items())))
        status, shown = self.stores.refuse or self.choose(path, body)
        text = json.dumps(shown).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def choose(self, path, body):
        if target := self.headers.get("x-amz-target"):
            return self.aws(target, body)
        if path.startswith("/v1/projects/"):
            return self.google(path.removeprefix("/v1/projects/"))
        if path.startswith("/v1/"):
            return self.vault(path.removeprefix("/v1/"), body)
        if path.startswith("/secrets/"):
            return self.azure(path.removeprefix("/secrets/"))
        return self.issue(path, urllib.parse.parse_qs(body))

    def issue(self, path, form):
        """Tokens of Entra ID and of Google."""
        good = {
            "/tenant-1/oauth2/v2.0/token": ("client_secret", "client-secret-1"),
            "/google/token": ("refresh_token", "refresh-1"),
        }
        field, value = good.get(path, (None, None))
        if not field or form.get(field) != [value]:
            return 401, {"error": "invalid_client"}
        if path.startswith("/tenant-1") and form["scope"] != ["https://vault.azure.net/.default"]:
            return 400, {"error": "invalid_scope"}
        return 200, {"access_token": f"at-{path.split('/')[1]}", "expires_in": 3600, "token_type": "Bearer"}

    def vault(self, path, body):
        if path == "auth/approle/login":
            good = json.loads(body) == {"role_id": ROLE_ID, "secret_id": SECRET_ID}
            return (200, self.stores.give()) if good else (400, {"errors": ["invalid role or secret ID"]})
        if path == "auth/pods/login":
            good = json.loads(body) == {"role": "gateway", "jwt": POD_TOKEN}
            return (200, self.stores.give()) if good else (403, {"errors": ["permission denied"]})
        token = self.headers.get("x-vault-token")
        if self.stores.tokens.get(token, 0) < time.monotonic():
            return 403, {"errors": ["permission denied"]}
        if path == "auth/token/lookup-self":
            return 200, {"data": {"ttl": 0, "renewable": False}}
        if path == "auth/token/renew-self":
            self.stores.tokens[token] = time.monotonic() + self.stores.lease
            auth = {"client_token": token, "lease_duration": self.stores.lease, "renewable": True}
            return 200, {"auth": auth}
        found = self.stores.vault.get(path)
        if found is None:
            return 404, {"errors": []}
        return 200, {"data": {"data": found, "metadata": {"version": 1}} if "/data/" in path else found}

    def is_signed(self, service, region, body):
        sent = {name.lower(): value for name, value in self.headers.items()}
        shown = sent.pop("authorization", "")
        names = shown.split("SignedHeaders=")[-1].split(",")[0].split(";")
        wanted = {"host", "x-amz-date", "x-amz-target"}
        request = AWSRequest("POST", f"{self.stores.url}/", {name: sent[name] for name in names}, body)
        request.context["timestamp"] = sent["x-amz-date"]
        signer = SigV4Auth(AWS, service, region)
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return wanted <= set(names) and f"Signature={signature}" in shown

    def aws(self, target, body):
        if not self.is_signed("secretsmanager", "eu-west-1", body):
            return 403, {"__type": "InvalidSignatureException", "message": "the signature does not match"}
        if target != "secretsmanager.GetSecretValue":
            return 400, {"__type": "UnknownOperationException"}
        found = self.stores.plain.get(json.loads(body)["SecretId"])
        if found is None:
            kind = "com.amazonaws.secretsmanager#ResourceNotFoundException"
            return 400, {"__type": kind, "Message": "Secrets Manager can't find the specified secret."}
        return 200, {"Name": "x", "SecretString": found}

    def azure(self, path):
        if self.headers.get("authorization") != "Bearer at-tenant-1" or "api-version=" not in self.path:
            return 401, {"error": {"code": "Unauthorized", "message": "no token"}}
        found = self.stores.plain.get(path)
        if found is None:
            return 404, {"error": {"code": "SecretNotFound", "message": f"{path} was not found"}}
        return 200, {"value": found, "id": f"{self.stores.url}/secrets/{path}/1"}

    def google(self, path):
        if self.headers.get("authorization") != "Bearer at-google":
            return 401, {"error": {"code": 401, "message": "no token", "status": "UNAUTHENTICATED"}}
        project, _, name, _, version = path.split("/")
        found = self.stores.plain.get(name)
        if project != "p1" or version != "latest:access" or found is None:
            return 404, {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}
        return 200, {"name": path, "payload": {"data": base64.b64encode(found.encode()).decode()}}
