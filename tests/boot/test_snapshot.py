# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots of a guest of tests/life, restored into the same VM and into another, and of one of tests/snapshot with
traffic on its virtio NIC; files that are damaged; the way from one machine to another."""

import hashlib
import os
import re
import signal
import struct
import subprocess
import time
import zlib

import pytest

from kit_machine import SLOW_CPUS, KitMachine, awake, other_disks, running, running_beside
from postern_machine import table
from traffic import LONG
from traffic_guest import REPORT, assert_few_are_lost, assert_traffic, counts

TALKED = re.compile(r"talker: (\d+) ms, (\d+) ticks")
BLOCKS = re.compile(r"wrong blocks: (\d+); (\d+) changed, (\d+) writes, (\d+) discards")
MEMORY = 16 << 20
RINGS = ["packed", "split"]


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    directory = tmp_path_factory.mktemp("here")
    more = [*other_disks(directory), *SLOW_CPUS]
    with running(KitMachine("snapshot", directory, guests=("life",), more=more)) as machine:
        machine.wait_until("the talker is ready", lambda: "talker: ready" in machine.console("talker"))
        yield machine


@pytest.fixture(scope="module", name="away")
def fixture_away(machine, tmp_path_factory):
    directory = tmp_path_factory.mktemp("other")
    more = [*other_disks(directory), *SLOW_CPUS]
    with running_beside(KitMachine("snapshot", directory, guests=("life",), more=more, label="snapshot-other"),
                        machine) as away:
        yield away


@pytest.fixture(name="other")
def fixture_other(away):
    """Another machine."""
    with awake(away):
        yield away


def interrupted(machine, path):
    """Begins to save the talker, and interrupts that; what hvctl said."""
    with subprocess.Popen(machine.hvctl_command("snapshot", "talker", path), stderr=subprocess.PIPE,
                          text=True) as process:
        while process.poll() is None and not os.path.exists(path + ".part"):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 1, said
    return said


@pytest.fixture(scope="module", name="saved")
def fixture_saved(machine, tmp_path_factory):
    """A snapshot of the talker while it runs and writes to its memory, in two parts; what hvctl said, and the
    talker's clock and ticks before it."""
    path = str(tmp_path_factory.mktemp("snapshot") / "talker.snapshot")
    machine.answer("talker", "b 2000 150", "^busy with 150 pages$")
    assert "the same command goes on" in interrupted(machine, path)
    assert machine.vms()["talker"]["state"] == "running"
    before = talked(machine, "talker")
    done = subprocess.run(machine.hvctl_command("snapshot", "talker", path), check=True, capture_output=True,
                          text=True, timeout=300)
    assert "goes on in round" in done.stderr
    return path, done.stdout, before


HEAD = struct.Struct("<IIIIQQ")  # of a chunk; its CRC and 4 zeros follow
BEGIN, RAM, STATE, END, DISK = 1, 3, 4, 5, 6
# Of the state: where vCPU 0's record is, behind the header of its own and all of the VM's.
VCPU = 16 + 120 + 16
RFLAGS, CR4 = VCPU + 136, VCPU + 168


def chunks(path):
    """The file's chunks: kind, offset, covered, what is in them, decompressed."""
    with open(path, "rb") as file:
        data = file.read()
    at = 16
    while at < len(data):
        kind, stored, size, _, offset, covered = HEAD.unpack_from(data, at)
        content = data[at + 40:at + 40 + stored]
        assert zlib.crc32(data[at:at + 32] + content) == struct.unpack_from("<I", data, at + 32)[0]
        yield kind, offset, covered, zlib.decompress(content) if kind in (RAM, STATE, DISK) else content
        at += 40 + stored


def chunk(kind, content, number=0, offset=0, covered=0):
    stored = zlib.compress(content) if kind in (STATE, DISK) else content
    head = HEAD.pack(kind, len(stored), len(content), number, offset, covered)
    return head + struct.pack("<II", zlib.crc32(head + stored), 0) + stored


