#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Starts the image in an emulator that stays in the background, and stops it again.

The machine's serial line is then the UNIX socket DIR/line, which hvctl finds by itself for the
default directory. What came over it is kept in DIR/serial.log.

Exit codes: 0 done; 1 it failed, or the machine is not running; 2 wrong usage.
"""

import argparse
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import machine
import platform_probe

PROMPT = b"postern> "
START_SECONDS = 60
LINE_MAX = 200


def fail(text):
    print(f"run.py: {text}", file=sys.stderr)
    return 1


def is_locked(directory):
    """Whether a supervisor lives in `directory`."""
    try:
        lock = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


def read_state(directory):
    try:
        with open(os.path.join(directory, "state.json"), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def tail(path, lines=15):
    """The end of a log, for a message."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    text = re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", " ", text)
    shown = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    return "".join(f"    {line}\n" for line in shown)


def why_it_ended(directory):
    state = read_state(directory)
    text = state.get("error") or f"the emulator ended with code {state.get('exit_code')}"
    for name in ("emulator.log", "bochs.log", "serial.log"):
        end = tail(os.path.join(directory, name))
        if end:
            text += f"\n  the end of {os.path.join(directory, name)}:\n{end.rstrip()}"
    return text


class Progress:
    """One line on a terminal that says how long it has taken; nothing elsewhere."""

    def __init__(self, what):
        self.what = what
        self.start = time.monotonic()
        self.shown = False

    def show(self, detail=""):
        if sys.stderr.isatty():
            self.shown = True
            line = f"{self.what}: {time.monotonic() - self.start:3.0f} s  {detail}"
            # The rest of a longer line before it is erased; none may wrap.
            print(f"\r{line[:os.get_terminal_size(sys.stderr.fileno()).columns - 1]}\x1b[K",
                  end="", file=sys.stderr, flush=True)

    def end(self):
        if self.shown:
            print(file=sys.stderr)


def last_line(data):
    """The last line with something in it, of what a serial line brought."""
    text = re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "\n", data.decode("latin-1"))
    lines = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()]
    return lines[-1] if lines else ""


def wait_for_state(directory, process):
    """Until the emulator runs; the supervisor's state."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        state = read_state(directory).get("state")
        if state not in (None, "starting") or process.poll() is not None:
            return state
        time.sleep(0.05)
    return None


def wait_for_prompt(directory, seconds):
    """Until the monitor's prompt came over the line. False: the machine ended, or time is up."""
    path = os.path.join(directory, "serial.log")
    progress = Progress("waiting for the hypervisor")
    end = time.monotonic() + seconds
    offset, kept = 0, b""
    try:
        while time.monotonic() < end:
            alive = is_locked(directory)
            try:
                with open(path, "rb") as file:
                    file.seek(offset)
                    new = file.read()
            except OSError:
                new = b""
            offset += len(new)
            if PROMPT in kept + new:
                return True
            if not alive:
                return False
            kept = (kept + new)[-LINE_MAX:]
            progress.show(last_line(kept))
            time.sleep(0.2)
        return False
    finally:
        progress.end()


def entry_of(config, platform):
    """The boot menu's entry of a configuration: tools/image/make_menu.sh names them."""
    forced = "-fallback" if os.environ.get("FORCE_FALLBACK") else ""
    return config + ("-bochs" if platform == "bochs" else "") + forced


