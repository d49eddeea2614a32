# SPDX-License-Identifier: BSD-2-Clause
"""The verbs of a VM's life, the shares of CPUs, and what a VM writes: with guests of tests/life, which come
up in no time."""

import os
import re
import subprocess

import pytest

from kit_machine import KitMachine, running
from postern_machine import FALLBACK, platform, table

# ROUNDS=1000 takes minutes.
ROUNDS = int(os.environ.get("ROUNDS", "30" if FALLBACK else "100"))
LINK_ROUNDS = ROUNDS // 10
COUNTED = re.compile(r"^window (\d+): counted (\d+)$", re.MULTILINE)
NIC = re.compile(r"^nic (\d+): port (\d+) end (\d+) mode (\d+) section (\d+) link (\d+)(?: peer's (\d+))?$",
                 re.MULTILINE)
PAIR = ("talker", "twin")
TALKED = re.compile(r"talker: (\d+) ms, (\d+) ticks")


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    # A CPU that logs, too, where it may; and one that nobody has.
    more = ["--cpus", "3", *(["--cpu-model", "corei7_skylake_x"] if platform() == "bochs" else [])]
    with running(KitMachine("life", tmp_path_factory.mktemp("life"), " apicv=off", more=more)) as machine:
        machine.wait_until("the talker is ready", lambda: "talker: ready" in machine.console("talker"))
        yield machine


def info(machine, *words):
    return {row["what"]: row["value"] for row in table(machine.hvctl("info", *words))}


def script(machine, *lines):
    """Verbs for one hvctl, of which some may fail."""
    subprocess.run(machine.hvctl_command(), input="".join(f"{line}\n" for line in lines), text=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600, check=False)


def talked(machine):
    """The talker's milliseconds and ticks."""
    return tuple(map(int, TALKED.findall(machine.answer("talker", "t", " ticks$"))[-1]))


def write(machine, page, pages, vm="talker"):
    """Has the guest write to that many pages of its own."""
    machine.answer(vm, f"w {page} {pages}", f"^wrote {pages} pages$")


def test_start_order(machine):
    """heavy has started after talker, late waits for other, too, which nobody has started."""
    states = {name: row["state"] for name, row in machine.vms().items()}
    assert states == {"talker": "running", "late": "off", "heavy": "running", "other": "absent",
                      "churn": "absent", "twin": "absent", "crasher": "absent", "doomed": "absent"}
    log = machine.hvctl("log")
    assert log.index("talker: starts") < log.index("heavy: starts")
    assert info(machine, "late")["after"] == "heavy,other"
    machine.hvctl("start", "other")
    machine.wait_for_state("late", "running")
    log = machine.hvctl("log")
    assert log.index("other: starts") < log.index("late: starts")
    for name in ("heavy", "late", "other"):
        machine.hvctl("shutdown", name)
        machine.wait_for_state(name, "off")


def test_time_is_shared_by_weights(machine):
    """Three that count as fast as they can, on one CPU: each gets its part of what they count together, while
    all of them do."""
    weights = {"late": 100, "heavy": 300, "other": 200}
    done = {name: machine.console(name).count("counter: done") for name in weights}
    script(machine, *(f"start {name}" for name in weights))
    machine.wait_until("all have counted", lambda: all(
        machine.console(name).count("counter: done") > done[name] for name in weights))
    counts = {name: {int(window): int(count) for window, count in COUNTED.findall(machine.console(name))[-6:]}
              for name in weights}
    common = set.intersection(*(set(windows) for windows in counts.values()))
    assert common, counts
    for window in common:
        total = sum(windows[window] for windows in counts.values())
        for name, weight in weights.items():
            part = counts[name][window] / total
            print(f"window {window}, {name}: {part:.3f} of all, {weight / 600:.3f} wanted")
            assert abs(part - weight / 600) < 0.03
    for name in weights:
        machine.hvctl("destroy", "--yes", name)
        machine.wait_for_state(name, "absent")


