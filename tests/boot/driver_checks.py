# SPDX-License-Identifier: BSD-2-Clause
"""What the Linux driver does on a link between alpha and beta, whatever the link's mode."""

import contextlib
import re

import traffic
from traffic import assert_data_arrives, statistics

FRAMES = 200
SEND = f"insmod /lib/modules/postern_bench.ko what=send size=64 count={FRAMES}; rmmod postern_bench"
RECEIVE = f"insmod /lib/modules/postern_bench.ko what=receive count={FRAMES}"
XDP_MTU_MAX = 3500
MSIX_CONTROL = 0x42  # in the NIC's configuration space: bit 15 on, bit 14 masked
LIMIT = 20000
DATAGRAMS = 100


def assert_ping(machine, count=3):
    traffic.assert_ping(machine.guest("alpha"), "10.0.0.2", count)


def mask_interrupts(guest, masked):
    """Of eth0's device."""
    high = 0xc0 if masked else 0x80
    guest.run(f"printf '\\x{high:02x}' | dd of=/sys/class/net/eth0/device/config bs=1"
              f" seek={MSIX_CONTROL + 1} conv=notrunc 2> /dev/null")


def send_frames(machine, interface, size, count):
    """Frames from alpha to beta, which get them all; how many of them came in the pages that beta has
    posted."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    before = statistics(beta, interface).get("rx_posted", 0)
    beta.run(f"insmod /lib/modules/postern_bench.ko what=receive count={count}")
    alpha.run(f"insmod /lib/modules/postern_bench.ko what=send dev={interface} size={size}"
              f" count={count}; rmmod postern_bench")
    assert f"receive.count {count}" in beta.run("dmesg | tail -5; rmmod postern_bench")
    return statistics(beta, interface).get("rx_posted", 0) - before


def check_pages(machine, interface, net):
    """Over a link in mode direct long packets come in pages of the receiver's, and are as they were
    sent."""
    assert send_frames(machine, interface, 64, 200) == 0
    assert send_frames(machine, interface, 1500, 2000) > 1500
    before = [statistics(machine.guest(name), interface)["posts"] for name in ("alpha", "beta")]
    assert_data_arrives(machine, traffic.megabytes(6, 10), net)
    after = [statistics(machine.guest(name), interface)["posts"] for name in ("alpha", "beta")]
    # Pages have come back many times.
    assert all(now - then > 1000 for now, then in zip(after, before)), (before, after)
    for name in ("alpha", "beta"):
        assert "gate_errors" not in statistics(machine.guest(name), interface)


def assert_no_complaints(machine, names=("alpha", "beta")):
    for name in names:
        output = machine.guest(name).run("dmesg")
        assert not re.search(r"(?i)unchecked MSR access|BUG:|WARNING:|Oops|page_pool_release_retry",
                             output), output


@contextlib.contextmanager
def stream(machine):
    """TCP from alpha to beta, where iperf3's server is; it has to survive what is done meanwhile,
    and to get on afterwards."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    beta.run("killall -q iperf3; iperf3 -s -D; sleep 0.5")
    alpha.run("iperf3 -c 10.0.0.2 -b 4M -t 1000 > /tmp/iperf3 2>&1 &")
    yield
    sent = "cat /sys/class/net/eth0/statistics/tx_bytes"
    before = int(alpha.run(sent))
    machine.wait_until("the stream goes on",
                       lambda: int(alpha.run(sent)) - before > 200000, 120)
    output = alpha.run("killall iperf3; cat /tmp/iperf3")
    assert "error" not in output, output


