# SPDX-License-Identifier: BSD-2-Clause
"""The soak of whole machines: two guests exchange packets all the time, and the first of them with a third one,
too, which does everything wrong and whose VM ends again and again. What the other two lose is nothing, what
goes to and from the third is accounted for, and its link is back each time that it is."""

import os
import re

import pytest

from kit_machine import KitMachine, running
from postern_machine import table

PACKETS = 100000
CHANNELS = ("victim to friend", "friend to victim", "victim to rogue", "rogue to victim")
GUESTS = ("victim", "friend", "rogue")
KIND = re.compile(r"^rogue: (.+): (\d+) times, and back (\d+) times$", re.MULTILINE)
SENT = re.compile(r"^account (.+): sent (\d+)$", re.MULTILINE)
TAKEN = re.compile(r"^account (.+): taken (\d+), lost (\d+)$", re.MULTILINE)
POOLS = re.compile(r"^victim: port \d, (\d+) packets came in pages, (\d+) lent$", re.MULTILINE)
TROUBLES = re.compile(r"^victim: (\d+) crossings failed, (\d+) packets came as only a liar sends them; faults"
                      r"((?: \d+)+)$", re.MULTILINE)


def packets(machine, guest):
    """So many has it received of the other honest one, at least."""
    return max(map(int, re.findall(rf"^{guest}: (\d+) packets$", machine.console(guest), re.MULTILINE)),
               default=0)


def kill(machine):
    """Pulls the rogue's plug, and starts it again. The others go on without it. What it has to remember
    is in its RAM: it is not destroyed."""
    machine.hvctl("shutdown", "rogue")
    machine.wait_for_state("rogue", "off")
    before = packets(machine, "friend")
    machine.wait_until("the others go on", lambda: packets(machine, "friend") > before)
    machine.hvctl("start", "rogue")


def accounts(machine):
    """Of each channel what was sent, taken and lost, as its ends have said last."""
    text = "".join(machine.console(guest) for guest in GUESTS)
    sent = {name: int(count) for name, count in SENT.findall(text)}
    taken = {name: (int(count), int(lost)) for name, count, lost in TAKEN.findall(text)}
    return {name: (sent.get(name, -1), *taken.get(name, (0, 0))) for name in CHANNELS}


def is_settled(machine):
    return all(sent == taken + lost for sent, taken, lost in accounts(machine).values())


def let_it_happen(machine):
    """Until the rogue has done all, and nothing is on its way any more; how often it was killed."""
    kills = 0

    def has_ended():
        nonlocal kills
        text = machine.console("rogue")
        if text.count("rogue: is to be killed\n") > kills:
            kill(machine)
            kills += 1
        assert "wrong" not in text
        return "rogue: has done all\n" in text

    machine.wait_until("the rogue has done all", has_ended, 600)
    machine.wait_until("the accounts are settled", lambda: is_settled(machine), 120)
    return kills


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    with running(KitMachine("neighbours", tmp_path_factory.mktemp("neighbours"))) as machine:
        try:
            machine.kills = let_it_happen(machine)
            yield machine
        finally:
            for guest in GUESTS:
                with open(os.path.join(machine.directory, f"{guest}.txt"), "w", encoding="utf-8") as file:
                    file.write(machine.console(guest))


def test_packets_of_the_honest_ones_all_arrive(machine):
    ways = [accounts(machine)[channel] for channel in CHANNELS[:2]]
    for channel, (sent, taken, lost) in zip(CHANNELS, ways):
        print(f"{channel}: {sent} sent, {taken} received in order and once, {lost} lost")
        assert lost == 0 and sent == taken
    assert sum(taken for _, taken, _ in ways) >= PACKETS


def test_packets_of_the_rogues_link_are_accounted_for(machine):
    """Each was received in order and once, or lost with an opening of the link."""
    ways = [accounts(machine)[channel] for channel in CHANNELS[2:]]
    for channel, (sent, taken, lost) in zip(CHANNELS[2:], ways):
        print(f"{channel}: {sent} sent, {taken} received in order and once, {lost} lost")
        assert sent == taken + lost and lost > 0
    assert sum(taken for _, taken, _ in ways) >= PACKETS


def test_nothing_wrong_was_received(machine):
    for guest in GUESTS:
        assert "wrong" not in machine.console(guest)


def test_rogue_is_back_after_each_kind(machine):
    kinds = KIND.findall(machine.console("rogue"))
    for kind, begun, back in kinds:
        print(f"the rogue {kind}: {begun} times, and is back {back} times")
    assert len(kinds) == 35
    assert all(begun == back != "0" for _, begun, back in kinds)
    assert machine.kills == int(kinds[0][1])


def test_victim_notices_all_that_can_be_wrong(machine):
    errors, from_liars, faults = TROUBLES.findall(machine.console("victim"))[-1]
    print(f"{errors} crossings failed, {from_liars} packets of a liar, faults {faults}")
    assert int(errors) > 0 and int(from_liars) > 0
    assert all(int(count) > 0 for count in faults.split())


def test_who_spins_gives_way(machine):
    """The rogue waits by PAUSE at times, on the CPU that the friend has work for."""
    rows = {row["exit"]: int(row["count"]) for row in table(machine.hvctl("stats", "rogue"))}
    assert rows.get("pause", 0) > 0, rows


def test_packets_go_by_pools(machine):
    counts = POOLS.findall(machine.console("victim"))
    print(counts)
    assert len(counts) == 2
    assert all(int(count) > 100 for row in counts for count in row)


def test_only_the_rogue_was_started_again(machine):
    vms = machine.vms()
    for guest in ("victim", "friend"):
        assert (vms[guest]["state"], vms[guest]["starts"]) == ("running", "1")
    assert int(vms["rogue"]["starts"]) > machine.kills
    assert "panic" not in machine.hvctl("log")
