"""Says of every answer whether it was right, for one version of the policy that was in force between question and answer.

An allow names its version through the application. A denial names it in the logs, in which it is found by its audit id.
"""

import collections
import dataclasses
import hashlib
import json
import threading
import time

from .model import CASES, FRONTS, NONCE_SECONDS, UNAVAILABLE, UNKNOWING_SECONDS, expected, status_of

# How long the log line of an answer may take to be found.
LINE_SECONDS = 15.0
# How late an answer may be judged, where the machine stood still.
REMEMBERED_SECONDS = 300.0
WRONG_KEPT = 50
# What stands before the source where its version is computed.
LABEL = b"scopecheck policy source 1\n"


@dataclasses.dataclass
class Activation:
    """A policy that was renamed into place at `begin`; `end` when a later one was first seen. Monotonic seconds."""
    version: str
    digest: str
    begin: float
    end: float = None
    number: int = None
    seen: float = None


class Timeline:
    """What was in force when, and when the daemon or a proxy was being exchanged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.activations = []
        # [front, begin, end or None]: denials for want of an answer are right; and connections may end.
        self.gaps, self.cuts, self.stills = [], [], []
        self.starts = [time.monotonic()]

    def renamed(self, text, version):
        with self.lock:
            digest = hashlib.sha256(LABEL + text.encode()).hexdigest()
            self.activations.append(Activation(version, digest, time.monotonic()))

    def seen(self, label, asked):
        """The daemon named `label` in answer to a question of the moment `asked`. Returns whether it is the newest."""
        number, _, digest = label.partition(".")
        with self.lock:
            newest = self.activations[-1]
            if not digest or not newest.digest.startswith(digest):
                return False
            if newest.number is None or int(number) > newest.number:
                newest.number, newest.seen = int(number), time.monotonic()
                for earlier in self.activations[:-1]:
                    earlier.end = earlier.end or newest.seen
            old = time.monotonic() - REMEMBERED_SECONDS
            self.activations = [one for one in self.activations if one.end is None or one.end > old]
            return True

    def candidates(self, sent, received):
        with self.lock:
            return [one for one in self.activations
                    if one.begin <= received and (one.end is None or sent <= one.end)]

    def labelled(self, label, sent, received):
        """(the version that a label names, None) or (None, what is wrong with the label)."""
        number, _, digest = label.partition(".")
        found = [one for one in self.candidates(sent, received) if digest and one.digest.startswith(digest)]
        if not found:
            return None, f"version {label} was not in force"
        with self.lock:
            least = max((one.number for one in self.activations if one.seen is not None and one.seen < sent), default=0)
        if int(number) < least:
            return None, f"version {label} came after {least}"
        return found[0].version, None

    def begin(self, which, fronts):
        spans = [[front, time.monotonic(), None] for front in fronts]
        with self.lock:
            which += spans
        return spans

    def stood_still(self, begin, end):
        with self.lock:
            self.stills += [[front, begin, end] for front in FRONTS]

    @staticmethod
    def finish(spans, more=0.0):
        for span in spans:
            span[2] = time.monotonic() + more

    @staticmethod
    def within(which, front, sent, received):
        return any(one == front and begin <= received and (end is None or sent <= end) for one, begin, end in which)

    def forget(self):
        """Spans that ended long ago judge nothing any more."""
        before = time.monotonic() - REMEMBERED_SECONDS
        with self.lock:
            for spans in (self.gaps, self.cuts, self.stills):
                spans[:] = [span for span in spans if span[2] is None or span[2] > before]

    def nonce_doubt(self, sent, received, nonce_at):
        """Whether the daemon may want another nonce than the client has: it has just started, or the nonce is old."""
        latest = max((start for start in self.starts if start <= received), default=0)
        return sent < latest + UNKNOWING_SECONDS or nonce_at < latest or (nonce_at and sent - nonce_at > NONCE_SECONDS)


@dataclasses.dataclass
class Answer:
    front: str
    case: int
    target: str
    token: int
    how: str
    own: bool
    sent: float
    received: float
    status: int
    told: object
    nonce_at: float
    nonce_doubt: bool = False


class Judge:
    """`tokens` by number. `counts` is by (front, status); `reasons` by reason."""

    def __init__(self, timeline, tokens, folder):
        self.timeline, self.tokens, self.folder = timeline, tokens, folder
        self.counts, self.reasons = collections.Counter(), collections.Counter()
        self.tallies = collections.Counter({name: 0 for name in (
            "answers", "wrong", "unauthorised_allows", "unanswered", "cut_by_reload", "in_gap", "unavailable",
            "without_line", "lines", "both_versions_right", "in_stall", "stalls", "skipped")})
        self.wrong, self.waiting, self.lines = [], collections.OrderedDict(), collections.OrderedDict()
        self.slowest = 0.0

    # --- answers -------------------------------------------------------------------------------------------------

    def take(self, fields):
        answer = Answer(*fields)
        self.tallies["answers"] += 1
        self.counts[answer.front, answer.status] += 1
        self.slowest = max(self.slowest, answer.received - answer.sent)
        if answer.status == 0:
            self._unanswered(answer)
            return
        answer.nonce_doubt = self.timeline.nonce_doubt(answer.sent, answer.received, answer.nonce_at)
        if answer.status == 200:
            self._allow(answer)
        elif answer.status == 503 and not answer.told[0]:
            self._away(answer)
        elif not answer.told[0] and (answer.status, answer.how) == (400, "double") and self._meets_nginx(answer):
            self.reasons["refused_by_nginx"] += 1
        elif not answer.told[0]:
            self._complain(answer, "a denial without an audit id")
        else:
            self._denial(answer)

    def _expected(self, version, answer):
        case = CASES[answer.case]
        return expected(case.rule(version, answer.front), self.tokens[answer.token], answer)

    def _meets_nginx(self, answer):
        """nginx refuses two Authorization headers by itself: in front, or as the application of what is allowed."""
        return answer.front != "haproxy" or any(
            self._expected(one.version, answer)[0] for one in self.timeline.candidates(answer.sent, answer.received))

    def _unanswered(self, answer):
        self._excuse(answer, self.timeline.cuts, "cut_by_reload", "unanswered", f"no answer: {answer.told}")

    def _away(self, answer):
        """503 of the proxy itself: it got no answer from the daemon."""
        self._excuse(answer, self.timeline.gaps, "in_gap", "unavailable", "503 without an answer of the daemon")

    def _excuse(self, answer, periods, planned, kind, why):
        """A planned interruption excuses it, and a machine that stood still; otherwise it is a fault of this kind."""
        if self.timeline.within(periods, answer.front, answer.sent, answer.received):
            self.tallies[planned] += 1
        elif self._still(answer):
            self.tallies["in_stall"] += 1
        else:
            self.tallies[kind] += 1
            self._complain(answer, why, kind=kind)

    def _still(self, answer):
        return self.timeline.within(self.timeline.stills, answer.front, answer.sent, answer.received)

    def _allow(self, answer):
        told = list(answer.told) + [""] * 5
        label, reason, subject, _, transaction = told[:5]
        self.reasons[reason] += 1
        version, problem = self.timeline.labelled(label, answer.sent, answer.received)
        versions = {one.version for one in self.timeline.candidates(answer.sent, answer.received)}
        if not any(self._expected(one, answer)[0] for one in versions):
            self.tallies["unauthorised_allows"] += 1
            self._complain(answer, f"an allow that no version in force gives ({problem})")
        elif problem:
            self._complain(answer, problem)
        else:
            right, ground, reasons = self._expected(version, answer)
            token = self.tokens[answer.token]
            rule = CASES[answer.case].rule(version, answer.front)
            if not right:
                self.tallies["unauthorised_allows"] += 1
                self._complain(answer, f"allowed under {label}, expected {sorted(reasons)}")
            elif reason != ground:
                self._complain(answer, f"the ground is {reason}, expected {ground}")
            elif subject != (token.subject if ground == "granted" else ""):
                self._complain(answer, f"the subject is {subject!r}, not {token.subject}")
            elif bool(transaction) != (ground == "granted" and rule.transaction):
                self._complain(answer, f"the transaction token is {transaction!r}")
            elif len({self._expected(one, answer)[0] for one in versions}) > 1:
                self.tallies["both_versions_right"] += 1

    def _denial(self, answer):
        """First by its status alone, for any version in force; then by its log line."""
        versions = {one.version for one in self.timeline.candidates(answer.sent, answer.received)}
        reasons = set().union(*(self._expected(one, answer)[2] for one in versions))
        statuses = {status_of(reason) for reason in reasons}
        if answer.status not in statuses and answer.status != 503:
            self._complain(answer, f"expected {sorted(statuses) or 'an allow'}, {sorted(reasons)}" if versions
                           else "no version was in force")
            return
        line = self.lines.pop(answer.told[0], None)
        if line is not None:
            self._match(answer, line)
        else:
            self.waiting[answer.told[0]] = answer

    # --- log lines -----------------------------------------------------------------------------------------------

    def line(self, line):
        """One line of a proxy's log or the daemon's, with audit_id, reason, policy. One of them is enough: HAProxy leaves
        out lines that two of its threads would write at once."""
        self.tallies["lines"] += 1
        if line.get("decision") == "allow" or not line.get("audit_id"):
            return
        answer = self.waiting.pop(line["audit_id"], None)
        if answer is not None:
            self._match(answer, line)
            return
        self.lines[line["audit_id"]] = {"reason": line["reason"], "policy": line["policy"], "at": time.monotonic()}

    def _match(self, answer, line):
        reason = line["reason"]
        self.reasons[reason] += 1
        version, problem = self.timeline.labelled(line["policy"], answer.sent, answer.received)
        if problem and reason == "no_policy":
            version, problem = "A", None
        if problem:
            self._complain(answer, f"{problem}, reason {reason}")
            return
        reasons = self._expected(version, answer)[2]
        if reason in reasons:
            if status_of(reason) != answer.status:
                self._complain(answer, f"{reason} is {answer.status}")
        elif reason in UNAVAILABLE:
            self._excuse(answer, self.timeline.gaps, "in_gap", "unavailable", f"{reason} under {line['policy']}")
        else:
            self._complain(answer, f"{reason} under {line['policy']}, expected {sorted(reasons) or 'an allow'}")

    def sweep(self, everything=False):
        """Gives up on lines and answers that found nothing for long."""
        now = time.monotonic()
        while self.waiting:
            answer = next(iter(self.waiting.values()))
            if not everything and now - answer.received < LINE_SECONDS:
                break
            self.waiting.popitem(last=False)
            self.tallies["without_line"] += 1
            self._complain(answer, "its log line was not found", kind="without_line")
        while self.lines and now - next(iter(self.lines.values()))["at"] > 3 * LINE_SECONDS:
            self.lines.popitem(last=False)

    def _complain(self, answer, why, kind="wrong"):
        if kind == "wrong":
            self.tallies["wrong"] += 1
        token = self.tokens[answer.token] if answer.token in self.tokens else None
        told = {"kind": kind, "why": why, "time": time.strftime("%H:%M:%S"), "case": CASES[answer.case].name,
                "versions": [f"{one.version}={one.number}.{one.digest[:12]}" for one in
                             self.timeline.candidates(answer.sent, answer.received)],
                **dataclasses.asdict(answer), "token": dataclasses.asdict(token) if token else answer.token}
        if token:
            told["token"]["scope"] = sorted(token.scope)
        if sum(one["kind"] == kind for one in self.wrong) < WRONG_KEPT:
            self.wrong.append(told)
        with open(self.folder / "wrong.jsonl", "a") as file:
            file.write(json.dumps(told) + "\n")