def test_pause_and_resume(machine):
    ms, ticks = talked(machine)
    machine.hvctl("pause", "talker")
    machine.wait_for_state("talker", "paused")
    assert "talker is paused" in machine.hvctl("pause", "talker", code=1)
    exits = machine.vms()["talker"]["exits"]
    assert machine.hvctl("console", "--no-scrollback", "--quiet", "1", "talker", stdin="t\n") == ""
    ran = info(machine, "talker")["vcpu0.ran_ms"]
    assert machine.vms()["talker"]["exits"] == exits
    assert info(machine, "talker")["vcpu0.ran_ms"] == ran
    machine.hvctl("resume", "talker")
    assert "talker is running" in machine.hvctl("resume", "talker", code=1)
    # What was typed has waited; time has gone on, and its timer goes on.
    machine.wait_until("the talker answers",
                       lambda: len(TALKED.findall(machine.console("talker"))) >= 2)
    later = talked(machine)
    assert later[0] > ms and later[1] > ticks
    assert machine.vms()["talker"]["starts"] == "1"


def pcpu(machine, vm):
    [row] = table(machine.hvctl("vcpu", "list", vm))
    return row["pcpu"]


def pin(machine, vm, cpu):
    machine.hvctl("vcpu", "pin", vm, "0", str(cpu))
    assert pcpu(machine, vm) == str(cpu)


def test_vcpus_that_do_not_move(machine):
    """Nobody comes to a CPU of one that is exclusive, and that goes nowhere where others are."""
    for vm, cpu, why in (("heavy", "0", "talker has CPU 0, and talker is exclusive"),
                         ("talker", "1", "has CPU 1, and talker is exclusive"),
                         ("talker", "3", 'there is no CPU "3": there are 3, counted from 0')):
        assert why in machine.hvctl("vcpu", "pin", vm, "0", cpu, code=1)
    assert 'talker has no vCPU "1"' in machine.hvctl("vcpu", "pin", "talker", "1", "2", code=1)
    assert pcpu(machine, "talker") == "0" and pcpu(machine, "heavy") == "1"


def test_vcpu_moves_while_it_waits(machine):
    """In HLT, but for its ticks: these go on, each writes what it has to, and the clock is the same."""
    machine.answer("talker", "b 3200 64", "^busy with 64 pages$")
    ms, ticks = talked(machine)
    for cpu in (2, 0, 2):
        pin(machine, "talker", cpu)
        later = talked(machine)
        assert later[0] > ms and later[1] > ticks
        ms, ticks = later
    script(machine, *["vcpu pin talker 0 0", "vcpu pin talker 0 2"] * ROUNDS)
    assert pcpu(machine, "talker") == "2"
    later = talked(machine)
    assert later[0] > ms and later[1] > ticks
    assert "wrong pages: 0 of 64\n" in machine.answer("talker", "v", "^wrong pages: .*$")
    # One that is paused; it goes on where it has come to.
    machine.hvctl("pause", "talker")
    machine.wait_for_state("talker", "paused")
    before = machine.hvctl("vcpu", "regs", "talker")
    pin(machine, "talker", 0)
    assert machine.hvctl("vcpu", "regs", "talker") == before
    assert [row["state"] for row in table(machine.hvctl("vcpu", "list", "talker"))] == ["paused"]
    machine.hvctl("resume", "talker")
    ms, ticks = later
    later = talked(machine)
    assert later[0] > ms and later[1] > ticks
    assert "wrong pages: 0 of 64\n" in machine.answer("talker", "v", "^wrong pages: .*$")
    machine.answer("talker", "b 0 0", "^busy with 0 pages$")


