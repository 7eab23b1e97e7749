"""What every integration test needs: folders, ports, processes and a client that sends exact bytes.

Only processes that were started here are ended, each by its own handle. Nothing leaves the loopback.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NGINX_FOLDER = ROOT / "nginx"
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# How long anything may take before a test gives up on it. Generous: a loaded machine is not a failure.
PATIENCE = 30.0


class Settings:
    """Filled in by run.py."""

    binary = pathlib.Path(os.environ.get("SCOPECHECK_BINARY", ROOT / ".build/release/scopecheck"))
    keep_folders = False
    verbose = False


class Skip(Exception):
    """Ends a test that cannot run here; `cases` is how many checks did not happen."""

    def __init__(self, why, cases=1):
        super().__init__(why)
        self.why, self.cases = why, cases


def need(condition, why, cases=1):
    if not condition:
        raise Skip(why, cases)


def program(name):
    """Path of an installed program, or None. Servers live in sbin, which is not on every PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")


def free_port():
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"gave up after {seconds:.0f} s waiting until {what}")
        time.sleep(0.02)


def end_listening(listener):
    """Closes a listening socket that a thread accepts on. Closing alone would leave the thread in accept() and the
    socket listening."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()


def connects(address):
    try:
        connect(address, timeout=1).close()
        return True
    except OSError:
        return False


def connect(address, timeout=PATIENCE):
    """A socket connected to `unix:PATH` or `HOST:PORT`."""
    if address.startswith("unix:"):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target = address[5:]
    else:
        host, port = address.rsplit(":", 1)
        client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = (host.strip("[]"), int(port))
    client.settimeout(timeout)
    try:
        client.connect(target)
    except BaseException:
        client.close()
        raise
    return client


class Workplace:
    """A temporary folder and everything that was started in it; leaves nothing behind."""

    def __init__(self):
        # Short, because the path of a unix socket may have 107 bytes only.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sc-"))
        os.chmod(self.folder, 0o755)
        self._ends = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self._ends.close()
        finally:
            if Settings.keep_folders and kind is not None:
                print(f"    kept {self.folder}")
            else:
                shutil.rmtree(self.folder, ignore_errors=True)

    def at_end(self, action, *arguments):
        self._ends.callback(action, *arguments)

    def enter(self, context):
        return self._ends.enter_context(context)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def replace(self, name, text):
        """Writes a file the way an editor or a deployment should: beside it, then renamed into place."""
        path = self.folder / name
        beside = path.with_name(path.name + ".new")
        beside.write_text(text)
        os.replace(beside, path)
        return path

    def start(self, command, name, environment=None, **options):
        process = Process(command, self.folder / f"{name}.out", environment=environment,
                          cwd=options.pop("cwd", self.folder), **options)
        self.at_end(process.end)
        return process


class Process:
    """One process that was started here, its output going to a file."""

    def __init__(self, command, output, environment=None, **options):
        self.command = [str(part) for part in command]
        self.output = pathlib.Path(output)
        with open(self.output, "ab") as sink:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                env={**os.environ, **(environment or {})}, start_new_session=True, **options)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def text(self):
        return self.output.read_text(errors="replace")

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, seconds=PATIENCE):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"`{self.command[0]}` still runs after {seconds:.0f} s") from None

    def end(self):
        """Ends it without asking twice; its children share its session and end with it."""
        if self.running():
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()


# --- nginx ---------------------------------------------------------------------------------------------------

class Nginx:
    """nginx with one of the shipped configurations; only ports and socket names are exchanged.

    `edits` are (old, new) pairs for tests that show what a changed configuration would do.
    """

    def __init__(self, place, kind, checker, application, edits=(), name="nginx"):
        self.port = free_port()
        self.folder = place.folder / name
        self.folder.mkdir()
        os.chmod(self.folder, 0o777)
        for source in NGINX_FOLDER.glob("*.conf"):
            text = source.read_text()
            if source.name == f"scopecheck-{kind}.conf":
                text = exchange(text, "listen 8080;", f"listen 127.0.0.1:{self.port};")
                text = exchange(text, f"server unix:scopecheck-{kind}.sock max_fails=0;", f"server {checker} max_fails=0;")
                text = exchange(text, "server 127.0.0.1:8081;", f"server {application};")
                text = exchange(text, "listen 127.0.0.1:8081;", f"listen 127.0.0.1:{free_port()};")
                # Two workers show what several do and cost less to start than one for each core.
                text = exchange(text, "worker_processes auto;", "worker_processes 2;")
            for old, new in edits:
                text = text.replace(old, new)
            (self.folder / source.name).write_text(text)
        directives = "daemon off;"
        if os.geteuid() == 0:
            # The workers keep the uid that the daemon's sockets belong to.
            directives += " user root;"
        self.process = place.start(
            [program("nginx"), "-e", "error.log", "-p", f"{self.folder}/", "-c",
             self.folder / f"scopecheck-{kind}.conf", "-g", directives], name, cwd=self.folder)
        self.address = f"127.0.0.1:{self.port}"
        wait_until(lambda: connects(self.address) or not self.process.running(), "nginx listens")
        if not self.process.running():
            raise AssertionError("nginx ended: " + self.process.text() + self.errors())

    def errors(self):
        path = self.folder / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def log(self):
        """The access log's lines, parsed."""
        text = (self.folder / "access.log").read_text(errors="replace")
        return [json.loads(line) for line in text.splitlines()]

    def log_of(self, response):
        """The log line of the request whose X-Scope-Audit-Id the response carries."""
        wanted = response.header("X-Scope-Audit-Id")
        return wait_until(
            lambda: next((line for line in self.log() if line["audit_id"] == wanted), None),
            f"the access log has the line of {wanted}")

    def request(self, target, method="GET", host="api.example.com", token=None, headers=(), body=None):
        return request(self.address, target, method, host, token, headers, body)


