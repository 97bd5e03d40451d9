"""Three replicas on one PostgreSQL and one Redis: limits that are exact, money that is counted once, and what becomes of
both when a replica, the Redis or the database goes away."""

import asyncio
import json
import os
import shutil
import subprocess
import time
import urllib.request

import pytest
from conftest import Gateway, free_port, get, wait_for

# The whole proof takes a minute: TOLLGATE_REPLICAS_SECONDS=60.
SECONDS = float(os.environ.get("TOLLGATE_REPLICAS_SECONDS", "12"))
CLIENTS = 200
# What a call costs: USD for a million tokens, which is picodollars for a millionth of one.
INPUT, OUTPUT = 10, 40

KEYS = {name: f"tg-{name[0] * 43}" for name in ["metered", "capped", "exact", "limited"]}

CONFIG = """
server: {{ listen: "127.0.0.1:{port}", threads: 1, metrics: {{ public: true }} }}
data_dir: {data}
store: {{ database: "{database}", secret: "{secret}", timeout: 20s{shared} }}
retries: {{ max: 0 }}
providers:
  house:
    dialect: openai_chat
    base_url: http://127.0.0.1:{sim}/v1
    api_key: sk-house
    health: {{ failures: 0, failure_share: 0% }}
    models: {{ echo: {{ price: {{ input: 10, output: 40 }} }} }}
teams:
  capped: {{ budget: {{ usd: 0.05, per: month }} }}
keys:
  - {{ name: metered, key: {metered}, budget: {{ usd: 1000, per: month }} }}
  - {{ name: capped, key: {capped}, team: capped }}
  - {{ name: exact, key: {exact}, limits: [ {{ requests: 300, per: day, algorithm: fixed_window }} ] }}
  - {{ name: limited, key: {limited}, limits: [ {{ requests: 400, per: day, algorithm: fixed_window }} ] }}
  - {{ name: boss, key: {admin}, admin: true }}
"""


class Redis:
    """A Redis of a test's own, that can be killed."""

    def __init__(self):
        program = shutil.which("redis-server")
        if not program:
            assert not os.environ.get("CI"), "redis-server is not installed, which CI must have"
            pytest.skip("redis-server is not installed")
        self.port = free_port()
        self.words = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL)

    def restart(self):
        self.process.kill()
        self.process.wait()
        time.sleep(0.5)
        self.start()


@pytest.fixture
def replicas(tmp_path, sim, address):
    """Starts three of them."""
    made, stores = [], []

    def make(redis):
        sim.reset()
        store = Redis() if redis else None
        stores.append(store)
        shared = f', shared: "redis://127.0.0.1:{store.port}"' if store else ""
        for name in ["one", "two", "three"]:
            folder = tmp_path / name
            folder.mkdir()
            made.append(Gateway(folder, sim, CONFIG, database=address, secret="s" * 32, shared=shared, **KEYS))
        return made, store

    yield make
    for gateway in made:
        gateway.process.kill()
    for store in filter(None, stores):
        store.process.kill()


class Client:
    """Calls on a connection that is kept, at one replica after the other."""

    def __init__(self, number, gateways, key):
        self.ports = [gateway.port for gateway in gateways]
        self.turn, self.key, self.pipe = number, key, None
        self.statuses, self.codes, self.lost = {}, {}, 0

    async def call(self):
        body = json.dumps({"model": "house/echo", "messages": [{"role": "user", "content": "hello there"}]})
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        try:
            if not self.pipe:
                self.turn += 1
                self.pipe = await asyncio.open_connection("127.0.0.1", self.ports[self.turn % len(self.ports)])
            reader, writer = self.pipe
            writer.write((head + body).encode())
            told = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(told.split("content-length: ")[1].split("\r\n")[0])
            answer = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            self.lost += 1
            self.pipe = None
            await asyncio.sleep(0.05)
            return None
        status = int(told.split(" ")[1])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status != 200:
            code = json.loads(answer)["error"]["code"]
            self.codes[code] = self.codes.get(code, 0) + 1
        return status

    async def run(self, until, calls=None):
        while time.monotonic() < until and calls != 0:
            if await self.call() == 429:
                await asyncio.sleep(0.05)
            calls = calls and calls - 1


def together(clients, until, calls=None, beside=None):
    """All clients at once, and what happens beside them."""

    async def run():
        tasks = [asyncio.create_task(client.run(until, calls)) for client in clients]
        if beside:
            await beside()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def summed(clients, key):
    sums = {}
    for client in (client for client in clients if client.key == KEYS[key]):
        for status, count in client.statuses.items():
            sums[status] = sums.get(status, 0) + count
    return sums


def asked(address, text):
    """Rows of the database."""
    told = subprocess.run(["psql", "-At", "-F", " ", address, "-c", text], capture_output=True, text=True, check=True)
    return [line.split(" ") for line in told.stdout.splitlines()]


