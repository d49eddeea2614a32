# SPDX-License-Identifier: BSD-2-Clause
"""A Linux guest, alpha, that is brought back from its twin, spare, in the middle of its traffic with beta: bulk by TCP
in both directions, and pings by each link."""

from driver_checks import assert_no_complaints
from traffic import LONG, assert_data_arrives

PORT = 5100
NETS = ("10.0.0", "10.0.1", "10.0.2")
ENDS = {"alpha": 1, "beta": 2}
# Who sends in bulk, and by which of the nets.
STREAMS = (("alpha", 1), ("beta", 2))
SOME = 1 << 19  # more bytes than what a guest had sent and is not acknowledged


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
    """Random data from one guest to the other by one connection, until the end."""

    def __init__(self, machine, sender, net):
        receiver, = set(ENDS) - {sender}
        self.machine, self.arrived = machine, f"cat /sys/class/net/eth{net}/statistics/rx_bytes"
        self.sender, self.receiver = machine.guest(sender), machine.guest(receiver)
        self.receiver.run("rm -f /tmp/bulk.sum; echo 'stream > /tmp/bulk.sum' > /tmp/sink;"
                          f" nc -l -p {PORT} -e sh /tmp/sink &")
        self.sender.run(f"rm -f /tmp/end; echo 'stream {1 << 40} 7 /tmp/end 2> /tmp/bulk.out' > /tmp/bulk;"
                        f" nc {NETS[net]}.{ENDS[receiver]} {PORT} -e sh /tmp/bulk &")

    def go_on(self):
        def received():
            return int(self.receiver.run(self.arrived).split()[-1])

        before = received()
        self.machine.wait_until("data in bulk go on", lambda: received() > before + SOME, 300)

    def end(self):
        """What has arrived is what was sent."""
        self.sender.run("touch /tmp/end")
        self.receiver.wait_until("[ -s /tmp/bulk.sum ]", 300)
        sent = self.sender.run("cat /tmp/bulk.out").split()
        assert self.receiver.run("cat /tmp/bulk.sum").split() == sent and int(sent[1]) > SOME, sent


def come_back(machine):
    """alpha is what spare is, and goes on."""
    machine.hvctl("destroy", "--yes", "alpha")
    print(machine.hvctl("clone", "spare", "alpha"))
    assert [machine.vms()[vm]["state"] for vm in ("alpha", "spare")] == ["paused", "paused"]
    machine.hvctl("resume", "alpha")


def check_links(machine):
    """Each is up, for both ends, and carries packets."""
    for guest, peer in (("alpha", 2), ("beta", 1)):
        addresses = " ".join(f"{net}.{peer}" for net in NETS)
        machine.guest(guest).run(f"for peer in {addresses}; do until ping -c 1 -W 2 $peer; do :; done; done;"
                                 " [ $(cat /sys/class/net/eth[0-2]/carrier | grep -c 1) = 3 ]", 300)


def go_back_again(machine):
    """To where its twin still is. Of the connections that went on since beta has heard more than alpha knows of: they
    end, and new ones work."""
    come_back(machine)
    machine.guest("alpha").run("[ ! -e /tmp/end ] && touch /tmp/end; killall ping nc stream")
    check_links(machine)
    assert_data_arrives(machine, 1, NETS[2])


def clone_and_stop(machine):
    """With LONG=1 while alpha runs, which takes the emulator a minute of its traffic; else it is paused before."""
    if not LONG:
        machine.hvctl("pause", "alpha")
        machine.wait_for_state("alpha", "paused")
    print(machine.hvctl("clone", "--stop", "alpha", "spare"))
    assert [machine.vms()[vm]["state"] for vm in ("alpha", "spare")] == ["paused", "paused"]


def check_clone_and_back(machine):
    """alpha is paused and gone while beta waits: its connections go on, with nothing lost or wrong, and so do pings.
    Its driver says of each link that it was told."""
    alpha = machine.guest("alpha")
    bulks = [Bulk(machine, *stream) for stream in (STREAMS if LONG else STREAMS[:1])]
    alpha.run(f"dmesg -c > /dev/null; taskset 2 ping -i 0.2 {NETS[0]}.2 > /tmp/pings 2>&1 &")
    for bulk in bulks:
        bulk.go_on()
    clone_and_stop(machine)
    come_back(machine)
    for bulk in bulks:
        bulk.go_on()
    check_links(machine)
    for bulk in bulks:
        bulk.end()
    said = alpha.run("cat /tmp/pings > /tmp/before; sleep 1; killall ping; dmesg;"
                     " [ $(grep -c 'bytes from' /tmp/pings) -gt $(grep -c 'bytes from' /tmp/before) ]")
    assert said.count("was restored from a snapshot") == 3, said
    if LONG:
        go_back_again(machine)
    assert_no_complaints(machine)
    machine.hvctl("destroy", "--yes", "spare")
