# SPDX-License-Identifier: BSD-2-Clause
"""virtio NICs under Debian's own driver, without options, in networks with Postern's: one boot for all
tests of this file. In `lan` alpha's NIC is virtio's, beta's and web's (lwIP) are Postern's; in `pair`
both Debian guests have virtio's, alpha's with packed virtqueues and beta's with split ones."""

import re

import pytest

import lwip_guest
from conftest import boot_fast, changed_config
from postern_machine import table
from traffic import assert_data_arrives, assert_ping, assert_silence

ALPHA, BETA, WEB = "10.0.0.1", "10.0.0.2", "10.0.0.3"
PAIR = {"alpha": "10.0.1.1", "beta": "10.0.1.2"}
MAC = {"alpha": "02:50:4f:01:00:01", "beta": "02:50:4f:01:00:02"}
PACKETS = 5000
BENCH = "insmod /lib/modules/postern_bench.ko what={}"
REMOVE = "rmmod postern_bench 2> /dev/null"


# Guests without a disk, or without a second console; tests/boot/test_virtio.py has those without a NIC or entropy.
CHANGES = {"vm alpha\n": "vm alpha\n    rng on\n    hvc on\n",
           "vm beta\n": "vm beta\n    rng on\n    disk /postern/disk.img ro\n"}


@pytest.fixture(scope="module", name="machine")
def fixture_machine(can_run, tmp_path_factory):
    assert can_run is None
    options = changed_config(tmp_path_factory.mktemp("vswitch"), "vswitch", CHANGES)
    yield from boot_fast("vswitch", ["web", "alpha", "beta"], tmp_path_factory, options=options)


def member(machine, network, name):
    """Its row of `hvctl networks`."""
    (row,) = [row for row in table(machine.hvctl("networks"))
              if (row["name"], row["vm"]) == (network, name)]
    return row


def devices(machine):
    """hvctl's rows of virtio devices."""
    return table(machine.hvctl("devices").split("\n\n", 1)[0])


def nics(machine):
    """Those of NICs."""
    return [row for row in devices(machine) if row["device"] == "net"]


def notifications(machine, interface):
    """Of alpha's."""
    return int([row for row in nics(machine) if row["vm"] == "alpha"][int(interface[-1])]
               ["notifications"])


def test_drivers_bind(machine):
    rows = nics(machine)
    assert [row["vm"] for row in rows] == ["alpha", "alpha", "beta"]
    for row in rows:
        assert (row["state"], row["failures"]) == ("ready", "0"), row
    assert [member(machine, "lan", name)["nic"] for name in ("alpha", "beta", "web")] == \
        ["virtio", "postern", "postern"]
    alpha = machine.guest("alpha")
    assert "virtio_net" in alpha.run("ethtool -i eth0")
    assert "postern" in machine.guest("beta").run("ethtool -i eth0")
    assert alpha.run("cat /sys/class/net/eth0/address").strip() == MAC["alpha"]
    assert alpha.run("cat /sys/class/net/eth0/mtu").strip() == "1500"


@pytest.mark.parametrize("name, present, absent", [("alpha", {"rng", "console"}, "blk"),
                                                   ("beta", {"rng", "blk"}, "console")])
def test_boots_with_a_device_absent(machine, name, present, absent):
    states = {row["device"]: row["state"] for row in devices(machine) if row["vm"] == name}
    assert states == dict.fromkeys(present | {"net"}, "ready")
    guest = machine.guest(name)
    drivers = guest.run("ls -d /sys/bus/virtio/drivers/*/virtio*")
    assert "virtio_net" in drivers and f"virtio_{absent}" not in drivers
    assert guest.run("head -c 16 /dev/hwrng | wc -c").strip() == "16"


def test_offloads_are_negotiated(machine):
    text = machine.guest("alpha").run("ethtool -k eth0")
    for name in ("rx-checksumming", "tx-checksumming", "tcp-segmentation-offload",
                 "tx-tcp6-segmentation", "rx-gro-hw", "rx-vlan-filter"):
        assert re.search(rf"^\s*{name}: on", text, re.MULTILINE), (name, text)


