# SPDX-License-Identifier: BSD-2-Clause
"""A Linux guest, alpha, that is brought back from its twin, spare, in the middle of its traffic with beta: bulk by TCP
in both directions, and pings by each link."""

from driver_checks import assert_no_complaints
from traffic import assert_data_arrives

PORT = 5100
CHUNK = 1 << 18
NETS = ("10.0.0", "10.0.1", "10.0.2")
# Who sends to whom in bulk, by which link.
STREAMS = (("alpha", "beta", f"{NETS[1]}.2"), ("beta", "alpha", f"{NETS[2]}.1"))


# In the configuration `mixed`: a third link, which is gated, and a VM of alpha's shape, whose links are like alpha's,
# in their order, to one that never starts.
TWIN = {
    "ip1=10.0.1.1/24": "ip1=10.0.1.1/24 ip2=10.0.2.1/24",
    "ip1=10.0.1.2/24": "ip1=10.0.1.2/24 ip2=10.0.2.2/24",
    "link net0\n": """vm spare
    kernel  /postern/vmlinuz-cloud
    memory  128M
    vcpus   2
    pcpus   0 1
    autostart off

vm nobody
    kernel  /postern/vmlinuz-cloud
    memory  128M
    pcpus   0
    autostart off

link net0
""",
    "    mode    direct\n    window  2M\n    queues  2\n": """    mode    direct
    window  2M
    queues  2

link net2
    ends    alpha beta
    mode    gated
    window  2M
    queues  2

link twin0
    ends    spare nobody
    mode    open
    window  4M
    queues  2

link twin1
    ends    spare nobody
    mode    direct
    window  2M
    queues  2

link twin2
    ends    spare nobody
    mode    gated
    window  2M
    queues  2
""",
}


class Bulk:
    """Chunks of random data, from one guest to the other by one connection, until the end."""

    def __init__(self, machine, sender, receiver, address):
        self.machine = machine
        self.sender, self.receiver = machine.guest(sender), machine.guest(receiver)
        self.sender.run("rm -f /tmp/end; printf '%s\\n' 'i=0; while [ ! -e /tmp/end ]; do i=$((i+1));'"
                        f" 'stream {CHUNK} $i 2> /dev/null; echo $i > /tmp/chunks; done' > /tmp/bulk")
        self.receiver.run("rm -f /tmp/bulk.sum; echo 'stream > /tmp/bulk.sum' > /tmp/sink;"
                          f" nc -l -p {PORT} -e sh /tmp/sink &")
        self.sender.run(f"nc {address} {PORT} -e sh /tmp/bulk &")
        self.go_on()

    def chunks(self):
        return int(self.sender.run("cat /tmp/chunks 2> /dev/null || echo 0").split()[-1])

    def go_on(self):
        """More data go: what the buffers hold is less."""
        before = self.chunks()
        self.machine.wait_until("data in bulk go on", lambda: self.chunks() > before + (4 << 20) // CHUNK, 300)

    def end(self):
        """What has arrived is what was sent, of all chunks."""
        self.sender.run("touch /tmp/end")
        self.receiver.wait_until("[ -s /tmp/bulk.sum ]", 300)
        count = self.chunks()
        sent = self.sender.run(f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); stream {CHUNK} $i 2> /dev/null; done"
                               " | stream").split()
        assert self.receiver.run("cat /tmp/bulk.sum").split() == sent and int(sent[1]) == count * CHUNK, sent


def come_back(machine):
    """alpha is what spare is, and goes on. Its links come up again, each behind its driver's word on it."""
    machine.hvctl("destroy", "--yes", "alpha")
    print(machine.hvctl("clone", "spare", "alpha"))
    assert [machine.vms()[vm]["state"] for vm in ("alpha", "spare")] == ["paused", "paused"]
    machine.hvctl("resume", "alpha")


def check_links(machine):
    for net in NETS:
        for guest, end in (("alpha", 2), ("beta", 1)):
            machine.guest(guest).wait_until(f"ping -c 1 -W 2 {net}.{end}")
    for name in ("alpha", "beta"):
        assert "0" not in machine.guest(name).run("cat /sys/class/net/eth[0-2]/carrier").split()


def check_clone_and_back(machine):
    """alpha is paused and gone while beta waits: its connections go on, with nothing lost or wrong. Then it goes back
    again to where its twin still is. Of the connections that went on meanwhile beta has heard more than alpha knows
    of: they end, and new ones work."""
    alpha = machine.guest("alpha")
    starts = int(machine.vms()["alpha"]["starts"])
    bulks = [Bulk(machine, *stream) for stream in STREAMS]
    for cpu in (0, 1):
        alpha.run(f"taskset {1 << cpu} ping -i 0.2 {NETS[cpu]}.2 > /tmp/pings{cpu} 2>&1 &")
    print(machine.hvctl("clone", "--stop", "alpha", "spare"))
    assert [machine.vms()[vm]["state"] for vm in ("alpha", "spare")] == ["paused", "paused"]
    come_back(machine)
    for bulk in bulks:
        bulk.go_on()
    check_links(machine)
    for bulk in bulks:
        bulk.end()
    alpha.run("[ $(grep -c 'bytes from' /tmp/pings0) -gt 5 ] && [ $(grep -c 'bytes from' /tmp/pings1) -gt 5 ]")
    come_back(machine)
    alpha.run("[ ! -e /tmp/end ] && touch /tmp/end && [ ! -s /tmp/bulk.sum ]; killall -q ping nc stream")
    check_links(machine)
    assert_data_arrives(machine, 1, NETS[2])
    assert int(machine.vms()["alpha"]["starts"]) == starts + 2
    assert_no_complaints(machine)
    machine.hvctl("destroy", "--yes", "spare")