def test_vcpu_moves_while_it_works(machine):
    """It counts wherever it is, alone and beside another one; a reset finds it there."""
    done = {name: machine.console(name).count("counter: done") for name in ("heavy", "late")}
    script(machine, "start late", "start heavy", *["vcpu pin heavy 0 2", "vcpu pin heavy 0 1", "vcpu pin late 0 2"] * 10,
           "vcpu pin late 0 1")
    assert (pcpu(machine, "heavy"), pcpu(machine, "late")) == ("1", "1")
    pin(machine, "heavy", 2)
    for name, before in done.items():
        machine.wait_until(f"{name} has counted",
                           lambda name=name, before=before: machine.console(name).count("counter: done") > before)
        counts = [int(count) for _, count in COUNTED.findall(machine.console(name))[-6:]]
        assert len(counts) == 6 and all(counts), counts
    ran = int(info(machine, "heavy")["vcpu0.ran_ms"])
    machine.hvctl("reset", "--yes", "heavy")
    machine.wait_until("it counts there again", lambda: int(info(machine, "heavy")["vcpu0.ran_ms"]) > ran)
    assert pcpu(machine, "heavy") == "2"
    # While it ends, or starts anew; and one that is absent.
    script(machine, *["reset heavy --yes", "vcpu pin heavy 0 1", "reset heavy --yes", "vcpu pin heavy 0 2"] * 5,
           "vcpu pin heavy 0 1")
    absent(machine, "heavy", "late")
    pin(machine, "heavy", 2)
    pin(machine, "heavy", 1)
    assert "panic" not in machine.hvctl("log")


def test_reset_is_a_new_start(machine):
    assert "--yes" in machine.hvctl("reset", "talker", code=2, stdin="")
    assert "reset talker --yes" in machine.hvctl("exec", "reset", "talker", code=1)
    machine.hvctl("pause", "talker")
    machine.hvctl("reset", "--yes", "talker")
    machine.wait_until("the talker is there again",
                       lambda: machine.console("talker").count("talker: ready") == 2)
    assert machine.vms()["talker"]["starts"] == "2"
    assert "churn is absent" in machine.hvctl("reset", "--yes", "churn", code=1)


def test_destructive_verbs_want_consent(machine):
    assert "--yes" in machine.hvctl("destroy", "talker", code=2, stdin="")
    for words in (["talker"], ["talker--yes"], ["--yes"], ["--yes", "talker"], ["talker", "--yes", "x"]):
        machine.hvctl("exec", "destroy", *words, code=1)
    assert "nobody" in machine.hvctl("destroy", "--yes", "nobody", code=1)
    assert "no VM is named" in machine.hvctl("exec", "destroy", "nobody", "--yes", code=1)
    assert machine.vms()["talker"]["state"] == "running"


def test_states_that_do_not_fit(machine):
    for verb in ("pause", "resume", "shutdown"):
        assert "churn is absent" in machine.hvctl(verb, "churn", code=1)
    assert "talker is running" in machine.hvctl("create", "talker", code=1)
    machine.hvctl("create", "churn")
    assert machine.vms()["churn"]["state"] == "off"
    assert "churn is off" in machine.hvctl("create", "churn", code=1)
    assert "churn is off" in machine.hvctl("pause", "churn", code=1)
    machine.hvctl("destroy", "churn", "--yes")
    assert machine.vms()["churn"]["state"] == "absent"
    assert "churn is absent" in machine.hvctl("destroy", "churn", "--yes", code=1)


def test_memory_is_in_large_pages(machine):
    facts = info(machine, "talker")
    assert (facts["memory.ram_kib"], facts["memory.pages_2m"]) == ("16384", "8")
    assert (facts["memory.pages_1g"], facts["memory.pages_4k"]) == ("0", "0")
    assert int(facts["memory.all_kib"]) > 16384
    assert info(machine, "churn")["memory.all_kib"] == "0"


