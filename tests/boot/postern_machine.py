# SPDX-License-Identifier: BSD-2-Clause
"""A machine under test: the image in an emulator, hvctl on its line, shells in its guests."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pexpect

import firmware

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
RUN = [sys.executable, os.path.join(ROOT, "tools/run/run.py")]

sys.path.insert(0, os.path.join(ROOT, "tools/run"))
# pylint: disable=wrong-import-position
import machine as launcher
import platform_probe

# pylint: enable=wrong-import-position

# Views by exits, as on a CPU without VMFUNC. Such a run may go on beside another.
FALLBACK = bool(os.environ.get("FORCE_FALLBACK"))
ESCAPE = "\x1d"  # Ctrl-]
BOOT_SECONDS = 400
POLL_SECONDS = 0.3
BOOT_POLL_SECONDS = 2  # of a guest that boots: each look takes time from it
# All limits are for a machine that has nothing else to do. Another may be slower, and only a failure waits for them.
PATIENCE = 3
# What the echo of a command to Guest.run_any() ends with: the shell breaks its lines, wherever that is.
ECHO_END = re.compile(r":\n?\$\n?\?\n?:\n?\"\n")


def platform():
    """What the system tests run on: PLATFORM, else what `make run` would choose."""
    asked = os.environ.get("PLATFORM", "auto")
    return platform_probe.choose()[0] if asked == "auto" else asked


def small_firmware():
    """Options of the launcher for OVMF with less to decompress, in Bochs."""
    path = firmware.small(launcher.OVMF_BOCHS, os.path.join(BUILD, "test", "firmware.fd"))
    return ["--bochs-line", f"romimage: file={path}"] if path and platform() == "bochs" else []


def table(text):
    """hvctl's first table: rows as dictionaries."""
    lines = []
    for line in text.splitlines():
        if "\t" in line:
            lines.append(line.split("\t"))
        elif lines:
            break
    return [dict(zip(lines[0], line)) for line in lines[1:]]


