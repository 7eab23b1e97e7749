#!/usr/bin/env python3
"""Checks the two ledgers beside this file against the tests that they name.

    check.py [--selftest] [--missing]

requirements.tsv has a row for every requirement of the standards that a resource server has to keep, with a test that
shows it kept and one that shows its breach refused; attacks.tsv one for every catalogued attack, with its tests and
the reasons that they are refused for. A row without a test says `not applicable: …` and why.

A test is named as `Folder/File:function`, below Tests. It has to exist, as a `@Test func` or as a `test_*` function of
an integration test, and that of an attack has to carry the attack's number, e.g. `@Test("B41: …")`, in its display
name, its own name, or a comment above or in it. Each of an attack's reasons has to be one that the sources have, and
one that a file of its tests speaks of. Every number is there once. The ledger is read as it is now; a test that is only
planned fails its row.

The last line is `N passed, N failed, N skipped`; a row is one check, and so is every fault that the checker first finds
in ledgers made wrong for it. --selftest checks those only; --missing prints the tests that do not exist, and ends with
0. Exit status: 0 without a failure.
"""

import argparse
import ast
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
SOURCES = TESTS.parent / "Sources"

# How many requirements each section of the checklist has, and how many attacks there are.
SECTIONS = {1: 12, 2: 5, 3: 7, 4: 7, 5: 14, 6: 9, 7: 7, 8: 19, 9: 6, 10: 6, 11: 3, 12: 3, 13: 1, 14: 4, 15: 3, 16: 5,
            17: 2, 18: 6, 19: 1, 20: 6, 21: 5}
ATTACKS = 55

REQUIREMENT_COLUMNS = ["id", "source", "statement", "positive", "negative"]
ATTACK_COLUMNS = ["id", "name", "tests", "reasons"]
NOT_APPLICABLE = "not applicable: "


def expected_requirements():
    return [f"A{section}.{number}" for section, count in SECTIONS.items() for number in range(1, count + 1)]


def expected_attacks():
    return [f"B{number}" for number in range(1, ATTACKS + 1)]


# --- the tests -----------------------------------------------------------------------------------------------------

def swift_tests(text):
    """name → [all that may carry a number], of every `@Test` function of a Swift file."""
    lines, found = text.split("\n"), {}
    for index, line in enumerate(lines):
        if not re.match(r"\s*@Test\b", line):
            continue
        above = index
        while above > 0 and lines[above - 1].lstrip().startswith("//"):
            above -= 1
        end = next((place for place in range(index, len(lines)) if re.search(r"\bfunc\s+`?\w+", lines[place])), None)
        if end is None:
            continue
        name = re.search(r"\bfunc\s+`?(\w+)", lines[end])[1]
        # The body ends with the brace that stands as deep as the attribute.
        margin = line[:len(line) - len(line.lstrip())]
        last = end if lines[end].rstrip().endswith("}") else next(
            (place for place in range(end, len(lines)) if lines[place].startswith(margin + "}")), end)
        attribute = "\n".join(lines[index:end + 1])
        shown = re.match(r'\s*@Test\(\s*"((?:[^"\\]|\\.)*)"', attribute)
        comments = [part.strip() for part in lines[above:index]] + re.findall(r"//.*", "\n".join(lines[end:last + 1]))
        found.setdefault(name, []).extend([name, shown[1] if shown else "", *comments])
    return found


def python_tests(text):
    """The same of the `test_*` functions that Integration/run.py runs."""
    lines, found = text.split("\n"), {}
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
        above = first
        while above > 0 and lines[above - 1].startswith("#"):
            above -= 1
        comments = re.findall(r"#.*", "\n".join(lines[node.lineno:node.end_lineno]))
        found.setdefault(node.name, []).extend(
            [node.name, ast.get_docstring(node) or "", *lines[above:first], *comments])
    return found


class Files:
    """The tests of a file, read once."""

    def __init__(self):
        self._read, self._texts = {}, {}

    def tests(self, path):
        """name → texts, or None where there is no such file of tests."""
        if path not in self._read:
            file = TESTS / path
            is_test = path.endswith(".swift") or re.fullmatch(r"Integration/test_\w+\.py", path)
            if not is_test or not file.is_file() or TESTS not in file.resolve().parents:
                self._read[path] = None
            else:
                self.add(path, file.read_text())
        return self._read[path]

    def add(self, path, text):
        self._read[path] = (swift_tests if path.endswith(".swift") else python_tests)(text)
        self._texts[path] = text

    def speaks_of(self, path, spellings):
        return any(re.search(rf"(?<![\w]){re.escape(spelling)}(?![\w])", self._texts.get(path, ""))
                   for spelling in spellings)


