# SPDX-License-Identifier: BSD-2-Clause
"""Data between the two guests of a link, and what their drivers say of it."""

import re

from postern_machine import table

CROSSING_EXITS = ("vmcall", "vmfunc", "ept_violation")


def statistics(guest, interface="eth0"):
    """What ethtool would show of the driver, without the zeros."""
    text = guest.run(f"nic {interface} stats")
    return {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)\s*$", text, re.MULTILINE)}


def crossing_exits(machine):
    """Exits so far of both guests that packets through the gate could cause; not of crossings that
    were interrupted, by clocks mostly, and went on."""
    total = 0
    for name in ("alpha", "beta"):
        text = machine.hvctl("stats", name)
        total += sum(int(row["count"]) for row in table(text) if row["exit"] in CROSSING_EXITS)
        rows = text.split("crossings_resumed", 1)[1].split("tsc ", 1)[0].splitlines()[1:]
        total -= sum(int(row.split("\t")[3]) for row in rows if row)
    return total


def assert_data_arrives(machine, megabytes):
    """Random data goes both ways at the same time, and what arrives is what was sent."""
    guests = {"alpha": ("10.0.0.2", "beta", 1), "beta": ("10.0.0.1", "alpha", 2)}
    for name, (_, _, seed) in guests.items():
        # nc's own loop copies 1 KiB at a time: the programs get the socket itself.
        machine.guest(name).run(
            "mkdir -p /tmp; : > /tmp/in.sum; echo 'stream > /tmp/in.sum' > /tmp/receive;"
            f" echo 'stream {megabytes << 20} {seed} 2> /tmp/out.sum' > /tmp/send")
        machine.guest(name).run("nc -l -p 5000 -e sh /tmp/receive &")
    for name, (peer, _, _) in guests.items():
        machine.guest(name).run(f"nc {peer} 5000 -e sh /tmp/send &")
    for name in guests:
        machine.wait_until(
            f"{name} has received all",
            lambda guest=machine.guest(name): guest.run("cat /tmp/in.sum").strip(), 600)
    sums = set()
    for name, (_, peer, _) in guests.items():
        sent = machine.guest(name).run("cat /tmp/out.sum").split()
        received = machine.guest(peer).run("cat /tmp/in.sum").split()
        assert sent == received, f"from {name} to {peer}"
        assert int(sent[1]) == megabytes << 20
        sums.add(sent[0])
    assert len(sums) == 2, "each guest sends its own data"
