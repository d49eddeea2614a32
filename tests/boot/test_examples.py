# SPDX-License-Identifier: BSD-2-Clause
"""The examples of guests/examples that no other test boots: what each is for."""

from conftest import boot_fast
from postern_machine import table
from traffic import assert_ping


def test_pairs_have_nothing_of_each_other(can_run, tmp_path_factory):
    """Both links come up, between guests with the same addresses; what is in any guest's reach is its own, or
    its partner's."""
    assert can_run is None
    for machine in boot_fast("pairs", [], tmp_path_factory):
        names = ("red1", "red2", "blue1", "blue2")
        for name in names:
            machine.wait_until(f"{name}'s link is up",
                               lambda name=name: "link up" in machine.guest(name).console(), 120)
        for name in names:
            rows = table(machine.hvctl("views", name).split("\n\n")[1])
            colour, number = name[:-1], name[-1]
            partner = colour + ("2" if number == "1" else "1")
            assert {row["given_by"] for row in rows} == {name, partner, "-"}, rows
            assert {row["channel"] for row in rows} == {colour, "-"}
            assert {row["rights"] for row in rows if row["given_by"] == partner} == {"r--"}
        rows = machine.vms().values()
        assert {row["state"] for row in rows} == {"running"}


def test_hub_reaches_its_spokes(can_run, tmp_path_factory):
    assert can_run is None
    for machine in boot_fast("hub", ["hub", "spoke1", "spoke2", "spoke3"], tmp_path_factory):
        hub = machine.guest("hub")
        for number in (1, 2, 3):
            assert_ping(hub, f"10.0.{number}.2")
        assert hub.run("cat /proc/sys/net/ipv4/ip_forward").strip() == "1"


def test_one_vm_with_everything(can_run, tmp_path_factory):
    assert can_run is None
    for machine in boot_fast("everything", ["web", "alpha"], tmp_path_factory):
        alpha = machine.guest("alpha")
        assert_ping(alpha, "10.0.0.2")
        for number in range(4):
            assert f"10.{number}.0.1/24" in alpha.run(f"ip address show eth{number}")
        assert alpha.run("cat /sys/class/net/eth3/mtu").strip() == "1400"
        assert alpha.run("ls /dev/vda /dev/vdb /dev/vdc /dev/hvc0 /dev/hwrng").split() == [
            "/dev/hvc0", "/dev/hwrng", "/dev/vda", "/dev/vdb", "/dev/vdc"]
        assert alpha.run("cat /sys/block/vdb/ro").strip() == "1"
        assert alpha.run("grep -c ^processor /proc/cpuinfo").strip() == "2"
        rules = [(row["network"], row["rule"], row["from"], row["to"], row["value"])
                 for row in table(machine.hvctl("rules"))]
        for rule in (("lan", "macs", "any", "-", "fixed"), ("lan", "floods", "any", "-", "1000/s"),
                     ("lan", "limit", "alpha", "-", "100000000 B/s"), ("lan", "drop", "any", "web", "0x86dd"),
                     ("office", "vlan", "alpha", "-", "10"), ("office", "trunk", "web", "-", "20")):
            assert rule in rules, rules
        assert [row["mode"] for row in table(machine.hvctl("links"))] == ["gated", "direct"]
        assert "stays so" in machine.hvctl("link", "mode", "net1", "open", code=1)
