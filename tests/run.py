#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs all tests and adds up their results: host unit tests, the checks of the sources, hvctl on a monitor
without a machine, whole machines in emulators, the models, the ring's soak, fuzzers. They run side by side; each
line of their output begins with the job's name.

The last line is "N passed, M failed", with ", K skipped" where some were; each skip's reason is
above it. Exit code 0 only if none failed and some passed.
"""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", "build")
FUZZ_SECONDS = 8  # of each, a minute and a half in all; `make fuzz` takes longer
PRINTING = threading.Lock()
START = time.monotonic()
SLOWEST = 25  # tests that are named with their times
REASON_CHARACTERS = 400  # of a failed test's message beside its name
SOAK_SANITIZED = ("--packets", "1000000", "--times", "10")

# Those that take longest first, so that none is left alone on one CPU at the end.
GROUPS = [
    ("life", ["tests/boot/test_life_cycle.py"]),
    ("snapshot", ["tests/boot/test_snapshot.py"]),
    ("vswitch", ["tests/boot/test_vswitch.py"]),
    ("gated", ["tests/boot/test_gated.py"]),
    ("snapshot-ports", ["tests/boot/test_snapshot_ports.py"]),
    ("newcomer", ["tests/boot/test_newcomer.py"]),
    ("virtio", ["tests/boot/test_virtio.py"]),
    ("members", ["tests/boot/test_members.py"]),
    ("two", ["tests/boot/test_two_guests.py"]),
    ("dpdk", ["tests/boot/test_dpdk.py"]),
    ("examples", ["tests/boot/test_examples.py"]),
    ("attack", ["tests/boot/test_attack.py"]),
    ("lwip", ["tests/boot/test_lwip.py"]),
    ("refusals", ["tests/boot/test_refusals.py"]),
    ("views", ["tests/boot/test_views.py"]),
    ("lwip-open", ["tests/boot/test_lwip_open.py"]),
    ("verbs", ["tests/boot/test_verbs.py"]),
    ("neighbours", ["tests/boot/test_neighbours.py"]),
    ("claims", ["tests/boot/test_claims.py"]),
    ("apicv", ["tests/boot/test_apicv.py"]),
    ("network", ["tests/boot/test_network.py"]),
]
# It waits more than it computes.
BESIDE = ("hvctl", ["tests/hvctl"], {})
# What has a make target of its own.
APART = ["tests/boot/test_debian.py"]
# They are run once more with views, #VE and dirty flags by exits, as on a CPU that has none, or of them those
# tests that see it: pytest's -k. The others have nothing of it.
ALSO_BY_FALLBACK = {
    "gated": "(links or ping or data or pages or program or revoked or faults or under_traffic) and not stream",
    "attack": "",
    "views": "",
    "claims": "",
    "lwip": "ready or ping or throughput or idle or revoked",
    "verbs": "order or dirty or tracked",
}


class Totals:
    """Jobs add to it side by side."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = self.failed = 0
        self.skips = []
        self.failures = []
        self.times = []  # (seconds, name) of pytest's tests
        self.job_times = []  # the same of jobs

    def add(self, name, passed, failed, skips=()):
        with self.lock:
            self.passed += passed
            self.failed += failed
            self.skips += skips
            if failed:
                self.failures.append(name)


def show(name, text):
    """Whole lines, with the job's name before each."""
    lines = "".join(f"[{name}] {line}".rstrip() + "\n" for line in text.splitlines())
    with PRINTING:
        sys.stdout.write(lines)
        sys.stdout.flush()


def title(text):
    with PRINTING:
        print(f"== {time.monotonic() - START:.0f} s: {text}", flush=True)


