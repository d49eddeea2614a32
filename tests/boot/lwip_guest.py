# SPDX-License-Identifier: BSD-2-Clause
"""What the bare-metal guest with lwIP prints and answers."""

import re

ECHOED = 1 << 20  # bytes that come back, in one direction at least SEGMENTS packets: none is longer than 64 KiB
SEGMENTS = ECHOED >> 16
READY = re.compile(r"postern-lwip: (\S+) is ready \(lwIP (\S+), (\S+), link (\w+), TSC (\d+)\)")
STARTED = re.compile(r"^tsc \d+ hz (\d+) started (\d+)$", re.MULTILINE)


def statistics(client, address):
    """The page as the client gets it: name -> value."""
    page = client.run(f"wget -q -O - http://{address}/")
    return dict(re.findall(r"^([a-z0-9_.]+) (\w+)$", page, re.MULTILINE))


def seconds_to_ready(machine, name):
    """Emulated, from the VM's last start to the guest's last line that says that it is ready."""
    hertz, started = map(int, STARTED.search(machine.hvctl("exec", "stats", name)).groups())
    ready = READY.findall(machine.guest(name).console())[-1]
    return (int(ready[-1]) - started) / hertz


def assert_echo(client, address, size, meanwhile=lambda: None):
    """Sends random data, of whole blocks of 64 KiB, to the echo service; what comes back is what was sent. By dd, since
    BusyBox's `head -c` takes some 800 instructions for a byte."""
    client.run("rm -f /tmp/in.sum")
    client.run("mkdir -p /tmp; echo 'stream {0} 1 2> /tmp/out.sum & dd bs=64k count={1} iflag=fullblock 2> /dev/null |"
               " stream > /tmp/in.sum' > /tmp/both".format(size, size >> 16))
    client.run(f"nc {address} 7 -e sh /tmp/both &")
    meanwhile()
    client.wait_until("[ -s /tmp/in.sum ]", 300)
    sent, received = client.run("cat /tmp/out.sum /tmp/in.sum").split("\n")[:2]
    assert sent == received and sent.split()[1] == str(size)