def exchange(text, old, new):
    """Replaces exactly one place, so that a test cannot drift from the file it tests."""
    if text.count(old) != 1:
        raise AssertionError(f"the shipped configuration has `{old}` {text.count(old)} times instead of once")
    return text.replace(old, new)


# --- HTTP client ---------------------------------------------------------------------------------------------

class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        """The value, "" when there is none; several field lines are joined with ` | `."""
        return " | ".join(value for key, value in self.headers if key.lower() == name.lower())

    def has(self, name):
        return any(key.lower() == name.lower() for key, _ in self.headers)

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        lines = "".join(f"\n      {key}: {value}" for key, value in self.headers)
        return f"<{self.status}{lines}\n      {self.body[:300]!r}>"


class Closed(Exception):
    """The peer closed the connection before a whole answer."""


class Connection:
    """A kept HTTP/1.1 connection that sends exactly the bytes it is given."""

    def __init__(self, address, timeout=PATIENCE):
        self.socket = connect(address, timeout)
        self.rest = b""

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError as error:
            raise Closed(str(error)) from None
        if not data:
            raise Closed("end of stream")
        self.rest += data

    def read(self, bodiless=False):
        """One response; `bodiless` for the answer to HEAD."""
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = [(line.split(":", 1)[0], line.split(":", 1)[1].strip()) for line in lines[1:]]
        response = Response(status, headers, b"")
        if bodiless or status in (204, 304) or 100 <= status < 200:
            return response
        if response.header("Transfer-Encoding").lower() == "chunked":
            while True:
                while b"\r\n" not in self.rest:
                    self._more()
                size, self.rest = self.rest.split(b"\r\n", 1)
                count = int(size.split(b";")[0], 16)
                while len(self.rest) < count + 2:
                    self._more()
                response.body += self.rest[:count]
                self.rest = self.rest[count + 2:]
                if count == 0:
                    return response
        if response.has("Content-Length"):
            count = int(response.header("Content-Length"))
            while len(self.rest) < count:
                self._more()
            response.body, self.rest = self.rest[:count], self.rest[count:]
            return response
        with contextlib.suppress(Closed):
            while True:
                self._more()
        response.body, self.rest = self.rest, b""
        return response


def head_bytes(target, method="GET", host="api.example.com", token=None, headers=(), body=None, close=True):
    """A request's bytes. `target` may be bytes; `headers` are (name, value) pairs, in order, repeats kept."""
    if isinstance(target, str):
        target = target.encode()
    lines = [method.encode() + b" " + target + b" HTTP/1.1"]
    if host is not None:
        lines.append(b"Host: " + host.encode())
    if token is not None:
        lines.append(b"Authorization: Bearer " + token.encode())
    for name, value in headers:
        name = name if isinstance(name, bytes) else name.encode()
        value = value if isinstance(value, bytes) else value.encode("latin-1")
        lines.append(name + b": " + value)
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def request(address, target, method="GET", host="api.example.com", token=None, headers=(), body=None):
    with Connection(address) as connection:
        connection.send(head_bytes(target, method, host, token, headers, body))
        return connection.read(bodiless=method == "HEAD")


