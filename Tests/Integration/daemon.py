"""The daemon under test, and the policy that most tests use."""

import json
import os
import signal
import subprocess

import issuer
from harness import HERE, PATIENCE, Settings, Workplace, ask, connects, facts, need, wait_until

# Every way to reach a decision: transport and FastCGI engine.
TRANSPORTS = [("fastcgi", "native"), ("fastcgi", "libfcgi"), ("http", "native")]

POLICY = """\
scopecheck: 1
issuers:
  - issuer: https://id.example.com
    audience: [https://api.example.com]
    keys: { jwks_file: jwks.json }
    algorithms: [ES256]
    profile: rfc9068
scopes:
  orders:read:     { description: Read orders }
  orders:write:    { description: Create and change orders, implies: [orders:read] }
  orders:admin:    { implies: ["orders:*"] }
  payments:charge: {}
  support:admin:   {}
  read:metrics:    {}
  files:read:      {}
services:
  orders:
    issuers: [https://id.example.com]
    audience: https://api.example.com
    hosts: [api.example.com]
    base_path: /v1
    routes:
      - { match: GET /orders, scopes: orders:read }
      - { match: "GET /orders/{order}", scopes: orders:read }
      - { match: POST /orders, scopes: { all: [orders:write, payments:charge] } }
      - { match: "DELETE /orders/{order}", scopes: { any: [orders:admin, support:admin] } }
      - { match: "GET /users/{user}/orders", scopes: orders:read, where: { user: sub } }
      - { match: GET /metrics, scopes: read:metrics, ports: [9443] }
      - { match: OPTIONS /**, preflight: true }
      - { match: GET /healthz, public: true }
      - { match: GET /files/**, scopes: files:read }
      - { match: PUT /files/**, scopes: files:read }
  admin:
    issuers: [https://id.example.com]
    audience: https://api.example.com
    hosts: [admin.example.com]
    routes:
      - { match: GET /**, scopes: orders:admin }
"""

# A configuration whose policy comes in by commands.
SERVE = """\
store: {folder}/store
workers: 2
admin: {{ address: "{admin}" }}
fastcgi: {{ address: "{fastcgi}" }}
http: {{ address: "{http}" }}
"""


def cli(*arguments, stdin=None, check=None, seconds=PATIENCE * 2, folder=None):
    """Runs one command of the binary, in a folder: (exit status, stdout, stderr)."""
    result = subprocess.run([str(Settings.binary), *map(str, arguments)], input=stdin, text=True,
                            capture_output=True, timeout=seconds, cwd=folder)
    if check is not None and result.returncode != check:
        raise AssertionError(f"`scopecheck {' '.join(map(str, arguments))}` ended with {result.returncode} "
                             f"instead of {check}\n{result.stdout}{result.stderr}")
    return result.returncode, result.stdout, result.stderr


class Stage(Workplace):
    """A folder with an issuer's key set and a policy, and the daemons that are started in it."""

    def __init__(self, policy=POLICY, algorithm="ES256"):
        super().__init__()
        need(Settings.binary.exists(), f"`{Settings.binary}` does not exist")
        self.key = issuer.Key(algorithm)
        self.write("jwks.json", issuer.jwks(self.key))
        self.policy = self.write("policy.yaml", policy)

    def token(self, scope="orders:read", **options):
        return issuer.mint(self.key, scope=scope, **options)

    def daemon(self, **options):
        return Daemon(self, **options)


class Daemon:
    """One `scopecheck serve`, with its listeners on unix sockets in the stage's folder; with `spop` the one for
    HAProxy too."""

    def __init__(self, place, engine="native", flags=(), name="daemon", wait=True, launcher=(), config=None,
                 environment=None, pass_fds=(), spop=False):
        self.place = place
        folder = place.folder
        self.fastcgi = f"unix:{folder}/{name}-f.sock"
        self.http = f"unix:{folder}/{name}-h.sock"
        self.admin = f"unix:{folder}/{name}-a.sock"
        self.spop = f"unix:{folder}/{name}-p.sock" if spop else None
        if config is None:
            arguments = ["--policy", folder / "policy.yaml", "--store", folder / f"{name}-store",
                         "--fastcgi", self.fastcgi, "--http", self.http, "--admin", self.admin,
                         "--workers", "2", "--fastcgi-engine", engine]
            arguments += ["--spop", self.spop] if spop else []
        else:
            arguments = ["--config", place.write(f"{name}.yaml", config.format(
                folder=folder, fastcgi=self.fastcgi, http=self.http, admin=self.admin, spop=self.spop))]
        self.command = [*launcher, Settings.binary, "serve", *arguments, *flags]
        self.name, self.environment, self.pass_fds = name, environment, pass_fds
        self.process = None
        self.start(wait)

    def start(self, wait=True):
        self.process = self.place.start(self.command, self.name, environment=self.environment,
                                        pass_fds=self.pass_fds)
        if getattr(self, "spop", None):
            # SIGTERM would take the delay that HAProxy needs to hear of it.
            self.place.at_end(self.process.signal, signal.SIGKILL)
        if wait:
            self.wait_ready()

    def wait_ready(self, addresses=None):
        wait_until(lambda: not self.process.running() or all(
            connects(address) for address in addresses or self.listeners()),
            "the daemon listens")
        if not self.process.running():
            raise AssertionError(f"the daemon ended with {self.process.popen.returncode}\n" + self.log_text())

    def listeners(self):
        return [address for address in (self.fastcgi, self.http, self.admin, getattr(self, "spop", None)) if address]

    def address(self, kind):
        return self.fastcgi if kind == "fastcgi" else self.http

    def ask(self, target, kind="http", **options):
        """One question as nginx would put it."""
        return ask(self.address(kind), kind, facts(target, **options))

    def log_text(self):
        return self.process.text()

    def log(self):
        """The log's lines, parsed; a line that is no JSON fails the test."""
        lines = []
        for line in self.log_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                raise AssertionError(f"the log has a line that is no JSON: {line!r}") from None
        return lines

    def events(self, event):
        return [line for line in self.log() if line.get("event") == event]

    def policy_label(self):
        return self.ask("/v1/healthz").header("X-Scope-Policy")

    def reload(self, text, hangup=False):
        """Renames a new policy into place and waits until it is served; returns its label."""
        before = self.policy_label()
        self.place.replace("policy.yaml", text)
        if hangup:
            self.process.signal(signal.SIGHUP)
        return wait_until(lambda: (label := self.policy_label()) != before and label,
                          "the new policy is served")

    def status(self):
        _, out, _ = cli("status", "--address", self.admin, "--json", check=0)
        return json.loads(out)

    def terminate(self):
        """SIGTERM; the exit status."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait()

    def kill(self):
        self.process.signal(signal.SIGKILL)
        self.process.wait()

    def alive(self):
        """Still the same process, still deciding."""
        if not self.process.running():
            raise AssertionError(f"the daemon ended with {self.process.popen.returncode}\n"
                                 + self.log_text()[-3000:])
        for kind in ("fastcgi", "http"):
            response = self.ask("/v1/healthz", kind)
            assert response.status == 200 and response.header("X-Scope-Reason") == "public", (kind, response)


def resident_kilobytes(pid):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