class Machine:
    def __init__(self, name, config=None, *, entry=None, on=None, options=()):
        self.directory = os.path.join(BUILD, "test", name + ("-fallback" if FALLBACK else ""))
        self.line = os.path.join(self.directory, "line")
        self.platform = on or platform()
        self.config = config
        chosen = ["--config", config] if config else ["--entry", entry] if entry else []
        self.command = [*RUN, "start", "--dir", self.directory, "--platform", self.platform,
                        "--image", os.path.join(BUILD, "postern.img"), *chosen, *options]

    def start(self, wait=BOOT_SECONDS):
        self.stop()  # one that an interrupted run left
        done = subprocess.run([*self.command, "--wait", str(PATIENCE * wait)], check=False,
                              capture_output=True, text=True)
        assert done.returncode == 0, f"the machine does not start:\n{done.stdout}{done.stderr}"
        return self

    def signal_emulator(self, number):
        with open(os.path.join(self.directory, "state.json"), encoding="utf-8") as file:
            os.kill(json.load(file)["emulator"], number)

    def freeze(self):
        """Its emulator stands still, which takes a whole CPU of the host also when the machine has nothing to do."""
        self.signal_emulator(signal.SIGSTOP)

    def thaw(self):
        self.signal_emulator(signal.SIGCONT)

    def stop(self):
        subprocess.run([*RUN, "stop", "--dir", self.directory], check=False)

    def serial(self):
        """All that the machine has sent on its line, frames and all."""
        with open(os.path.join(self.directory, "serial.log"), "rb") as log:
            return log.read().decode("utf-8", "replace")

    def runs(self):
        done = subprocess.run([*RUN, "status", "--dir", self.directory], check=False,
                              capture_output=True)
        return done.returncode == 0

    def hvctl_command(self, *words):
        return [os.path.join(BUILD, "hvctl"), "--line", self.line, "--timeout", "60", *words]

    def hvctl(self, *words, code=0, stdin=None):
        """Runs hvctl and returns what it printed."""
        done = subprocess.run(self.hvctl_command(*words), check=False, capture_output=True,
                              text=True, input=stdin, timeout=PATIENCE * 300)
        assert done.returncode == code, (
            f"hvctl {' '.join(words)}: code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + (done.stderr if code else "")

    def vms(self):
        return {row["name"]: row for row in table(self.hvctl("list"))}

    def wait_until(self, what, predicate, seconds=180, poll_seconds=POLL_SECONDS):
        """Polls until `predicate` holds; fails with the log's end otherwise."""
        end = time.monotonic() + PATIENCE * seconds
        while time.monotonic() < end:
            if predicate():
                return
            time.sleep(poll_seconds)
        raise AssertionError(f"{what}: not within {PATIENCE * seconds} s\n{self.hvctl('log')[-3000:]}")

    def wait_for_state(self, name, state, seconds=180):
        self.wait_until(f"{name} is {state}", lambda: self.vms()[name]["state"] == state, seconds)

    def guest(self, name):
        return Guest(self, name)


class Guest:
    """The shell on a guest's console."""

    def __init__(self, machine, name):
        self.machine = machine
        self.name = name
        self.marks = 0

    def console(self):
        """What the guest has printed, as far as it is kept."""
        return self.machine.hvctl("console", "--quiet", "0", self.name, stdin="")

    def wait_ready(self, seconds=BOOT_SECONDS, times=1):
        """Until its init has said `times` times that the guest is ready."""
        ready = f"{self.name} is ready ("
        self.machine.wait_until(f"{self.name} at its prompt",
                                lambda: self.console().count(ready) >= times, seconds, BOOT_POLL_SECONDS)
        return self

    def spawn(self):
        words = self.machine.hvctl_command("console", "--no-scrollback", self.name)
        child = pexpect.spawn(words[0], words[1:], encoding="utf-8", codec_errors="replace",
                              timeout=PATIENCE * 120, echo=False)
        # hvctl is ready for what is typed when it says so, and has ended when it is closed.
        child.delaybeforesend = None
        child.ptyproc.delayafterclose = 0
        return child

    def type(self, text):
        """Types a line and does not wait for anything."""
        child = self.spawn()
        child.expect("Ctrl-]")
        child.send(text + "\r")
        time.sleep(1)
        child.send(ESCAPE + ".")
        child.expect(pexpect.EOF)

    def run(self, command, timeout=120):
        """Runs a shell command in the guest; its output. It must succeed."""
        code, output = self.run_any(command, timeout)
        assert code == 0, f"{self.name}: {command}: exit code {code}\n{output}"
        return output

    def wait_until(self, command, seconds=60):
        """Runs a shell command again and again until it succeeds: a kernel may tell later what it knows, a link's
        end by up to a second."""
        self.machine.wait_until(f"{self.name}: {command}", lambda: self.run_any(command)[0] == 0, seconds)

    def run_any(self, command, timeout=120):
        self.marks += 1
        mark = f"{os.getpid()}_{self.marks}"
        child = self.spawn()
        try:
            child.expect("Ctrl-]")
            # Quoted in two halves, so that the echo of the command is not taken for its end.
            end = "" if command.endswith("&") else ";"
            child.send(f" {command}{end} echo \"done:\"\"{mark}:$?:\"\r")
            child.expect(f"done:{mark}:([0-9]+):", timeout=PATIENCE * timeout)
            output, code = child.before, int(child.match.group(1))
            child.send(ESCAPE + ".")
            child.expect(pexpect.EOF)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            raise AssertionError(f"{self.name}: {command}: no end of it; so far:\n"
                                 f"{child.before}") from error
        finally:
            child.close()
        # Without the echo of the command itself.
        output = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output.replace("\r", ""))
        return code, ECHO_END.split(output, maxsplit=1)[-1]
