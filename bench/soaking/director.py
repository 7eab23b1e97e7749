"""What happens while clients ask: policies, keys, revocations, tokens, restarts and reloads, one after another in an
order that the seed decides. The begin of everything is noted before it is done, its end afterwards."""

import heapq
import json
import random
import signal
import time

from daemon import cli
from harness import request, wait_until

from .ground import FAMILY, row
from .judge import Timeline
from .model import FRONTS, Span

# Seconds between two events of a kind: (of an hour's run, of a short one).
PACES = {"reload": (5, 2), "broken": (45, 9), "rotate": (25, 7), "revoke": (6, 2), "remove": (9, 4), "forget": (10, 4),
         "mint": (1, 1), "nginx": (70, 13), "haproxy": (110, 17), "restart": (40, 5)}
# A client's connection to an old worker may end until the shipped configurations let no old worker live.
SHUTDOWN_SECONDS = 65.0
# What the daemon believes of a reply, by the policy, and what its clock and a question under way add.
CACHE_SECONDS = 3.0 + 3.0
# How long a token that must be refused is still shown.
DEAD_SHOWN_SECONDS = 20.0
# How long one goes on that only makes room; how many families may be on their way out.
LEAVING_SECONDS, LEAVING_MAX = 10.0, 200
MINTED_FAMILIES, KEPT_FAMILIES = 3, 40
TEXT_KEPT = 64
# Longer than a machine stands still.
MOMENT_SECONDS = 180.0
TOKENS = 2_400
REVOCATIONS_MAX = 40


