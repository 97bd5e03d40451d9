"""What comes from other gateways: files that `tollgate check` accepts, and keys that go on.

The database of LiteLLM is made by litellm.sql here. With TOLLGATE_LITELLM=1 it is made from the schema of the package
itself, which is installed from PyPI into a folder of the test's own (`pip install litellm-proxy-extras`: its migrations are
plain SQL), so that a change of that schema is found: TOLLGATE_LITELLM=1 pytest tests/access/test_import.py
"""

import datetime
import hashlib
import http.client
import json
import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import uuid

import pytest

from conftest import BINARY, Gateway, free_port, wait_for

HERE = pathlib.Path(__file__).parent / "import"
KEYS = {name: f"sk-{name.lower()}-0123456789abcdef" for name in ["TEAM", "ALONE", "FREE", "BLOCKED", "EXPIRED"]}
VARIABLES = ["SECOND_KEY", "ANTHROPIC_API_KEY", "AZURE_API_KEY", "AWS_ID", "AWS_SECRET", "OPENAI_API_KEY"]


def tollgate(folder, *words, good=True):
    environment = {**os.environ, **{name: "sk-test-upstream" for name in VARIABLES}}
    done = subprocess.run(
        [BINARY, *map(str, words)], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode == 0) == good, done.stdout + done.stderr
    return done


def grades(folder, name="report.json"):
    report = json.loads((folder / name).read_text())
    return {field["field"]: field["grade"] for field in report["fields"]}, report


def chat(gateway, key, model="fast"):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told.get("error", {}).get("code"), told


@pytest.fixture
def source(tmp_path, sim):
    """A folder with LiteLLM's file."""
    text = (HERE / "litellm.yaml").read_text().replace("SIM", sim.url)
    (tmp_path / "config.yaml").write_text(text)
    return tmp_path


def sql(address, text):
    """PostgreSQL's own client runs statements."""
    words = ["psql", "-v", "ON_ERROR_STOP=1", "-q", address]
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def litellms_own_schema(folder):
    """The statements by which LiteLLM makes its database."""
    place = folder / "litellm-proxy-extras"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(place), "litellm-proxy-extras"]
    subprocess.run(install, check=True, timeout=300)
    migrations = sorted(place.glob("litellm_proxy_extras/migrations/*/migration.sql"))
    assert len(migrations) > 100
    return "\n".join(migration.read_text() for migration in migrations)


@pytest.fixture
def database(tmp_path, server):
    """A database as LiteLLM leaves it."""
    name = f"litellm_{uuid.uuid4().hex}"
    sql(server.geturl(), f"CREATE DATABASE {name}")
    address = server._replace(path=f"/{name}").geturl()
    text = (HERE / "litellm.sql").read_text()
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    text = text.replace("NOW", now)
    for key, value in KEYS.items():
        text = text.replace(f"'KEY_OF_{key}'", f"'KEY_{key}'")
        text = text.replace(f"'KEY_{key}'", f"'{hashlib.sha256(value.encode()).hexdigest()}'")
    tables, rows = text.split("-- Rows\n")
    if os.environ.get("TOLLGATE_LITELLM"):
        tables = litellms_own_schema(tmp_path)
        rows = "".join(f'ALTER TABLE "{one}" ALTER {column} SET DEFAULT {value};\n' for one, column, value in [
            ("LiteLLM_BudgetTable", "updated_by", "''"), ("LiteLLM_OrganizationTable", "created_by", "''"),
            ("LiteLLM_OrganizationTable", "updated_by", "''"),
        ]) + rows
    sql(address, tables)
    sql(address, rows)
    yield address
    sql(server.geturl(), f"DROP DATABASE {name} WITH (FORCE)")