# --- FastCGI client ------------------------------------------------------------------------------------------

def record(kind, content=b"", identifier=1, padding=0):
    """One FastCGI record: version 1, type, id, content length, padding length, reserved; then the bytes."""
    return (bytes([1, kind]) + identifier.to_bytes(2, "big") + len(content).to_bytes(2, "big")
            + bytes([padding, 0]) + content + b"\0" * padding)


def name_value(name, value):
    def length(count):
        return bytes([count]) if count < 128 else (count | 0x80000000).to_bytes(4, "big")

    name = name.encode() if isinstance(name, str) else name
    value = value.encode("latin-1") if isinstance(value, str) else value
    return length(len(name)) + length(len(value)) + name + value


def fastcgi_request(params, role=1, keep=False, stdin=True, identifier=1):
    """BEGIN_REQUEST, PARAMS, empty PARAMS and, for a Responder, the empty STDIN that nginx sends."""
    data = record(1, role.to_bytes(2, "big") + bytes([1 if keep else 0]) + b"\0" * 5, identifier)
    pairs = b"".join(name_value(name, value) for name, value in params)
    for start in range(0, len(pairs), 65535):
        data += record(4, pairs[start:start + 65535], identifier)
    data += record(4, b"", identifier)
    return data + (record(5, b"", identifier) if stdin else b"")


def read_fastcgi(client, identifier=1):
    """(status, headers, body, protocol status) of one answer; raises Closed when it never ends."""
    data, output = b"", b""

    def take(count):
        nonlocal data
        while len(data) < count:
            try:
                more = client.recv(65536)
            except ConnectionError as error:
                raise Closed(str(error)) from None
            if not more:
                raise Closed("end of stream")
            data += more
        part, data = data[:count], data[count:]
        return part

    while True:
        head = take(8)
        content = take(int.from_bytes(head[4:6], "big") + head[6])[:int.from_bytes(head[4:6], "big")]
        if int.from_bytes(head[2:4], "big") != identifier:
            continue
        if head[1] == 6:
            output += content
        if head[1] == 3:
            break
    text, _, body = output.partition(b"\r\n\r\n")
    headers = [(line.split(":", 1)[0], line.split(":", 1)[1].strip())
               for line in text.decode("latin-1").split("\r\n") if ":" in line]
    status = next((int(value[:3]) for key, value in headers if key.lower() == "status"), None)
    return Response(status, headers, body), content[4]


def facts(target, method="GET", host="api.example.com", token=None, path=None, port="8080", more=()):
    """The params of the scopecheck profile, as the shipped configuration sends them."""
    pairs = [("SC_METHOD", method), ("SC_TARGET", target), ("SC_PATH", path or ""), ("SC_HOST", host),
             ("SC_SCHEME", "http"), ("SC_PORT", port), ("SC_CLIENT_ADDRESS", "127.0.0.1"),
             ("SC_REQUEST_ID", "0" * 32), ("SC_CLIENT_CERTIFICATE", "")]
    if token is not None:
        pairs.append(("HTTP_AUTHORIZATION", "Bearer " + token))
    return pairs + list(more)


def ask_fastcgi(address, params, **options):
    client = connect(address)
    try:
        client.sendall(fastcgi_request(params, **options))
        return read_fastcgi(client)[0]
    finally:
        client.close()


def fact_headers(params):
    """The same facts as HTTP headers: SC_METHOD is SC-Method, HTTP_AUTHORIZATION is Authorization."""
    out = []
    for name, value in params:
        name = name[5:] if name.startswith("HTTP_") else name
        out.append((name.replace("_", "-"), value))
    return out


def ask_http(address, params):
    return request(address, "/", host="scopecheck", headers=fact_headers(params))


def ask(address, kind, params):
    return ask_fastcgi(address, params) if kind == "fastcgi" else ask_http(address, params)


# --- load ----------------------------------------------------------------------------------------------------

class Load:
    """Threads that keep asking until told to stop; `each` gets a running number and returns a complaint or None."""

    def __init__(self, each, threads=4, pause=0.0):
        self.each, self.pause = each, pause
        self.count, self.complaints = 0, []
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                         for number in range(threads)]

    def _run(self, number):
        while not self._stop.is_set():
            try:
                complaint = self.each(number)
            except Exception as error:  # a refused connection is a failed request
                complaint = f"{type(error).__name__}: {error}"
            with self._lock:
                self.count += 1
                if complaint:
                    self.complaints.append(complaint)
            if self.pause:
                time.sleep(self.pause)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
