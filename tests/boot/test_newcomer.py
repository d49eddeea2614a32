# SPDX-License-Identifier: BSD-2-Clause
"""What a newcomer does with hvctl, in a terminal: a chain of three VMs is brought up, watched, traced, given
another mode of a link while traffic runs, looked into, paused and taken down. One boot for all tests of this
file, of the configuration that the manual names."""

import json
import os
import re
import subprocess
import time

import pexpect
import pytest

from conftest import boot
from postern_machine import BUILD, PATIENCE, table
from traffic import modes

ACPI = 0xe0000  # where a guest finds its tables
ADDRESSES = {"left": "10.0.1.1", "right": "10.0.2.1"}


@pytest.fixture(scope="module", name="chain")
def fixture_chain(can_run):
    assert can_run is None
    yield from boot("chain", "chain", ["left", "middle", "right"])


def terminal(machine, *words, columns=110):
    command = machine.hvctl_command(*words)
    return pexpect.spawn(command[0], command[1:], encoding="utf-8", codec_errors="replace", timeout=PATIENCE * 120,
                         dimensions=(30, columns), env={**os.environ, "TERM": "xterm"})


def end(child, code=0):
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code, child.before


def regions(machine, vm):
    return table(machine.hvctl("views", vm).split("\n\n")[1])


def test_prompt(chain):
    """`list` and a shell in a guest, from the prompt."""
    child = terminal(chain)
    child.expect("hvctl> ")
    child.sendline("list")
    for name in ("left", "middle", "right"):
        child.expect(f"{name} +running")
    child.sendline("help link")
    child.expect("usage: hvctl .* link mode LINK open|gated")
    child.sendline("quit")
    end(child)


def test_ends_reach_each_other(chain):
    """By way of the one in the middle, which takes one from the TTL."""
    output = chain.guest("left").run(f"ping -c 3 -i 0.2 {ADDRESSES['right']}")
    assert "3 packets received" in output and "ttl=63" in output


def test_views(chain):
    """Each region has its giver; what is a peer's can only be read, and what is behind a gate is in no default
    view."""
    rows = regions(chain, "middle")
    default = [row for row in rows if row["view"] == "0"]
    protected = [row for row in rows if row["view"] != "0"]
    memory = [row for row in default if row["what"] == "memory"]
    assert sum(int(row["kib"]) for row in memory) + \
        sum(int(row["kib"]) for row in default if row["what"] == "gate" and int(row["start"], 16) < 128 << 20) == 128 << 10
    assert {row["rights"] for row in memory} == {"rwx"} and {row["given_by"] for row in memory} == {"middle"}
    windows = {(row["channel"], row["given_by"]): row["rights"] for row in default if row["what"] == "window"}
    assert windows == {("net0", "middle"): "rw-", ("net0", "left"): "r--"}
    windows = {(row["channel"], row["given_by"]): row["rights"] for row in protected if row["what"] == "window"}
    assert windows == {("net1", "middle"): "rw-", ("net1", "right"): "r--"}
    assert {row["what"] for row in protected if "x" in row["rights"]} == {"gate"}
    assert not [row for row in rows if row["what"] == "other"], rows
    (view,) = [row for row in table(chain.hvctl("views", "middle")) if row["channel"] == "net1"]
    assert view["vcpus"] == "0"


def test_top_shows_the_traffic(chain):
    chain.guest("left").run(f"ping -i 0.2 {ADDRESSES['right']} > /tmp/pings 2>&1 &")
    child = terminal(chain, "top", "--interval", "1")
    child.expect("Postern: up")
    child.expect("left")
    child.expect("net0")
    child.expect("net1")
    child.send("q")
    end(child)
    rates = {(row["link"], row["vm"]): row for row in table(chain.hvctl("links", "--rates", "3"))}
    assert all(int(row["doorbells/s"]) > 0 for row in rates.values()), rates
    assert (rates["net0", "left"]["mode"], rates["net1", "right"]["mode"]) == ("open", "gated")


def test_trace_opens_in_perfetto(chain, tmp_path):
    """While it pings: exits of all three, in the format of ui.perfetto.dev. Of two seconds of the host's, in which an
    emulator may not come far: then again."""
    trace = str(tmp_path / "trace")

    def all_is_in_it():
        chain.hvctl("trace", "start")
        time.sleep(2)
        chain.hvctl("trace", "stop")
        chain.hvctl("trace", "save", trace)
        text = subprocess.run([os.path.join(BUILD, "hvctl"), "decode", "--chrome", trace], check=True,
                              capture_output=True, text=True).stdout
        events = json.loads(text)["traceEvents"]
        names = {event["args"]["name"]: event["pid"] for event in events if event["name"] == "process_name"}
        exits = {event["pid"] for event in events if event.get("cat") == "exit"}
        return all(names.get(name) in exits for name in ("left", "middle", "right")) and \
            any(event["name"] == "doorbell" for event in events)

    chain.wait_until("the trace has all", all_is_in_it, 30)


