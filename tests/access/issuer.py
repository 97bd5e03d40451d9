"""An issuer of tokens that makes whatever a test wants, and notes who asks it for what."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, length=None):
    return encoded(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A key pair of an issuer."""

    def __init__(self, kid, alg="RS256"):
        self.kid, self.alg = kid, alg
        if alg[:2] in ("RS", "PS"):
            self.private = rsa.generate_private_key(65537, 2048)
        elif alg == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
        elif alg == "ES384":
            self.private = ec.generate_private_key(ec.SECP384R1())
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()

    def jwk(self):
        public = self.private.public_key()
        about = {"kid": self.kid, "alg": self.alg, "use": "sig"}
        if self.alg[:2] in ("RS", "PS"):
            numbers = public.public_numbers()
            return {**about, "kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        if self.alg == "EdDSA":
            return {**about, "kty": "OKP", "crv": "Ed25519", "x": encoded(public.public_bytes_raw())}
        numbers, length = public.public_numbers(), 32 if self.alg == "ES256" else 48
        curve = {"ES256": "P-256", "ES384": "P-384"}[self.alg]
        return {**about, "kty": "EC", "crv": curve, "x": number(numbers.x, length), "y": number(numbers.y, length)}

    def sign(self, message):
        digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(self.alg[2:])
        if self.alg.startswith("RS"):
            return self.private.sign(message, padding.PKCS1v15(), digest)
        if self.alg.startswith("PS"):
            return self.private.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        if self.alg == "EdDSA":
            return self.private.sign(message)
        r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(digest)))
        length = 32 if self.alg == "ES256" else 48
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")


def token(key, claims, **header):
    """Signed by a key; texts stand for JSON as it is. `alg` and `kid` of the header may be others than the key's."""
    header = {"alg": key.alg, "kid": key.kid, "typ": "at+jwt", **header}
    return signed(json.dumps(header), claims if isinstance(claims, str) else json.dumps(claims), key.sign)


def signed(header, claims, sign):
    message = f"{encoded(header.encode())}.{encoded(claims.encode())}"
    return f"{message}.{encoded(sign(message.encode()))}"


def by_secret(secret):
    return lambda message: hmac.new(secret, message, hashlib.sha256).digest()


class Issuer:
    """Serves its description, its keys and what it knows of opaque tokens."""

    def __init__(self):
        self.keys = [Key("first")]
        self.asked = []
        self.forms = []
        # Opaque tokens, each with what is said of it.
        self.known = {}
        # A status to answer with instead.
        self.status = None
        # Where every request is sent on to.
        self.redirect = None
        self.description = {}
        self.hold = threading.Event()
        self.hold.set()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                owner.asked.append(self.path)
                if self.path == "/.well-known/openid-configuration":
                    about = {"issuer": owner.url, "jwks_uri": f"{owner.url}/keys", **owner.description}
                    return self.reply(about)
                if self.path.startswith("/keys"):
                    return self.reply({"keys": [key.jwk() for key in owner.keys]})
                self.reply({}, 404)

            def do_POST(self):
                text = self.rfile.read(int(self.headers["content-length"])).decode()
                form = dict(urllib.parse.parse_qsl(text))
                owner.asked.append(self.path)
                owner.forms.append((form, self.headers.get("authorization")))
                assert owner.hold.wait(20)
                self.reply(owner.known.get(form["token"], {"active": False}))

            def reply(self, body, status=200):
                data = json.dumps(body).encode()
                self.send_response(302 if owner.redirect else owner.status or status)
                if owner.redirect:
                    self.send_header("location", owner.redirect + self.path)
                self.send_header("content-length", str(len(data)))
                # Who waited for it may have gone away.
                with contextlib.suppress(OSError):
                    self.end_headers()
                    self.wfile.write(data)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def claims(self, **others):
        now = int(time.time())
        usual = {"iss": self.url, "aud": "tollgate", "sub": "u-1", "iat": now, "exp": now + 300}
        return {name: value for name, value in {**usual, **others}.items() if value is not None}

    def token(self, **claims):
        return token(self.keys[0], self.claims(**claims))

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def ask(gateway, shown, model="openai-sim/echo", headers=None, url=None, body=None):
    """One call, with a credential as bearer: status, headers, and the answer."""
    headers = {"content-type": "application/json", **(headers or {})}
    if shown is not None:
        headers["authorization"] = f"Bearer {shown}"
    body = body or {"model": model, "messages": [{"role": "user", "content": "hello there"}]}
    address = f"{gateway.url}{url or '/v1/chat/completions'}"
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refused:
        response = refused
    with response:
        return response.status, response.headers, json.loads(response.read())


def code(answer):
    status, _, body = answer
    return status, body["error"]["code"] if status >= 400 else None
