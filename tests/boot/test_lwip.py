# SPDX-License-Identifier: BSD-2-Clause
"""A Debian guest, and one with lwIP behind gates: one boot for all tests of this file."""

import re

import pytest

from conftest import boot_fast
from lwip_guest import READY, assert_echo, seconds_to_ready, statistics
from postern_machine import FALLBACK, table
from traffic import assert_ping, megabytes

WEB = "10.0.0.2"
IPERF = re.compile(r"iperf: (\d+) bytes from 10\.0\.0\.1 in (\d+) ms, (\d+) kbit/s\r?$", re.MULTILINE)
BENCH = "insmod /lib/modules/postern_bench.ko what={}; rmmod postern_bench 2> /dev/null"


@pytest.fixture(scope="module", name="lwip")
def fixture_lwip(can_run, tmp_path_factory):
    assert can_run is None
    yield from boot_fast("lwip", ["web", "alpha"], tmp_path_factory)


def console_has(lwip, pattern, times=1):
    text = lwip.guest("web").console()
    return len(re.findall(pattern, text)) >= times


def test_ready_in_under_a_second(lwip):
    (ready,) = READY.findall(lwip.guest("web").console())
    assert ready[0] == "web" and ready[2:4] == (WEB, "gated")
    seconds = seconds_to_ready(lwip, "web")
    print(f"ready after {seconds * 1000:.1f} ms")
    assert 0 < seconds < 1


def test_ping(lwip):
    assert_ping(lwip.guest("alpha"), WEB, 10)


def test_fragmented_ping(lwip):
    assert_ping(lwip.guest("alpha"), WEB, size=4000)


def test_page_tells_statistics(lwip):
    alpha = lwip.guest("alpha")
    before, after = statistics(alpha, WEB), statistics(alpha, WEB)
    assert (after["link.mode"], after["link.up"], after["link.faults"]) == ("gated", "1", "0")
    assert int(after["rx.packets"]) > int(before["rx.packets"]) > 13
    assert int(after["uptime_ms"]) > int(before["uptime_ms"])
    assert int(after["icmp.received"]) >= 13
    assert (after["rx.dropped"], after["tx.dropped"]) == ("0", "0")


def test_trace_of_a_ping(lwip, tmp_path):
    """What the CPUs do for it: both guests exit and ring, and each CPU's records are in order."""
    path = str(tmp_path / "trace")
    lwip.hvctl("trace", "start")
    assert_ping(lwip.guest("alpha"), WEB, 3)
    lwip.hvctl("trace", "stop")
    lwip.hvctl("trace", "save", path)
    rows = table(lwip.hvctl("decode", path))
    for event in ("exit", "idle", "doorbell"):
        assert any(row["event"] == event for row in rows), event
    exits = [row for row in rows if row["event"] == "exit"]
    assert {"web/0", "alpha/0"} <= {row["vcpu"] for row in exits}
    assert {"vmcall", "hlt"} <= {row["detail"] for row in exits}
    for cpu in ("0", "1"):
        times = [float(row["us"]) for row in rows if row["cpu"] == cpu]
        assert times and times == sorted(times)
    lwip.hvctl("trace", "start", "doorbell,dance", code=1)
    before = lwip.hvctl("trace", "save", path)
    assert_ping(lwip.guest("alpha"), WEB, 1)
    assert lwip.hvctl("trace", "save", path) == before


def test_other_pages_are_not_found(lwip):
    code, output = lwip.guest("alpha").run_any(f"wget -O - http://{WEB}/other")
    assert code == 1 and "404" in output, output