def test_queues(machine):
    """A pair for each CPU; both are used, and frames come by the pair that their flow was sent by."""
    alpha = machine.guest("alpha")
    assert re.findall(r"Combined:\s+(\d+)", alpha.run("ethtool -l eth1")) == ["2", "2"]
    assert re.findall(r"Combined:\s+(\d+)", machine.guest("beta").run("ethtool -l eth1 || true")) \
        in (["1", "1"], [])
    for cpu in (0, 1):
        before = queue_packets(alpha)
        alpha.run(f"taskset {1 << cpu} ping -c 10 -i 0.1 {PAIR['beta']}")
        after = queue_packets(alpha)
        assert after[f"tx_queue_{cpu}"] - before[f"tx_queue_{cpu}"] >= 10
        assert after[f"rx_queue_{cpu}"] - before[f"rx_queue_{cpu}"] >= 10
    alpha.run("ethtool -L eth1 combined 1")
    assert_ping(alpha, PAIR["beta"])
    alpha.run("ethtool -L eth1 combined 2")
    assert_ping(alpha, PAIR["beta"])


def queue_packets(guest):
    return {name: int(value) for name, value in
            re.findall(r"([rt]x_queue_\d)_packets: (\d+)", guest.run("ethtool -S eth1"))}


def test_all_meet(machine):
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    for guest, address in ((alpha, BETA), (alpha, WEB), (beta, ALPHA), (beta, WEB),
                           (alpha, PAIR["beta"]), (beta, PAIR["alpha"])):
        assert_ping(guest, address)
    kinds = {row["vm"]: row["kind"] for row in table(machine.hvctl("fdb", "lan"))}
    assert kinds == {"alpha": "learned", "beta": "learned", "web": "learned"}


@pytest.mark.parametrize("net", ["10.0.0", "10.0.1"])
def test_data_arrives(machine, net):
    """Both ways at once: in `lan` from one kind of NIC to the other."""
    assert_data_arrives(machine, 2, net)


@pytest.mark.parametrize("address", [BETA, PAIR["beta"]])
def test_tcp_goes_in_large_segments(machine, address):
    """Nobody cuts them, nobody makes their checksums. How large they are is a matter of when acknowledgements come."""
    network = "lan" if address == BETA else "pair"
    before = int(member(machine, network, "alpha")["frames"])
    machine.guest("beta").run("pidof iperf3 > /dev/null || iperf3 -s -D; sleep 1")
    assert "receiver" in machine.guest("alpha").run(f"iperf3 -c {address} -n 4M", timeout=300)
    frames = int(member(machine, network, "alpha")["frames"]) - before
    assert (4 << 20) / frames > 2 * 1500, frames


def test_udp(machine):
    """Nothing is lost on the way. In an emulator a socket may be too small."""
    alpha = machine.guest("alpha")
    for network, address in (("lan", BETA), ("pair", PAIR["beta"])):
        lost = [member(machine, network, name)[why] for name in ("alpha", "beta")
                for why in ("full", "dropped")]
        output = alpha.run(f"iperf3 -u -c {address} -b 1M -l 1400 -n 256K", timeout=300)
        assert re.search(r"%\)\s+receiver", output), output
        assert lost == [member(machine, network, name)[why] for name in ("alpha", "beta")
                        for why in ("full", "dropped")]


def test_segments_are_cut_for_who_wants_it(machine):
    """beta turns its NIC's offloads off, as it does for an XDP program: TCP's segments come as on a
    wire, with their checksums."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    sent = int(member(machine, "pair", "alpha")["frames"])
    beta.run("ethtool -K eth1 rx-gro-hw off")
    before = received(beta)
    assert "receiver" in alpha.run(f"iperf3 -c {PAIR['beta']} -n 4M", timeout=300)
    segments = received(beta) - before
    assert segments > (2 << 20) / 1500  # iperf3 may end before all is sent
    assert int(member(machine, "pair", "alpha")["frames"]) - sent < segments / 2
    beta.run("ethtool -K eth1 rx-gro-hw on")


def received(guest, interface="eth1"):
    return int(guest.run(f"cat /sys/class/net/{interface}/statistics/rx_packets"))


def test_data_comes_back_from_lwip(machine):
    alpha = machine.guest("alpha")
    lwip_guest.assert_echo(alpha, WEB, lwip_guest.ECHOED)
    page = lwip_guest.statistics(alpha, WEB)
    assert int(page["switch.rx"]) >= lwip_guest.SEGMENTS and page["rx.dropped"] == "0"


@pytest.mark.parametrize("interface, to", [("eth0", MAC["beta"]), ("eth1", "02:50:4f:01:01:02")])
def test_few_exits(machine, interface, to):
    """Under load a notification is for a batch of frames: 16 and more."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    network = "lan" if interface == "eth0" else "pair"
    beta.run(BENCH.format(f"receive count={PACKETS}"))
    before = member(machine, network, "alpha"), notifications(machine, interface)
    alpha.run(BENCH.format(f"send dev={interface} size=64 count={PACKETS} to={to}") + f"; {REMOVE}")
    after = member(machine, network, "alpha"), notifications(machine, interface)
    assert "receive.count 5000" in beta.run("dmesg | tail -5")
    beta.run(REMOVE)
    assert int(after[0]["frames"]) - int(before[0]["frames"]) >= PACKETS
    assert after[1] - before[1] < PACKETS / 16


