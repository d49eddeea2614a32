# SPDX-License-Identifier: BSD-2-Clause
"""Guests of tests/snapshot with traffic between them: what is typed to them, and what they have counted."""

import re

COUNTED = re.compile(r"^counted: (.*); wrong: (.*)$", re.MULTILINE)
REPORT = re.compile(r"\w+: (\d+) rounds, (\d+) bytes on the line, paused for (\d+) ticks")


def counts(machine, vm):
    """What a guest of tests/snapshot has counted; nothing of it may be wrong."""
    found = COUNTED.findall(machine.answer(vm, "c", "^counted: .*$"))
    good, wrong = ({name: int(value) for value, name in re.findall(r"(\d+) (\w+)", text)} for text in found[-1])
    assert not any(wrong.values()), found
    return good


def assert_traffic(machine, since=None, vm="asker"):
    """Answers and remarks come, from `since` on if that is given; the counts of `vm`, which asks."""
    seen = [counts(machine, vm)]
    if since is not None:
        assert seen[0]["sent"] >= since["sent"] and seen[0]["answered"] >= since["answered"], (since, seen)

    def come():
        seen.append(counts(machine, vm))
        return all(seen[-1][what] > seen[0][what] + 20 for what in ("answered", "remarks"))

    machine.wait_until("answers and remarks come", come, 60)
    return seen[-1]


def assert_few_are_lost(before, after):
    """Those that were on their way in a pause, or were sent before it goes on elsewhere."""
    lost = [count["sent"] - count["answered"] for count in (before, after)]
    print(f"{before} {after}: {lost[1] - lost[0]} lost")
    assert lost[1] - lost[0] < (after["sent"] - before["sent"]) // 2, (before, after)
