"""What tests of people need: a browser with cookies, and an identity provider that says whatever a test wants."""

import http.client
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import test_admin
from issuer import Key, token

COOKIE = "tollgate-session"


class Answer(test_admin.Answer):
    @property
    def location(self):
        return self.headers["location"]


class Browser:
    """Keeps cookies by host and port, and follows nothing by itself."""

    addresses = iter(range(1, 60_000))

    def __init__(self, gateway):
        number = next(Browser.addresses)
        self.port, self.cookies = gateway.port, {}
        # Each comes from another place, so that failures of one are not counted as another's.
        self.address = f"198.51.{100 + number // 250}.{number % 250 + 1}"

    def ask(self, method, path, body=None, headers=None, port=None, csrf="1"):
        port = port or self.port
        jar = self.cookies.setdefault(port, {})
        headers = {"x-forwarded-for": self.address, **(headers or {})}
        if csrf and method != "GET":
            headers.setdefault("x-tollgate-csrf", csrf)
        if jar:
            headers.setdefault("cookie", "; ".join(f"{name}={value}" for name, value in jar.items()))
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        if not path.startswith("/"):
            path = f"/admin/v1/{path}"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path, text, headers)
        answer = connection.getresponse()
        answer = Answer(answer.status, answer.headers, answer.read().decode())
        connection.close()
        for line in answer.headers.get_all("set-cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            jar[name] = value
            if not value or "max-age=0" in line.lower() or "01 jan 1970" in line.lower():
                jar.pop(name)
        return answer

    def go(self, address):
        """A page of any server here."""
        parts = urllib.parse.urlsplit(address)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return self.ask("GET", path, port=parts.port or self.port)

    @property
    def token(self):
        return self.cookies.get(self.port, {}).get(COOKIE)

    def sign_in(self, name, password):
        return self.ask("POST", "sign-in", {"name": name, "password": password})

    def start(self, provider, login, issuer, return_to=None):
        """Signs in at a provider of tests/idp; the address that leads back, which was not gone to yet."""
        query = f"?return_to={urllib.parse.quote(return_to, safe='')}" if return_to else ""
        answer = self.ask("GET", f"sign-in/{provider}{query}")
        assert answer.status == 302, answer.text
        answer = self.go(answer.location)
        at = urllib.parse.urljoin(issuer, answer.location)
        answer = self.go(f"{at}?login={login}" if login else at)
        answer = self.go(urllib.parse.urljoin(issuer, answer.location))
        assert answer.status in (302, 303), answer.text
        return answer.location


class Pretender:
    """An identity provider whose every answer can be another."""

    def __init__(self):
        self.key = Key("one")
        # What its description, its token and what it says of people have besides, or instead.
        self.description, self.claims, self.info = {}, {}, {}
        self.shown, self.forms = [], []
        owner = self

        class Answers(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                path = urllib.parse.urlsplit(self.path).path
                if path == "/.well-known/openid-configuration":
                    return self.reply(owner.described())
                if path == "/keys":
                    return self.reply({"keys": [owner.key.jwk()]})
                self.reply({"sub": "u1", **owner.info})

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                owner.forms.append((form, self.headers.get("authorization")))
                self.reply({"access_token": "at", "token_type": "Bearer", "id_token": owner.token()})

            def reply(self, body):
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def described(self):
        usual = {
            "issuer": self.url, "jwks_uri": f"{self.url}/keys", "authorization_endpoint": f"{self.url}/auth?tenant=a",
            "token_endpoint": f"{self.url}/token", "userinfo_endpoint": f"{self.url}/me",
        }
        return {name: value for name, value in {**usual, **self.description}.items() if value is not None}

    def token(self):
        now = int(time.time())
        usual = {
            "iss": self.url, "aud": "console", "sub": "u1", "iat": now, "exp": now + 300, "nonce": self.nonce,
            "email": "kim@example.com", "email_verified": True, "groups": ["gateway-owners"],
        }
        claims = {name: value for name, value in {**usual, **self.claims}.items() if value is not None}
        return token(self.key, claims, typ="JWT")

    def login(self, browser, name="pretender", **others):
        """A whole login, where what the browser comes back with may have other members."""
        answer = browser.ask("GET", f"sign-in/{name}")
        assert answer.status == 302, answer.text
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.location).query))
        self.nonce, self.asked = asked["nonce"], asked
        usual = {"code": "a-code", "state": asked["state"]}
        query = {name: value for name, value in {**usual, **others}.items() if value is not None}
        return browser.ask("GET", f"sign-in/{name}/callback?{urllib.parse.urlencode(query)}")

    def close(self):
        self.server.shutdown()
        self.server.server_close()
