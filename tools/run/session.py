#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `make run` ends with: starts the machine, waits for its guests and becomes hvctl.

    session.py BUILD CONFIG [option of `run.py start`...]

CONFIG is one of guests/examples, or a path of another.
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
READY = re.compile(r".*(?: is ready \(| login: ).*")  # the example guests' init, or a distribution's prompt


def guests_of(config):
    """The VMs' names, in the configuration's order, each with the address of its first interface, or None."""
    with open(config, encoding="utf-8") as file:
        blocks = re.split(r"^\s*vm\s+(\S+)", file.read(), flags=re.MULTILINE)[1:]
    return {name: (re.search(r"\bip=([\d.]+)", block) or [None] * 2)[1]
            for name, block in zip(blocks[::2], blocks[1::2])}


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
            ready = READY.search(text)
            if ready:
                waiting.remove(name)
                progress.end()
                print(ready.group(), flush=True)
            else:
                progress.show(f"{name}: {run.last_line(text.encode()) or 'nothing printed yet'}")
        states = states_of(hvctl) if waiting else {}
        if waiting and all(states.get(name, "running") != "running" for name in waiting):
            break
        # Not more often: an emulated line takes time from the guests.
        time.sleep(2 if waiting else 0)
    progress.end()
    return waiting


def hint(guests, directory):
    first, other = next(iter(guests)), list(guests)[-1]
    print(f"\nType 'console {first}' for that guest's shell (Ctrl-] then '.' leaves it), 'list', 'top',"
          f" 'stats {first}',\n'log', 'caps', 'help'; 'quit' or Ctrl-D leaves hvctl.")
    if other != first and guests[other]:
        print(f"In {first}, 'ping {guests[other]}' reaches {other}.")
    print(f"The machine runs on until 'make stop'; its line is {directory}/line.\n", flush=True)


def main():
    build, config, *options = sys.argv[1:]
    path = config if config.endswith(".conf") else f"guests/examples/{config}.conf"
    config = os.path.basename(path)[:-5]
    if not os.path.exists(path):
        known = sorted(name[:-5] for name in os.listdir("guests/examples") if name.endswith(".conf"))
        return run.fail(f"there is no {path}; CONFIG= may be: {' '.join(known)}")
    guests = guests_of(path)
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
    late = wait_for_guests([*hvctl, "--timeout", "5"], guests)
    if late:
        print(f"ended, or not ready within {GUEST_SECONDS} s: {' '.join(late)}; 'list', 'log' and"
              " 'console NAME' tell more", file=sys.stderr, flush=True)
    hint(guests, directory)
    os.execv(hvctl[0], hvctl)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(run.fail("interrupted; the machine may still run: 'make stop'"))
