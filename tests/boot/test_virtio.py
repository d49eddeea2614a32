# SPDX-License-Identifier: BSD-2-Clause
"""virtio devices under Debian's own drivers, without options: packed virtqueues and two queues in one
guest, split ones in the other. The first has all but a NIC of virtio's, the second all but entropy. One boot for all
tests of this file."""

import hashlib
import re
import struct

import pexpect
import pytest

from conftest import boot_fast, changed_config
from postern_machine import ESCAPE, PATIENCE, table
from traffic import assert_ping

NUMBERS = "".join(f"{i}\n" for i in range(1, 200001))[:1 << 20].encode()
# In blocks: BusyBox's `head -c` takes some 800 instructions for a byte.
HEAD = "dd if=/mnt/numbers bs=100000 count=3 2> /dev/null"  # a file's first 300000 bytes
DATA_BLOCKS = 5  # of 64 KiB, that are written
DRIVERS = "/sys/bus/virtio/drivers"
RNG = "0000:00:02.0"
CHANGES = {"hostname=alpha": "hostname=alpha ip=10.0.0.1/24",
           "hostname=beta": "hostname=beta ip=10.0.0.2/24",
           "    rng         on\n": "",
           "    disk        /postern/disk.img ro\n": "    disk        /postern/disk.img ro\n\n"
           "network lan\n    members alpha beta\n    virtio  beta\n"}
ACCESS_CAPABILITY = 5  # by which a driver reaches a BAR through configuration space
# Offset, size and value of writes to the registers: a device is reset, and gets a queue whose ring is not aligned.
TO_BREAK = ((0x14, 1, 0), (0x14, 1, 3), (0x08, 4, 1), (0x0c, 4, 1), (0x14, 1, 0xb), (0x16, 2, 0), (0x20, 4, 1),
            (0x1c, 2, 1))


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    options = changed_config(tmp_path_factory.mktemp("virtio"), "virtio", CHANGES)
    yield from boot_fast("virtio", ["alpha", "beta"], tmp_path_factory, options=options)


def devices(machine):
    """hvctl's rows: (VM, device) -> one or more."""
    rows = {}
    for row in table(machine.hvctl("devices")):
        rows.setdefault((row["vm"], row["device"]), []).append(row)
    return rows


def disks(machine):
    """The second table of `hvctl devices`: (VM, disk) -> row."""
    text = machine.hvctl("devices").split("\n\n", 1)[1]
    return {(row["vm"], row["disk"]): row for row in table(text)}


def mount_again(guest, options=""):
    """So that what is read next comes from the disk."""
    guest.run(f"umount /mnt && mount -t ext2 {options} /dev/vda /mnt")


def test_drivers_bind(machine):
    """All devices of both guests are ready, and no driver was told that it is wrong."""
    rows = devices(machine)
    assert {key: len(value) for key, value in rows.items()} == {
        ("alpha", "rng"): 1, ("alpha", "console"): 1, ("alpha", "blk"): 2,
        ("beta", "net"): 1, ("beta", "console"): 1, ("beta", "blk"): 1}
    for row in sum(rows.values(), []):
        assert (row["state"], row["failures"]) == ("ready", "0"), row


@pytest.mark.parametrize("name, packed", [("alpha", "1"), ("beta", "0")])
def test_negotiated_layout(machine, name, packed):
    text = machine.guest(name).run("cat /sys/bus/virtio/devices/*/features").split()
    for features in text:
        assert features[32] == "1" and features[34] == packed, features
        assert features[28] == "1" and features[29] == "1", features


def test_network_meets_the_native_nic(machine):
    assert_ping(machine.guest("beta"), "10.0.0.1")


def test_no_entropy_device(machine):
    assert "virtio" not in machine.guest("beta").run("cat /sys/class/misc/hw_random/rng_current 2>&1 || true")