def test_crash_loop_ends(machine):
    machine.hvctl("start", "crasher")
    machine.wait_until("it is left alone",
                       lambda: "crasher: stays off: it has crashed more than 3 times" in machine.hvctl("log"))
    machine.wait_for_state("crasher", "crashed")
    assert machine.vms()["crasher"]["starts"] == "4"
    machine.hvctl("destroy", "crasher", "--yes")
    free = info(machine)["memory.free_kib"]
    machine.hvctl("start", "doomed")
    machine.wait_for_state("doomed", "absent")
    assert info(machine)["memory.free_kib"] == free


def memory(machine):
    return {what: value for what, value in info(machine).items() if what.startswith("memory.")}


def test_memory_is_returned(machine):
    """Again and again a VM is made, started and destroyed, whatever it does then."""
    before = memory(machine)
    machine.hvctl("create", "churn")
    assert memory(machine)["memory.free_kib"] != before["memory.free_kib"]
    machine.hvctl("destroy", "churn", "--yes")
    assert memory(machine) == before
    # A start that comes before the last destruction is complete is refused.
    script(machine, *["start churn", "destroy churn --yes"] * ROUNDS)
    machine.wait_for_state("churn", "absent")
    starts = int(machine.vms()["churn"]["starts"])
    print(f"{starts} of {ROUNDS} starts were in time")
    assert starts > ROUNDS // 2
    assert memory(machine) == before


def cells(text):
    """The picture of `dirty --map`, as one string, and the KiB of each cell."""
    size = int(re.search(r"a cell is (\d+) KiB", text).group(1))
    return "".join(re.findall(r"^[0-9a-f]{8} ([.+#]+)$", text, re.MULTILINE)), size


