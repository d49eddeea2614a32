# SPDX-License-Identifier: BSD-2-Clause
"""What tests of hvctl share: the real monitor with a made-up machine behind it (tests/hvctl/server.c), on a line."""

import os
import subprocess

import pexpect

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
HVCTL = os.path.join(BUILD, "hvctl")
SERVER = os.path.join(BUILD, "monitor-server")


class Line:
    def __init__(self, tmp_path, *options, pty=False):
        where = "pty" if pty else f"unix:{tmp_path}/line"
        # pylint: disable-next=consider-using-with
        self.server = subprocess.Popen([SERVER, *options, where], stdout=subprocess.PIPE, text=True)
        self.name = self.server.stdout.readline().strip()

    def run(self, *words, code=0, stdin=None, timeout=60):
        done = subprocess.run([HVCTL, "--line", self.name, *words], check=False,
                              capture_output=True, encoding="latin-1", input=stdin, timeout=timeout)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr

    def close(self):
        self.server.kill()
        self.server.wait()


def hvctl(*words, code=0, stdin=None):
    """Without a line."""
    done = subprocess.run([HVCTL, *words], check=False, capture_output=True, text=True, input=stdin,
                          env={"PATH": os.environ["PATH"]}, cwd="/", timeout=60)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


def end(child, code=0):
    """Waits for the end of hvctl on a terminal, and for its exit code."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code, child.before
