"""Each failure that a provider can have, against the real binary: what the caller sees, what the provider got, what was
charged, and what the journal says. The outcome stands in docs/failures.md; TOLLGATE_UPDATE=1 writes it."""

import concurrent.futures
import http.client
import itertools
import json
import os
import pathlib
import re

import pytest
from conftest import ADMIN_KEY, APP_KEY, Gateway, Sim, wait_for
from failures import CASES

PAGE = pathlib.Path(__file__).parents[2] / "docs/failures.md"
MARKS = ("<!-- failures -->", "<!-- end of failures -->")
UPDATE = os.environ.get("TOLLGATE_UPDATE")

# USD for a million tokens of input and of output: a microdollar is a million picodollars.
PRICES = {
    "one": (1, 2), "two": (10, 20), "claude": (100, 200), "pair": (3, 5), "fragile": (7, 11), "nobody": (1, 1),
    "sick": (1, 2),
}

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1 }}
data_dir: {data}
deadlines: {{ connect: 1s, first_byte: 700ms, between_events: 500ms, total: 5s }}
retries: {{ max: 2, backoff: 20ms, backoff_max: 40ms, wait_max: 1s }}
providers: {providers}
models: {models}
keys:
  - {{ name: app, key: {app} }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


def provider(name, sim, fragile, models):
    """A provider as the configuration has it. What it learns of a target must not touch the next case, but for `sick`."""
    well = {"failures": 0, "failure_share": "0%"}
    facts = {
        "dialect": "anthropic_messages" if name == "claude" else "openai_chat",
        "base_url": f"http://127.0.0.1:{ {'nobody': 9, 'fragile': fragile.port}.get(name, sim.port) }/v1",
        "health": {"rest": "2s"} if name == "sick" else well,
        "models": models,
    }
    if name == "pair":
        return {**facts, "api_keys": [{"key": "sk-a", "name": "a"}, {"key": "sk-b", "name": "b"}]}
    return {**facts, "api_key": f"sk-{name}"}


class Bench:
    """A gateway between a caller and simulated providers, one of which has connections of its own."""

    def __init__(self, folder):
        self.sim, self.fragile = Sim(), Sim()
        models, names = {}, {}
        for number, case in enumerate(CASES):
            settings = {**case.settings, "targets": [self.target(one, number, models) for one in case.targets]}
            for reason, targets in case.fallbacks.items():
                named = [self.target(one, number, models) for one in targets]
                settings.setdefault("fallbacks", {})[reason] = named
            names[f"case-{number}"] = settings
        for name, settings in EXTRA.items():
            targets = [self.target(one, name, models) for one in settings["targets"]]
            names[name] = {**settings, "targets": targets}
        providers = {name: provider(name, self.sim, self.fragile, models.get(name, {})) for name in PRICES}
        self.gateway = Gateway(
            folder, self.sim, CONFIG, providers=json.dumps(providers), models=json.dumps(names)
        )

    def target(self, written, unique, models):
        """A model of its own for each case, so that no case knows of another's failures."""
        written, _, room = written.partition("@")
        name, mark, script = written.partition("!")
        model = f"echo-{unique}{mark}{script}"
        price = dict(zip(("input", "output"), PRICES[name]))
        models.setdefault(name, {})[model] = {"price": price, **({"context_tokens": int(room)} if room else {})}
        return f"{name}/{model}"

    def reset(self):
        self.sim.reset()
        self.fragile.reset()

    def calls(self):
        return self.sim.calls()["calls"] + self.fragile.calls()["calls"]

    def call(self, model, stream=False, api="openai", headers=None, text="hello there"):
        """One call, read to its end; that it ends at all is what the time limit sees to."""
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
        path = "/v1/chat/completions"
        if api == "anthropic":
            path, body = "/v1/messages", {**body, "max_tokens": 100}
        return self.post(path, json.dumps(body), headers)

    def post(self, path, body, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=15)
        try:
            connection.request("POST", path, body, {"authorization": f"Bearer {APP_KEY}", **(headers or {})})
            response = connection.getresponse()
            return Seen(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def record(self, seen):
        return self.gateway.record(seen.headers["x-tollgate-request-id"])

    def stop(self):
        for process in (self.gateway.process, self.sim.process, self.fragile.process):
            process.kill()


class Seen:
    """What a caller saw."""

    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text
        self.events = []
        if headers["content-type"].startswith("text/event-stream"):
            lines = (line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: "))
            self.events = [json.loads(line) for line in lines if line != "[DONE]"]
        self.is_stream = bool(self.events)
        answers = self.events or ([json.loads(text)] if text.startswith("{") else [])
        self.error = next((one["error"] for one in answers if one.get("error")), None)
        self.words = "".join(said(one) for one in answers)
        ends = text.count("data: [DONE]") + text.count('"type":"message_stop"')
        self.is_complete = self.error is None and status == 200 and (ends == 1 if self.is_stream else bool(self.words))
        assert ends <= 1 and not (ends and self.error), text

    @property
    def code(self):
        return self.error.get("code") or self.error["type"]

    def told(self):
        """For the page: what does not differ from run to run."""
        heads = {"attempts": "x-tollgate-attempts", "origin": "x-tollgate-origin", "retry-after": "retry-after"}
        heads = [f"{name} {self.headers[head]}" for name, head in heads.items() if self.headers[head]]
        if self.is_complete:
            what = "the answer"
        elif self.is_stream:
            what = f"part of the answer, then an error event `{self.code}`"
        else:
            what = f"`{self.code}`"
        return "; ".join([f"{self.status}, {what}", *heads])


def said(event):
    """The text in an event or a whole answer of either API."""
    choice = next(iter(event.get("choices") or []), {})
    part = choice.get("delta") or choice.get("message") or event.get("delta") or {}
    blocks = [block.get("text", "") for block in event.get("content") or []]
    return part.get("content") or part.get("text") or "".join(blocks)


# Names of the tests that play more than one call.
EXTRA = {
    "rests": {"targets": ["sick!refuse=overloaded,times=5", "two"]},
    "storm": {"targets": ["one!status=503"]},
    "late": {"targets": ["one!hang", "two!hang"]},
    "counts-down": {"targets": ["pair!limit=2/1s"]},
    "counts-down-at-anthropic": {"targets": ["claude!limit=2/30s", "two"]},
    "wishes": {"targets": ["one", "two", "claude"]},
    "wishes-and-fails": {"targets": ["one!refuse=overloaded", "two", "claude"]},
    "prices": {"targets": ["one", "claude"], "strategy": "cheapest"},
    "left": {"targets": ["one!hang", "two"], "strategy": "least_in_flight"},
    "well": {"targets": ["fragile"]},
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("failures"))
    yield bench
    bench.stop()


def title(case):
    """What goes wrong, and where: as the first columns of the page have it."""
    special = [f"`{one}` ({why.replace('_', ' ')})" for why, some in case.fallbacks.items() for one in some]
    targets = ", ".join([*(f"`{one}`" for one in case.targets), *special])
    form = "stream" if case.stream else "whole"
    caller = "" if case.api == "openai" else ", asked as Anthropic"
    return f"| {case.what}{caller} | {targets} | {form} |"


def row(case, seen, requests, record):
    tried = []
    for attempt in record["attempts"]:
        by = attempt["provider"] + (f" ({attempt['credential']})" if attempt["credential"] else "")
        unsent = "" if attempt["sent"] else ", not sent"
        tried.append(f"{by} {attempt['status'] or '–'} {attempt['fault'] or 'answered'}{unsent}")
    broken = sum(bool(attempt["cost"]) for attempt in record["attempts"])
    charged = []
    if record["outcome"] == "complete":
        charged.append(f"the answer, as {record['counted']}")
    else:
        broken += record["counted"] != "nothing"
    if broken:
        charged.append("a broken answer, estimated" if broken == 1 else f"{broken} broken answers, estimated")
    runs = [(one, len(list(some))) for one, some in itertools.groupby(tried)]
    journal = f"{record['outcome']}: {', '.join(one + (f' × {count}' if count > 1 else '') for one, count in runs)}"
    return f"{title(case)} {seen.told()} | {requests} | {'; '.join(charged) or 'nothing'} | {journal} |"


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{number}-{CASES[number].what}")
def test_failure(bench, number):
    case = CASES[number]
    if case.warm:
        assert bench.call("well").status == 200
    bench.reset()
    seen = bench.call(f"case-{number}", case.stream, case.api)
    calls, record = bench.calls(), bench.record(seen)
    found = row(case, seen, len(calls), record)
    assert (seen.status, len(calls), record["outcome"]) == (case.status, case.requests, case.outcome), found
    check_caller(case, seen, record)
    check_charge(case, seen, calls, record)
    check_journal(case, calls, record)
    if UPDATE:
        ROWS[number] = found
    else:
        assert found in PAGE.read_text().splitlines(), f"not on {PAGE.name}: {found}"


ROWS = {}


def check_caller(case, seen, record):
    """A broken answer never looks finished, and what the headers say is what happened."""
    assert seen.is_complete == (record["outcome"] == "complete"), seen.text
    assert record["status"] == seen.status
    assert bool(seen.words) == (seen.is_complete or case.begun), seen.text
    tries = seen.headers["x-tollgate-attempts"]
    assert tries == str(len(record["attempts"])), (tries, seen.headers.items())
    if seen.status != 200:
        assert seen.headers["x-tollgate-origin"] == "upstream"
        assert seen.error["message"]
    if seen.status in (429, 503, 529):
        asked = re.search(r"retry-after=(\d+)(,|$)", case.targets[-1])
        assert not asked or seen.headers["retry-after"] == asked[1]


def check_charge(case, seen, calls, record):
    """What the provider reported where it answered, what was estimated where it broke, and nothing twice."""
    broken = sum(attempt["cost"] or 0 for attempt in record["attempts"])
    own = record["cost"] - broken
    assert own >= 0
    assert not (seen.is_complete and record["attempts"][-1]["cost"]), "its own cost is not that of a broken one"
    if record["counted"] == "reported" and seen.is_complete:
        price = PRICES[record["provider"]]
        keys = {"sk-a", "sk-b"} if record["provider"] == "pair" else {f"sk-{record['provider']}"}
        reported = [call["reported"] for call in calls if call["key"] in keys][-1]
        assert own == (reported["input_tokens"] * price[0] + reported["output_tokens"] * price[1]) * 1_000_000
    for attempt in record["attempts"]:
        if attempt["status"] is None or attempt["status"] >= 300:
            assert not attempt["cost"], "who refuses or does not answer is not paid"
    if record["outcome"] == "failed" and not broken:
        assert record["cost"] == 0 and record["counted"] == "nothing"
    if not case.stream and seen.status == 200:
        assert float(seen.headers["x-tollgate-cost-usd"]) == pytest.approx(record["cost"] / 1e12)


def check_journal(case, calls, record):
    """Every request stands in the journal, and no further one was made once something had reached the caller."""
    sent = [attempt for attempt in record["attempts"] if attempt["sent"]]
    # A kept connection that is closed under a request is replaced without an attempt of its own.
    assert len(calls) == len(sent) + case.warm
    failed = record["attempts"][:-1] if record["outcome"] == "complete" else record["attempts"]
    assert all(attempt["fault"] for attempt in failed)
    assert record["outcome"] != "complete" or record["attempts"][-1]["fault"] is None
    if case.begun:
        assert len(record["attempts"]) == 1
    if len(case.all_targets) > 1:
        candidates = [one["provider"] for one in record["routed"]["candidates"]]
        assert sorted(candidates) == sorted(target.split("!")[0].split("@")[0] for target in case.all_targets)
    else:
        assert record["routed"] is None


def test_the_page_has_the_table():
    if UPDATE and len(ROWS) == len(CASES):
        before, _, rest = PAGE.read_text().partition(MARKS[0])
        behind = rest.partition(MARKS[1])[2]
        PAGE.write_text(f"{before}{MARKS[0]}\n{table(ROWS)}{MARKS[1]}{behind}")
    told = PAGE.read_text().partition(MARKS[0])[2].partition(MARKS[1])[0]
    rows = [line for line in told.splitlines() if line.startswith("| ") and " | whole | " in line or " | stream | " in line]
    assert len(rows) == len(CASES)
    assert [line for line in rows if not line.startswith(tuple(map(title, CASES)))] == []


def table(rows):
    text = ""
    for group, some in itertools.groupby(enumerate(CASES), lambda numbered: numbered[1].group):
        text += f"\n### {group}\n\n"
        text += "| what goes wrong | targets | answer | the caller sees | requests | charged | the journal says |\n"
        text += "| --- | --- | --- | --- | --- | --- | --- |\n"
        text += "".join(rows[number] + "\n" for number, _ in some)
    return text + "\n"


def test_a_target_that_keeps_failing_rests_and_comes_back(bench):
    bench.reset()
    assert [bench.call("rests").headers["x-tollgate-attempts"] for _ in range(5)] == ["2"] * 5
    rested = bench.call("rests")
    # It is left alone: the other one is asked at once.
    assert rested.status == 200 and rested.headers["x-tollgate-attempts"] == "1"
    assert rested.headers["x-tollgate-target"].startswith("two/")
    assert sum(call["key"] == "sk-sick" for call in bench.calls()) == 5
    standing = {one["provider"]: one["why"] for one in bench.record(rested)["routed"]["candidates"]}
    assert "rests for" in standing["sick"] and standing["two"] == "ready"
    # After its rest one call tries it.
    back = lambda: bench.call("rests").headers["x-tollgate-target"].startswith("sick/")
    wait_for(back, "the target that had failed", seconds=10)
    assert back()


def test_a_storm_of_failures_is_no_storm_of_retries(bench):
    bench.reset()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: bench.call("storm"), range(200)))
    assert {one.status for one in seen} == {503}
    requests = bench.sim.calls()["total"]
    # A fifth of the calls, and the twenty that there are at the start.
    assert 200 < requests <= 200 * 1.2 + 20
    assert requests == sum(int(one.headers["x-tollgate-attempts"]) for one in seen)


@pytest.mark.parametrize("timeout, requests", [("300ms", 1), ("1000ms", 2)])
def test_the_callers_time_holds_for_all_attempts(bench, timeout, requests):
    bench.reset()
    seen = bench.call("late", headers={"x-tollgate-timeout": timeout})
    assert seen.status == 504, seen.text
    assert len(bench.calls()) == requests
    record = bench.record(seen)
    assert [attempt["fault"] for attempt in record["attempts"]] == ["timeout"] * requests
    assert record["cost"] == 0


def test_a_time_that_is_none_is_refused_by_name(bench):
    bench.reset()
    seen = bench.call("late", headers={"x-tollgate-timeout": "soon"})
    assert seen.status == 400 and "x-tollgate-timeout" in seen.text
    assert bench.calls() == []


def test_credentials_are_left_alone_before_they_are_refused(bench):
    bench.reset()
    for _ in range(4):
        assert bench.call("counts-down").headers["x-tollgate-attempts"] == "1"
    calls = bench.sim.calls()
    assert sorted(call["key"] for call in calls["calls"]) == ["sk-a", "sk-a", "sk-b", "sk-b"]
    assert "429" not in calls["by_status"]
    # Where none has anything left, the call waits for the next window: the provider says when that begins.
    assert bench.call("counts-down").status == 200


def test_what_anthropic_tells_of_its_limit_is_heeded(bench):
    bench.reset()
    targets = [bench.call("counts-down-at-anthropic").headers["x-tollgate-target"].split("/")[0] for _ in range(4)]
    assert targets == ["claude", "claude", "two", "two"]
    assert "429" not in bench.sim.calls()["by_status"]


def test_what_is_known_of_one_does_not_make_another_look_dear(bench):
    """Nothing is known of the cheap one's answers while those of the dear one are known to be short."""
    dear = {"x-tollgate-route": json.dumps({"only": ["claude"]})}
    assert bench.call("prices", headers=dear).headers["x-tollgate-target"].startswith("claude/")
    assert bench.call("prices").headers["x-tollgate-target"].startswith("one/")


WISHES = [
    ({"order": ["two", "one"]}, "two"),
    ({"only": ["claude"]}, "claude"),
    ({"ignore": ["one"]}, "two"),
    ({"ignore": ["one", "two"]}, "claude"),
    ({"sort": "price"}, "one"),
    ({"order": ["claude"], "sort": "price"}, "claude"),
    ({"order": ["two"], "max_price": {"input": 5}}, "one"),
    ({"max_price": {"prompt": 50, "completion": 50}, "order": ["claude", "two"]}, "two"),
]


@pytest.mark.parametrize("wish, target", WISHES, ids=lambda value: json.dumps(value))
def test_wishes_of_the_way_are_granted(bench, wish, target):
    seen = bench.call("wishes", headers={"x-tollgate-route": json.dumps(wish)})
    assert seen.status == 200, seen.text
    assert seen.headers["x-tollgate-target"].startswith(f"{target}/")
    if skipped := set(wish.get("ignore", [])):
        why = {one["provider"]: one["why"] for one in bench.record(seen)["routed"]["candidates"]}
        assert all("ignore" in why[name] for name in skipped)


def test_no_other_target_is_asked_where_the_caller_does_not_want_it(bench):
    bench.reset()
    seen = bench.call("wishes-and-fails", headers={"x-tollgate-route": json.dumps({"allow_fallbacks": False})})
    assert seen.status == 503
    assert {call["key"] for call in bench.calls()} == {"sk-one"}
    assert bench.call("wishes-and-fails").status == 200


@pytest.mark.parametrize("wish", ["{", "[]", '{"prefer": ["one"]}', '{"sort": "luck"}', '{"only": ["nowhere"]}'])
def test_wishes_that_make_no_sense_are_refused(bench, wish):
    bench.reset()
    seen = bench.call("wishes", headers={"x-tollgate-route": wish})
    assert seen.status == 400, seen.text
    if "only" not in wish:
        assert "x-tollgate-route" in seen.text
    assert bench.calls() == []


BATCH = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
FILE = """--edge\r\ncontent-disposition: form-data; name="model"\r\n\r\n{}\r\n--edge\r
content-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--edge\r
content-disposition: form-data; name="file"; filename="lines.jsonl"\r\n\r\n{{}}\r\n--edge--\r\n"""
# What makes something: where it is asked for, and the body, in which the simulator finds its script as the model's name.
MADE = {
    "a batch": ("/v1/batches", lambda model: json.dumps({**BATCH, "model": model}), "application/json"),
    "a file": ("/v1/files", FILE.format, "multipart/form-data; boundary=edge"),
    "a batch, passed through": ("/fragile/v1/batches", lambda model: json.dumps({"model": model}), "application/json"),
}


def make(bench, what, fault):
    path, body, kind = MADE[what]
    headers = {"content-type": kind, "x-tollgate-provider": "fragile"}
    return bench.post(path, body(f"echo!{fault}"), headers)


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize(
    "what, fault",
    [(what, fault) for what in MADE for fault in ["close", "reset", "hang", "status=500", "html=504"]]
    + [("a file", fault) for fault in ["stall=0", "cut=0", "redirect=307"]],
)
def test_what_must_not_be_done_twice_is_sent_once(bench, what, fault, warm):
    """Where nobody knows whether a thing was made, only its caller can decide to try again."""
    if warm:
        assert bench.call("well").status == 200
    bench.reset()
    seen = make(bench, what, fault)
    assert [call["model"] for call in bench.calls()] == [f"echo!{fault}"]
    assert seen.status >= 500 and seen.error["message"], seen.text
    attempts = bench.record(seen)["attempts"]
    assert [attempt["sent"] for attempt in attempts] == [True]


@pytest.mark.parametrize("what", MADE)
def test_what_was_refused_before_it_was_done_is_sent_again(bench, what):
    bench.reset()
    seen = make(bench, what, "refuse=overloaded,times=1")
    assert len(bench.calls()) == 2 and seen.headers["x-tollgate-attempts"] == "2"


def open_calls(bench):
    connection = http.client.HTTPConnection("127.0.0.1", bench.gateway.port, timeout=10)
    connection.request("GET", "/metrics", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    text = connection.getresponse().read().decode()
    return int(re.search(r"^tollgate_calls_open (\d+)$", text, re.MULTILINE)[1])


def leave(bench, model):
    """A call whose caller goes away once it has reached the provider that never answers; tells whether it has."""
    bench.reset()
    connection = http.client.HTTPConnection("127.0.0.1", bench.gateway.port, timeout=15)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {APP_KEY}"})
    wait_for(lambda: bench.sim.calls()["total"], "the request")
    hangs = bench.sim.calls()["calls"][0]["key"] == "sk-one"
    if not hangs:
        connection.getresponse().read()
    connection.close()
    wait_for(lambda: open_calls(bench) == 0, "the end of the call")
    return hangs


def test_a_caller_that_goes_away_lets_go_of_its_target(bench):
    """Chance decides between two that carry nothing. A call that was under way for ever would keep others away from its
    target."""
    for _ in range(2):
        assert any(leave(bench, "left") for _ in range(40))


def test_nothing_is_left_in_flight(bench):
    assert bench.call("well").status == 200
    wait_for(lambda: open_calls(bench) == 0, "the end of all calls")
