#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `make run` ends with: starts the machine, waits for its guests and becomes hvctl.

    session.py BUILD CONFIG [option of `run.py start`...]
"""

import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import run

PROMPT_SECONDS = 180
GUEST_SECONDS = 300
READY = "is ready ("


def guests_of(config):
    """The VMs' names, in the configuration's order."""
    with open(config, encoding="utf-8") as file:
        return re.findall(r"^\s*vm\s+(\S+)", file.read(), re.MULTILINE)


def console_of(hvctl, name):
    """What the guest has printed, as far as it is kept."""
    done = subprocess.run([*hvctl, "console", "--quiet", "0.2", name], stdin=subprocess.DEVNULL,
                          capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")


def states_of(hvctl):
    """Each VM's state, as `list` names it."""
    done = subprocess.run([*hvctl, "list"], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    rows = [line.split("\t") for line in done.stdout.decode("utf-8", "replace").splitlines()]
    return {row[0]: row[1] for row in rows[1:] if len(row) > 1}


def wait_for_guests(hvctl, names):
    """Until all have reached their shells. Says which one is ready when; returns those that ended
    instead, or are not ready in time."""
    waiting = list(names)
    progress = run.Progress("waiting for the guests")
    end = time.monotonic() + GUEST_SECONDS
    while waiting and time.monotonic() < end:
        for name in list(waiting):
            text = console_of(hvctl, name)
            if READY in text:
                waiting.remove(name)
                progress.end()
                print(next(line for line in text.splitlines() if READY in line), flush=True)
            else:
                progress.show(f"{name}: {run.last_line(text.encode()) or 'nothing printed yet'}")
        states = states_of(hvctl) if waiting else {}
        if waiting and all(states.get(name, "running") != "running" for name in waiting):
            break
        # Not more often: an emulated line takes time from the guests.
        time.sleep(2 if waiting else 0)
    progress.end()
    return waiting


def hint(names, directory):
    other = names[1] if len(names) > 1 else None
    print(f"\nType 'console {names[0]}' for that guest's shell (Ctrl-] then '.' leaves it), 'list',"
          f" 'stats {names[0]}',\n'log', 'caps', 'help'; 'quit' or Ctrl-D leaves hvctl.")
    if other:
        print(f"In {names[0]}, 'ping 10.0.0.2' reaches {other}; 'iperf3 -s' in {other} and"
              f" 'iperf3 -c 10.0.0.2' in {names[0]} measure.")
    print(f"The machine runs on until 'make stop'; its line is {directory}/line.\n", flush=True)


def main():
    build, config, *options = sys.argv[1:]
    path = f"guests/configs/{config}.conf"
    if not os.path.exists(path):
        known = sorted(name[:-5] for name in os.listdir("guests/configs") if name.endswith(".conf"))
        return run.fail(f"there is no {path}; CONFIG= may be: {' '.join(known)}")
    names = guests_of(path)
    directory = f"{build}/run"
    if run.is_locked(directory):
        print("stopping the machine that runs")
        if run.stop(run.parse(["stop", "--dir", directory])) != 0:
            return 1
    code = run.start(run.parse([
        *["start", "--dir", directory, "--image", f"{build}/postern.img", "--config", config],
        *["--wait", str(PROMPT_SECONDS), *options]]))
    if code != 0:
        return code
    hvctl = [f"{build}/hvctl", "--line", f"{directory}/line"]
    late = wait_for_guests([*hvctl, "--timeout", "5"], names)
    if late:
        print(f"ended, or not ready within {GUEST_SECONDS} s: {' '.join(late)}; 'list', 'log' and"
              " 'console NAME' tell more", file=sys.stderr, flush=True)
    hint(names, directory)
    os.execv(hvctl[0], hvctl)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(run.fail("interrupted; the machine may still run: 'make stop'"))
