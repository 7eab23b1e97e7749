"""The commands of policy as code on 10,000 routes in 100 files: `bench/run policy_commands`.

Each command is timed as a person waits for it, from exec to exit, in rounds of alternating order. The policy is what
several teams would have written: a service, scopes, roles and clients in each file, the issuer in the first. `plan`
compares it with one whose last route asks for a wider scope; `apply` makes a version in an empty store, on the disk when
it has ended.

The floor is libyaml alone (floors/yaml.c), which Scopecheck reads YAML with too: every event of the same files, nothing
made of them. What a command costs beyond it is starting, checking, comparing, compiling and writing. The ratios are of CPU,
since the times of `apply` have a disk in them, and of instructions (`valgrind --tool=callgrind`, user space, all threads),
which are the same whatever else runs.
"""

import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

from measuring.contender import FLOORS
from measuring.intervals import median_interval, ratio
from measuring.settings import ROOT, progress

from harness import Workplace
from issuer import policy_head

sys.path.insert(0, str(ROOT / "Tests/Allocations"))
from callgrind import CALLGRIND, PINNED, totals  # noqa: E402

LIBYAML = ROOT / ".build/checkouts/Yams/Sources/CYaml"
# Seconds that a person may have to wait, by command.
LIMITS = {"check": 1, "apply": 2}
FIRST = policy_head() + "    unknown_clients: deny\n"


class Command:
    """`arguments` of the program; `exit` and `says` (an expression that its output has) are what makes a run a right one.
    `floor` is the one that it is held against."""

    def __init__(self, name, program, arguments, floor=None, exit=0, says=""):  # noqa: A002
        self.name, self.program, self.arguments, self.floor = name, program, arguments, floor
        self.exit, self.says = exit, says
        self.runs, self.wrong, self.instructions = [], 0, None

    def before(self):
        """What must stand ready, and costs nobody anything."""

    def run(self):
        """(wall seconds, CPU seconds), after which the output is judged."""
        self.before()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        done = subprocess.run([self.program, *self.arguments], capture_output=True, text=True)
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.judge(done)
        return wall, after.ru_utime + after.ru_stime - children.ru_utime - children.ru_stime

    def judge(self, done):
        if done.returncode != self.exit or not re.search(self.says, done.stdout):
            self.wrong += 1
            print(f"{self.name}: ended with {done.returncode} instead of {self.exit}:\n{(done.stdout + done.stderr)[-600:]}",
                  file=sys.stderr)

    def count(self, folder):
        """Instructions of one run; what it says under valgrind is judged too."""
        self.before()
        # valgrind 3.19 gives up on DWARF 5 of this size.
        stripped = folder / f"stripped-{pathlib.Path(self.program).name}"
        if not stripped.exists():
            subprocess.run(["objcopy", "--strip-debug", self.program, stripped], check=True)
        output = folder / "callgrind"
        self.judge(subprocess.run(
            [*CALLGRIND, "--vgdb=no", f"--callgrind-out-file={output}", stripped, *self.arguments],
            capture_output=True, text=True, env={**os.environ, **PINNED}))
        self.instructions = totals(output.read_text(), stripped)["instructions"]
        output.unlink()


class Apply(Command):
    def __init__(self, store, **more):
        super().__init__("policy apply", **more)
        self.store = store
        self.arguments = [*self.arguments, "--store", store]

    def before(self):
        shutil.rmtree(self.store, ignore_errors=True)
        self.store.mkdir(mode=0o700)
        os.sync()


def policy_commands(settings, report):
    files, routes = (5, 20) if settings.smoke else (100, 100)
    size = f"{files * routes:,} routes in {files} files"
    with Workplace() as place:
        folder = place.folder
        old, new = folder / "policy", folder / "wider"
        write(old, files, routes)
        write(new, files, routes, widened=True)
        subprocess.run([settings.binary, "policy", "fmt", *paths(old), *paths(new)], check=True)
        floors = floors_of(folder, old, new, report)
        commands = commands_of(settings.binary, folder, old, new, files, routes, floors)
        measure([*commands, *floors.values()], 1 if settings.smoke else 20)
        # Each takes seconds of its own under valgrind; one of each kind shows that it runs.
        counted = commands[:1] + list(floors.values())[:1] if settings.smoke else [*commands, *floors.values()]
        counting(folder, counted)
    progress("")
    for each in commands:
        tell(report, each, size, floors.get(each.floor))
    for each in floors.values():
        tell(report, each, size, None)


# --- the policy --------------------------------------------------------------------------------------------------