def test_entropy(machine):
    guest = machine.guest("alpha")
    assert "virtio_rng" in guest.run("cat /sys/class/misc/hw_random/rng_current")
    text = guest.run("dd if=/dev/hwrng bs=64 count=8 2>/dev/null | hexdump -v -e '64/1 \"%02x\" \"\\n\"'")
    lines = text.split()
    assert len(lines) == 8 and len(set(lines)) == 8, text
    assert all(re.fullmatch("[0-9a-f]{128}", line) for line in lines), text


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_console_both_ways(machine, name):
    """A shell on hvc0, as on the serial port."""
    machine.guest(name).run("setsid sh -c 'exec sh -i <>/dev/hvc0 >&0 2>&1' &")
    words = machine.hvctl_command("console", "--no-scrollback", f"{name}/hvc0")
    child = pexpect.spawn(words[0], words[1:], encoding="utf-8", codec_errors="replace", timeout=PATIENCE * 60,
                          echo=False)
    child.expect("Ctrl-]")
    child.send("echo $((6*7))'<-here'\r")
    child.expect("42<-here")
    # More than a buffer's worth.
    child.send("seq 1 1200; echo 'that is'' all'\r")
    child.expect("1199\r+\n1200\r+\nthat is all")
    child.send("exit\r")
    child.send(ESCAPE + ".")
    child.expect(pexpect.EOF)


def kept(machine, console):
    """What has been written to the console, as far as it is kept."""
    return machine.hvctl("console", "--quiet", "0", console, stdin="")


def test_streams_are_apart(machine):
    machine.guest("beta").run("echo only here > /dev/hvc0")
    machine.wait_until("beta's console has it", lambda: kept(machine, "beta/hvc0").count("only here") == 1)
    assert "only here" not in kept(machine, "alpha/hvc0")


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_file_system(machine, name):
    guest = machine.guest(name)
    guest.run("mkdir -p /mnt; mount -t ext2 /dev/vda /mnt" + (" -o ro" if name == "beta" else ""))
    assert guest.run("cat /mnt/hello").strip() == "a file on a disk of Postern's"
    text = guest.run("sha256sum /mnt/numbers")
    assert text.split()[0] == hashlib.sha256(NUMBERS).hexdigest()


def test_block_devices(machine):
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    assert alpha.run("cat /sys/block/vd[ab]/serial") == "disk.imgscratch.img"
    text = alpha.run("cd /sys/block; cat vd[ab]/size vd[ab]/ro vda/queue/discard_max_bytes; ls vda/mq")
    assert text.split() == ["8192", "2048", "0", "0", str(1 << 20), "0", "1"]
    assert beta.run("cat /sys/block/vda/ro").strip() == "1"


def test_writes_are_kept_apart(machine):
    """What alpha writes it reads again, from the device; beta sees the image as it was."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    assert disks(machine)["beta", "disk.img"]["used_kib"] == "0"
    alpha.run(f"{HEAD} > /mnt/new; echo changed > /mnt/hello")
    mount_again(alpha)
    assert alpha.run(f"{HEAD} | cmp - /mnt/new; cat /mnt/hello").strip() == "changed"
    assert 300 <= int(disks(machine)["alpha", "disk.img"]["used_kib"]) < 600
    mount_again(beta, "-o ro")
    assert beta.run("cat /mnt/hello; ! test -e /mnt/new").strip() == "a file on a disk of Postern's"


def test_read_only_disk(machine):
    code, _ = machine.guest("beta").run_any("dd if=/dev/zero of=/dev/vda bs=4096 count=1 2>&1")
    assert code != 0


def check_data(alpha):
    """What test_read_write_disk() has written, read from the disk."""
    alpha.run(f"dd if=/dev/vdb bs=64k count={DATA_BLOCKS} iflag=direct 2> /dev/null | cmp - /tmp/data")


def test_read_write_disk(machine):
    """Both queues, with requests of several sizes."""
    alpha = machine.guest("alpha")
    alpha.run(f"dd if=/mnt/numbers of=/tmp/data bs=64k count={DATA_BLOCKS} 2> /dev/null")
    alpha.run("taskset 1 dd if=/tmp/data of=/dev/vdb bs=64k count=4 conv=notrunc 2>&1; "
              "taskset 2 dd if=/tmp/data of=/dev/vdb bs=512 skip=512 seek=512 oflag=direct 2>&1; sync")
    check_data(alpha)


def rebind(guest, device, driver, load):
    """Takes the driver off while `load` runs, and has it back."""
    guest.run(f"(while {load}; do :; done) > /dev/null 2>&1 & sleep 1;"
              f" echo {device} > {DRIVERS}/{driver}/unbind; echo {device} > {DRIVERS}/{driver}/bind;"
              " kill $! 2> /dev/null; wait $! 2> /dev/null; true")


def check_entropy(guest):
    # By one read and one write, with no buffer of the C library in between.
    assert guest.run("dd if=/dev/hwrng bs=16 count=1 2> /dev/null | wc -c").strip() == "16"


def test_reset_under_load(machine):
    """A driver is taken off while programs use its device, and comes back to a device as new."""
    alpha = machine.guest("alpha")
    rebind(alpha, "virtio0", "virtio_rng", "head -c 512 /dev/hwrng")
    check_entropy(alpha)
    rebind(alpha, "virtio1", "virtio_console", "echo 0123456789 > /dev/hvc0")
    # Linux may give it the next number.
    alpha.run("for i in 0 1 2; do echo it is back > /dev/hvc$i && break; done 2> /dev/null")
    machine.wait_until("it is back", lambda: "it is back" in kept(machine, "alpha/hvc0"))
    rebind(alpha, "virtio3", "virtio_blk", "dd if=/dev/vdb bs=4k iflag=direct")
    check_data(alpha)
    for row in sum(devices(machine).values(), []):
        assert (row["state"], row["failures"]) == ("ready", "0"), row


def write_registers(guest, function, writes):
    """Behind the back of the device's driver: by a capability in configuration space that Linux does not use."""
    config = f"/sys/bus/pci/devices/{function}/config"
    space = bytes.fromhex(guest.run(f"hexdump -v -e '1/1 \"%02x\"' {config}").strip())
    at = space[0x34]
    while space[at] != 0x09 or space[at + 3] != ACCESS_CAPABILITY:
        at = space[at + 1]
    lines = [f"w() {{ printf \"$1\" | dd of={config} bs=4 seek={(at + 8) // 4} conv=notrunc 2> /dev/null; }}"]
    lines += ["w '" + "".join(f"\\{byte:03o}" for byte in struct.pack("<III", *write)) + "'" for write in writes]
    guest.run("; ".join(lines))


