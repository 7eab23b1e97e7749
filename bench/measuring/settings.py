"""What every bench is given, and what all of them say while they run."""

import dataclasses
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The harness of the integration tests starts proxies and daemons; the benches use the same.
sys.path.insert(0, str(ROOT / "Tests/Integration"))


@dataclasses.dataclass(frozen=True)
class Settings:
    """`smoke`: sizes that only show that a bench runs. `binary`: the program that is measured, built for release.
    `installs`: whether peers may be installed (Debian packages, and PyPI packages into .build/bench)."""
    smoke: bool
    binary: pathlib.Path
    installs: bool


def progress(text):
    """One line that is overwritten, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="" if text else "\r", file=sys.stderr, flush=True)
