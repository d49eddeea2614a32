# SPDX-License-Identifier: BSD-2-Clause
"""Ways for packets from CPU 0 to CPU 1, or back: each function measures one and returns packets per
second. The first ones are build/bench/host's, the others DPDK's."""

import contextlib
import itertools
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

BUILD = os.environ.get("BUILD", "build")
HOST = os.path.join(BUILD, "bench", "host")
RTE_RING = os.path.join(BUILD, "bench", "rte_ring")
EAL = ["--no-huge", "-m", "512", "--no-pci", "--no-telemetry", "--log-level=3"]
PEER_SECONDS = 30  # until a pair of testpmd has to have shown its figures
PEER_FIGURES = 3   # of a second each, after a first one that is thrown away


class WayError(Exception):
    """The way did not work."""


def packets_per_second(command):
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    found = re.search(r"packets (\d+) nanoseconds (\d+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise WayError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return int(found.group(1)) * 1e9 / int(found.group(2))


def probe():
    """Nanoseconds of a cache line's way to the other core and back."""
    done = subprocess.run([HOST, "probe"], check=True, capture_output=True, text=True, timeout=60)
    return float(done.stdout.split()[1])


def own(name):
    def measure(size, burst, options):
        return packets_per_second([HOST, name, str(size), str(burst), str(options.milliseconds),
                                   str(options.window)])
    return measure


def rte_ring(size, burst, options):
    return packets_per_second([RTE_RING, "--lcores", "0@0,1@1", *EAL,
                               "--file-prefix=postern", "--", str(size), str(burst),
                               str(options.milliseconds)])


@contextlib.contextmanager
def testpmd(cpu, device, size, burst, output, *mode):
    large = ["--mbuf-size=9600"] if size > 2048 else []
    command = ["dpdk-testpmd", "--lcores", f"0@{cpu},1@{cpu}", *EAL,
               f"--file-prefix=postern-{cpu}", f"--vdev={device}", "--", "--nb-cores=1",
               "--no-mlockall", "--total-num-mbufs=16384", "--stats-period=1", f"--burst={burst}",
               *large, *mode]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                          stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def wait(what, condition, processes):
    end = time.monotonic() + PEER_SECONDS
    while not condition():
        if time.monotonic() > end or any(process.poll() is not None for process in processes):
            raise WayError(f"testpmd: no {what}")
        time.sleep(0.05)


def figures(path):
    """Packets per second, each second since the first packet."""
    with open(path, encoding="utf-8", errors="replace") as file:
        values = [int(value) for value in re.findall(r"Rx-pps:\s+(\d+)", file.read())]
    return list(itertools.dropwhile(lambda value: value == 0, values))


def pair(receiver, sender, size, burst):
    """Two testpmd; `receiver` and `sender` are their devices, with {} for the socket's path."""
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as directory:
        socket, log = os.path.join(directory, "s"), os.path.join(directory, "log")
        with open(log, "wb") as output, \
                testpmd(1, receiver.format(socket), size, burst, output,
                        "--forward-mode=rxonly") as first:
            wait("socket", lambda: os.path.exists(socket), [first])
            with testpmd(0, sender.format(socket), size, burst, subprocess.DEVNULL,
                         "--forward-mode=txonly", f"--txpkts={size}") as second:
                wait("packets", lambda: len(figures(log)) > PEER_FIGURES, [first, second])
                return statistics.median(figures(log)[1:PEER_FIGURES + 1])


def memif(size, burst, _options):
    device = "net_memif0,role={},id=0,socket={{}},socket-abstract=no"
    if size > 2048:
        device += ",bsize=9216"
    return pair(device.format("server"), device.format("client"), size, burst)


def vhost(size, burst, _options, more=""):
    return pair("net_vhost0,iface={},queues=1", "net_virtio_user0,path={},queues=1" + more, size,
                burst)


def vhost_packed(size, burst, options):
    return vhost(size, burst, options, ",packed_vq=1,in_order=1")


WAYS = {"postern": own("postern"), "posted": own("posted"), "descriptors": own("descriptors"), "stream": own("stream"),
        "flags": own("flags"), "memif": memif, "vhost": vhost, "vhost_packed": vhost_packed,
        "rte_ring": rte_ring}
OWN = ("postern", "posted", "descriptors", "stream", "flags")
POSTED_MIN = 512  # bytes: POSTERN_POSTED_MIN in abi/ring_pool.h; shorter packets go by the ring
# Bursts mean nothing to these.
BURSTLESS = ("stream", "flags")


def there(way):
    """Whether what the way needs is installed."""
    if way == "rte_ring":
        return os.path.exists(RTE_RING)
    return way in OWN or shutil.which("dpdk-testpmd") is not None


def carries(way, size):
    """Whether the way is one for packets of that size."""
    return way != "posted" or size >= POSTED_MIN
