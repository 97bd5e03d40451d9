"""The table of failures: what goes wrong, and what must come of it. `test_failures.py` plays it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Case:
    """One call to a name of its own, whose targets are `provider!fault script@context tokens`."""

    group: str
    what: str
    targets: tuple
    status: int
    requests: int
    outcome: str
    stream: bool = False
    # The API that the caller speaks.
    api: str = "openai"
    # Targets for what others refuse, by reason.
    fallbacks: dict = dataclasses.field(default_factory=dict)
    # Settings of the name.
    settings: dict = dataclasses.field(default_factory=dict)
    # Whether something of the answer has reached the caller when it breaks.
    begun: bool = False
    # Whether the provider was called before, so that a connection is kept.
    warm: bool = False

    @property
    def all_targets(self):
        return [*self.targets, *(target for some in self.fallbacks.values() for target in some)]


def both(group, what, targets, status, requests, outcome, **more):
    """The same for a whole answer and for a stream."""
    return [
        Case(group, what, tuple(targets), status, requests, outcome, stream=stream, **more)
        for stream in (False, True)
    ]


def whole(group, what, targets, status, requests, outcome, **more):
    return [Case(group, what, tuple(targets), status, requests, outcome, **more)]


def stream(group, what, targets, status, requests, outcome, **more):
    return [Case(group, what, tuple(targets), status, requests, outcome, stream=True, **more)]


ONE = "One target"
LATE = "One target that is slow or breaks"
BEGUN = "After the first byte"
TWO = "Two targets"
CREDENTIALS = "Two credentials of one provider"
SPECIAL = "Targets for what others refuse"
OTHER = "Callers of another API than the target's"

CASES = [
    # What a single target refuses.
    *both(ONE, "overloaded", ["one!refuse=overloaded"], 503, 3, "failed"),
    *both(ONE, "overloaded once", ["one!refuse=overloaded,times=1"], 200, 2, "complete"),
    *both(ONE, "rate limited for 300 ms", ["one!refuse=rate-limit,retry-after=300ms,times=1"], 200, 2, "complete"),
    *both(ONE, "rate limited for a minute", ["one!refuse=rate-limit,retry-after=60"], 429, 1, "failed"),
    *whole(ONE, "rate limited, for how long is not said", ["one!refuse=rate-limit"], 429, 3, "failed"),
    *both(ONE, "credit used up", ["one!refuse=quota"], 429, 1, "failed"),
    *both(ONE, "prompt too long", ["one!refuse=context"], 400, 1, "failed"),
    *both(ONE, "against the content policy", ["one!refuse=policy"], 400, 1, "failed"),
    *both(ONE, "credential refused", ["one!refuse=key"], 502, 1, "failed"),
    *both(ONE, "no such model", ["one!refuse=model"], 404, 1, "failed"),
    *both(ONE, "request malformed", ["one!refuse=invalid"], 400, 1, "failed"),
    *both(ONE, "internal error", ["one!status=500"], 500, 3, "failed"),
    *whole(ONE, "a proxy's page with status 502", ["one!html=502"], 502, 3, "failed"),
    *both(ONE, "a proxy's page with status 200", ["one!html=200"], 502, 3, "cut"),
    *both(ONE, "redirect", ["one!redirect=302"], 502, 3, "failed"),
    # What a single target is slow with or breaks.
    *both(LATE, "nobody listens", ["nobody"], 502, 0, "failed"),
    *both(LATE, "connection closed before the head", ["fragile!close"], 502, 3, "failed"),
    *both(LATE, "connection reset before the head", ["fragile!reset"], 502, 3, "failed"),
    *whole(LATE, "kept connection closed before the head", ["fragile!close"], 502, 4, "failed", warm=True),
    *both(LATE, "no answer", ["one!hang"], 504, 3, "failed"),
    *whole(LATE, "head in pieces, too slow", ["one!slow-head=200ms"], 504, 3, "failed"),
    *both(LATE, "late, but in time", ["one!latency=300ms"], 200, 1, "complete"),
    *both(LATE, "first event late, but in time", ["one!first-event=300ms"], 200, 1, "complete"),
    *both(LATE, "nothing after the head", ["one!stall=0"], 504, 3, "cut"),
    *both(LATE, "cut after the head", ["one!cut=0"], 502, 3, "cut"),
    *both(LATE, "half-closed after the head", ["one!half=0"], 502, 3, "cut"),
    *whole(LATE, "cut in the middle", ["one!cut=1"], 502, 3, "cut"),
    *whole(LATE, "silent in the middle", ["one!stall=1"], 504, 3, "cut"),
    *both(LATE, "truncated, as if complete", ["one!truncate=60"], 502, 3, "cut"),
    *both(LATE, "truncated once", ["one!truncate=60,times=1"], 200, 2, "complete"),
    *both(LATE, "not in its dialect", ["one!garbage"], 502, 3, "cut"),
    *stream(LATE, "error event first", ["one!error=0"], 502, 3, "cut"),
    *stream(LATE, "stream without events", ["one!end=0"], 502, 3, "cut"),
    *whole(LATE, "wrong content type", ["one!type=text/plain"], 200, 1, "complete"),
    *stream(LATE, "wrong content type", ["one!type=text/plain"], 502, 3, "cut"),
    *both(LATE, "no usage reported", ["one!no-usage"], 200, 1, "complete"),
    # What breaks once something has reached the caller.
    *stream(BEGUN, "cut", ["one!cut=4", "two"], 200, 1, "cut", begun=True),
    *stream(BEGUN, "half-closed", ["one!half=4", "two"], 200, 1, "cut", begun=True),
    *stream(BEGUN, "silent", ["one!stall=4", "two"], 200, 1, "cut", begun=True),
    *stream(BEGUN, "error event", ["one!error=4,pace=30ms", "two"], 200, 1, "cut", begun=True),
    *stream(BEGUN, "ended without its end", ["one!end=4,pace=30ms", "two"], 200, 1, "cut", begun=True),
    *stream(BEGUN, "cut", ["claude!cut=5", "two"], 200, 1, "cut", begun=True, api="anthropic"),
    *stream(BEGUN, "error event", ["claude!error=5,pace=30ms", "two"], 200, 1, "cut", begun=True, api="anthropic"),
    # The next target.
    *both(TWO, "overloaded", ["one!refuse=overloaded", "two"], 200, 2, "complete"),
    *both(TWO, "rate limited for a minute", ["one!refuse=rate-limit,retry-after=60", "two"], 200, 2, "complete"),
    *whole(TWO, "credit used up", ["one!refuse=quota", "two"], 200, 2, "complete"),
    *whole(TWO, "credential refused", ["one!refuse=key", "two"], 200, 2, "complete"),
    *whole(TWO, "no such model", ["one!refuse=model", "two"], 200, 2, "complete"),
    *both(TWO, "request malformed", ["one!refuse=invalid", "two"], 400, 1, "failed"),
    *whole(TWO, "prompt too long", ["one!refuse=context", "two"], 400, 1, "failed"),
    *whole(TWO, "prompt too long, and the other has more room", ["one!refuse=context@8000", "two@32000"], 200, 2, "complete"),
    *whole(TWO, "against the content policy", ["one!refuse=policy", "two"], 400, 1, "failed"),
    *both(TWO, "internal error", ["one!status=500", "two"], 200, 2, "complete"),
    *both(TWO, "redirect", ["one!redirect=302", "two"], 200, 2, "complete"),
    *both(TWO, "a proxy's page with status 200", ["one!html=200", "two"], 200, 2, "complete"),
    *both(TWO, "nobody listens", ["nobody", "two"], 200, 1, "complete"),
    *both(TWO, "connection reset before the head", ["fragile!reset", "two"], 200, 2, "complete"),
    *both(TWO, "no answer", ["one!hang", "two"], 200, 2, "complete"),
    *both(TWO, "nothing after the head", ["one!stall=0", "two"], 200, 2, "complete"),
    *both(TWO, "cut after the head", ["one!cut=0", "two"], 200, 2, "complete"),
    *both(TWO, "half-closed after the head", ["one!half=0", "two"], 200, 2, "complete"),
    *stream(TWO, "cut before the first word", ["one!cut=1", "two"], 200, 2, "complete"),
    *both(TWO, "truncated, as if complete", ["one!truncate=60", "two"], 200, 2, "complete"),
    *both(TWO, "not in its dialect", ["one!garbage", "two"], 200, 2, "complete"),
    *stream(TWO, "error event first", ["one!error=0", "two"], 200, 2, "complete"),
    *both(TWO, "both overloaded", ["one!refuse=overloaded", "two!refuse=overloaded"], 503, 6, "failed"),
    *whole(TWO, "both overloaded, no retries", ["one!refuse=overloaded", "two!refuse=overloaded"], 503, 2, "failed", settings={"retries": {"max": 0}}),
    *whole(TWO, "both rate limited for a minute", ["one!refuse=rate-limit,retry-after=60", "two!refuse=rate-limit,retry-after=60"], 429, 2, "failed"),
    *whole(TWO, "one cut, then one overloaded, then well", ["one!cut=0,times=1", "two!refuse=overloaded"], 200, 3, "complete"),
    # The next credential.
    *both(CREDENTIALS, "one rate limited", ["pair!refuse=rate-limit,retry-after=60,key=sk-a"], 200, 2, "complete"),
    *whole(CREDENTIALS, "one used up", ["pair!refuse=quota,key=sk-a"], 200, 2, "complete"),
    *whole(CREDENTIALS, "one refused", ["pair!refuse=key,key=sk-a"], 200, 2, "complete"),
    *whole(CREDENTIALS, "both rate limited", ["pair!refuse=rate-limit,retry-after=60"], 429, 2, "failed"),
    *whole(CREDENTIALS, "both used up, another target", ["pair!refuse=quota", "two"], 200, 3, "complete"),
    # Those that are named for it.
    *both(SPECIAL, "prompt too long", ["one!refuse=context"], 200, 2, "complete", fallbacks={"context_too_long": ["two"]}),
    *both(SPECIAL, "against the content policy", ["one!refuse=policy"], 200, 2, "complete", fallbacks={"content_policy": ["two"]}),
    *whole(SPECIAL, "overloaded: they are not for that", ["one!refuse=overloaded"], 503, 3, "failed", fallbacks={"context_too_long": ["two"]}),
    *whole(SPECIAL, "too long there, too", ["one!refuse=context"], 400, 2, "failed", fallbacks={"context_too_long": ["two!refuse=context"]}),
    # Errors in the caller's own words.
    *both(OTHER, "overloaded", ["one!refuse=overloaded"], 529, 3, "failed", api="anthropic"),
    *both(OTHER, "overloaded", ["claude!refuse=overloaded"], 503, 3, "failed"),
    *whole(OTHER, "prompt too long", ["one!refuse=context"], 400, 1, "failed", api="anthropic"),
    *whole(OTHER, "credit used up", ["claude!refuse=quota"], 429, 1, "failed"),
    *whole(OTHER, "rate limited for a minute", ["claude!refuse=rate-limit,retry-after=60"], 429, 1, "failed"),
    *both(OTHER, "overloaded, and another target", ["claude!refuse=overloaded", "one"], 200, 2, "complete"),
    *stream(OTHER, "error event after the first byte", ["claude!error=5,pace=30ms", "one"], 200, 1, "cut", begun=True),
    *stream(OTHER, "cut after the first byte", ["one!cut=4", "claude"], 200, 1, "cut", begun=True, api="anthropic"),
    *both(OTHER, "silent after the head, and another target", ["claude!stall=0", "one"], 200, 2, "complete", api="anthropic"),
]
