"""Rules over calls: which of them somebody may make, whatever the way in."""

import http.client
import json

import pytest
from conftest import ADMIN_KEY, APP_KEY, NARROW_KEY, Gateway

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1, trusted_proxies: [ 127.0.0.1 ] }}
data_dir: {data}
retries: {{ max: 0 }}
providers:
  house: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-house, models: {{ echo: {{}}, embed: {{}} }} }}
  abroad:
    dialect: openai_chat
    base_url: "http://127.0.0.1:{sim}/v1"
    api_key: sk-abroad
    regions: [ us ]
    models: {{ echo: {{}}, "embed": {{}} }}
  near: {{ dialect: openai_chat, base_url: "http://127.0.0.1:{sim}/v1", api_key: sk-near, regions: [ eu ], models: {{ echo: {{}} }} }}
models:
  anywhere: [ abroad/echo, near/echo ]
  overseas: [ abroad/echo ]
organizations:
  acme:
    tags: {{ tier: gold }}
    access:
      - {{ name: no pictures, deny: request.has_images }}
teams:
  search:
    organization: acme
    access:
      - {{ name: from the office, allow: 'client.address.startsWith("10.") || key.tags["tier"] == "platinum"' }}
      - {{ name: short ones, allow: request.tokens < 200 }}
      - {{ name: no forged teams, deny: '"x-team" in headers && headers["x-team"] != key.team' }}
      - {{ deny: 'headers["x-danger"] == "yes"' }}
keys:
  - name: resident
    key: {resident}
    access: [ {{ name: stays here, deny: '!("eu" in target.regions)' }} ]
  - name: chooser
    key: {chooser}
    access: [ {{ name: near only, allow: 'target.provider == "near"' }}, {{ name: short ones, allow: request.tokens < 10 }} ]
  - {{ name: boss, key: {admin}, admin: true }}
  - {{ name: app, key: {app}, team: search }}
  - {{ name: other, key: {narrow}, access: [ {{ deny: 'request.operation == "pass_through" && key.team == ""' }} ] }}
"""

RESIDENT = "tg-" + "r" * 40
CHOOSER = "tg-" + "c" * 40
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, sim):
    gateway = Gateway(tmp_path_factory.mktemp("rules"), sim, CONFIG, resident=RESIDENT, chooser=CHOOSER)
    yield gateway
    gateway.process.kill()


def post(gateway, body, key=APP_KEY, path="/v1/chat/completions", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    body = body if isinstance(body, str) else json.dumps(body)
    connection.request("POST", path, body, {"authorization": f"Bearer {key}", "x-danger": "no", **headers})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def chat(content="hi", model="house/echo"):
    return {"model": model, "messages": [{"role": "user", "content": content}]}


def denied(answer, part):
    status, body = answer
    assert (status, body["error"]["code"]) == (403, "access_denied"), body
    assert part in body["error"]["message"], body


def test_what_is_allowed_goes_and_a_denial_names_its_rule(gateway):
    assert post(gateway, chat())[0] == 200
    long = chat("word " * 1000)
    denied(post(gateway, long), 'access rules of team search: none of the rules that allow calls holds of this one: "from the office", "short ones"')
    assert post(gateway, long, x_forwarded_for="10.1.2.3")[0] == 200
    denied(post(gateway, chat(), x_team="ads"), '"no forged teams" denies this call')
    assert post(gateway, chat(), x_team="search")[0] == 200


def test_deny_wins_and_what_stands_above_holds_below(gateway):
    denied(post(gateway, chat([PICTURE]), x_forwarded_for="10.1.2.3"), 'access rules of organization acme: "no pictures" denies this call')


def test_what_cannot_be_told_is_denied(gateway):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    connection.request("POST", "/v1/chat/completions", json.dumps(chat()), {"authorization": f"Bearer {APP_KEY}"})
    answer = connection.getresponse()
    denied((answer.status, json.loads(answer.read())), 'since the request has no headers["x-danger"]')


def test_no_way_in_goes_around_the_rules(gateway):
    passed = {"model": "echo", "messages": [{"role": "user", "content": [PICTURE]}]}
    denied(post(gateway, passed, path="/house/v1/chat/completions"), "no pictures")
    assert post(gateway, {"model": "echo", "messages": chat()["messages"]}, path="/house/v1/chat/completions")[0] == 200
    denied(post(gateway, {"model": "embed", "input": "x"}, path="/house/v1/embeddings"), "what is passed through here is not read")
    assert post(gateway, {"model": "house/embed", "input": "x"}, path="/v1/embeddings")[0] == 200
    anthropic = {"model": "house/echo", "max_tokens": 5, "messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]}]}
    status, body = post(gateway, anthropic, path="/v1/messages")
    assert status == 403 and "no pictures" in body["error"]["message"]
    # A member that is spelt another way is the same member.
    spelt = json.dumps(chat([PICTURE])).replace("image_url", "im\\u0061ge_url")
    denied(post(gateway, spelt), "no pictures")


def test_keys_have_rules_of_their_own(gateway):
    denied(post(gateway, {"model": "echo", "messages": chat()["messages"]}, NARROW_KEY, "/house/v1/chat/completions"), 'key "other"')
    assert post(gateway, chat(), NARROW_KEY)[0] == 200


def test_rules_over_targets_keep_calls_where_they_may_go(gateway):
    answer = post(gateway, chat(model="anywhere"), RESIDENT)
    assert answer[0] == 200 and target(gateway, chat(model="anywhere"), RESIDENT) == "near/echo"
    assert target(gateway, chat(model="anywhere"), NARROW_KEY) == "abroad/echo"
    for asked in ["overseas", "abroad/echo", "house/echo"]:
        denied(post(gateway, chat(model=asked), RESIDENT), '"stays here" denies this call')
    embed = {"model": "abroad/embed", "input": "hi"}
    denied(post(gateway, embed, RESIDENT, "/v1/embeddings"), "stays here")
    denied(post(gateway, chat(model="echo"), RESIDENT, "/abroad/v1/chat/completions"), "stays here")
    assert post(gateway, chat(model="echo"), RESIDENT, "/near/v1/chat/completions")[0] == 200
    # Where one rule that allows asks of a target, any of them may let the call through.
    long = "who comes to the gate " * 20
    assert target(gateway, chat(long, "anywhere"), CHOOSER) == "near/echo"
    denied(post(gateway, chat(long, "overseas"), CHOOSER), "near only")
    told = post(gateway, {"request": chat(model="anywhere"), "key": "resident"}, ADMIN_KEY, "/admin/v1/explain")
    assert told[0] == 200 and "stays here" in json.dumps(told[1])


def target(gateway, body, key):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return answer.headers["x-tollgate-target"]