def check_xdp_verdicts(machine):
    """beta's programs decide on frames of alpha's, and its counters tell."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    before, sender = statistics(beta), statistics(alpha)
    for verdict in ("drop", "abort", "tx", "redirect"):
        beta.run(f"xdp eth0 {verdict}")
        alpha.run(SEND)
    beta.run(f"xdp eth0 pass; {RECEIVE}")
    alpha.run(SEND)
    assert f"receive.count {FRAMES}" in beta.run("dmesg | tail -5")
    beta.run("rmmod postern_bench; xdp eth0 off")
    after, returned = statistics(beta), statistics(alpha)
    assert_ping(machine)

    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    for name in ("xdp_drop", "xdp_aborted", "xdp_tx", "xdp_redirect", "xdp_pass"):
        assert grown(name) >= FRAMES, (name, after)
    assert grown("rx_packets") >= 5 * FRAMES
    assert grown("xdp_xmit") == grown("xdp_tx") + grown("xdp_redirect")
    assert grown("xdp_xmit_drops") == 0
    # Two of the five came back.
    assert 2 * FRAMES <= returned["rx_packets"] - sender["rx_packets"] < 3 * FRAMES


def check_xdp_answers_pings(machine):
    """A program that changes packets, sums and all, and sends them back: the stack sees none."""
    beta = machine.guest("beta")
    echoes = "grep '^Icmp:' /proc/net/snmp"
    before, seen = statistics(beta), beta.run(f"xdp eth0 echo; {echoes}")
    assert_ping(machine)
    after, seen_then = statistics(beta), beta.run(f"{echoes}; xdp eth0 off")
    assert after["xdp_tx"] - before.get("xdp_tx", 0) == 3
    assert seen == seen_then


def check_xdp_metadata(machine):
    """What a program puts before a frame is there when the stack gets that."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    for program, count in (("meta", FRAMES), ("pass", 0)):
        beta.run(f"xdp eth0 {program}; {RECEIVE}")
        alpha.run(SEND)
        output = beta.run("dmesg | tail -5; rmmod postern_bench; xdp eth0 off")
        assert f"receive.count {FRAMES}" in output
        assert re.search(rf"receive\.metadata {count}\b", output), output


def check_xdp_redirects_between(machine):
    """A ping of alpha's goes by beta's programs from one interface to the other, by that back to alpha,
    whose program answers it there, and in the same way back: no stack but the sender's sees it."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    echoes = "grep '^Icmp:' /proc/net/snmp"
    assert_ping(machine)
    alpha.run("xdp eth1 echo")
    seen = beta.run(f"xdp eth0 redirect eth1; xdp eth1 redirect eth0; {echoes}")
    before = [statistics(beta, interface) for interface in ("eth0", "eth1")]
    assert_ping(machine)
    after = [statistics(beta, interface) for interface in ("eth0", "eth1")]
    seen_then = beta.run(f"{echoes}; xdp eth0 off; xdp eth1 off")
    alpha.run("xdp eth1 off")
    assert seen == seen_then
    for then, now in zip(before, after):
        for name in ("xdp_redirect", "xdp_xmit"):
            assert now.get(name, 0) - then.get(name, 0) >= 3, (name, then, now)
        assert now.get("xdp_xmit_drops", 0) == then.get("xdp_xmit_drops", 0)
    assert_ping(machine)
    assert_no_complaints(machine)


def check_xdp_limits_the_mtu(machine):
    beta = machine.guest("beta")
    code, output = beta.run_any("ip link set eth0 mtu 9000; xdp eth0 pass")
    assert code == 1 and f"at most {XDP_MTU_MAX}" in output, output
    code, _ = beta.run_any(f"ip link set eth0 mtu {XDP_MTU_MAX} && xdp eth0 pass &&"
                           " ip link set eth0 mtu 9000")
    assert code != 0
    assert f"at most {XDP_MTU_MAX}" in beta.run("dmesg | tail -3")
    beta.run("xdp eth0 off; ip link set eth0 mtu 1500")


def check_stream_survives(machine, *, reload):
    """Rings that are opened anew, as by ethtool --reset, programs that come and go, and with `reload`
    the driver leaves with a program attached and comes back. beta's programs see a peer's large packets,
    whose checksums are still to be made."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    before = statistics(beta)
    with stream(machine):
        alpha.run("nic eth0 reset; sleep 0.3")
        beta.run("nic eth0 reset; sleep 0.3; for i in 1 2 3; do xdp eth0 pass; sleep 0.3; xdp eth0 off;"
                 " sleep 0.2; done; xdp eth0 pass; sleep 0.5", timeout=300)
        after = statistics(beta)
        if reload:
            # Its memory is the kernel's again, without the gate in it.
            beta.run("rmmod postern_net && insmod /lib/modules/postern_net.ko &&"
                     " ip address add 10.0.0.2/24 dev eth0 && ip link set eth0 up", timeout=300)
    beta.run("xdp eth0 off")
    assert after["link_doorbells"] > before["link_doorbells"]
    assert after["xdp_segments"] > before.get("xdp_segments", 0)
    for name in ("rx_refused", "broken", "gate_errors"):
        assert after.get(name, 0) == before.get(name, 0), name
    assert_ping(machine)
    assert_no_complaints(machine)


