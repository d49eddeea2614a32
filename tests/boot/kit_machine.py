# SPDX-License-Identifier: BSD-2-Clause
"""Guests of tests/kit: their machine, and what they claim and print.

A guest is build/kit/NAME.elf, its configuration tests/configs/NAME.conf. Neither is in the image: both are
copied into the run's."""

import contextlib
import glob
import os
import re
import time

import pytest

from postern_machine import BUILD, FALLBACK, PATIENCE, ROOT, Machine, platform, small_firmware

CLAIM = re.compile(r'^CLAIM\((\w+),\s*"(.*)"\)$', re.MULTILINE)
LINE = re.compile(r"^claim (\w+): (success|skip|error|failure)(?:: (.*))?$", re.MULTILINE)
CLOSING = re.compile(r"^claims: \d+ success, ", re.MULTILINE)
STALLED_SECONDS = 60 * PATIENCE
ASK_SECONDS = 1  # how often whether a VM is down; each answer is made by a CPU that a guest could have
LOOK_SECONDS = 8  # how often for what it has printed, all of which comes over the line
STARTS_MAX = 200  # of a guest that crashes again and again
# For a test that sends much over the line, which has 115200 baud of the machine's time: its CPUs are so slow that the
# emulator does few instructions for each byte.
SLOW_CPUS = ("--ips", "5000000")


def claims_in(name):
    """The names of the claims in the guest's sources, in their order."""
    names = []
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", name, "*.c"))):
        with open(path, encoding="ascii") as file:
            names += [match.group(1) for match in CLAIM.finditer(file.read())]
    return names


def menu(name, options="", kit=True):
    """The boot menu's entry for the configuration, of guests of tests/kit or of others."""
    if FALLBACK:
        options += " fallback=on"
    options += "".join(f" append=only={word}" for word in os.environ.get("ONLY", "").split())
    if platform() == "bochs":
        # Options of one's own come last: of two of a kind the last one counts.
        options = " max_stay=20" + (" append=bochs" if kit else "") + options
    return (f'set default="{name}"\nset timeout=0\nmenuentry "{name}" {{\n'
            f"    chainloader /EFI/postern/postern.efi config={name}{options}\n}}\n")


class KitMachine(Machine):
    """A machine whose only configuration is the guest's. `guests`: others that it runs; `more`: options of the
    launcher; `label`: its own name, where there are two of the guest's; `config`: another configuration of it."""

    def __init__(self, name, directory, options="", more=(), guests=(), label=None, config=None):
        config = config or name
        script = os.path.join(directory, "entry.cfg")
        with open(script, "w", encoding="ascii") as file:
            file.write(menu(config, options))
        files = [script, os.path.join(ROOT, "tests/configs", f"{config}.conf")]
        files += [os.path.join(BUILD, "kit", f"{guest}.elf") for guest in (name, *guests)]
        puts = [word for path in files for word in ("--put", path)]
        super().__init__(label or config, options=[*puts, *small_firmware(), *more])

    def console(self, vm):
        return self.hvctl("console", "--quiet", "0", vm, stdin="").replace("\r", "")

    def answer(self, vm, line, wanted):
        """Types a line; what the guest prints then, until a line of it matches `wanted`, whole if that ends with `$`."""
        return self.hvctl("console", "--no-scrollback", "--quiet", str(PATIENCE * 60), "--until", wanted, vm,
                          stdin=line + "\n").replace("\r", "")

    def shown(self, vm, wanted):
        """What the console has shown so far and shows until such a line."""
        return self.hvctl("console", "--quiet", str(PATIENCE * 60), "--until", wanted, vm, stdin="").replace("\r", "")

    def run_claims(self, vm, seconds=600, meanwhile=lambda: None):
        """Until the guest's closing line. One that ended its VM for good, or makes no progress, is
        started again: its runner goes on with the next claim. What it printed, which is looked at when its VM is
        down, and every now and then, for it takes the line a while. While it runs `meanwhile` is called as often."""
        now = time.monotonic()
        text, changed, looked, end = "", now, now, now + PATIENCE * seconds
        while now < end:
            time.sleep(ASK_SECONDS)
            row = self.vms()[vm]
            is_down, now = row["state"] in ("off", "crashed"), time.monotonic()
            if not is_down and now - looked < LOOK_SECONDS:
                continue
            if not is_down:
                meanwhile()
            looked, new = now, self.console(vm)
            if CLOSING.search(new):
                return new
            assert int(row["starts"]) < STARTS_MAX, f"{vm} does not come up:\n{new[-2000:]}"
            if is_down:
                self.hvctl("start", vm)
            elif new == text and now - changed > STALLED_SECONDS:
                self.hvctl("shutdown", vm)
                self.wait_for_state(vm, "off")
                changed = now
            if new != text:
                text, changed = new, now
        return text


def other_disks(directory):
    """Options of the launcher for the images of tests/configs/snapshot.conf: other.img, which is disk.img with another
    last byte, and those that its VMs write to. All of them differ."""
    with open(os.path.join(BUILD, "guests/disk.img"), "rb") as file:
        data = bytearray(file.read())
    data[-1] ^= 1
    path = os.path.join(directory, "other.img")
    with open(path, "wb") as file:
        file.write(data)
    options = ["--put", path]
    for number, name in enumerate(("keep", "double", "strange")):
        path = os.path.join(directory, f"{name}.img")
        with open(path, "wb") as file:
            for block in range(25):
                word = (0x100 * number + block + 1).to_bytes(8, "little")
                file.write(word * ((4096 if block < 24 else 512) // 8))
        options += ["--put", path]
    return options


def verdicts(text):
    """What was printed: name -> (verdict, reason)."""
    return {match.group(1): (match.group(2), match.group(3) or "")
            for match in LINE.finditer(text)}


def check_claim(printed, name):
    """That the claim came to success; `printed` as verdicts() gives it. A claim that was skipped skips the test."""
    verdict, reason = printed.get(name, ("missing", "it printed no line"))
    if verdict == "skip":
        pytest.skip(reason)
    assert verdict == "success", f"{verdict}: {reason}"


def check_all_ran(text, names):
    """That the guest printed its closing line, and a verdict of each claim and of no other."""
    assert CLOSING.search(text), text[-2000:]
    assert set(verdicts(text)) == set(names)


@contextlib.contextmanager
def running_beside(machine, first):
    """The machine, started, until the end of the block. `first`, which runs already, stands still while it boots, and
    it itself does but in a block of awake()."""
    try:
        first.freeze()
        try:
            machine.start()
        finally:
            first.thaw()
        machine.freeze()
        yield machine
    finally:
        with contextlib.suppress(OSError):  # it may not be there
            machine.thaw()
        machine.stop()


@contextlib.contextmanager
def awake(machine):
    machine.thaw()
    yield machine
    machine.freeze()


@contextlib.contextmanager
def running(machine):
    """The machine, started, until the end of the block."""
    try:
        yield machine.start()
    finally:
        machine.stop()
