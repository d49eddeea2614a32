# SPDX-License-Identifier: BSD-2-Clause
"""Sessions that earlier versions have had (tests/hvctl/sessions), replayed to both ends of the present one: what
was understood then still is. A change of the protocol that fails here wants another MONITOR_VERSION."""

import glob
import os
import socket
import subprocess
import threading

import pytest

import record
from monitor_line import HVCTL, SERVER

SESSIONS = sorted(glob.glob(os.path.join(os.path.dirname(__file__), "sessions", "*.txt")))
HEADER = 8


@pytest.fixture(name="monitor")
def fixture_monitor(tmp_path):
    path = f"{tmp_path}/monitor"
    with subprocess.Popen([SERVER, f"unix:{path}"], stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        yield path
        server.kill()


def exchanges(path):
    """[(request, answer)]: nothing of a session was repeated."""
    frames = record.load(path)
    assert [direction for direction, _ in frames] == [">", "<"] * (len(frames) // 2)
    return [(frames[i][1], frames[i + 1][1]) for i in range(0, len(frames), 2)]


@pytest.mark.parametrize("session", SESSIONS, ids=os.path.basename)
def test_monitor_answers_as_ever(monitor, session):
    """Byte by byte, as the fake machine says the same."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(monitor)
        line.settimeout(20)
        decoder = record.Decoder()
        for request, expected in exchanges(session):
            line.sendall(record.encode(request))
            answers = []
            while not answers:
                answers = list(decoder.feed(line.recv(4096)))
            assert answers == [expected], request.hex()


class Replayer(threading.Thread):
    """Answers hvctl with what was recorded for the same request."""

    def __init__(self, path, session, version=None):
        super().__init__()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.version = version
        self.unknown = []
        self.answers = {}
        for request, answer in exchanges(session):
            self.answers.setdefault((request[0], request[HEADER:]), []).append(answer)

    def answer(self, request):
        key = (request[0], request[HEADER:])
        if self.version is not None and request[0] == record.HELLO:
            body = b"\x81\x01" + self.version.to_bytes(2, "little") + b"\x00\x04"
            return body[:2] + request[2:HEADER] + body[2:]
        if key not in self.answers:
            self.unknown.append(request)
            return None
        found = self.answers[key]
        answer = found.pop(0) if len(found) > 1 else found[0]
        return answer[:2] + request[2:HEADER] + answer[HEADER:]

    def run(self):
        decoder = record.Decoder()
        client, _ = self.listener.accept()
        with client:
            while data := client.recv(4096):
                for request in decoder.feed(data):
                    answer = self.answer(request)
                    if answer is not None:
                        client.sendall(record.encode(answer))
        self.listener.close()


def hvctl(line, words):
    return subprocess.run([HVCTL, "-l", line, "-t", "5", *words], check=False, capture_output=True,
                          text=True, input="uname\r", timeout=60)


@pytest.mark.parametrize("session", SESSIONS, ids=os.path.basename)
@pytest.mark.parametrize("words", record.WORDS, ids=" ".join)
def test_hvctl_understands_as_ever(monitor, session, words, tmp_path):
    """It asks what it asked then, and prints what the present monitor would have it print."""
    replayer = Replayer(f"{tmp_path}/replayer", session)
    replayer.start()
    old = hvctl(f"{tmp_path}/replayer", words)
    replayer.join()
    new = hvctl(monitor, words)
    assert not replayer.unknown, [request.hex() for request in replayer.unknown]
    assert (old.returncode, old.stdout) == (new.returncode, new.stdout)


def test_another_version_is_told(tmp_path):
    replayer = Replayer(f"{tmp_path}/replayer", SESSIONS[-1], version=77)
    replayer.start()
    done = hvctl(f"{tmp_path}/replayer", ["list"])
    replayer.join()
    assert done.returncode == 3 and "77" in done.stderr