def test_link_state(machine):
    alpha = machine.guest("alpha")
    machine.hvctl("unplug", "lan/alpha")
    machine.wait_until("the link is down",
                       lambda: alpha.run("cat /sys/class/net/eth0/carrier").strip() == "0", 30)
    assert member(machine, "lan", "alpha")["nic"] == "unplugged"
    assert_silence(machine.guest("beta"), ALPHA)
    machine.hvctl("plug", "lan/alpha")
    machine.wait_until("the link is up",
                       lambda: alpha.run("cat /sys/class/net/eth0/carrier").strip() == "1", 30)
    assert_ping(machine.guest("beta"), ALPHA)
    assert "no network" in machine.hvctl("unplug", "wan/alpha", code=1)
    assert "virtio NIC" in machine.hvctl("unplug", "lan/beta", code=1)


def test_receiver_that_hangs_stops_nobody(machine):
    """beta takes nothing for some seconds: what has no room is lost, and its senders go on. The emulator may be
    through with these seconds before alpha sends: then again."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")

    def frames_were_lost():
        full = int(member(machine, "pair", "beta")["full"])
        beta.type(BENCH.format("hang ms=8000") + f"; {REMOVE}")
        alpha.run("sleep 1; " + BENCH.format(f"send dev=eth1 size=64 count={PACKETS}") + f"; {REMOVE}")
        assert_ping(alpha, WEB)
        return int(member(machine, "pair", "beta")["full"]) > full

    machine.wait_until("frames to beta are lost", frames_were_lost)
    machine.wait_until("beta answers again",
                       lambda: alpha.run_any(f"ping -c 1 -W 1 {PAIR['beta']}")[0] == 0)


def test_reset_under_load(machine):
    """The driver is taken off while frames come, and comes back to a device as new."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    number = alpha.run("basename $(readlink -f /sys/class/net/eth1/device)").strip()
    beta.run(f"ping -q -i 0.01 -s 1000 {PAIR['alpha']} > /dev/null &")
    alpha.run(f"sleep 1; echo {number} > /sys/bus/virtio/drivers/virtio_net/unbind; sleep 1;"
              f" echo {number} > /sys/bus/virtio/drivers/virtio_net/bind; sleep 1;"
              f" ip address add {PAIR['alpha']}/24 dev eth1; ip link set eth1 up")
    beta.run("kill $!")
    assert_ping(alpha, PAIR["beta"])


def test_member_comes_back(machine):
    alpha = machine.guest("alpha")
    machine.hvctl("shutdown", "beta")
    machine.wait_for_state("beta", "off")
    for address in (BETA, PAIR["beta"]):
        assert_silence(alpha, address)
    assert_ping(alpha, WEB)
    machine.hvctl("start", "beta")
    machine.guest("beta").wait_ready(times=2)
    for address in (BETA, PAIR["beta"]):
        machine.wait_until("they meet",
                           lambda to=address: alpha.run_any(f"ping -c 1 -W 1 {to}")[0] == 0, 60)


def test_nobody_complained(machine):
    for name in ("alpha", "beta"):
        output = machine.guest(name).run("dmesg")
        assert not re.search(r"(?i)BUG:|WARNING:|Oops|broke|crossing failed|bad gso", output), output
    assert not re.search(r"exception|lwIP:|broke|failed", machine.guest("web").console())
    for row in nics(machine):
        assert (row["state"], row["failures"]) == ("ready", "0"), row
    log = machine.hvctl("log")
    assert not re.search(r"^[EW] ", log, re.MULTILINE), log