def test_a_file_of_litellm_becomes_one_that_is_accepted(source):
    tollgate(source, "import", "litellm", "config.yaml", "--report", "report.json")
    tollgate(source, "check", "tollgate.yaml")
    found, report = grades(source)
    assert found["model_list[0].litellm_params.rpm"] == "approximate"
    assert found["router_settings.fallbacks.fast"] == "exact"
    assert found["general_settings.master_key"] == "manual"
    assert found["litellm_settings.a_setting_of_tomorrow"] == "unsupported"
    assert sorted(report["variables"]) == sorted(VARIABLES)
    written = (source / "tollgate.yaml").read_text() + (source / "report.json").read_text()
    assert "sk-test-upstream" not in written and "sk-1234" not in written
    kept = list((source / "tollgate-secrets").iterdir())
    assert [path.read_text().strip() for path in kept] == ["sk-test-upstream"]
    assert [path.stat().st_mode & 0o777 for path in kept] == [0o600]
    # What is there is not written over, unless it is the same.
    tollgate(source, "import", "litellm", "config.yaml", "--report", "report.md")
    assert "| unsupported | `litellm_settings.a_setting_of_tomorrow` |" in (source / "report.md").read_text()
    (source / "tollgate.yaml").write_text("models: {}\n")
    assert "--force" in tollgate(source, "import", "litellm", "config.yaml", good=False).stderr
    assert (source / "tollgate.yaml").read_text() == "models: {}\n"
    tollgate(source, "import", "litellm", "config.yaml", "--dry-run", "--out", "other.yaml")
    assert not (source / "other.yaml").exists()


def test_a_file_of_bifrost_becomes_one_that_is_accepted(tmp_path, sim):
    (tmp_path / "config.json").write_text((HERE / "bifrost.json").read_text().replace("SIM", sim.url))
    tollgate(tmp_path, "import", "bifrost", "config.json", "--report", "report.json")
    tollgate(tmp_path, "check", "tollgate.yaml")
    found, report = grades(tmp_path)
    assert found["providers.openai.network_config.max_retries"] == "manual"
    assert found["governance"] == "manual"
    assert found["a_section_of_tomorrow"] == "unsupported"
    assert report["variables"] == ["OPENAI_API_KEY"]
    assert "sk-" not in (tmp_path / "tollgate.yaml").read_text() + (tmp_path / "report.json").read_text()


def test_a_config_of_portkey_becomes_a_model(tmp_path):
    (tmp_path / "chat.json").write_text((HERE / "portkey.json").read_text())
    tollgate(tmp_path, "import", "portkey", "chat.json", "--report", "report.json")
    tollgate(tmp_path, "check", "tollgate.yaml")
    found, _ = grades(tmp_path)
    assert found["strategy.mode"] == "exact"
    assert found["targets[1].retry.attempts"] == "approximate"
    assert found["cache"] == "unsupported"
    assert "\n  chat:\n" in (tmp_path / "tollgate.yaml").read_text()