def carries(texts, number):
    """Whether one of the texts has the attack's number and not one that only begins with it."""
    pattern = re.compile(rf"(?<![A-Za-z0-9]){number}(?![0-9])|^test_{number.lower()}(?![0-9])")
    return any(pattern.search(text) for text in texts)


def stable_reasons():
    """name → how tests may spell it, of each reason and of each fault of a proof, as the sources have them."""
    names = {}
    for file in ("Decision/Reason.swift", "Tokens/ProofRefusal.swift"):
        for case, name in re.findall(r'case \.(\w+): "(\w+)"', (SOURCES / file).read_text()):
            # Tables of proofs leave out the prefix that all have.
            names.setdefault(name, {name, name.removeprefix("proof_")}).add("." + case)
    return names


# --- the ledgers ---------------------------------------------------------------------------------------------------

def read(name, columns):
    rows = []
    for number, line in enumerate((HERE / name).read_text().splitlines(), 1):
        cells = line.split("\t")
        if number == 1:
            if cells != columns:
                sys.exit(f"{name}: the first line is not `{' '.join(columns)}`")
            continue
        if len(cells) != len(columns):
            sys.exit(f"{name}:{number}: {len(cells)} cells instead of {len(columns)}")
        rows.append(dict(zip(columns, (cell.strip() for cell in cells))))
    return rows


def named_tests(cell):
    return [part.strip() for part in cell.split(";") if part.strip()]


def test_faults(cell, files, number=None):
    """What is wrong with the tests of one cell; with a number they have to carry it."""
    faults = []
    for test in named_tests(cell):
        match = re.fullmatch(r"([\w/]+\.(?:swift|py)):(\w+)", test)
        tests = files.tests(match[1]) if match else None
        if match is None:
            faults.append(f"`{test}` is not of the form Folder/File:function")
        elif tests is None:
            faults.append(f"`{match[1]}` is no file of tests")
        elif match[2] not in tests:
            faults.append(f"`{match[1]}` has no test `{match[2]}`")
        elif number and not carries(tests[match[2]], number):
            faults.append(f"`{test}` does not carry {number}")
    return faults


def requirement_faults(row, files):
    faults = [f"no {column}" for column in ("source", "statement") if not row[column]]
    if row["positive"].startswith(NOT_APPLICABLE):
        if len(row["positive"]) < len(NOT_APPLICABLE) + 10:
            faults.append("no reason why it is not applicable")
        if row["negative"] != "-":
            faults.append("a negative test of what is not applicable; write `-`")
        return faults
    for column in ("positive", "negative"):
        if not named_tests(row[column]) or row[column] == "-":
            faults.append(f"no {column} test")
        else:
            faults += test_faults(row[column], files)
    return faults


def attack_faults(row, files, reasons):
    faults = [] if row["name"] else ["no name"]
    if not named_tests(row["tests"]):
        faults.append("no test")
    faults += test_faults(row["tests"], files, row["id"])
    named = row["reasons"].split()
    if not named:
        faults.append("no reason")
    for name in named:
        if name not in reasons:
            faults.append(f"`{name}` is the name of no reason")
        elif not any(files.speaks_of(test.rpartition(":")[0], reasons[name]) for test in named_tests(row["tests"])):
            faults.append(f"no file of its tests speaks of `{name}`")
    return faults


def number_faults(rows, expected):
    """[(id, fault)] of ids that are missing, doubled, unknown, or not in their place."""
    ids = [row["id"] for row in rows]
    faults = [(name, "is missing") for name in expected if name not in ids]
    faults += [(name, "is there more than once") for name in sorted(set(ids)) if ids.count(name) > 1]
    faults += [(name, "is no number of the list") for name in ids if name not in expected]
    if not faults and ids != expected:
        faults.append((next(a for a, b in zip(ids, expected) if a != b), "is not in its place"))
    return faults


def all_faults(requirements, attacks, files, reasons):
    """id → faults."""
    faults = {}
    for rows, expected, judge in ((requirements, expected_requirements(), lambda row: requirement_faults(row, files)),
                                  (attacks, expected_attacks(), lambda row: attack_faults(row, files, reasons))):
        for row in rows:
            faults.setdefault(row["id"], []).extend(judge(row))
        for name, fault in number_faults(rows, expected):
            faults.setdefault(name, []).append(fault)
    return faults


# --- the checker's own check ----------------------------------------------------------------------------------------

SAMPLE_SWIFT = '''
@Suite struct SampleTests {
    /// B7 above.
    @Test func above() {}

    @Test("B70: displayed")
    func displayed() {
        #expect(reason == .expired)
    }

    @Test("without")
    func inside() {
        // B8: inside
    }

    // @Test("B9: commented out") func gone() {}
    func noTest() {}
}
'''
SAMPLE_PYTHON = '''
def test_b41_race():
    """One."""
    assert reason == "expired"


def test_documented():
    """B42: two."""


def helper():
    """B43."""
'''