def test_throughput(lwip):
    """As an iperf2 client: a header of zeros, then data. The server's console has the result. lwiperf
    does not count what comes in one segment with the header, so the header goes alone."""
    alpha, size = lwip.guest("alpha"), megabytes(4, 20) << 20
    alpha.run(f"mkdir -p /tmp; echo 'head -c 24 /dev/zero; stream {size} 1' > /tmp/perf")
    alpha.run(f"nc {WEB} 5001 -e sh /tmp/perf", timeout=300)
    lwip.wait_until("the report is there", lambda: console_has(lwip, IPERF), 60)
    transferred, milliseconds, kilobits = map(int, IPERF.findall(lwip.guest("web").console())[0])
    print(f"{transferred} bytes in {milliseconds} ms, {kilobits} kbit/s")
    assert transferred == size + 24
    page = statistics(alpha, WEB)
    # Segments of up to 64 KiB with checksums that were never made; and no doorbell for each.
    assert int(page["rx.large"]) > 0 and int(page["rx.unchecked"]) > 0
    assert (page["rx.dropped"], page["tcp.bad_checksum"]) == ("0", "0")


def test_data_comes_back_as_it_was(lwip):
    assert_echo(lwip.guest("alpha"), WEB, megabytes(1, 2) << 20)


def test_burst_of_datagrams(lwip):
    output = lwip.guest("alpha").run(f"udp fetch {WEB} 19 1000 22")
    assert "udp: receive.count 1000" in output, output


def test_idle_guest_rests(lwip):
    """lwIP's timers go six times a second, as long as TCP remembers connections; each is an exit for
    its setting and one for HLT. By the fallback each crossing is two exits more."""
    def exits_and_tsc():
        text = lwip.hvctl("exec", "stats", "web")
        counts = {row["exit"]: int(row["count"]) for row in table(text)}
        tsc, hertz = map(int, re.search(r"^tsc (\d+) hz (\d+)", text, re.MULTILINE).groups())
        return counts["all"], tsc / hertz

    exits, start = exits_and_tsc()
    lwip.guest("alpha").run("sleep 8")
    more_exits, end = exits_and_tsc()
    rate = (more_exits - exits) / (end - start)
    print(f"{rate:.1f} exits per second")
    assert rate < (60 if FALLBACK else 20)


def test_peer_goes_down_and_up(lwip):
    alpha = lwip.guest("alpha")
    for times in range(1, 4):
        alpha.run("ip link set eth0 down; sleep 1; ip link set eth0 up; sleep 1")
        assert_ping(alpha, WEB)
        assert console_has(lwip, "link down", times)


def test_revoked_section_takes_the_link_down(lwip):
    alpha = lwip.guest("alpha")
    before = int(statistics(alpha, WEB)["link.gate_errors"])
    alpha.run(BENCH.format("revoke") + f"; ping -c 1 -W 1 {WEB} > /dev/null; true")
    lwip.wait_until("web has seen it", lambda: console_has(lwip, "a crossing failed"), 30)
    alpha.run(BENCH.format("grant") + "; ip link set eth0 down; ip link set eth0 up; sleep 1")
    assert_ping(alpha, WEB)
    assert int(statistics(alpha, WEB)["link.gate_errors"]) == before + 1


def test_restart(lwip):
    alpha = lwip.guest("alpha")
    assert lwip.vms()["web"]["starts"] == "1"
    before = statistics(alpha, WEB)
    lwip.hvctl("shutdown", "web")
    lwip.wait_for_state("web", "off")
    lwip.wait_until("alpha's link is down",
                    lambda: alpha.run("cat /sys/class/net/eth0/carrier").strip() == "0", 60)
    lwip.hvctl("start", "web")
    lwip.guest("web").wait_ready(times=2)
    assert 0 < seconds_to_ready(lwip, "web") < 1
    alpha.run("sleep 1")
    assert_ping(alpha, WEB)
    after = statistics(alpha, WEB)
    assert after["ring.generation"] != before["ring.generation"]
    assert int(after["uptime_ms"]) < int(before["uptime_ms"])


def test_nobody_complained(lwip):
    assert not re.search(r"exception|lwIP:|broke", lwip.guest("web").console())
    output = lwip.guest("alpha").run("dmesg | grep postern_net")
    assert "broke" not in output, output