def show_run(name, command, environment=None):
    """Runs a command, whose lines are shown as they come; its exit code and the lines."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **(environment or {})}, text=True, errors="replace") as process:
        for line in process.stdout:
            show(name, line)
            lines.append(line)
    return process.returncode, lines


def run_unit(program, totals):
    """A cmocka program: its summary tells; one that ends without it has failed."""
    name = os.path.basename(program)
    done = subprocess.run([program], check=False, capture_output=True, text=True, errors="replace")
    text = done.stdout + done.stderr
    passed = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", text)))
    failed = sum(map(int, re.findall(r"\[  FAILED  \] (\d+) test", text)))
    skips = re.findall(r"\[  SKIPPED \] (?!\d+ test)(.*)", text)
    if done.returncode != 0 and failed == 0 or passed + failed == 0:
        failed += 1
    show("units", f"{name}: {passed} passed, {failed} failed\n" + (text if failed else ""))
    totals.add(name, passed, failed, [f"{name}: {skip}" for skip in skips])


def run_units(totals):
    for source in sorted(glob.glob("tests/unit/test_*.c")):
        run_unit(os.path.join(BUILD, "unit", os.path.basename(source)[:-2]), totals)


def run_check(totals):
    for target in ("check", "check-driver"):
        code, lines = show_run("check", ["make", "--no-print-directory", target])
        skips = re.findall(r"SKIPPED (.*)", "".join(lines))
        totals.add(f"make {target}", int(code == 0), int(code != 0), skips)


def run_script(name, text, command, totals):
    """A script that ends with "...: N passed, M failed"."""
    code, lines = show_run(name, command)
    counts = re.search(r": (\d+) passed, (\d+) failed$", lines[-1].rstrip() if lines else "")
    passed, failed = map(int, counts.groups()) if counts else (0, 1)
    if code != 0 and failed == 0:
        failed = 1
    totals.add(text, passed, failed)


def first_of(case, *tags):
    """The first element of `case` that has one of the tags, or None."""
    return next((found for tag in tags if (found := case.find(tag)) is not None), None)


def count_report(name, report, totals):
    """Adds what pytest has written about its tests."""
    if not os.path.exists(report):
        totals.add(f"{name}: pytest wrote no report", 0, 1)
        return
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        test = f"{case.get('classname')}.{case.get('name')}"
        totals.times.append((float(case.get("time")), f"{name}: {case.get('name')}"))
        skip, bad = case.find("skipped"), first_of(case, "failure", "error")
        if skip is not None:
            totals.add(test, 0, 0, [f"{name}: {test}: {skip.get('message')}"])
        elif bad is not None:
            totals.add(f"{name}: {test}: {' '.join((bad.get('message') or '').split())[:REASON_CHARACTERS]}", 0, 1)
        else:
            totals.add(test, 1, 0)


def run_group(name, options, environment, totals):
    """pytest with `options`."""
    report = os.path.join(BUILD, f"test-{name}.xml")
    if os.path.exists(report):
        os.unlink(report)
    # Debian's, whatever else is in PATH.
    command = ["/usr/bin/pytest-3", "-v", "-rs", "-p", "no:cacheprovider", "--junitxml", report]
    show_run(name, [*command, *options], environment)
    count_report(name, report, totals)


def all_runs():
    """Of the groups: name, pytest's options, environment."""
    fallback = [(f"{name}-fallback", [*paths, "-k", ALSO_BY_FALLBACK[name]], {"FORCE_FALLBACK": "1"})
                for name, paths in GROUPS if name in ALSO_BY_FALLBACK]
    if os.environ.get("FORCE_FALLBACK"):
        return fallback
    return [(name, paths, {}) for name, paths in GROUPS] + fallback


def host_jobs():
    """What needs no machine, and is short: it fills the gaps at the end."""
    fuzzers = [os.path.basename(source)[5:-2] for source in sorted(glob.glob("tests/fuzz/fuzz_*.c"))]
    scripts = [
        ("models", "the models of the ring and of the forwarding database", ["tests/model/check.py"]),
        ("soak", "the soak", [os.path.join(BUILD, "soak", "soak")]),
        ("soak", "the soak, with sanitizers", [os.path.join(BUILD, "soak", "soak-sanitized"), *SOAK_SANITIZED]),
        *[("fuzzers", f"the fuzzer of {name}", ["tests/fuzz/run.py", "--seconds", str(FUZZ_SECONDS), name])
          for name in fuzzers]]
    return [(words[1], lambda totals, words=words: run_script(*words, totals)) for words in scripts]


def group_job(title_text, run):
    return title_text, lambda totals: run_group(*run, totals)


def machine_jobs():
    return [group_job(f"machines: {run[0]}", run) for run in all_runs()]


def run_jobs(totals):
    """Two at a time, for an emulator keeps one CPU busy, and what hardly needs one beside them."""
    def run(job):
        name, function = job
        title(name)
        start = time.monotonic()
        function(totals)
        with totals.lock:
            totals.job_times.append((time.monotonic() - start, name))

    jobs = [("the checks of the sources", run_check),
            ("host unit tests, with the address and undefined-behaviour sanitizers", run_units),
            *machine_jobs(), *host_jobs()]
    with concurrent.futures.ThreadPoolExecutor(1) as third, concurrent.futures.ThreadPoolExecutor(2) as pool:
        beside = third.submit(run, group_job("hvctl on a monitor without a machine", BESIDE))
        list(pool.map(run, jobs))
        beside.result()


def check_groups():
    """No file of tests may be left out."""
    listed = {path for _, paths in GROUPS for path in paths} | set(APART)
    for path in glob.glob("tests/boot/test_*.py"):
        if path not in listed:
            raise SystemExit(f"{path} is in no group of tests/run.py")


def main():
    os.chdir(ROOT)
    check_groups()
    totals = Totals()
    run_jobs(totals)
    print(f"\n{time.monotonic() - START:.0f} s, of which (two at a time, and hvctl beside them):")
    for seconds, name in sorted(totals.job_times, reverse=True):
        print(f"{seconds:6.0f} s  {name}")
    print("the slowest tests of machines:")
    for seconds, name in sorted(totals.times, reverse=True)[:SLOWEST]:
        print(f"{seconds:6.0f} s  {name}")
    for skip in totals.skips:
        print(f"skipped: {skip}")
    for failure in totals.failures:
        print(f"failed: {failure}")
    skipped = f", {len(totals.skips)} skipped" if totals.skips else ""
    print(f"{totals.passed} passed, {totals.failed} failed{skipped}")
    return 0 if totals.failed == 0 and totals.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
