"""What a run must have shown, as a table, and as a plot."""

from measuring import plot

from .watch import growth

# Memory and descriptors are judged when one process has lived for so long, seconds.
JUDGED_SECONDS = 600
GROWTH_KILOBYTES, GROWTH_SHARE = 2048, 0.02
DESCRIPTORS, THREADS = 8, 2
# What a run must at least have done, as a part of what it should: a load that nobody made shows nothing.
ANSWERED_SHARE, WATCHED_SHARE = 0.5, 0.5
EVENTS = ("reload", "rotate", "revoke", "restart")
# 503 without a reason in the plan: the machine was too busy for the proxies' patience of a second.
UNAVAILABLE_SHARE, UNAVAILABLE_ALWAYS = 0.001, 5


def rows(found):
    """[(what, seen, bound in words, whether it holds)]; the last is None where it cannot be judged."""
    tallies = found["tallies"]
    # The process that lived to the end.
    steady = [one for one in found["series"] if one["pid"] == found["pid"]]
    lines = _load(found) + [(name.replace("_", " "), tallies[name], "at most 0", tallies[name] == 0)
                            for name in ("wrong", "unauthorised_allows", "unanswered", "without_line")]
    share = max(UNAVAILABLE_ALWAYS, UNAVAILABLE_SHARE * tallies["answers"])
    lines.append(("503 outside of every gap", tallies["unavailable"], f"at most {share:.0f}", tallies["unavailable"] <= share))
    judged = bool(steady) and steady[-1]["seconds"] - steady[0]["seconds"] >= JUDGED_SECONDS
    if len(steady) >= 8:
        lines += _memory(steady, judged) + _counts(steady, judged)
    lasting = longest(one["zombies"] > 0 for one in found["series"])
    lines.append(("seconds with a zombie child", lasting, "at most 3", lasting <= 3))
    before, after = outward(found["descriptors_before"]), outward(found["descriptors_after"] or {})
    lines.append(("descriptors when the proxies have gone", after, f"at most {before}",
                  found["descriptors_after"] is not None and after <= before))
    lines.append(("exit status on SIGTERM", found["exit_code"], "at most 0", found["exit_code"] == 0))
    return lines


def _load(found):
    """Whether the load was there at all."""
    due, watched = found["rate"] * found["seconds"], len(found["series"])
    least = ANSWERED_SHARE * due
    lines = [("answers", found["tallies"]["answers"], f"at least {least:.0f}", found["tallies"]["answers"] >= least),
             ("samples of the daemon, one a second", watched, f"at least {WATCHED_SHARE * found['seconds']:.0f}",
              watched >= WATCHED_SHARE * found["seconds"]),
             ("hostile clients", found["hostile"], "at least 1", found["hostile"] > 0)]
    return lines + [(f"events: {name}", found["events"].get(name, 0), "at least 1", found["events"].get(name, 0) > 0)
                    for name in EVENTS]


def outward(kinds):
    """All but epoll sets: threads of the fetching side make theirs when they are first needed, and keep them."""
    return sum(count for kind, count in kinds.items() if kind != "eventpoll")


def _memory(steady, judged):
    lines = []
    for name, what in (("private_kb", "private memory"), ("resident_kb", "resident memory")):
        before, after, slope = growth(steady, name)
        room = GROWTH_KILOBYTES + GROWTH_SHARE * before
        lines.append((f"{what}, MB: growth after the first quarter",
                      f"{(after - before) / 1024:+.2f} to {after / 1024:.1f}", f"at most {room / 1024:.2f}",
                      after - before <= room if judged else None))
        if name == "private_kb":
            lines.append((f"{what}, MB an hour", f"{slope / 1024:+.2f}", f"at most {room / 1024:.2f}",
                          slope <= room if judged else None))
    return lines


def _counts(steady, judged):
    lines = []
    for name, room in (("descriptors", DESCRIPTORS), ("threads", THREADS), ("epoll_sets", 0),
                       ("epoll_watched", DESCRIPTORS)):
        before, after, _ = growth(steady, name)
        lines.append((f"{name.replace('_', ' ')}: growth after the first quarter",
                      f"{after - before:+.0f} to {after:.0f}", f"at most {room}", after - before <= room if judged else None))
    return lines


def longest(flags):
    best = now = 0
    for flag in flags:
        now = now + 1 if flag else 0
        best = max(best, now)
    return best


def table(found):
    lines = rows(found)
    width = max(len(what) for what, *_ in lines)
    out = [f"{what:<{width}}  {str(seen):>18}  {bound:>14}  "
           f"{'not judged' if holds is None else 'holds' if holds else 'MISSED'}" for what, seen, bound, holds in lines]
    tallies, series = found["tallies"], found["series"]
    stored = [one["store_bytes"] for one in series if one["store_bytes"]]
    out += ["", f"{tallies['answers']:,} answers in {found['seconds']:,} s: {tallies['in_gap']:,} denied for want of an "
            f"answer while the daemon or HAProxy was exchanged, {tallies['cut_by_reload']} connections ended by a "
            f"reload, slowest {found['slowest_seconds']:.2f} s",
            f"the machine stood still {tallies['stalls']} times: {tallies['in_stall']} questions without an answer then, "
            f"{tallies['skipped']:,} not asked",
            "answers  " + ", ".join(f"{name}: {count:,}" for name, count in found["statuses"].items()),
            "reasons  " + ", ".join(f"{name} {count:,}" for name, count in found["reasons"].items()),
            "events   " + ", ".join(f"{name} {count:,}" for name, count in found["events"].items())
            + f", hostile clients {found['hostile']:,}; a reload takes {found['reload_seconds_median']:.2f} s (median)",
            "logs     " + ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in found["log_bytes"].items())]
    if stored:
        out.append(f"store    {stored[0] / 1e6:.2f} MB at first, {stored[-1] / 1e6:.2f} MB at the end, after "
                   f"{found['policies']:,} policies, a third of them of a text that never was before")
    if "folder" in found:
        out.append(f"kept     {found['folder']}")
    return "\n".join(out)


def failures(found):
    return [what for what, _, _, holds in rows(found) if holds is False] + found["failures"]


def drawing(found):
    """Private and resident memory and descriptors over time, as SVG."""
    def line(name, unit=1.0):
        return [(one["seconds"] / 60, one[name] / unit) for one in found["series"]]

    return plot.lines(f"{found['seconds'] / 60:.0f} minutes of mixed load, {found['rate']:.0f} questions a second",
                      {"private memory, MB": line("private_kb", 1024), "resident memory, MB": line("resident_kb", 1024),
                       "descriptors": line("descriptors")}, "minutes", "")
