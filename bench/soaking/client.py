"""One process of clients: asks the proxies at a fixed rate, whatever the answers take, and tells what came back.

Commands come as JSON lines on standard input, answers go out as JSON lines, {"answers": […], "skipped": N} each:

    {"start": {seed, rate, addresses, clients: [PEM…]}}    {"go": true}    {"stop": true}
    {"add": [[number, text, class, proof key, subject]…]}    {"drop": [number…]}    {"show": [number…]}

An answer is [front, case, target, token, how, own, sent, received, status, told, nonce_at]: times are monotonic seconds,
`told` the lines of an allow's body, a denial's [audit id, error], or what went wrong (status 0).
"""

import asyncio
import json
import os
import pathlib
import random
import sys
import time
import traceback
from collections import deque

sys.dont_write_bytecode = True
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]),
                str(pathlib.Path(__file__).resolve().parents[2] / "Tests/Integration")]
from proofs import ProofKey, proof, url  # noqa: E402
from soaking.model import CASES, FRONTS, PUBLIC_PORT  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402

# Longer than any timeout of the shipped proxies for a question.
ANSWER_SECONDS = 20.0
# Shorter than the proxies keep a connection that nobody uses.
IDLE_SECONDS = 15.0
# Questions that wait for an answer at once; beyond, one is not asked.
WAITING_MAX = 1_000
LATE_SECONDS = 1.0
REPLAYS_MAX = 64
SHOWN_MAX, SHOWN_SHARE = 40, 0.15
# An older proof would be refused for its age, and show nothing of what is remembered.
REPLAY_SECONDS = 45.0


