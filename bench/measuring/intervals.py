"""Ratios of pairs that were measured beside each other, and their intervals."""

import math
import statistics

# Two-sided 95 % of Student's t, by degrees of freedom.
STUDENT = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201,
           12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086, 24: 2.064,
           29: 2.045, 39: 2.023, 59: 2.001}


def ratio(pairs):
    """(mean, low, high) of first / second: the geometric mean, with Student's t on logarithms."""
    logs = [math.log(one / other) for one, other in pairs]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(mean), 0.0, math.inf
    freedom = len(logs) - 1
    # The largest tabulated number of degrees that is not above ours: its factor is the wider one.
    factor = STUDENT[max(key for key in STUDENT if key <= freedom)]
    half = factor * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def median_interval(values):
    """(median, low, high): the 95 % interval of the median by binomial ranks, which needs no shape of the noise. Fewer than
    six values have none: even their least and their most leave out more than 5 %."""
    ordered = sorted(values)
    count = len(ordered)
    if count < 6:
        return statistics.median(ordered), -math.inf, math.inf
    below, rank = 0.0, 0
    while rank < count // 2 and below + math.comb(count, rank) / 2 ** count <= 0.025:
        below += math.comb(count, rank) / 2 ** count
        rank += 1
    low, high = ordered[max(0, rank - 1)], ordered[count - max(1, rank)]
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2, low, high


def median_ratio(pairs):
    """(median, low, high) of first / second: for what has outliers on one side only, such as a p99."""
    return median_interval([one / other for one, other in pairs])