def zeros_for(begin):
    """Chunks of the disks that the VM writes to itself: all is zeros."""
    for number, (size, _, flags) in enumerate(struct.iter_unpack("<QQQ", begin[56:])):
        if flags:
            yield chunk(DISK, struct.pack("<I", 2 << 30 | size // 8), number, 0, size)


def forge(path, to, change, where=STATE):
    """The same file with another state, or beginning, memory of zeros, nothing in overlays, and zeros on the disks
    that have none, each checksum right."""
    with open(path, "rb") as file:
        data = file.read(16)
    for kind, offset, covered, content in chunks(path):
        if kind in (RAM, DISK):
            continue
        if kind == where:
            content = bytearray(content)
            change(content)
        if kind == END:
            offset, content = len(data), hashlib.sha256(data).digest()
        data += chunk(kind, content, 0, offset, covered)
        if kind == BEGIN and data[8] == 3:
            data += b"".join(zeros_for(content))
    with open(to, "wb") as file:
        file.write(data)
    return str(to)


def talked(machine, vm):
    """The guest's milliseconds and ticks."""
    return tuple(map(int, TALKED.findall(machine.answer(vm, "t", " ticks$"))[-1]))


def assert_no_page_is_lost(machine, vm):
    assert "wrong pages: 0 of 150\n" in machine.answer(vm, "v", "^wrong pages: .*$")


def test_snapshot_while_it_runs(machine, saved):
    path, said, before = saved
    rounds, sent, pause = map(int, REPORT.search(said).groups())
    print(f"{rounds} rounds, {sent} bytes for {MEMORY}, {pause} ticks, file of {os.path.getsize(path)}")
    assert rounds >= 3 and 0 < sent < MEMORY // 8 and pause > 0
    assert not os.path.exists(path + ".part")
    after = talked(machine, "talker")
    assert after[0] > before[0] and after[1] > before[1]
    assert "not tracked" in machine.hvctl("dirty", "talker", code=1)
    assert_no_page_is_lost(machine, "talker")


def test_restore_into_another(machine, saved):
    """It goes on where the first one was, with all that it wrote while it was saved; both go on beside each
    other."""
    path, _, before = saved
    machine.hvctl("restore", "--paused", path, "twin")
    assert machine.vms()["twin"]["state"] == "paused"
    # It is typed before it goes on: few ticks hide what may be missing.
    assert machine.hvctl("console", "--no-scrollback", "--quiet", "1", "twin", stdin="v\n") == ""
    machine.hvctl("resume", "twin")
    assert "wrong pages: 0 of 150\n" in machine.shown("twin", "^wrong pages: .*$")
    first = talked(machine, "twin")
    assert before[0] <= first[0] < before[0] + 120000 and first[1] > before[1]
    assert "ready" not in machine.console("twin")
    later, other = talked(machine, "twin"), talked(machine, "talker")
    assert later[0] > first[0] and later[1] > first[1]
    # Its own clock is behind by the time that it was not there.
    assert other[0] > later[0]


def test_restore_where_one_is(machine, saved):
    """Only a VM that is down can be restored, and nothing happens to one that is not."""
    path, _, _ = saved
    assert "talker is running" in machine.hvctl("restore", path, code=1)
    assert "no VM named 'nobody'" in machine.hvctl("restore", path, "nobody", code=1)
    talked(machine, "talker")


def test_files_that_are_damaged(machine, saved, tmp_path):
    path, _, _ = saved
    with open(path, "rb") as file:
        good = file.read()
    bad = str(tmp_path / "bad")
    for name, data in (("no snapshot", b"x" + good[1:]), ("breaks off", good[:-1]),
                       ("checksum", good[:1000] + bytes((good[1000] ^ 1,)) + good[1001:])):
        with open(bad, "wb") as file:
            file.write(data)
        assert name in machine.hvctl("restore", bad, "churn", code=1)
    assert machine.vms()["churn"]["state"] == "absent"


def begin_twin(machine):
    """Has the twin wait for what it is to become."""
    if machine.vms()["twin"]["state"] != "absent":
        machine.hvctl("destroy", "--yes", "twin")
    machine.hvctl("exec", "restore twin begin")


def test_clone_by_hand(machine, saved):
    """What hvctl asks for while it clones, by whoever: each is refused that makes no sense, and names it."""
    assert saved
    begin_twin(machine)
    for order, why in (
            ("talker talker 0 0", "talker cannot be cloned onto itself"), ("talker nobody 0 0", "nobody"),
            ("nobody twin 0 0", "nobody"), ("talker churn 0 0", "churn is not being restored"),
            ("churn twin 0 0", "churn is absent"), ("talker twin 9 0", "talker has no section 9"),
            ("talker twin 0 4", "with a byte 0x4"), ("talker twin 0 0x1000008", "with a byte 0x1000008"),
            ("talker twin 0 18446744073709551608", "with a byte 0xfffffffffffffff8"),
            ("talker twin 0 18446744073709551616", "is wanted behind the VM"),
            ("talker twin 4294967296 0", "is wanted behind the VM"),
            ("talker twin 0 " + "0" * 30 + "8", "is wanted behind the VM"), ("talker twin 0 0 clean", "is wanted behind"),
            ("talker twin 0", "is wanted behind"), ("talker twin 0 0 dirty 1", "is wanted behind"),
            ("talker twin 1 0", "talker is not saved"), ("talker twin 0 0 dirty", "talker is not tracked"),
            ("talker twin 1 0 dirty", "none with flags 1"), ("keeper twin 2 0", "keeper is absent")):
        assert why in machine.hvctl("exec", f"clone {order}", code=1), order
    row = table(machine.hvctl("exec", "clone talker twin 0 0"))[0]
    assert 0 < int(row["covered"]) < int(row["size"]) == MEMORY and row["left"] == "more"
    row = table(machine.hvctl("exec", f"clone talker twin 0 {MEMORY}"))[0]
    assert (row["covered"], row["left"]) == ("0", "none")
    # Memory alone, and no state.
    assert "no VM record" in machine.hvctl("exec", "restore twin finish", code=1)
    assert machine.vms()["twin"]["state"] == "off"
    talked(machine, "talker")


def test_clone_and_back(machine, saved):
    """Of a VM that runs, of one that is paused, and of a twin: each page is what it was. The first one is none the
    wiser, then is back where its twin stands."""
    assert saved
    before = talked(machine, "talker")
    print(machine.hvctl("clone", "talker", "twin"))
    assert [machine.vms()[vm]["state"] for vm in ("talker", "twin")] == ["running", "paused"]
    after = talked(machine, "talker")
    assert after > before
    assert_no_page_is_lost(machine, "talker")
    assert "twin is paused" in machine.hvctl("clone", "talker", "twin", code=1)
    machine.hvctl("destroy", "--yes", "talker")
    machine.hvctl("clone", "twin", "talker")
    assert [machine.vms()[vm]["state"] for vm in ("talker", "twin")] == ["paused", "paused"]
    machine.hvctl("resume", "talker")
    assert before[1] < talked(machine, "talker")[1]
    assert_no_page_is_lost(machine, "talker")
    # The twin's clock stands still meanwhile: then it is behind for ever. The talker's is looked at first.
    machine.wait_until("a while is over", lambda: talked(machine, "talker")[0] > after[0] + 5000)
    machine.hvctl("resume", "twin")
    assert before < talked(machine, "twin")
    machine.wait_until("the twin's is behind", lambda: talked(machine, "talker") > talked(machine, "twin"), 60)
    assert_no_page_is_lost(machine, "twin")
    assert "not tracked" in machine.hvctl("dirty", "talker", code=1)


def test_clone_into_another_shape(machine, saved):
    """It is off then, and the first one goes on as before."""
    assert saved
    why = "count of PCI functions"
    assert why in machine.hvctl("clone", "talker", "stranger", code=1)
    assert machine.vms()["stranger"]["state"] == "off" and machine.vms()["talker"]["state"] == "running"
    assert "not tracked" in machine.hvctl("dirty", "talker", code=1)
    assert_no_page_is_lost(machine, "talker")
    machine.hvctl("destroy", "--yes", "stranger")


def put(at, form, value):
    return lambda state: struct.pack_into(form, state, at, value)


def test_states_that_lie(machine, saved, tmp_path):
    """With right checksums: the hypervisor says what is wrong, or the CPU refuses the entry and the VM crashes."""
    path, _, _ = saved
    for why, change in (("CR4", put(CR4, "<Q", 1 << 13)), ("its memory is", put(16, "<Q", 1 << 40)),
                        ("vCPU record 0 is of version 9", put(VCPU - 14, "<H", 9))):
        bad = forge(path, tmp_path / "bad", change)
        assert why in machine.hvctl("restore", bad, "churn", code=1)
        assert machine.vms()["churn"]["state"] == "off"
    # Bit 1 is always set: no entry takes it otherwise. An interrupt wakes it.
    bad = forge(path, tmp_path / "bad", put(RFLAGS, "<Q", 1 << 9))
    machine.hvctl("restore", bad, "churn")
    machine.wait_for_state("churn", "crashed")
    talked(machine, "talker")
    machine.hvctl("destroy", "--yes", "churn")


def assert_nobody_failed(machine):
    assert counts(machine, "answerer")["answered"] > 20
    for row in table(machine.hvctl("devices").split("\n\n", 1)[0]):
        assert row["failures"] == "0", row


@pytest.fixture(scope="module", name="asked", params=RINGS)
def fixture_asked(request, machine, tmp_path_factory):
    """A snapshot of the asker in the middle of its traffic, by each kind of rings; its counts before and after."""
    for vm in ("answerer", "asker"):
        if machine.vms()[vm]["state"] == "paused":
            machine.hvctl("shutdown", vm)
            machine.wait_for_state(vm, "off")
        machine.hvctl("start", vm)
    if request.param == "packed":
        machine.answer("asker", "p", "in packed rings$")
    before = assert_traffic(machine)
    path = str(tmp_path_factory.mktemp("snapshot") / "asker.snapshot")
    rounds, sent, pause = map(int, REPORT.search(machine.hvctl("snapshot", "asker", path)).groups())
    print(f"{rounds} rounds, {sent} bytes for {MEMORY}, {pause} ticks")
    after = assert_traffic(machine, before)
    pause_traffic(machine)
    return path, before, after


def pause_traffic(machine):
    """It costs the emulator what other tests need."""
    for vm in ("asker", "answerer"):
        if machine.vms()[vm]["state"] == "running":
            machine.hvctl("pause", vm)
            machine.wait_for_state(vm, "paused")


@pytest.fixture(name="traffic")
def fixture_traffic(machine, asked):
    """What `asked` is, with the traffic going on again until the test's end."""
    for vm in ("answerer", "asker"):
        machine.hvctl("resume", vm)
    yield asked
    pause_traffic(machine)


def test_traffic_goes_on_behind_a_snapshot(machine, traffic):
    _, before, after = traffic
    assert_nobody_failed(machine)
    assert_few_are_lost(before, after)


def test_traffic_goes_on_behind_a_restore(machine, traffic):
    """It goes on where it was when it was saved; remarks come all the time, also while it is put together."""
    path, before, after = traffic
    starts = int(machine.vms()["asker"]["starts"])
    machine.hvctl("shutdown", "asker")
    machine.wait_for_state("asker", "off")
    machine.hvctl("restore", "--paused", path)
    machine.hvctl("resume", "asker")
    seen = assert_traffic(machine, before)
    assert_few_are_lost(before, seen)
    assert int(machine.vms()["asker"]["starts"]) == starts + 1 and after["sent"] > before["sent"]
    assert_nobody_failed(machine)


# Of a file of a VM with one disk: where its sum is in the beginning.
SUM = 24 + 32 + 8


def disk_of(machine, vm, number=0):
    """A disk of the VM's, with its image's sum."""
    return table(machine.hvctl("exec", f"snapshot {vm} disks"))[number]


def assert_no_block_is_lost(machine, vm):
    """What its disk reads as is what its memory says; how many writes and discards those are."""
    found = BLOCKS.findall(machine.answer(vm, "v", "^wrong blocks: .*$"))
    assert found[-1][0] == "0", machine.console(vm)
    assert int(found[-1][1]) > 50
    return tuple(map(int, found[-1][2:]))


@pytest.fixture(scope="module", name="kept")
def fixture_kept(machine, tmp_path_factory):
    """A snapshot of the keeper, which writes to its disks and discards blocks all the time; its counts before."""
    machine.hvctl("start", "keeper")
    machine.wait_until("it has written", lambda: "disk: ready" in machine.console("keeper")
                       and int(disk_of(machine, "keeper")["held"]) > 60)
    before = assert_no_block_is_lost(machine, "keeper")
    path = str(tmp_path_factory.mktemp("snapshot") / "keeper.snapshot")
    rounds, sent, pause = map(int, REPORT.search(machine.hvctl("snapshot", "keeper", path)).groups())
    print(f"{rounds} rounds, {sent} bytes for {MEMORY}, {pause} ticks, {disk_of(machine, 'keeper')}, {before}")
    assert rounds >= 2
    return path, before


def assert_half_restored(machine, vm, said):
    """Its own image is not what anybody wrote: it does not start."""
    assert f"disk 1 of {vm}" in said and "is half restored" in said
    assert disk_of(machine, vm, 1)["content"] == "half"
    assert "is half restored" in machine.hvctl("start", vm, code=1)
    assert machine.vms()[vm]["state"] == "off"


def test_disk_of_a_snapshot(machine, kept, tmp_path):
    """Blocks that were written before and while it was saved are there in another VM over the same image, and those
    that were discarded are zeros; then each has a disk of its own. So are all of the image that it writes to itself,
    whatever was left there."""
    path, before = kept
    after = assert_no_block_is_lost(machine, "keeper")
    assert after > before
    assert "what disk 1 of double has, which is rw, is replaced" in machine.hvctl("restore", path, "double", code=2)
    # A state that does not fit replaces nothing.
    bad = forge(path, tmp_path / "unfit", put(CR4, "<Q", 1 << 13))
    assert "CR4" in machine.hvctl("restore", "--yes", bad, "double", code=1)
    assert disk_of(machine, "double", 1)["content"] == "whole" and machine.vms()["double"]["state"] == "off"
    # Of the right image, but without what was on it.
    bad = forge(path, tmp_path / "bad", lambda state: None)
    said = machine.hvctl("restore", "--yes", bad, "double", code=1)
    assert "and 0 came" in said and disk_of(machine, "double")["held"] == "0"
    assert_half_restored(machine, "double", said)
    machine.hvctl("restore", "--paused", "--yes", path, "double")
    own = disk_of(machine, "double", 1)
    assert (own["mode"], own["held"], own["content"]) == ("rw", "25", "whole")
    held = disk_of(machine, "double")
    assert held["mode"] == "overlay" and int(held["held"]) > 60 and held["left"] == "0"
    machine.hvctl("resume", "double")
    first = assert_no_block_is_lost(machine, "double")
    assert before < first
    machine.wait_until("it goes on", lambda: assert_no_block_is_lost(machine, "double") > first)
    assert_no_block_is_lost(machine, "keeper")
    machine.hvctl("destroy", "--yes", "double")


def test_disk_over_another_image(machine, kept, tmp_path):
    """hvctl says so before anything is done, and the hypervisor where the file lies; the VM is off then, its disk
    as it was at first."""
    path, _ = kept
    why = "disk 0 of stranger (other.img) is another one: its image's sum is"
    assert why in machine.hvctl("restore", "--yes", path, "stranger", code=1)
    assert machine.vms()["stranger"]["state"] == "absent" and disk_of(machine, "stranger", 1)["content"] == "whole"
    disk = disk_of(machine, "stranger")
    bad = forge(path, tmp_path / "bad", put(SUM, "<Q", int(disk["sum"], 16)), BEGIN)
    said = machine.hvctl("restore", "--yes", bad, "stranger", code=1)
    assert "disk 0 (other.img) is another one" in said
    # It stays so, whatever becomes of the VM, until somebody takes it.
    machine.hvctl("destroy", "--yes", "stranger")
    machine.hvctl("create", "stranger")
    assert_half_restored(machine, "stranger", said)
    machine.hvctl("exec", "restore stranger accept")
    machine.hvctl("start", "stranger")
    machine.wait_until("it has written", lambda: int(disk_of(machine, "stranger")["held"]) > 60)
    assert_no_block_is_lost(machine, "stranger")
    machine.hvctl("destroy", "--yes", "stranger")


def test_clone_of_a_disk(machine, kept):
    """Into another VM over the same image, while it is written to; and into none over another."""
    assert kept
    before = assert_no_block_is_lost(machine, "keeper")
    why = "disk 0 of stranger (other.img) is another one: its image's sum is"
    assert why in machine.hvctl("clone", "--yes", "keeper", "stranger", code=1)
    assert machine.vms()["stranger"]["state"] == "absent"
    assert "what disk 1 of double has, which is rw, is replaced" in machine.hvctl("clone", "keeper", "double", code=2)
    print(machine.hvctl("clone", "--yes", "keeper", "double"))
    machine.hvctl("resume", "double")
    first = assert_no_block_is_lost(machine, "double")
    assert before < first
    machine.wait_until("it goes on", lambda: assert_no_block_is_lost(machine, "double") > first)
    assert_no_block_is_lost(machine, "keeper")
    machine.hvctl("destroy", "--yes", "double")


def test_migration_with_a_disk(machine, kept, other):
    assert kept
    before = assert_no_block_is_lost(machine, "keeper")
    machine.hvctl("migrate", "--yes", "keeper", other.line)
    machine.wait_for_state("keeper", "absent")
    assert assert_no_block_is_lost(other, "keeper") > before
    other.hvctl("destroy", "--yes", "keeper")


def test_migration(machine, saved, other):
    """The talker moves to another machine, and is gone here."""
    before = talked(machine, "talker")
    assert saved
    assert "runs there as twin" in machine.hvctl("migrate", "talker", other.line, "twin")
    machine.wait_for_state("talker", "absent")
    after = talked(other, "twin")
    assert after[0] > before[0] and after[1] > before[1]
    assert_no_page_is_lost(other, "twin")


@pytest.mark.parametrize("asked", RINGS if LONG else RINGS[:1], indirect=True)
def test_migration_with_traffic(machine, traffic, other):
    """Another one answers there, who knows nothing of what was before."""
    assert traffic
    if other.vms()["answerer"]["state"] != "running":
        other.hvctl("start", "answerer")
    before = assert_traffic(machine)
    machine.hvctl("migrate", "asker", other.line)
    machine.wait_for_state("asker", "absent")
    assert_few_are_lost(before, assert_traffic(other, before))
    assert_nobody_failed(other)
    other.hvctl("destroy", "--yes", "asker")
