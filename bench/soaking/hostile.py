"""Clients that hang, leave in the middle or send garbage, at the proxies and at the daemon's own sockets."""

import random
import threading
import time

from harness import connect, facts, fastcgi_request

HELD_MAX = 40
HELD_SECONDS = (1.0, 15.0)
PER_SECOND = 6.0
HEAD = b"GET /v1/orders HTTP/1.1\r\nHost: api.example.com\r\n"


class Hostile(threading.Thread):
    """`paths` are addresses of the daemon by kind (fastcgi, http, spop), `proxies` those of the proxies."""

    def __init__(self, paths, proxies, seed):
        super().__init__(daemon=True)
        self.random = random.Random(f"hostile {seed}")
        self.paths, self.proxies = paths, proxies
        self.held, self.count, self.done = [], 0, False

    def run(self):
        while not self.done:
            time.sleep(1 / PER_SECOND)
            now = time.monotonic()
            for end, client in [one for one in self.held if one[0] < now or len(self.held) > HELD_MAX]:
                self.held.remove((end, client))
                client.close()
            try:
                self.once()
                self.count += 1
            except OSError:
                pass  # refused, or ended by the other side: what it should do
        for _, client in self.held:
            client.close()
        self.held = []

    def once(self):
        if self.random.random() < 0.5:
            client = connect(self.random.choice(self.proxies), timeout=2)
            data = self.random.choice([self.http_part, self.http_whole, self.garbage, self.long_head, self.many])()
        else:
            kind = self.random.choice(list(self.paths))
            client = connect(self.paths[kind], timeout=2)
            data = self.of_daemon(kind)
        try:
            client.sendall(data)
        except OSError:
            client.close()
            raise
        if self.random.random() < 0.5:
            self.held.append((time.monotonic() + self.random.uniform(*HELD_SECONDS), client))
        else:
            client.close()

    def of_daemon(self, kind):
        dice = self.random.random()
        if dice < 0.35:
            return self.garbage()
        whole = {"fastcgi": lambda: fastcgi_request(facts("/v1/orders")), "http": self.http_whole,
                 "spop": lambda: b"\0\0\0\x20\1\0\0\0\1\0\0" + self.garbage()[:40]}[kind]()
        return whole if dice < 0.6 else whole[:self.random.randrange(1, len(whole))]

    def garbage(self):
        head = self.random.choice([b"", b"\0", b"\xff", b"\1\1\0\1"])
        return head + self.random.randbytes(self.random.randrange(1, 3000))

    def http_part(self):
        whole = self.http_whole()
        return whole[:self.random.randrange(1, len(whole))]

    def http_whole(self):
        return HEAD + b"Authorization: Bearer abc.def.ghi\r\n\r\n"

    def long_head(self):
        return HEAD + b"X-Long: " + b"x" * self.random.randrange(1000, 60_000) + b"\r\n\r\n"

    def many(self):
        """Several requests at once, whose answers nobody reads."""
        return self.http_whole() * 8
