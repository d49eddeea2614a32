# SPDX-License-Identifier: BSD-2-Clause
"""Two Debian guests and one with lwIP as members of networks: one boot for all tests of this file. In
`lan`, which is gated, are all three; in `fixed` and `rooms`, which are open, the Debian ones."""

import re

import pytest

import lwip_guest
from conftest import boot_fast
from postern_machine import table
from traffic import assert_data_arrives, assert_ping, assert_silence, megabytes, statistics

ALPHA, BETA, WEB = "10.0.0.1", "10.0.0.2", "10.0.0.3"
MAC = {"alpha": "02:50:4f:01:00:01", "beta": "02:50:4f:01:00:02", "web": "02:50:4f:01:00:03"}
STATION = "02:00:00:00:00:77"
VLAN = ("ip link add link eth2 name v{0} type vlan id {0};"
        " ip address add 10.{0}.0.{1}/24 dev v{0}; ip link set v{0} up")
VLAN_MODULES = "for m in llc stp garp mrp 8021q; do insmod /lib/modules/$m.ko; done"
BENCH = "insmod /lib/modules/postern_bench.ko what={}; rmmod postern_bench 2> /dev/null"


@pytest.fixture(scope="module", name="members")
def fixture_members(can_run, tmp_path_factory):
    assert can_run is None
    yield from boot_fast("lan", ["web", "alpha", "beta"], tmp_path_factory)


def in_network(machine, network, column):
    """That column of `hvctl networks`, of all members together."""
    return sum(int(row[column]) for row in table(machine.hvctl("networks"))
               if row["name"] == network)


def station(machine, network, mac):
    """The rows of an address in the database: (VM, kind), one for each VLAN."""
    return [(row["vm"], row["kind"]) for row in table(machine.hvctl("fdb", network))
            if row["mac"] == mac]


class Counted:
    """What the driver's statistics have grown by since this was made."""

    def __init__(self, guest, interface="eth0"):
        self.guest, self.interface = guest, interface
        self.before = statistics(guest, interface)

    def __call__(self):
        after = statistics(self.guest, self.interface)
        return {name: after[name] - self.before.get(name, 0) for name in after}


def set_mac(guest, interface, mac):
    guest.run(f"ip link set {interface} down; ip link set {interface} address {mac};"
              f" ip link set {interface} up; sleep 1")


def test_all_meet(members):
    for guest, address in (("alpha", BETA), ("alpha", WEB), ("beta", ALPHA), ("beta", WEB)):
        assert_ping(members.guest(guest), address)


def test_interface_shows_its_lanes(members):
    alpha = members.guest("alpha")
    assert MAC["alpha"] in alpha.run("ip link show eth0")
    assert "3 of 3" in alpha.run("nic eth0 channels")
    code, output = alpha.run_any("nic eth0 channels 2")
    assert code == 1 and "error 95" in output, output
    lanes = {name.split("_")[0] for name in statistics(alpha) if "_tx_packets" in name}
    assert lanes == {"switch", "direct1", "direct2"}


def test_broadcasts_go_by_the_switch(members):
    alpha, beta = Counted(members.guest("alpha")), Counted(members.guest("beta"))
    members.guest("alpha").run(f"arping -b -c 3 -I eth0 {WEB}")
    sent, received = alpha(), beta()
    assert sent["switch_tx_packets"] >= 3 and received["switch_rx_packets"] >= 3
    assert sent.get("direct2_rx_packets", 0) >= 3  # the answers, which have one receiver
    # None of the three; a kernel may look for a neighbour that it knows by a frame to it alone.
    assert sent.get("direct1_tx_packets", 0) < 3


def test_the_rest_goes_directly(members):
    alpha, frames = Counted(members.guest("alpha")), in_network(members, "lan", "frames")
    for address in (BETA, WEB):
        assert_ping(members.guest("alpha"), address, 10)
    counts = alpha()
    assert counts["direct1_tx_packets"] >= 10 and counts["direct2_tx_packets"] >= 10
    assert counts["direct1_rx_packets"] >= 10 and counts["direct2_rx_packets"] >= 10
    assert in_network(members, "lan", "frames") - frames < 10


def test_packets_cause_no_exits(members):
    """5000 packets to a peer that polls while they come: a doorbell or two ring, of all lanes."""
    alpha, beta = members.guest("alpha"), members.guest("beta")
    alpha.run("insmod /lib/modules/postern_bench.ko what=receive count=5000")
    counted, before = Counted(beta), in_network(members, "lan", "doorbells")
    beta.run(BENCH.format(f"send size=64 count=5000 to={MAC['alpha']}"))
    after = in_network(members, "lan", "doorbells")
    assert "receive.count 5000" in alpha.run("dmesg | tail -5")
    alpha.run("rmmod postern_bench")
    assert counted()["direct0_tx_packets"] >= 5000
    assert after - before < 100, (before, after)


def test_data_arrives(members):
    frames = in_network(members, "lan", "frames")
    assert_data_arrives(members, megabytes(3, 10))
    assert in_network(members, "lan", "frames") - frames < 100


def test_data_comes_back_from_lwip(members):
    alpha = members.guest("alpha")
    before = lwip_guest.statistics(alpha, WEB)
    lwip_guest.assert_echo(alpha, WEB, lwip_guest.ECHOED)
    page = lwip_guest.statistics(alpha, WEB)
    grown = {way: int(page[way]) - int(before[way]) for way in ("direct0.rx", "direct0.tx", "switch.tx")}
    assert (page["link.mode"], page["link.up"], page["link.faults"]) == ("gated", "1", "0")
    assert min(grown["direct0.rx"], grown["direct0.tx"]) >= lwip_guest.SEGMENTS > grown["switch.tx"], grown
    assert page["rx.dropped"] == "0"