def spent(address):
    """What the journal and the ledger have of each key and each bucket."""
    journal = asked(
        address,
        "SELECT key_name, count(*), coalesce(sum(cost_picodollars), 0), count(*) FILTER (WHERE outcome = 'unknown')"
        " FROM calls GROUP BY 1",
    )
    ledger = asked(address, "SELECT bucket, sum(amount) FROM ledger GROUP BY 1")
    return (
        {name: (int(calls), int(cost), int(unknown)) for name, calls, cost, unknown in journal},
        sorted(int(amount) for _, amount in ledger),
    )


def lag(gateway):
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("tollgate_journal_lag_bytes "))


def simulated(sim):
    """How many calls the simulator saw, what its own count of tokens comes to, and what one call does."""
    seen = sim.calls()
    cost = lambda tokens: tokens["input_tokens"] * INPUT * 10**6 + tokens["output_tokens"] * OUTPUT * 10**6
    (each,) = {cost(call["reported"]) for call in seen["calls"] if call["reported"]}
    return seen["total"], cost(seen["reported"]), each


def reconcile(sim, address, gateways, clients):
    """Journal, ledger and simulator say the same, to the last unit. Returns the journal."""
    for gateway in gateways:
        wait_for(lambda: lag(gateway) == 0, "the journal to have everything", 30)
    journal, ledger = spent(address)
    costs = {name: cost for name, (_, cost, _) in journal.items()}
    counts = {name: calls - unknown for name, (calls, _, unknown) in journal.items()}
    assert ledger == sorted([costs["metered"], costs["capped"], counts["exact"], counts["limited"]])
    total, by_simulator, each = simulated(sim)
    # What a killed replica had in flight has a record. It may have gone out or not, and may have been answered: nobody knows.
    unknown = sum(unknown for _, _, unknown in journal.values())
    recorded = sum(calls for calls, _, _ in journal.values())
    assert 0 <= recorded - total <= unknown, "each call that went out has a record"
    # All calls are alike.
    assert by_simulator % each == 0
    assert 0 <= by_simulator // each - sum(counts.values()) <= unknown
    assert sum(costs.values()) == sum(counts.values()) * each
    answered = sum(summed(clients, name).get(200, 0) for name in KEYS)
    # The end of a call is written a moment after its answer: a replica that is killed in it leaves the end unknown.
    lost = sum(client.lost for client in clients)
    assert answered - unknown <= sum(counts.values()) <= answered + lost
    return journal


@pytest.mark.parametrize("redis", [True, False], ids=["redis", "postgres"])
def test_limits_are_exact_over_replicas(replicas, sim, address, redis):
    gateways, _ = replicas(redis)
    until = time.monotonic() + 60
    names = ["exact", "limited"]
    clients = [Client(number, gateways, KEYS[names[number % 2]]) for number in range(CLIENTS)]
    together(clients, until, calls=6)
    assert summed(clients, "exact") == {200: 300, 429: 300}
    assert summed(clients, "limited") == {200: 400, 429: 200}
    assert {code for client in clients for code in client.codes} == {"rate_limit_reached"}
    for gateway in gateways:
        wait_for(lambda: lag(gateway) == 0, "the journal to have everything", 30)
    assert spent(address)[1] == [300, 400]


def test_nothing_is_lost_or_counted_twice_while_everything_goes_away(replicas, sim, address, way):
    gateways, redis = replicas(True)
    names = list(KEYS)
    clients = [Client(number, gateways, KEYS[names[number % len(names)]]) for number in range(CLIENTS)]
    began = time.monotonic()

    async def at(share):
        await asyncio.sleep(max(0, began + share * SECONDS - time.monotonic()))

    async def faults():
        await at(0.2)
        gateways[1].kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(gateways[1].start)
        await at(0.45)
        await asyncio.to_thread(redis.restart)
        await at(0.6)
        way.cut()
        await asyncio.sleep(SECONDS / 3 if SECONDS >= 60 else 2)
        way.open = True

    together(clients, began + SECONDS, beside=faults)
    journal = reconcile(sim, address, gateways, clients)
    total = sum(calls for calls, _, _ in journal.values())
    statuses = {name: summed(clients, name) for name in names}
    print(f"{total} calls in {SECONDS:.0f} s; {statuses}; journal {journal}; lost {sum(client.lost for client in clients)}")
    assert set(summed(clients, "metered")) == {200}, "nothing is refused that has a budget left"
    # What the stores do not know while one is away: the calls in flight, and what was settled last.
    each = max(1, journal["capped"][1] // max(1, journal["capped"][0]))
    budget = 50_000_000_000
    assert budget * 0.9 <= journal["capped"][1] <= budget + CLIENTS / len(names) * each
    for name, limit in [("exact", 300), ("limited", 400)]:
        calls = journal[name][0]
        assert limit * 0.9 <= calls <= limit + CLIENTS / len(names), name