def selftest():
    """Faults made on purpose that were not found; (how many there are, what was missed)."""
    files, missed, count = Files(), [], 0
    files.add("Sample/SampleTests.swift", SAMPLE_SWIFT)
    files.add("Integration/test_sample.py", SAMPLE_PYTHON)
    reasons = {"expired": {"expired", ".expired"}, "revoked": {"revoked", ".revoked"}}

    def check(what, faults, is_wanted=True):
        nonlocal count
        count += 1
        if bool(faults) != is_wanted:
            missed.append(what)

    requirement = {"id": "A1.1", "source": "RFC", "statement": "x", "positive": "Sample/SampleTests.swift:above",
                   "negative": "Integration/test_sample.py:test_documented"}
    check("a good requirement", requirement_faults(requirement, files), False)
    for what, change in {
        "no positive test": {"positive": ""}, "no negative test": {"negative": "-"}, "no statement": {"statement": ""},
        "a file that is not there": {"positive": "Sample/Gone.swift:above"},
        "a function that is not there": {"negative": "Sample/SampleTests.swift:below"},
        "a function that is no test": {"negative": "Sample/SampleTests.swift:noTest"},
        "a test that is commented out": {"negative": "Sample/SampleTests.swift:gone"},
        "a helper in Python": {"negative": "Integration/test_sample.py:helper"},
        "one of two that is not there": {"positive": "Sample/SampleTests.swift:above; Sample/SampleTests.swift:x"},
        "no name of a test": {"positive": "above"}, "a path out of the tests": {"positive": "../../x.swift:above"},
        "not applicable without a reason": {"positive": NOT_APPLICABLE, "negative": "-"},
    }.items():
        check(what, requirement_faults(requirement | change, files))
    check("not applicable with a reason", requirement_faults(
        requirement | {"positive": NOT_APPLICABLE + "for authorization servers", "negative": "-"}, files), False)
    for number, test in [("B7", "Sample/SampleTests.swift:above"), ("B70", "Sample/SampleTests.swift:displayed"),
                         ("B8", "Sample/SampleTests.swift:inside"), ("B41", "Integration/test_sample.py:test_b41_race"),
                         ("B42", "Integration/test_sample.py:test_documented")]:
        attack = {"id": number, "name": "x", "tests": test, "reasons": "expired"}
        check(f"{number} as it is", attack_faults(attack, files, reasons), False)
        for what, change in {"no test": {"tests": ""}, "no reason": {"reasons": ""}, "no name": {"name": ""},
                             "a reason that is none": {"reasons": "expired late"},
                             "a reason that no test speaks of": {"reasons": "expired revoked"},
                             "another number": {"id": "B5"}, "a longer number": {"id": number + "1"},
                             "a shorter number": {"id": number[:-1] or "B"}}.items():
            check(f"{number}: {what}", attack_faults(attack | change, files, reasons))
    wanted = ["A1.1", "A1.2", "A1.3"]
    rows = [{"id": name} for name in wanted]
    check("all numbers", number_faults(rows, wanted), False)
    for what, changed in {"a row less": rows[:1] + rows[2:], "a row twice": rows + rows[:1], "no rows": [],
                          "an unknown row": rows + [{"id": "A1.4"}], "another order": rows[::-1]}.items():
        check(what, number_faults(changed, wanted))
    return count, missed


def main():
    parser = argparse.ArgumentParser(description="checks the ledgers against the tests")
    parser.add_argument("--selftest", action="store_true", help="only show that faults are found")
    parser.add_argument("--missing", action="store_true", help="print the named tests that do not exist")
    options = parser.parse_args()
    passed, missed = selftest()
    failed = len(missed)
    for what in missed:
        print(f"FAILED: the checker itself: {what}")
    passed -= failed
    if not options.selftest:
        requirements = read("requirements.tsv", REQUIREMENT_COLUMNS)
        attacks = read("attacks.tsv", ATTACK_COLUMNS)
        if options.missing:
            files = Files()
            for row in requirements + attacks:
                for column in ("positive", "negative", "tests"):
                    cell = row.get(column, "-")
                    if cell != "-" and not cell.startswith(NOT_APPLICABLE):
                        for fault in test_faults(cell, files):
                            print(f"{row['id']}: {fault}")
            return 0
        faults = all_faults(requirements, attacks, Files(), stable_reasons())
        for name, found in faults.items():
            for fault in found:
                print(f"FAILED: {name}: {fault}")
            failed += bool(found)
            passed += not found
        unneeded = sum(row["positive"].startswith(NOT_APPLICABLE) for row in requirements)
        print(f"{len(requirements)} requirements, {unneeded} of them not applicable, and {len(attacks)} attacks")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