def test_keys_of_litellm_go_on_where_they_were(source, database, sim):
    words = ["import", "litellm", "config.yaml", "--database", database, "--data-dir", "data", "--report", "report.json"]
    tollgate(source, *words, "--dry-run")
    assert not (source / "tollgate.yaml").exists()
    first = tollgate(source, *words)
    assert "9 created, 0 updated, 0 unchanged" in first.stdout, first.stdout
    found, _ = grades(source)
    assert found["LiteLLM_VerificationToken.token"] == "exact"
    assert found["LiteLLM_VerificationToken.aliases"] == "manual"
    assert found["LiteLLM_VerificationToken.metadata.note"] == "unsupported"
    assert found["LiteLLM_EndUserTable"] == "manual"
    tollgate(source, "check", "tollgate.yaml")

    gateway = Imported(source)
    try:
        for key, expected in [
            ("TEAM", (200, None)), ("FREE", (200, None)), ("ALONE", (429, "budget_exhausted")),
            ("BLOCKED", (403, "disabled")), ("EXPIRED", (401, "key_expired")),
        ]:
            status, code, told = chat(gateway, KEYS[key])
            assert (status, code) == expected, (key, told)
        assert chat(gateway, "sk-unknown-0123456789")[:2] == (401, "key_unknown")
        digest = hashlib.sha256(KEYS["TEAM"].encode()).hexdigest()
        assert chat(gateway, digest)[0] == 401, "a hash opens nothing"
        assert chat(gateway, KEYS["TEAM"], "smart")[:2] == (403, "model_not_allowed"), "the team's group has one model"
        told = chat(gateway, KEYS["ALONE"])[2]["error"]["message"]
        assert 'credit of key "alone" has 0.00001 left of 0.00006 USD' in told, "it stands where it stood"
        raw = b"".join(path.read_bytes() for path in (source / "data").glob("tollgate.db*"))
        assert digest.encode() not in raw and bytes.fromhex(digest) not in raw

        again = tollgate(source, *words)
        assert "nothing was changed" in again.stdout
        assert "0 created, 0 updated, 9 unchanged" in again.stdout
        # More was spent there meanwhile, and a key was blocked: the gateway that serves takes it up.
        sql(database, 'UPDATE "LiteLLM_VerificationToken" SET blocked = true WHERE key_name = \'sk-...free\'')
        sql(database, 'UPDATE "LiteLLM_TeamTable" SET spend = 51 WHERE team_id = \'t-1\'')
        changed = tollgate(source, *words)
        assert "0 created, 1 updated, 8 unchanged" in changed.stdout and "1 amounts" in changed.stdout
        assert chat(gateway, KEYS["FREE"])[:2] == (403, "disabled")
        gateway.stop()
        gateway.start()
        assert chat(gateway, KEYS["TEAM"])[:2] == (429, "budget_exhausted"), "the team has spent 51 of 50 USD"
    finally:
        gateway.process.kill()


