"""Programs of the Swift package in bench/in_process, built when first asked for."""

import os
import pathlib
import subprocess

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "in_process"


def program(settings, name):
    """The program's path. SCOPECHECK_IN_PROCESS names a folder in which all of them are built already. A smoke run builds
    for debugging, which is quicker."""
    if "SCOPECHECK_IN_PROCESS" in os.environ:
        return pathlib.Path(os.environ["SCOPECHECK_IN_PROCESS"]) / name
    made = ["swift", "build", "--package-path", PACKAGE, "-c", "debug" if settings.smoke else "release"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    where = subprocess.run([*made, "--show-bin-path"], check=True, capture_output=True, text=True).stdout.strip()
    return pathlib.Path(where) / name
