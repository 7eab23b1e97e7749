"""An application that tells what reached it: the bytes of the request line and of every header."""

import json
import socket
import threading

from harness import end_listening


class EchoBackend:
    """Answers every request on 127.0.0.1 with JSON: method, target and headers exactly as they came.

    `requests` counts what arrived, so that a test can say that a denied request did not.
    """

    def __init__(self, place=None, answer=None):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.requests = 0
        # bytes to send instead of the echo, e.g. b"HTTP/1.1 401 …"
        self.answer = answer
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        if place is not None:
            place.at_end(self.close)

    def close(self):
        end_listening(self.listener)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        client.settimeout(60)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    more = client.recv(65536)
                    if not more:
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ", 2)
                headers = [[line.split(":", 1)[0], line.split(":", 1)[1].strip()] for line in lines[1:]]
                lower = {name.lower(): value for name, value in headers}
                need = int(lower.get("content-length", "0"))
                while len(data) < need:
                    more = client.recv(65536)
                    if not more:
                        return
                    data += more
                sent, data = data[:need], data[need:]
                with self._lock:
                    self.requests += 1
                if self.answer is not None:
                    client.sendall(self.answer)
                    continue
                body = json.dumps({"method": method, "target": target, "headers": headers,
                                   "body": sent.decode("latin-1")}).encode()
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                               % len(body) + (b"" if method == "HEAD" else body))
        except (OSError, ValueError):
            pass
        finally:
            client.close()