@pytest.mark.parametrize("link, mode", [("net0", "gated"), ("net1", "open"), ("net0", "open"), ("net1", "gated")])
def test_mode_changes_under_traffic(chain, link, mode):
    """Each end takes it up, the link comes back, and the packets go on."""
    ends = {"net0": ("left", "middle"), "net1": ("middle", "right")}[link]
    others = {"net0": ("left",), "net1": ("right",)}[link]

    def received():
        return chain.guest("left").run("grep -c 'bytes from' /tmp/pings")

    before = int(received())
    child = terminal(chain, "link", "mode", link, mode)
    end(child)
    chain.wait_until(f"{link} is {mode}", lambda: modes(chain, link) == dict.fromkeys(ends, mode), 60)
    chain.wait_until("packets go on", lambda: int(received()) > before + 10, 120)
    for name in others:
        assert f"the link's mode is now {mode}" in chain.guest(name).run("dmesg | tail -20")
        window = [row for row in regions(chain, name) if row["what"] == "window"]
        assert window and all((row["view"] == "0") == (mode == "open") for row in window), window
    log = chain.guest("middle").run("dmesg")
    assert not re.search(r"(?i)BUG:|WARNING:|general protection|broken|cannot be opened", log), log


def test_mode_that_a_link_cannot_have(chain):
    assert "comes with mode direct" in chain.hvctl("link", "mode", "net0", "direct", code=1)
    assert "net0" in chain.hvctl("link", "mode", "net7", "open", code=1)
    assert {row["mode"] for row in table(chain.hvctl("links"))} == {"open", "gated"}


def test_vcpus_and_memory(chain, tmp_path):
    """Of a guest that stands still: twice the same registers; and what the kernel has written."""
    rows = {row["vm"]: row for row in table(chain.hvctl("vcpu", "list"))}
    assert (rows["left"]["pcpu"], rows["middle"]["pcpu"], rows["right"]["pcpu"]) == ("0", "1", "0")
    chain.hvctl("pause", "right")
    chain.wait_for_state("right", "paused")
    registers = {row["register"]: row["value"] for row in table(chain.hvctl("vcpu", "regs", "right"))}
    assert int(registers["cr0"], 16) & 0x80000001 == 0x80000001 and int(registers["efer"], 16) & 0x500 == 0x500
    assert {row["register"]: row["value"] for row in table(chain.hvctl("vcpu", "regs", "right", "0"))} == registers
    assert "has no vCPU" in chain.hvctl("vcpu", "regs", "right", "1", code=1)
    running = {row["register"]: row["value"] for row in table(chain.hvctl("vcpu", "regs", "middle"))}
    assert int(running["cr3"], 16) != 0
    path = tmp_path / "memory"
    chain.hvctl("mem", "read", "right", hex(ACPI), "4K", str(path))
    assert path.stat().st_size == 4096 and path.read_bytes().startswith(b"RSD PTR ")
    assert chain.hvctl("mem", "dump", "right", hex(ACPI), "64").startswith("000e0000: 5253 4420 5054 5220")
    assert "from 0 to 0x8000000" in chain.hvctl("mem", "dump", "right", "128M", "1", code=1)
    # On another CPU it is still the same, and goes on there.
    chain.hvctl("vcpu", "pin", "right", "0", "1")
    assert {row["register"]: row["value"] for row in table(chain.hvctl("vcpu", "regs", "right"))} == registers
    [row] = table(chain.hvctl("vcpu", "list", "right"))
    assert (row["pcpu"], row["state"]) == ("1", "paused")


def test_pause_stops_the_traffic(chain):
    """The one that was paused above; its peer's link stays up, and the packets come when it goes on."""
    def received():
        return int(chain.guest("left").run("grep -c 'bytes from' /tmp/pings"))

    before = received()
    time.sleep(1)
    assert received() == before
    chain.hvctl("resume", "right")
    chain.wait_until("packets go on", lambda: received() > before, 60)


def test_destroyed_and_moved(chain):
    """One is taken away, and its links go down; then it starts anew, on another CPU, in the mode that its link is to
    have by now."""
    child = terminal(chain, "destroy", "right")
    child.expect("y/N")
    child.sendline("y")
    end(child)
    chain.wait_for_state("right", "absent")
    assert "absent" in chain.hvctl("views", "right", code=1)
    assert "no registers" in chain.hvctl("vcpu", "regs", "right", code=1)
    assert "absent" in chain.hvctl("mem", "dump", "right", "0", code=1)
    carrier = "cat /sys/class/net/eth1/carrier"
    chain.wait_until("middle sees it", lambda: chain.guest("middle").run(carrier).strip() == "0", 30)
    chain.hvctl("vcpu", "pin", "right", "0", "0")
    assert "there is no CPU" in chain.hvctl("vcpu", "pin", "right", "0", "9", code=1)
    assert [row["pcpu"] for row in table(chain.hvctl("vcpu", "list", "right"))] == ["0"]
    chain.hvctl("link", "mode", "net1", "open")
    chain.hvctl("start", "right")
    assert (chain.vms()["right"]["pcpus"], chain.vms()["right"]["starts"]) == ("0", "2")
    assert modes(chain, "net1")["right"] == "open"
    chain.wait_until("middle takes it up", lambda: modes(chain, "net1")["middle"] == "open", 30)
    before = int(chain.vms()["right"]["exits"])
    chain.wait_until("its kernel runs", lambda: int(chain.vms()["right"]["exits"]) > before + 1000, 60)
    assert "panic" not in chain.hvctl("log") and chain.hvctl("log", "--level", "error") == ""