def high(machine):
    """The harvest's cells above 12 MiB, where the guest writes only what it is told to."""
    picture, size = cells(machine.hvctl("dirty", "talker", "--map"))
    assert len(picture) * size == 16 << 10
    return picture[(12 << 10) // size:], size


def test_dirty_pages(machine):
    assert "dirty talker start" in machine.hvctl("dirty", "talker", code=1)
    machine.hvctl("dirty", "talker", "start")
    assert "tracked already" in machine.hvctl("dirty", "talker", "start", code=1)
    facts = info(machine, "talker")
    assert (facts["memory.pages_2m"], facts["memory.pages_4k"]) == ("0", "4096")
    machine.hvctl("dirty", "talker")
    # A page more is no page less: a hundred from 13 MiB on, and every time anew.
    for _ in range(3):
        write(machine, 3328, 100)
        picture, size = high(machine)
        assert picture == "." * (1024 // size) + "#" * (400 // size) + "." * ((3072 - 400) // size)
        assert "#" not in high(machine)[0]
    [row] = table(machine.hvctl("dirty", "talker"))
    assert row["by"] in (("violations",) if FALLBACK else ("logs", "flags"))
    assert int(row["pages"]) < 64 and int(row["kib"]) == 4 * int(row["pages"]) and row["of"] == "4096"
    write(machine, 3200, 700)
    [row] = table(machine.hvctl("dirty", "talker"))
    assert 700 <= int(row["pages"]) < 764
    # The loader writes, too.
    ready = machine.console("talker").count("talker: ready")
    machine.hvctl("reset", "--yes", "talker")
    machine.wait_until("the talker is there again",
                       lambda: machine.console("talker").count("talker: ready") == ready + 1)
    assert table(machine.hvctl("dirty", "talker"))[0]["pages"] == "4096"
    machine.hvctl("dirty", "talker", "stop")
    assert "not tracked" in machine.hvctl("dirty", "talker", "stop", code=1)
    facts = info(machine, "talker")
    assert (facts["memory.pages_2m"], facts["memory.pages_4k"]) == ("8", "0")
    write(machine, 3328, 9)


def test_tracked_vm_is_destroyed(machine):
    """The maps and tables of the tracking go with it."""
    machine.hvctl("destroy", "talker", "--yes")
    machine.wait_for_state("talker", "absent")
    before = memory(machine)
    assert "talker is absent" in machine.hvctl("dirty", "talker", "start", code=1)
    machine.hvctl("start", "talker")
    machine.hvctl("dirty", "talker", "start")
    machine.hvctl("dirty", "talker")
    machine.hvctl("destroy", "talker", "--yes")
    machine.wait_for_state("talker", "absent")
    assert memory(machine) == before
    assert "panic" not in machine.hvctl("log")


def absent(machine, *names):
    for name in names:
        if machine.vms()[name]["state"] != "absent":
            machine.hvctl("destroy", name, "--yes")
            machine.wait_for_state(name, "absent")


def off(machine, *names):
    for name in names:
        machine.hvctl("shutdown", name)
        machine.wait_for_state(name, "off")


def ready(machine, *names):
    """Starts them."""
    for name in names:
        before = machine.console(name).count("talker: ready")
        machine.hvctl("start", name)
        machine.wait_until(f"{name} is ready",
                           lambda name=name, before=before: machine.console(name).count("talker: ready") > before)


def nics(machine, vm, number):
    """What the guest has on its bus: device number, port, end, mode, section, LINK, and its peer's number."""
    text = machine.answer(vm, f"n {number}", "^nics: .*$")
    found = [tuple(int(field) if field else None for field in match) for match in NIC.findall(text)]
    assert f"nics: {len(found)}\n" in text
    return found


def test_links_that_cannot_come(machine):
    absent(machine, *PAIR)
    before = memory(machine)
    for words, why in ((("x", "talker", "nobody"), "no VM is named"), (("x", "talker", "talker"), "two different VMs"),
                       (("-x", "talker", "twin"), "is no name"), (("x", *PAIR, "window", "3M"), "a power of two"),
                       (("x", *PAIR, "pool", "1M"), "for mode direct"), (("x", *PAIR, "queues", "9"), "from 1 to 8"),
                       (("x", *PAIR, "ends", "a"), "given twice"), (("x", *PAIR, "speed", "9"), "nothing that a link")):
        assert why in machine.hvctl("link", "add", *words, code=1)
    assert "usage: link add" in machine.hvctl("exec", "link", "add", "x", "talker", code=1)
    assert "lacks its value" in machine.hvctl("exec", "link", "add", "x", *PAIR, "mode", code=1)
    assert "there are none" in machine.hvctl("link", "del", "x", "--yes", code=1)
    assert "add, del or mode" in machine.hvctl("exec", "link", "dance", code=1)
    # As many as there can be.
    modes = ("open", "direct")
    script(machine, *(f"link add l{i} churn {PAIR[i % 2]} window 64K mode {modes[i % 2]}" for i in range(16)))
    assert "there are 16 links" in machine.hvctl("link", "add", "x", *PAIR, code=1)
    assert 'there is a link "l3" already' in machine.hvctl("link", "add", "l3", *PAIR, code=1)
    assert "link del l3 --yes" in machine.hvctl("exec", "link", "del", "l3", code=1)
    assert [row["name"] for row in table(machine.hvctl("links"))] == [f"l{i}" for i in range(16)]
    machine.hvctl("start", "churn")
    why = "churn is running: links come and go while their VMs are off or absent"
    assert why in machine.hvctl("link", "del", "l3", "--yes", code=1)
    absent(machine, "churn")
    script(machine, *(f"link del l{i} --yes" for i in range(16)))
    assert table(machine.hvctl("links")) == []
    assert memory(machine) == before
    # The memory is full before they are so many: those that find it so leave nothing.
    script(machine, *(f"link add l{i} talker twin window 64M" for i in range(8)))
    left, count = memory(machine), len(table(machine.hvctl("links")))
    assert count < 8 and int(before["memory.free_kib"]) - int(left["memory.free_kib"]) >= count * 128 << 10
    assert "link x: no memory for it" in machine.hvctl("link", "add", "x", *PAIR, "window", "64M", code=1)
    assert memory(machine) == left
    script(machine, *(f"link del l{i} --yes" for i in range(count)))
    assert memory(machine) == before


def test_links_come_and_go(machine):
    """Between VMs that are absent or off; what they have is there at their next start, and gone at a later one."""
    absent(machine, *PAIR)
    nothing = memory(machine)
    for name in PAIR:
        machine.hvctl("create", name)
    before = memory(machine)
    machine.hvctl("link", "add", "one", *PAIR, "window", "64K")
    rows = table(machine.hvctl("link", "add", "two", *reversed(PAIR), "window", "128K", "mode", "gated"))
    assert rows == [{"link": "two", "vm": name, "mode": "gated", "state": "off"} for name in reversed(PAIR)]
    machine.hvctl("link", "add", "three", *PAIR, "window", "256K", "mode", "direct", "pool", "64K")
    assert [row["window_kib"] for row in table(machine.hvctl("links"))] == ["64", "128", "256"]
    ready(machine, *PAIR)
    talkers = [(1, 0, 0, 0, 65536, 1, 0), (2, 1, 1, 1, 131072, 1, None), (3, 2, 0, 2, 262144, 1, None)]
    assert nics(machine, "talker", 1234) == talkers
    assert [nic[2:] for nic in nics(machine, "twin", 77)] == [(1, 0, 65536, 1, 1234), (0, 1, 131072, 1, None),
                                                              (1, 2, 262144, 1, None)]
    assert nics(machine, "talker", 5)[0][6] == 77
    # A table of its RAM comes out of what came with the links: it has to move before they go.
    machine.answer("talker", "g 3328", "^gate: 0$")
    assert "talker is running" in machine.hvctl("link", "add", "four", *PAIR, code=1)
    off(machine, "talker")
    assert "twin is running" in machine.hvctl("link", "del", "one", "--yes", code=1)
    off(machine, "twin")
    machine.hvctl("link", "del", "--yes", "one")
    ready(machine, *PAIR)
    # The others keep their places on the bus.
    assert [nic[:2] for nic in nics(machine, "talker", 5)] == [(2, 0), (3, 1)]
    machine.hvctl("link", "mode", "two", "open")
    off(machine, *PAIR)
    machine.hvctl("link", "add", "again", *PAIR, "window", "64K")
    ready(machine, *PAIR)
    assert [nic[:2] + nic[3:4] for nic in nics(machine, "talker", 8)] == [(1, 2, 0), (2, 0, 0), (3, 1, 2)]
    assert [nic[6] for nic in nics(machine, "twin", 9)] == [8, 8, None]
    off(machine, *PAIR)
    script(machine, "link del two --yes", "link del three --yes", "link del again --yes")
    assert memory(machine) == before
    ready(machine, *PAIR)
    assert nics(machine, "talker", 1) == nics(machine, "twin", 1) == []
    write(machine, 3324, 9)
    off(machine, *PAIR)
    script(machine, *["link add l talker twin mode direct window 64K", "link del l --yes"] * LINK_ROUNDS)
    assert memory(machine) == before
    absent(machine, *PAIR)
    assert memory(machine) == nothing
    script(machine, *["link add l talker twin window 64K", "link del l --yes"] * LINK_ROUNDS)
    assert memory(machine) == nothing
    assert machine.hvctl("log").count("link l: is deleted") > 0
    assert "panic" not in machine.hvctl("log")


def test_vm_that_restarts_is_not_off(machine):
    """Nobody gets at it between its end and its start: a link is refused, or was in time."""
    absent(machine, *PAIR)
    ready(machine, "talker")
    starts = int(machine.vms()["talker"]["starts"])
    script(machine, *["reset talker --yes", "link add l talker twin window 64K"] * 10)
    machine.wait_for_state("talker", "running")
    assert table(machine.hvctl("links")) == []
    assert int(machine.vms()["talker"]["starts"]) > starts
    absent(machine, "talker")