def test_broken_device(machine):
    """A device that wants its reset, when its driver comes and while it is in use, costs its guest that device, until
    a driver resets it."""
    alpha = machine.guest("alpha")
    in_use = f"echo virtio0 > {DRIVERS}/virtio_rng/%s"
    unused = f"echo {RNG} > /sys/bus/pci/drivers/virtio-pci/%s"
    alpha.run(unused % "unbind")
    for failures, driver in (("1", unused), ("2", in_use)):
        write_registers(alpha, RNG, TO_BREAK)
        (row,) = devices(machine)["alpha", "rng"]
        assert (row["state"], row["failures"]) == ("needs_reset", failures), row
        assert machine.vms()["alpha"]["state"] == "running"
        if driver == in_use:
            alpha.run(driver % "unbind")
        alpha.run(driver % "bind")
        check_entropy(alpha)


def test_overlay_without_room(machine):
    """A write then fails, and a discard makes room again. What the file system has there is lost."""
    alpha = machine.guest("alpha")
    alpha.run("umount /mnt")
    before = disks(machine)["alpha", "disk.img"]
    code, text = alpha.run_any("dd if=/dev/urandom of=/dev/vda bs=64k seek=32 count=32 conv=fsync 2>&1")
    assert code != 0 and "error" in text, text
    full = disks(machine)["alpha", "disk.img"]
    assert full["used_kib"] == full["overlay_kib"] == "2048"
    assert int(full["no_room"]) > int(before["no_room"]) == 0
    alpha.run("blkdiscard -o 2097152 -l 2097152 /dev/vda")
    assert int(disks(machine)["alpha", "disk.img"]["used_kib"]) < 1024
    assert alpha.run("dd if=/dev/vda bs=64k skip=32 iflag=direct 2>/dev/null | tr -d '\\0' | wc -c").strip() == "0"
    alpha.run("mount -t ext2 /dev/vda /mnt; echo kept > /mnt/kept; umount /mnt")


def test_restart_keeps_disks_and_resets_devices(machine):
    machine.guest("alpha").type("reboot")
    alpha = machine.guest("alpha")
    alpha.wait_ready(times=2)
    alpha.run("mkdir -p /mnt; mount -t ext2 /dev/vda /mnt")
    assert alpha.run("cat /mnt/kept").strip() == "kept"
    assert alpha.run("head -c 4 /dev/vdb") == "1\n2\n"
    check_entropy(alpha)
    for row in sum(devices(machine).values(), []):
        assert row["state"] == "ready", row


def test_hypervisor_log(machine):
    """Only of the device that was broken, and once."""
    log = machine.hvctl("log")
    (line,) = re.findall(r"^[EW] .*", log, re.MULTILINE)
    assert line.endswith("alpha: virtio rng: a ring outside RAM, or not aligned: the device needs a reset"), log