def check_timestamps(machine):
    """A packet's time is the same at both ends, and the hypervisor's clock agrees."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")

    def now():
        tsc, hertz = map(int, re.search(r"tsc (\d+) hz (\d+)",
                                        machine.hvctl("stats", "alpha")).groups())
        return tsc * 10**9 // hertz

    def exchange():
        beta.run("stamp receive > /tmp/stamp &")
        sent = alpha.run("stamp send 10.0.0.2").split()[-1]
        beta.run("while [ ! -s /tmp/stamp ]; do sleep 0.1; done")
        return sent, beta.run("cat /tmp/stamp").split()[-1]

    for guest in (alpha, beta):
        guest.run("nic eth0 stamps on")
    start = now()
    sent, received = exchange()
    assert sent == received and start < int(sent) < now(), (start, sent, received)
    for guest in (alpha, beta):
        guest.run("nic eth0 stamps off")
    assert exchange() == ("none", "none")
    assert "postern TSC" in alpha.run("cat /sys/class/ptp/ptp0/clock_name")


def check_byte_queue_limit(machine):
    """A receiver that takes nothing, its interrupts masked: so much waits in the ring as the sender's
    kernel lets, and the rest goes on when there is room again. Who does not ask the kernel is not
    held up."""
    alpha, beta = machine.guest("alpha"), machine.guest("beta")
    limits = "/sys/class/net/eth0/queues/tx-0/byte_queue_limits"

    def limit(name):
        return int(alpha.run(f"cat {limits}/{name}"))

    def sent():
        return statistics(alpha)["tx_bytes"]

    floor, ceiling = limit("limit_min"), limit("limit_max")
    assert 0 < floor <= limit("limit") < ceiling
    alpha.run(f"echo {LIMIT} > {limits}/limit_max")
    assert_ping(machine)
    assert limit("limit") <= LIMIT and limit("inflight") < LIMIT
    mask_interrupts(beta, True)
    before, stops = sent(), statistics(alpha).get("tx_stops", 0)
    alpha.run(f"udp send 10.0.0.2 9 {DATAGRAMS} 1472 > /tmp/udp 2>&1 &")
    machine.wait_until("alpha has stopped",
                       lambda: statistics(alpha).get("tx_stops", 0) > stops, 60)
    alpha.run("sleep 0.5")
    # It goes beyond by a packet, and in mode gated by the headers of a batch.
    assert LIMIT < limit("inflight") <= LIMIT + 2 * 1536
    assert LIMIT / 2 < sent() - before <= LIMIT + 2 * 1536
    alpha.run(SEND)
    assert limit("inflight") > LIMIT + FRAMES * 64
    mask_interrupts(beta, False)
    machine.wait_until("alpha has sent all", lambda: sent() - before > DATAGRAMS * 1472, 60)
    alpha.run(f"echo {ceiling} > {limits}/limit_max")
    assert_ping(machine)
    assert limit("limit") >= floor and limit("inflight") < LIMIT
    assert_no_complaints(machine)