class Imported(Gateway):
    """A gateway with the configuration that was imported."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**os.environ, **{name: "sk-test-upstream" for name in VARIABLES}}
        self.data, self.file, self.log = folder / "data", folder / "served.yaml", folder / "log.txt"
        self.file.write_text(f'include: tollgate.yaml\nserver: {{ listen: "127.0.0.1:{self.port}" }}\n')
        self.start()


TOKENS = {name: name.lower().replace("_", "") + "A" * 30 for name in ["ROOT", "ANN", "BOB", "USED", "PAST", "NOBODY"]}


def one_api(sim):
    text = (HERE / "one-api.sql").read_text().replace("SIM", sim.url)
    for name, key in TOKENS.items():
        text = text.replace(f"TOKEN_{name}'", f"{key}'")
    return text


def check_one_api(folder, words):
    # Tables of this project's own making, with the columns that both programs' sources declare.
    words = ["import", "one-api", *words, "--data-dir", "data", "--report", "report.json"]
    tollgate(folder, *words)
    found, report = grades(folder)
    expected = {
        "channels.models": "exact", "channels.base_url": "exact", "channels.type": "manual", "channels.status": "manual",
        "tokens.key": "exact", "tokens.user_id": "manual", "users.quota": "approximate", "users.email": "unsupported",
        "options.QuotaPerUnit": "exact", "options.ModelRatio": "manual", "redemptions": "manual",
    }
    for field in report["fields"]:
        assert field["says"], field
    for field, grade in expected.items():
        assert grade in [one["grade"] for one in report["fields"] if one["field"] == field], (field, found)
    text = (folder / "report.json").read_text() + (folder / "tollgate.yaml").read_text()
    assert not any(key in text for key in [*TOKENS.values(), "sk-test-upstream", "sk-baidu"])
    tollgate(folder, *words, "--force")
    again = json.loads((folder / "report.json").read_text())["written"]
    assert any("0 created, 0 updated" in line and "0 keys and 0 amounts" in line for line in again), again


def check_callers(gateway):
    calls = [
        ("ROOT", "rare", 200), ("ROOT", "fast", 403), ("ANN", "fast", 200), ("ANN", "echo", 403), ("ANN", "rare", 403),
        ("BOB", "fast", 403), ("USED", "fast", 429), ("PAST", "fast", 401), ("NOBODY", "fast", 401),
    ]
    found = [(name, model, chat(gateway, f"sk-{TOKENS[name]}", model)) for name, model, _ in calls]
    assert [(name, model, told[0]) for name, model, told in found] == [
        (name, model, status) for name, model, status in calls
    ], found
    assert chat(gateway, TOKENS["ROOT"], "rare")[0] == 401


def one_api_gateway(folder):
    port = free_port()
    file = folder / "tollgate.yaml"
    # What costs nothing is never too much.
    prices = "providers: { house: { models: { echo: { price: { input: 1, output: 2 } } } } }\n"
    (folder / "prices.yaml").write_text(prices)
    file.write_text(f'include: prices.yaml\nserver: {{ listen: "127.0.0.1:{port}" }}\n{file.read_text()}')
    words = [BINARY, "serve", "--config", str(file), "--data-dir", str(folder / "data")]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = type("Serving", (), {"port": port, "process": process})

    def listens():
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    wait_for(listens, "the gateway")
    return found


def test_tokens_of_one_api_go_on(tmp_path, sim):
    database = sqlite3.connect(tmp_path / "one-api.db")
    database.executescript(one_api(sim))
    database.close()
    before = (tmp_path / "one-api.db").read_bytes()
    check_one_api(tmp_path, ["one-api.db"])
    assert (tmp_path / "one-api.db").read_bytes() == before
    gateway = one_api_gateway(tmp_path)
    try:
        check_callers(gateway)
    finally:
        gateway.process.kill()


def test_new_api_numbers_its_channels_otherwise(tmp_path):
    database = sqlite3.connect(tmp_path / "new-api.db")
    columns = 'id integer, type integer, "key" text, status integer, name text, models text, "group" text'
    database.execute(f"CREATE TABLE channels ({columns}, auto_ban integer, channel_info json)")
    rows = [(1, 43, "sk-1\nsk-2", 1, "deep", "deepseek-chat", "default", 1, b'{"is_multi_key": true}')]
    database.executemany("INSERT INTO channels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    database.commit()
    database.close()
    tollgate(tmp_path, "import", "one-api", "new-api.db", "--data-dir", "data", "--report", "report.json")
    assert grades(tmp_path)[0]["channels.channel_info"] == "approximate"
    text = (tmp_path / "tollgate.yaml").read_text()
    assert "deepseek/deepseek-chat" in text and "api_keys" in text, text


def test_tokens_of_one_api_in_postgresql_go_on(tmp_path, sim):
    address = os.environ.get("TOLLGATE_TEST_POSTGRES")
    if not address:
        assert not os.environ.get("CI"), "TOLLGATE_TEST_POSTGRES names no PostgreSQL, which CI must have"
        pytest.skip("TOLLGATE_TEST_POSTGRES names no PostgreSQL")
    name = f"oneapi_{uuid.uuid4().hex}"
    subprocess.run(["psql", "-q", address, "-c", f"CREATE DATABASE {name}"], check=True)
    of = address.rsplit("/", 1)[0] + f"/{name}"
    try:
        subprocess.run(["psql", "-q", of, "-v", "ON_ERROR_STOP=1"], input=one_api(sim), text=True, check=True)
        check_one_api(tmp_path, ["--database", of])
        gateway = one_api_gateway(tmp_path)
        try:
            check_callers(gateway)
        finally:
            gateway.process.kill()
    finally:
        subprocess.run(["psql", "-q", address, "-c", f"DROP DATABASE {name} WITH (FORCE)"], check=True)


def test_what_is_no_database_of_one_api_is_told(tmp_path):
    sqlite3.connect(tmp_path / "empty.db").close()
    done = tollgate(tmp_path, "import", "one-api", "empty.db", good=False)
    assert "there is no table `channels` in it" in done.stderr
    done = tollgate(tmp_path, "import", "one-api", good=False)
    assert "name the SQLite file, or the PostgreSQL with --database" in done.stderr
    tollgate(tmp_path, "import", "one-api", "nowhere.db", good=False)
    assert not (tmp_path / "nowhere.db").exists()