def test_rule_is_honoured(members):
    """None of the bench's packets from alpha to beta: alpha drops what it would send directly, the
    switch what is for all."""
    alpha, beta = members.guest("alpha"), members.guest("beta")
    beta.run("insmod /lib/modules/postern_bench.ko what=receive count=1000")
    counted = Counted(alpha)
    alpha.run(BENCH.format(f"send count=100 to={MAC['beta']}"))
    counts = counted()
    assert counts["switch_tx_filtered"] == 100 and counts.get("direct1_tx_packets", 0) < 10
    alpha.run(BENCH.format("send count=100"))
    assert counted()["switch_tx_packets"] >= 100
    assert beta.run("cat /sys/module/postern_bench/parameters/received").split()[-1] == "0"
    beta.run("rmmod postern_bench")
    assert_ping(alpha, BETA)


def test_vlans_are_kept_apart(members):
    """VLAN 10 has a tag at beta only, 20 at both, 30 is alpha's alone. TCP's segments have their tags
    and are not cut on the direct way."""
    alpha, beta = members.guest("alpha"), members.guest("beta")
    alpha.run("; ".join([VLAN_MODULES, VLAN.format(20, 1), VLAN.format(30, 1)]))
    beta.run("; ".join([VLAN_MODULES, VLAN.format(20, 2), VLAN.format(30, 2), VLAN.format(10, 2),
                        "ip address del 10.2.0.2/24 dev eth2; ip address add 10.2.0.2/24 dev v10"]))
    counted = Counted(alpha, "eth2")
    assert_ping(alpha, "10.2.0.2")
    assert counted().get("direct1_tx_packets", 0) == 0  # the switch sets the tag
    assert_ping(alpha, "10.20.0.2", 10)
    assert counted()["direct1_tx_packets"] >= 10
    assert_silence(alpha, "10.30.0.2")
    beta.run("iperf3 -s -D; sleep 1")
    counted = Counted(alpha, "eth2")
    assert "receiver" in alpha.run("iperf3 -c 10.20.0.2 -n 4M", timeout=300)
    counts = counted()
    # iperf3 may end before all of its 4 MiB are sent. Of what is, a frame that keeps the address known, one in five
    # minutes, goes by the switch.
    assert counts["direct1_tx_bytes"] > 2 << 20, counts
    assert counts.get("switch_tx_bytes", 0) <= 64 << 10, counts
    assert counts["direct1_tx_bytes"] / counts["direct1_tx_packets"] > 3000


def test_fixed_addresses(members):
    alpha, beta = members.guest("alpha"), members.guest("beta")
    own = "02:50:4f:01:01:02"
    assert_ping(alpha, "10.1.0.2")
    assert station(members, "fixed", own) == [("beta", "fixed")]
    dropped = in_network(members, "fixed", "dropped")
    set_mac(beta, "eth1", STATION)
    assert_silence(beta, "10.1.0.1")
    assert in_network(members, "fixed", "dropped") > dropped
    assert station(members, "fixed", STATION) == []
    set_mac(beta, "eth1", own)
    assert_ping(beta, "10.1.0.1")


def test_address_moves(members):
    for name in ("alpha", "beta"):
        guest = members.guest(name)
        set_mac(guest, "eth0", STATION)
        assert_ping(guest, WEB)
        assert station(members, "lan", STATION) == [(name, "learned")]
        set_mac(guest, "eth0", MAC[name])
        assert_ping(guest, WEB)
    assert_ping(members.guest("alpha"), BETA)


def test_receiver_that_hangs_stops_nobody(members):
    """beta takes nothing for ten seconds. Who sends to it is held up for a moment, others are not. The emulator may be
    through with these seconds before alpha sends: then again."""
    alpha, beta = members.guest("alpha"), members.guest("beta")
    alpha.run(f"arp -i eth0 -s {BETA} {MAC['beta']}")
    counted = Counted(alpha)

    def was_held_up():
        beta.type(BENCH.format("hang ms=10000"))
        alpha.run(f"sleep 1; ping -q -s 1400 -c 400 -i 0.002 -W 1 {BETA}; true")
        assert_ping(alpha, WEB)
        counts = counted()
        return counts.get("direct1_tx_stops", 0) > 0 and counts.get("direct1_tx_given_up", 0) > 0

    members.wait_until("alpha is held up", was_held_up)
    assert counted().get("direct2_tx_stops", 0) == 0
    members.wait_until("beta answers again", lambda: alpha.run_any(f"ping -c 1 -W 1 {BETA}")[0] == 0)
    alpha.run(f"arp -i eth0 -d {BETA}")
    assert_ping(alpha, BETA)


def test_member_comes_back(members):
    alpha = members.guest("alpha")
    members.hvctl("shutdown", "beta")
    members.wait_for_state("beta", "off")
    assert ("beta", "learned") not in station(members, "lan", MAC["beta"])
    assert_silence(alpha, BETA)
    assert_ping(alpha, WEB)
    members.hvctl("start", "beta")
    members.guest("beta").wait_ready(times=2)
    members.wait_until("they meet", lambda: alpha.run_any(f"ping -c 1 -W 1 {BETA}")[0] == 0, 60)
    counted = Counted(alpha)
    assert_ping(alpha, BETA, 10)
    assert counted()["direct1_tx_packets"] >= 10


def test_nobody_complained(members):
    for name in ("alpha", "beta"):
        output = members.guest(name).run("dmesg")
        assert not re.search(r"(?i)BUG:|WARNING:|Oops|broke|crossing failed", output), output
    assert not re.search(r"exception|lwIP:|broke|failed", members.guest("web").console())