def write(folder, files, routes, widened=False):
    """`files` files of `routes` routes each. `widened`: the last route asks for what every client has."""
    folder.mkdir()
    (folder / "jwks.json").write_text('{"keys":[]}')
    for number in range(files):
        team = f"team{number:03}"
        lines = [FIRST if number == 0 else "scopecheck: 1", "scopes:", f"  {team}:read: {{}}",
                 f"  {team}:write: {{ implies: [{team}:read] }}", "roles:", f"  {team}: {{ scopes: [{team}:write] }}",
                 "clients:", f"  {team}-frontend: {{ scopes: [{team}:read], on_excess: narrow }}",
                 f"  {team}-job: {{ roles: [{team}] }}", "services:", f"  {team}:",
                 f"    hosts: [{team}.example.com]", "    forward_token: never", "    routes:"]
        lines += [route(team, index, widened and (number, index) == (files - 1, routes - 1)) for index in range(routes)]
        (folder / f"{team}.yaml").write_text("\n".join(lines) + "\n")


def route(team, index, is_wider):
    method, scope = ("GET", "read") if index % 2 == 0 else ("PUT", "read" if is_wider else "write")
    return f'      - {{ match: "{method} /v1/c{index % 10}/r{index}/{{id}}", scopes: {team}:{scope} }}'


def paths(folder):
    return sorted(folder.glob("*.yaml"))


# --- what is run -------------------------------------------------------------------------------------------------

def commands_of(binary, folder, old, new, files, routes, floors):
    def policy(name, *arguments, floor="libyaml", **more):
        return Command(f"policy {name}", binary, ["policy", *arguments], floor=floor, **more)

    return [
        policy("check", "check", old, says=f"{files} files, .* {files * routes} routes"),
        policy("lint", "lint", old),
        policy("fmt --check", "fmt", "--check", *paths(old), says=r"\A\Z"),
        policy("plan", "plan", old, new, floor="libyaml, both policies", exit=3, says=f"r{routes - 1}/"),
        Apply(folder / "store", program=binary, arguments=["policy", "apply", old, "-m", "a bench"], floor="libyaml",
              says="decides"),
    ]


def floors_of(folder, old, new, report):
    """{name: command}; nothing where there is no libyaml to compile."""
    program = folder / "floor-yaml"
    # The source that the program was built from, where it was built here.
    library = ([f"-I{LIBYAML / 'include'}", *sorted((LIBYAML / "src").glob("*.c"))] if LIBYAML.is_dir() else ["-lyaml"])
    made = subprocess.run(["cc", "-O2", "-w", "-o", program, FLOORS / "yaml.c", *library],
                          capture_output=True, text=True)
    if made.returncode:
        report.fail(f"policy_commands: the floor cannot be compiled (libyaml-dev, or a build in .build): {made.stderr[-300:]}")
        return {}
    return {name: Command(name, program, given, says=r"\A[1-9]")
            for name, given in (("libyaml", paths(old)), ("libyaml, both policies", [*paths(old), *paths(new)]))}


def measure(commands, rounds):
    """Rounds in alternating order, after one that does not count."""
    for each in commands:
        each.run()
    for number in range(rounds):
        progress(f"policy_commands: round {number + 1} of {rounds}")
        for each in commands if number % 2 == 0 else commands[::-1]:
            each.runs.append(each.run())


def counting(folder, commands):
    if not (shutil.which("valgrind") and shutil.which("objcopy")):
        return
    for each in commands:
        progress(f"policy_commands: counting {each.name}")
        each.count(folder)


# --- what is told ------------------------------------------------------------------------------------------------

def tell(report, command, size, floor):
    walls = sorted(1e3 * wall for wall, _ in command.runs)
    told = dict(fastest_milliseconds=walls[0], median_milliseconds=statistics.median(walls),
                p95_milliseconds=walls[min(len(walls) - 1, int(0.95 * len(walls)))],
                cpu_milliseconds=1e3 * statistics.median(cpu for _, cpu in command.runs),
                instructions=command.instructions, wrong_answers=command.wrong)
    if floor:
        middle, low, high = ratio([(a[1], b[1]) for a, b in zip(command.runs, floor.runs)])
        told.update(cpu_times_floor=middle, cpu_times_floor_low=low, cpu_times_floor_high=high)
        if command.instructions and floor.instructions:
            told.update(instructions_times_floor=command.instructions / floor.instructions)
    report.result(command.name, size, **told)
    limit = LIMITS.get(command.name.partition(" ")[2])
    if limit:
        middle, low, high = median_interval([wall for wall, _ in command.runs])
        report.goal(f"policy_commands: `{command.name}` of {size}", middle, limit, low, high, unit="s")
