#!/usr/bin/env python3
"""Runs the integration tests: every `test_*` function of every test_*.py beside this file.

    run.py [--binary PATH] [--list] [--keep] [--summary FILE] [WORD …]

A WORD selects the tests whose `module.name` contains it. The last line is `N passed, N failed, N skipped`;
skipped counts the cases that did not run. Exit status: 0 without a failure, 1 with one, 2 for bad usage.
"""

import argparse
import faulthandler
import importlib
import inspect
import pathlib
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness


def collect(words):
    tests = []
    for path in sorted(pathlib.Path(__file__).resolve().parent.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        found = [(function.__code__.co_firstlineno, name, function)
                 for name, function in inspect.getmembers(module, inspect.isfunction)
                 if name.startswith("test_") and function.__module__ == module.__name__]
        for _, name, function in sorted(found):
            # A test with a `table` runs once for each row, each a test of its own.
            for row in getattr(function, "table", [()]):
                label = f"{path.stem[5:]}.{name[5:]}" + (f"[{','.join(map(str, row))}]" if row else "")
                if not words or any(word in label for word in words):
                    tests.append((label, function, row))
    return tests


def main():
    parser = argparse.ArgumentParser(description="integration tests of Scopecheck with real proxies")
    parser.add_argument("--binary", type=pathlib.Path, help="the scopecheck to test")
    parser.add_argument("--list", action="store_true", help="print the tests' names and stop")
    parser.add_argument("--keep", action="store_true", help="keep the folders of failed tests")
    parser.add_argument("--summary", help="write `passed failed skipped` to this file")
    parser.add_argument("words", nargs="*", metavar="WORD")
    options = parser.parse_args()
    if options.binary:
        harness.Settings.binary = options.binary.resolve()
    harness.Settings.keep_folders = options.keep
    # A test that hangs says where.
    faulthandler.enable()
    tests = collect(options.words)
    if options.list:
        print("\n".join(label for label, _, _ in tests))
        return 0
    if not tests:
        print(f"no test's name contains `{' '.join(options.words)}`; --list prints them all")
        return 2
    passed = failed = skipped = 0
    failures = []
    for label, function, row in tests:
        print(f"{label} … ", end="", flush=True)
        started = time.monotonic()
        faulthandler.dump_traceback_later(600, exit=True)
        try:
            function(*row)
        except harness.Skip as skip:
            skipped += skip.cases
            print(f"skipped ({skip.cases}): {skip.why}", flush=True)
        except Exception as error:
            failed += 1
            failures.append(label)
            print("FAILED", flush=True)
            text = traceback.format_exc() if not isinstance(error, AssertionError) else (
                "".join(traceback.format_tb(error.__traceback__)[-1:]) + str(error))
            print("    " + text.rstrip().replace("\n", "\n    "), flush=True)
        else:
            passed += 1
            print(f"ok ({time.monotonic() - started:.1f} s)", flush=True)
        finally:
            faulthandler.cancel_dump_traceback_later()
    if failures:
        print("failed: " + ", ".join(failures))
    if options.summary:
        pathlib.Path(options.summary).write_text(f"{passed} {failed} {skipped}\n")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