def start(options):
    directory = options.dir
    platform = options.platform
    if platform == "auto":
        platform, why = platform_probe.choose()
        print(f"platform: {platform} ({why})")
    refusal = platform_probe.REFUSALS[platform]()
    if refusal is not None:
        return fail(f"cannot run on {platform}: {refusal}")
    os.makedirs(directory, exist_ok=True)
    if is_locked(directory):
        return fail(f"a machine runs in {directory} already; stop it with 'run.py stop'")
    for name in ("state.json", "serial.log", "emulator.log", "bochs.log"):
        if os.path.exists(os.path.join(directory, name)):
            os.unlink(os.path.join(directory, name))
    settings = {
        "platform": platform,
        "image": os.path.abspath(options.image),
        "entry": options.entry or options.config and entry_of(options.config, platform),
        "cpus": options.cpus,
        "memory": options.memory,
        "cpu_model": options.cpu_model,
        "ips": options.ips,
        "mwait": options.mwait,
        "bochs_lines": options.bochs_line,
        "put": options.put,
    }
    try:
        machine.prepare_disk(settings, directory)
    except (machine.MachineError, OSError, subprocess.CalledProcessError) as error:
        return fail(str(error))
    with open(os.path.join(directory, "supervisor.log"), "wb") as log:
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen(
            [sys.executable, os.path.join(sys.path[0], "supervisor.py"), json.dumps(settings)],
            cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True)
    if wait_for_state(directory, process) != "running":
        stop(options)
        return fail(f"the machine did not start: {why_it_ended(directory)}"
                    + tail(os.path.join(directory, "supervisor.log")))
    print(f"running; line: {os.path.join(directory, 'line')}")
    if options.wait and not wait_for_prompt(directory, options.wait):
        if is_locked(directory):
            return fail(f"no prompt of the hypervisor within {options.wait} s; the machine still "
                        f"runs\n  the end of {directory}/serial.log:\n"
                        + tail(os.path.join(directory, "serial.log")).rstrip())
        return fail(why_it_ended(directory))
    return 0


def stop(options):
    directory = options.dir
    if not is_locked(directory):
        return 0
    pid = read_state(directory).get("pid")
    if pid is None:
        return fail(f"{directory}: something holds the lock, but its state cannot be read")
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if not is_locked(directory):
                return 0
            time.sleep(0.05)
    return fail(f"process {pid} does not end")


def status(options):
    state = read_state(options.dir)
    if is_locked(options.dir):
        print(f"{state.get('state', 'starting')} on {state.get('platform')}; "
              f"line: {os.path.join(options.dir, 'line')}")
        return 0
    ended = {"starting": "killed", "running": "killed"}.get(state.get("state"), state.get("state"))
    print(f"not running{f' ({ended})' if ended else ''}")
    return 1


def probe(_options):
    name, why = platform_probe.choose()
    print(f"{name} ({why})")
    return 0


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verb = verbs.add_parser("start", help="start a machine in the background",
                            formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    verb.add_argument("--platform", choices=("auto", "bochs", "kvm", "qemu"),
                      default=os.environ.get("PLATFORM") or "auto",
                      help="auto: kvm if the host's KVM offers VMX, else bochs")
    verb.add_argument("--image", default="build/postern.img", help="the disk image")
    verb.add_argument("--entry", help="entry of the boot menu (default: as the image has it)")
    verb.add_argument("--config", help="configuration whose entry is meant, if there is no --entry")
    verb.add_argument("--cpus", type=int, default=2, help="processors")
    verb.add_argument("--memory", type=int, default=1024, help="MiB")
    verb.add_argument("--cpu-model", default="broadwell_ult", help="Bochs only")
    verb.add_argument("--ips", type=int, default=20000000,
                      help="Bochs only: instructions in an emulated second")
    verb.add_argument("--mwait", action="store_true",
                      help="for guests that use MWAIT; in Bochs, whose MONITOR may watch a wrong "
                      "address, it then waits for nothing")
    verb.add_argument("--bochs-line", action="append", default=[], metavar="LINE",
                      help="Bochs only: one more line for its bochsrc; may be repeated")
    verb.add_argument("--put", action="append", default=[], metavar="FILE",
                      help="copy FILE into the image's /postern first; may be repeated")
    verb.add_argument("--wait", type=int, default=0, metavar="SECONDS",
                      help="wait so long for the hypervisor's prompt; 0: do not wait")
    verb.set_defaults(function=start)
    for name, function, text in (("stop", stop, "stop the machine"),
                                 ("status", status, "say whether it runs"),
                                 ("probe", probe, "say which platform would be chosen, and why")):
        other = verbs.add_parser(name, help=text)
        other.set_defaults(function=function)
    for other in verbs.choices.values():
        other.add_argument("--dir", default="build/run", help="the run's directory")
    return parser.parse_args(arguments)


def main():
    options = parse(sys.argv[1:])
    try:
        return options.function(options)
    except KeyboardInterrupt:
        return fail("interrupted")


if __name__ == "__main__":
    sys.exit(main())
