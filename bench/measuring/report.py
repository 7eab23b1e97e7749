"""What a run found: results (one line a contender and scenario) and goals (one line each, met or not)."""

import json
import math

FIGURES = ("cpu_us_per_request", "requests_per_second", "p50_us", "p99_us", "p999_us", "wrong_answers")


class Report:
    """`results` and `goals` are what `--json` writes; figures that a scenario does not have are null there."""

    def __init__(self, smoke=False):
        self.results, self.goals, self.failures, self.plots = [], [], [], {}
        # Nothing that a smoke run measures says whether a goal is met.
        self._judges = not smoke

    def result(self, contender, scenario, **figures):
        """Known figures stand under their names (FIGURES); others, named with their unit (`private_kilobytes`), beside."""
        line = dict(contender=contender, scenario=scenario, **{name: None for name in FIGURES})
        for name, value in figures.items():
            if isinstance(value, float):
                value = round(value, 3) if math.isfinite(value) else None
            line[name] = value
        self.results.append(line)
        return line

    def goal(self, name, value, limit, low=None, high=None, unit="times", at_least=False):
        """One goal. `low` and `high` bound the value (95 %); the worse of them must hold. `at_least`: a floor, not a
        ceiling. `unit` is `times` for a ratio of two contenders in this run."""
        worst = (low if at_least else high)
        worst = value if worst is None else worst
        met = worst >= limit if at_least else worst <= limit
        line = dict(name=name, ratio=_short(value), limit=limit, met=bool(met) if self._judges else None, low=_short(low), high=_short(high), unit=unit,
                    at_least=at_least)
        self.goals.append(line)
        return line

    def unmeasured(self, name, limit, why, unit="times", at_least=False):
        """A goal that could not be measured here, which counts as not met."""
        self.goals.append(dict(name=name, ratio=None, limit=limit, met=False if self._judges else None, low=None, high=None,
                               unit=unit, at_least=at_least, why=why))

    def fail(self, message):
        """Something that must hold on every machine does not: the run ends with exit code 1 and says it."""
        self.failures.append(message)

    def plot(self, name, svg):
        """A picture that RESULTS.md shows, beside the bars that it draws itself."""
        self.plots[name] = svg

    def json(self, **about):
        return json.dumps(dict(about=about, results=self.results, goals=self.goals, failures=self.failures),
                          indent=1) + "\n"


def _short(value):
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.4g}")


def table(results, goals):
    """For people, at the end of a run."""
    lines = []
    if results:
        width = max(len(each["contender"]) + len(each["scenario"]) for each in results) + 4
        lines.append(f"{'':{width}}{'CPU µs':>9}{'req/s':>10}{'p50 µs':>9}{'p99 µs':>9}{'p99.9 µs':>10}{'wrong':>7}  other")
    for each in results:
        name = f"{each['contender']}: {each['scenario']}"
        cells = [_cell(each["cpu_us_per_request"], 9, 2), _cell(each["requests_per_second"], 10, 0),
                 _cell(each["p50_us"], 9, 1), _cell(each["p99_us"], 9, 1), _cell(each["p999_us"], 10, 1),
                 _cell(each["wrong_answers"], 7, 0)]
        lines.append(f"{name:{width}}{''.join(cells)}  {others(each)}".rstrip())
    for goal in goals:
        lines.append(f"{goal['name']}: {said(goal)}: {'met' if goal['met'] else 'NOT MET'}")
    return "\n".join(lines)


def others(result):
    """The figures of a result that have no column."""
    return ", ".join(f"{name} {value}" for name, value in result.items()
                     if name not in FIGURES and name not in ("contender", "scenario") and value is not None)


def said(goal):
    if goal["ratio"] is None:
        return f"not measured: {goal.get('why', 'no figure')}"
    interval = f" ({goal['low']} to {goal['high']})" if goal["low"] is not None and goal["high"] is not None else ""
    unit = "" if goal["unit"] == "times" else " " + goal["unit"]
    return f"{goal['ratio']}{interval}{unit}, goal {'at least' if goal['at_least'] else 'at most'} {goal['limit']}{unit}"


def _cell(value, width, digits):
    return f"{'–':>{width}}" if value is None else f"{value:{width}.{digits}f}"
