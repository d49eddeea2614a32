#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The monitor protocol's frames as docs/monitor-protocol.md has them, and sessions between hvctl and a monitor:
recorded by an earlier version, they are replayed to each end of the present one (test_sessions.py).

record.py FILE records one from the present version. A session is a file of lines: '>' and the payload of a
frame from the host in hexadecimal, or '<' and that of one from the monitor.
"""

import socket
import subprocess
import sys
import tempfile
import threading
import zlib

from monitor_line import HVCTL, SERVER

FLAG, ESCAPE, BEGIN = 0x7e, 0x7d, b"\x7e\xff\x03"
HELLO, STREAMS, EXEC, READ, WRITE, BYE = range(1, 7)
ANSWER = 0x80

# What the fake machine answers to these does not change by itself.
WORDS = (["list"], ["stats", "alpha"], ["stats", "beta"], ["exec", "flood"], ["exec", "dance"], ["log"],
         ["console", "--quiet", "0.3", "beta"])


def encode(payload):
    """With all control characters escaped, as the host has to."""
    body = b"\xff\x03" + payload
    frame = bytearray([FLAG])
    frame += b"\xff\x03"
    for byte in payload + zlib.crc32(body).to_bytes(4, "little"):
        frame += bytes([ESCAPE, byte ^ 0x20]) if byte < 0x20 or byte in (FLAG, ESCAPE) else bytes([byte])
    frame.append(FLAG)
    return bytes(frame)


class Decoder:
    """Payloads out of a stream of bytes; text between them is passed over."""

    def __init__(self):
        self.data = b""

    def feed(self, data):
        self.data += data
        while True:
            start = self.data.find(BEGIN)
            end = self.data.find(FLAG, start + 1) if start >= 0 else -1
            if end < 0:
                return
            raw, self.data = self.data[start + 1:end], self.data[end:]
            frame, escaped = bytearray(), False
            for byte in raw:
                if escaped or byte != ESCAPE:
                    frame.append(byte ^ 0x20 if escaped else byte)
                escaped = not escaped and byte == ESCAPE
            if len(frame) > 6 and zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little"):
                yield bytes(frame[2:-4])


def load(path):
    """[(direction, payload)], in their order."""
    with open(path, encoding="ascii") as file:
        return [(line[0], bytes.fromhex(line[2:])) for line in file if line[0] in "<>"]


def relay(source, target, direction, frames):
    decoder = Decoder()
    while data := source.recv(4096):
        frames.extend((direction, payload) for payload in decoder.feed(data))
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def record(path):
    frames = []
    with tempfile.TemporaryDirectory() as directory:
        with subprocess.Popen([SERVER, f"unix:{directory}/monitor"],
                              stdout=subprocess.PIPE) as server:
            server.stdout.readline()
            for words in WORDS:
                with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as monitor:
                    listener.bind(f"{directory}/{len(frames)}")
                    listener.listen(1)
                    monitor.connect(f"{directory}/monitor")
                    with subprocess.Popen([HVCTL, "-l", listener.getsockname(), *words],
                                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL) as hvctl:
                        host, _ = listener.accept()
                        threads = [threading.Thread(target=relay, args=args) for args in
                                   ((host, monitor, ">", frames), (monitor, host, "<", frames))]
                        for thread in threads:
                            thread.start()
                        hvctl.communicate(b"uname\r")
                        for thread in threads:
                            thread.join()
                        host.close()
            server.kill()
    with open(path, "w", encoding="ascii") as file:
        file.write("# SPDX-License-Identifier: BSD-2-Clause\n")
        file.writelines(f"{direction} {payload.hex()}\n" for direction, payload in frames)


if __name__ == "__main__":
    record(sys.argv[1])