class Director:
    """`tell(command)` reaches every client process. Restarts end `calm_at` (monotonic seconds): from then on one process
    of the daemon lives, whose memory is judged."""

    def __init__(self, ground, timeline, tokens, tell, seed, short, calm_at):
        self.ground, self.timeline, self.tokens, self.tell = ground, timeline, tokens, tell
        self.random = random.Random(f"director {seed}")
        self.short, self.calm_at = short, calm_at
        self.events, self.counts, self.done = [], {name: 0 for name in PACES}, False
        self.version, self.serial = "A", 0
        # A heap of (when they may go, token numbers); revocations as (what the command said, spans, tokens).
        self.doomed, self.revocations, self.families = [], [], []
        # Those that clients have; `tokens` are all that there ever were.
        self.live = {}
        self.compile_seconds = []
        for name in PACES:
            self.plan(name, first=True)

    def plan(self, name, first=False):
        pace = PACES[name][self.short] * self.random.uniform(0.3 if first else 0.7, 1.3)
        heapq.heappush(self.events, (time.monotonic() + pace, name))

    def fill(self):
        for _ in range(KEPT_FAMILIES):
            self.add(self.ground.family("kept"))
        # Never withdrawn, never left out.
        self.families.clear()
        while len(self.live) < TOKENS:
            self.add(self.ground.family())

    def add(self, family):
        for known in (self.tokens, self.live):
            known.update((token.number, token) for token in family)
        self.families.append([token.number for token in family])
        self.tell({"add": [row(token) for token in family]})

    def run(self):
        while not self.done:
            due, name = self.events[0]
            if due > time.monotonic():
                time.sleep(min(0.05, due - time.monotonic()))
                continue
            heapq.heappop(self.events)
            if name == "restart" and time.monotonic() > self.calm_at:
                continue
            getattr(self, name)()
            self.counts[name] += 1
            self.plan(name)

    # --- policies ------------------------------------------------------------------------------------------------

    def rename(self):
        """The other version; every third time in a text that never was before."""
        self.version = "B" if self.version == "A" else "A"
        self.serial += 1
        text = self.ground.text(self.version, self.serial if self.serial % 3 == 0 else None)
        self.timeline.renamed(text, self.version)
        self.ground.replace("policy.yaml", text)

    def wait_policy(self):
        wait_until(self.is_newest, "the new policy is served", MOMENT_SECONDS)

    def is_newest(self):
        asked = time.monotonic()
        try:
            label = self.ground.service.policy_label()
        except Exception:  # noqa: BLE001  it may be starting
            return False
        return self.timeline.seen(label, asked)

    def reload(self):
        start = time.monotonic()
        self.rename()
        self.wait_policy()
        self.compile_seconds.append(time.monotonic() - start)

    def broken(self):
        """A file that is refused: the policy in force goes on."""
        text = self.ground.text(self.version).replace("scopes: files:read", "scopes: files:unknown")
        self.ground.replace("policy.yaml", text)
        time.sleep(0.5)
        # The next good one is renamed over it.
        self.reload()

    # --- keys and tokens -----------------------------------------------------------------------------------------

    def rotate(self):
        """A new key is published, then used; the oldest of three is withdrawn, its tokens go on being shown for a
        while. Tokens of an unknown key make the daemon look."""
        issuer = self.ground.issuer
        coming = issuer.fresh()
        issuer.publish([*issuer.keys, coming])
        text = self.ground.good_of(coming)
        wait_until(lambda: self.ground.service.ask("/v1/orders", token=text).status == 200, "the new key is known",
                   MOMENT_SECONDS)
        issuer.keys.append(coming)
        if len(issuer.keys) <= 3:
            return
        old = issuer.keys.pop(0)
        probe = self.ground.good_of(old)
        struck = [token for token in self.live.values() if token.key == old.kid]
        spans = self.mark(struck, "unknown_key")
        issuer.publish(issuer.keys)
        wait_until(lambda: self.is_gone(probe), "the old key is gone", MOMENT_SECONDS)
        self.must(spans)
        self.show(struck[:10])
        self.doom(struck)

    def is_gone(self, token):
        """A token of a stranger's key makes the daemon look at the set again."""
        service = self.ground.service
        service.ask("/v1/orders", token=self.ground.good_of(self.ground.stranger))
        return service.ask("/v1/orders", token=token).header("X-Scope-Reason") == "unknown_key"

    def mint(self):
        """Some tokens go and new ones come; those that were doomed long enough are dropped."""
        now = time.monotonic()
        gone = []
        while self.doomed and self.doomed[0][0] < now:
            gone += heapq.heappop(self.doomed)[1]
        if gone:
            self.tell({"drop": gone})
        for number in gone:
            # Answers are judged by it for a while yet; only its bytes are of no use any more.
            if token := self.live.pop(number, None):
                token.text = token.text[:TEXT_KEPT]
        while len(self.families) > TOKENS // FAMILY and len(self.doomed) < LEAVING_MAX:
            heapq.heappush(self.doomed, (now + LEAVING_SECONDS, self.families.pop(0)))
        for _ in range(MINTED_FAMILIES):
            self.add(self.ground.family())

    def mark(self, tokens, reason):
        spans = [Span(reason, time.monotonic()) for _ in tokens]
        for token, span in zip(tokens, spans):
            token.spans.append(span)
        return spans

    def show(self, tokens):
        """Clients come with them soon."""
        self.tell({"show": [token.number for token in tokens]})

    @staticmethod
    def must(spans):
        now = time.monotonic()
        for span in spans:
            span.must = now

    def doom(self, tokens):
        """They are shown for a while yet."""
        heapq.heappush(self.doomed, (time.monotonic() + DEAD_SHOWN_SECONDS, [token.number for token in tokens]))

    # --- revocations ---------------------------------------------------------------------------------------------

    def revoke(self):
        """One token, its `jti` or its subject; after the command has ended there is no allow."""
        family = [self.live[number] for number in self.random.choice(self.families) if number in self.live]
        family = [token for token in family if token.flaw is None and token.kind != "opaque"]
        # Two revocations of the same become one, which could be taken back only once.
        if not family or any(token.spans for token in family):
            return
        one = family[0]
        # That of a token ends with it, and could not be taken back.
        way = self.random.choice(["token", "jti", "subject"] if one.kind != "short" else ["jti", "subject"])
        struck = family if way == "subject" else [one]
        arguments = {"token": ["--token-file", self.ground.write("revoked", one.text)],
                     "jti": ["--issuer", one.issuer, "--jti", f"j{one.number}"],
                     "subject": ["--issuer", one.issuer, "--subject", one.subject]}[way]
        spans = self.mark(struck, "revoked")
        _, out, _ = cli("revoke", *arguments, "--admin", self.ground.service.admin, "--json", check=0,
                        seconds=MOMENT_SECONDS)
        self.must(spans)
        self.revocations.append((json.loads(out), spans, struck))
        self.show(struck)
        if len(self.revocations) > REVOCATIONS_MAX:
            self.remove()

    def remove(self):
        """A revocation is taken back; the tokens that it named are good again."""
        if not self.revocations:
            return
        said, spans, struck = self.revocations.pop(self.random.randrange(len(self.revocations)))
        for span in spans:
            span.may_end = time.monotonic()
        cli("revocations", "remove", identifier(said), "--admin", self.ground.service.admin, check=0,
            seconds=MOMENT_SECONDS)
        for span in spans:
            span.end = time.monotonic()
        self.show(struck)

    def forget(self):
        """The issuer says of some opaque tokens that they are no longer active."""
        known = [token for token in self.live.values() if token.kind == "opaque" and not token.spans]
        struck = self.random.sample(known, min(3, len(known)))
        spans = self.mark(struck, "token_inactive")
        for token in struck:
            self.ground.issuer.forget(token)
        for span in spans:
            span.must = time.monotonic() + CACHE_SECONDS
        self.show(struck)

    # --- restarts and reloads --------------------------------------------------------------------------------------

    def restart(self):
        """SIGTERM and SIGKILL in turn, now and then in the middle of a reload. Until every proxy allows again, each
        denial for want of an answer is right."""
        service = self.ground.service
        gaps = self.timeline.begin(self.timeline.gaps, FRONTS)
        if self.random.random() < 0.4:
            self.rename()
            time.sleep(self.random.uniform(0, 0.15))
        if self.counts["restart"] % 2 == 0:
            service.process.signal(signal.SIGTERM)
        else:
            service.process.signal(signal.SIGKILL)
        service.process.wait(MOMENT_SECONDS)
        if self.random.random() < 0.5:
            time.sleep(self.random.uniform(0, 1.5))
        # Taken before the start: from here on its memory of proofs is empty.
        self.timeline.starts.append(time.monotonic())
        service.start()
        self.wait_policy()
        self.wait_proxies(FRONTS)
        # Another thread of the proxy may notice a moment later.
        Timeline.finish(gaps, 1.0)

    def wait_proxies(self, fronts):
        for front in fronts:
            wait_until(lambda: self.probe(front), f"{front} allows again", MOMENT_SECONDS)

    def probe(self, front):
        try:
            return request(self.ground.proxies[front].address, "/v1/orders", token=self.ground.good()).status == 200
        except Exception:  # noqa: BLE001  it may be starting
            return False

    def nginx(self):
        front = self.random.choice(FRONTS[:2])
        cuts = self.timeline.begin(self.timeline.cuts, [front])
        self.ground.proxies[front].process.signal(signal.SIGHUP)
        Timeline.finish(cuts, SHUTDOWN_SECONDS)

    def haproxy(self):
        """Its new process asks for the agents' health first."""
        cuts = self.timeline.begin(self.timeline.cuts, ["haproxy"])
        gaps = self.timeline.begin(self.timeline.gaps, ["haproxy"])
        self.ground.proxies["haproxy"].reload()
        self.wait_proxies(["haproxy"])
        Timeline.finish(gaps, 1.0)
        Timeline.finish(cuts, SHUTDOWN_SECONDS)


def identifier(said):
    """The ID in what `revoke --json` says."""
    if isinstance(said, list):
        return identifier(said[0])
    return said["id"] if "id" in said else identifier(said["revocations"])