class Wire:
    """Kept connections to one proxy."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.host, self.port = host, int(port)
        self.idle = deque()

    async def take(self):
        """(reader, writer, whether it was used before)"""
        while self.idle:
            reader, writer, since = self.idle.pop()
            if time.monotonic() - since < IDLE_SECONDS and not reader.at_eof() and not writer.is_closing():
                return reader, writer, True
            writer.close()
        reader, writer = await asyncio.open_connection(self.host, self.port)
        return reader, writer, False

    def give(self, reader, writer):
        self.idle.append((reader, writer, time.monotonic()))
        while self.idle and time.monotonic() - self.idle[0][2] > IDLE_SECONDS:
            self.idle.popleft()[1].close()


class Clients:
    def __init__(self, seed, rate, addresses, clients):
        self.random = random.Random(seed)
        self.rate = rate
        self.wires = {front: Wire(address) for front, address in addresses.items()}
        self.keys = [self._key(text) for text in clients]
        self.tokens, self.classes = {}, {"bearer": [], "bound": [], "opaque": [], "kept": []}
        # The last nonce of each front and when it came.
        self.nonces = {front: (None, 0.0) for front in FRONTS}
        # Of which something was said a moment ago: they come more often than others.
        self.shown = deque(maxlen=SHOWN_MAX)
        self.replays = {front: deque(maxlen=REPLAYS_MAX) for front in FRONTS}
        self.answers, self.waiting, self.skipped, self.stopped = [], 0, 0, False
        self.weights = [case.weight for case in CASES]

    def _key(self, text):
        key = ProofKey("ES256")
        key.private = serialization.load_pem_private_key(text.encode(), None)
        return key

    def add(self, rows):
        for number, text, kind, key, subject in rows:
            self.tokens[number] = (text, key, subject, kind)
            self.classes[kind].append(number)

    def drop(self, numbers):
        gone = set(numbers)
        for number in gone:
            self.tokens.pop(number, None)
        for kind, held in self.classes.items():
            self.classes[kind] = [number for number in held if number not in gone]
        for kept in self.replays.values():
            for each in [one for one in kept if one[0] in gone]:
                kept.remove(each)

    async def run(self):
        """Open loop: the next question does not wait for the last answer. What a machine that stood still, or too many
        questions under way, kept from being asked is not made up for, but told."""
        due = time.monotonic()
        while not self.stopped:
            due += 1 / self.rate
            late = time.monotonic() - due
            if late < 0:
                await asyncio.sleep(-late)
            elif late > LATE_SECONDS:
                self.skipped += int(late * self.rate)
                due += late
            if self.waiting >= WAITING_MAX:
                self.skipped += 1
            else:
                watch_over(asyncio.create_task(self.ask(self.choose())))

    def choose(self):
        """(front, case number, token number, how)"""
        number = self.random.choices(range(len(CASES)), self.weights)[0]
        front = self.random.choice(FRONTS)
        kind = CASES[number].tokens
        # The few kept tokens are those of a service of which the daemon remembers what it signed: its memory of others
        # would be filling for hours.
        if kind != "kept" and self.random.random() < 0.07:
            kind = self.random.choice(list(self.classes))
        token = self.random.choice(self.classes[kind])
        if self.shown and self.random.random() < SHOWN_SHARE:
            known = [each for each in self.shown if each in self.tokens and self.tokens[each][3] == kind]
            token = self.random.choice(known or [token])
        dice = self.random.random()
        if dice < 0.03:
            return front, number, token, "none"
        if dice < 0.04:
            return front, number, token, "basic"
        if dice < 0.05:
            return front, number, token, "double"
        if kind == "bound":
            how = "proof" if dice < 0.85 else "bearer" if dice < 0.9 else "wrong proof" if dice < 0.94 else "replay"
            used = self.replays[front]
            while used and time.monotonic() - used[0][5] > REPLAY_SECONDS:
                used.popleft()
            if how == "replay" and not used:
                how = "proof"
            return front, number, token, how
        return front, number, token, "forged" if dice < 0.08 and kind in ("bearer", "kept") else "bearer"

    async def ask(self, choice):
        front, number, token, how = choice
        case = CASES[number]
        text, key, subject, _ = self.tokens[token]
        if how == "replay":
            token, number, target, proof_text, text, _ = self.random.choice(self.replays[front])
            case, own = CASES[number], True
        else:
            own = self.random.random() < 0.7
            target = case.target.format(number=self.random.randrange(1000), subject=subject if own else "somebody")
            proof_text = None
        if how == "forged" and text.count(".") == 2 and len(text.rpartition(".")[2]) > 40:
            place = len(text) - 20
            text = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1:]
        elif how == "forged":
            how = "bearer"
        nonce, nonce_at = self.nonces[front]
        headers = list(case.headers)
        if how in ("bearer", "forged", "double"):
            headers.append(("Authorization", f"Bearer {text}"))
            if how == "double":
                headers.append(("Authorization", f"Bearer {text}"))
        elif how == "basic":
            headers.append(("Authorization", "Basic YWxpY2U6c2VjcmV0"))
        elif how in ("proof", "wrong proof"):
            method = case.method if how == "proof" else "PURGE"
            proof_text = proof(self.keys[key], text, method, url(target, host=case.host, port=PUBLIC_PORT), nonce=nonce)
        if proof_text:
            headers += [("Authorization", f"DPoP {text}"), ("DPoP", proof_text)]
        ends = self.random.random() < 0.15
        data = self.bytes(case, target, headers, ends)
        self.waiting += 1
        sent = time.monotonic()
        try:
            status, told, nonce = await asyncio.wait_for(self.exchange(front, data, ends), ANSWER_SECONDS)
        except asyncio.TimeoutError:
            status, told, nonce = 0, "no answer in time", ""
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            status, told, nonce = 0, f"{type(error).__name__}: {error}", ""
        received = time.monotonic()
        self.waiting -= 1
        if nonce:
            self.nonces[front] = nonce, received
        # Where the route is open to everybody nobody looks at the proof, and it stays unused.
        if status == 200 and how == "proof" and told[1] == "granted" and self.random.random() < 0.3:
            self.replays[front].append((token, number, target, proof_text, text, sent))
        self.answers.append([front, number, target, token, how, own, sent, received, status, told, nonce_at])

    def bytes(self, case, target, headers, ends):
        lines = [f"{case.method} {target} HTTP/1.1", f"Host: {case.host}",
                 *(f"{name}: {value}" for name, value in headers)]
        if case.method == "POST":
            lines.append("Content-Length: 2")
        if ends:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + (b"{}" if case.method == "POST" else b"")

    async def exchange(self, front, data, ends):
        """(status, what was told, the next nonce). A kept connection that ended before the first byte of an answer is
        what HTTP expects clients to bear: the question is asked once more."""
        wire = self.wires[front]
        for _ in range(4):
            reader, writer, used = await wire.take()
            try:
                writer.write(data)
                head = await reader.readuntil(b"\r\n\r\n")
                break
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                writer.close()
                if not used or getattr(error, "partial", b""):
                    raise
        else:
            raise ConnectionError("no kept connection answered")
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        if ends or fields.get("connection", "").lower() == "close":
            writer.close()
        else:
            wire.give(reader, writer)
        status = int(first.split(" ")[1])
        if status == 200:
            return status, body.decode().split("\n"), fields.get("dpop-nonce", "")
        try:
            error = json.loads(body).get("error", "")
        except ValueError:
            error = "?"
        return status, [fields.get("x-scope-audit-id", ""), error], fields.get("dpop-nonce", "")

    async def tell(self):
        loop = asyncio.get_running_loop()
        while not (self.stopped and not self.waiting):
            await asyncio.sleep(0.25)
            await loop.run_in_executor(None, print_line, self.taken())
        print_line(self.taken())

    def taken(self):
        """The line that tells what came since the last one."""
        answers, self.answers, skipped, self.skipped = self.answers, [], self.skipped, 0
        return {"answers": answers, "skipped": skipped}


def print_line(told):
    sys.stdout.write(json.dumps(told, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def watch_over(task):
    """A fault of this program ends it, and with it the run: a load that is not made finds nothing wrong."""
    def end(done):
        if not done.cancelled() and done.exception():
            traceback.print_exception(done.exception())
            sys.stderr.flush()
            os._exit(1)

    task.add_done_callback(end)
    return task


async def main():
    reader = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    clients, tasks = None, []
    while line := await reader.readline():
        command = json.loads(line)
        if "start" in command:
            clients = Clients(**command["start"])
        if "add" in command:
            clients.add(command["add"])
        if "show" in command:
            clients.shown.extend(command["show"])
        if "drop" in command:
            clients.drop(command["drop"])
        if "go" in command:
            tasks = [watch_over(asyncio.create_task(each)) for each in (clients.run(), clients.tell())]
        if "stop" in command:
            break
    if clients:
        clients.stopped = True
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main())
