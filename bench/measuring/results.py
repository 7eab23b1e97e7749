"""RESULTS.md and its plots, from one run."""

from . import plot
from .report import others, said

COLUMNS = (("cpu_us_per_request", "CPU µs", 2), ("requests_per_second", "requests/s", 0), ("p50_us", "p50 µs", 1),
           ("p99_us", "p99 µs", 1), ("p999_us", "p99.9 µs", 1), ("wrong_answers", "wrong", 0))


def write(folder, about, report):
    """RESULTS.md in `folder`, with one plot of each scenario that has more than one contender, in `folder/plots`."""
    results, goals = report.results, report.goals
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    for old in plots.glob("*.svg"):
        old.unlink()
    met = sum(bool(goal["met"]) for goal in goals)
    lines = ["# Results", "",
             f"Written by `bench/run --results` from one run ({about['date']}, {about['seconds'] // 60} minutes, "
             f"{' '.join(about['names'])}) on {about['processors']} processors ({about['processor']}), Linux "
             f"{about['kernel']}, load average at the end {about['load_average']}. Never edited by hand.", "", *(f"* {each}" for each in about["versions"]), ""]
    if about["smoke"]:
        lines += ["**A smoke run: these figures say nothing.**", ""]
    elif about["left_out"]:
        lines += [f"Not run: {' '.join(about['left_out'])}.", ""]
    if report.failures:
        lines += ["## Failures", "", *(f"* {failure}" for failure in report.failures), ""]
    if not about["smoke"]:
        lines += [f"## Goals: {met} of {len(goals)} met", "",
                  "Where there is an interval (95 %) its worse end must hold.", "",
                  "| goal | measured | |", "|---|---|---|"]
        lines += [f"| {goal['name']} | {said(goal)} | {'met' if goal['met'] else '**not met**'} |" for goal in goals]
    lines += ["", "## Figures", ""]
    for scenario in dict.fromkeys(each["scenario"] for each in results):
        rows = [each for each in results if each["scenario"] == scenario]
        lines += section(scenario, rows, plots)
    for name, svg in report.plots.items():
        (plots / f"{name}.svg").write_text(svg)
        lines += [f"![{name}](plots/{name}.svg)", ""]
    (folder / "RESULTS.md").write_text("\n".join(lines).rstrip() + "\n")


def section(scenario, rows, plots):
    shown = [column for column in COLUMNS if any(row[column[0]] is not None for row in rows)]
    lines = [f"### {scenario}", "", "| | " + " | ".join(title for _, title, _ in shown) + " | other |",
             "|---|" + "---:|" * len(shown) + "---|"]
    for row in rows:
        cells = ["–" if row[name] is None else f"{row[name]:,.{digits}f}" for name, _, digits in shown]
        lines.append(f"| {row['contender']} | " + " | ".join(cells) + f" | {others(row)} |")
    lines.append("")
    timed = [(row["contender"], row["cpu_us_per_request"]) for row in rows if row["cpu_us_per_request"] is not None]
    if len(timed) > 1:
        name = "".join(letter if letter.isalnum() else "-" for letter in scenario.lower()).strip("-")
        (plots / f"{name}.svg").write_text(plot.bars(f"{scenario}: CPU µs per request", timed))
        lines += [f"![{scenario}](plots/{name}.svg)", ""]
    return lines
