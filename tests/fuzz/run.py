#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the fuzzers, two at a time, and names the input of each that fails.

build/fuzz/corpus keeps the inputs that reached something new, so that the next run goes on from
there. The last line is "fuzzers: N passed, M failed".
"""

import argparse
import base64
import concurrent.futures
import os
import re
import subprocess
import sys

import seeds

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FUZZ = os.path.join(os.environ.get("BUILD", "build"), "fuzz")
INPUT_MAX = 8192


def corpus(name):
    """The fuzzer's directory of inputs, with the seeds in it."""
    directory = os.path.join(FUZZ, "corpus", name)
    os.makedirs(directory, exist_ok=True)
    for number, seed in enumerate(seeds.SEEDS[name]()):
        with open(os.path.join(directory, f"seed-{number}"), "wb") as file:
            file.write(seed)
    return directory


def failure(name, text):
    """What a fuzzer's report says of its failure, with the input, which may be on a machine that
    is gone tomorrow."""
    report = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    wrote = re.search(r"Test unit written to (\S+)", text)
    if wrote is None:
        return f"\n{report[-6000:]}"
    with open(wrote.group(1), "rb") as file:
        unit = base64.b64encode(file.read()).decode()
    return (f"; run {FUZZ}/fuzz_{name} {wrote.group(1)}\n"
            f"which is, in base64: {unit}\n{report[-6000:]}")


def run(name, seconds):
    """Whether the fuzzer found nothing, and what it says."""
    crashes = os.path.join(FUZZ, "crashes", name)
    os.makedirs(os.path.dirname(crashes), exist_ok=True)
    done = subprocess.run(
        [os.path.join(FUZZ, f"fuzz_{name}"), f"-max_total_time={seconds}", f"-max_len={INPUT_MAX}",
         "-timeout=10", "-rss_limit_mb=1024", "-use_value_profile=1", "-reload=0",
         f"-artifact_prefix={crashes}-", "-print_final_stats=1", corpus(name)],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    text = done.stdout
    if done.returncode != 0:
        return False, f"{name}: exit code {done.returncode}{failure(name, text)}"
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text)
    edges = re.findall(r"cov: (\d+)", text)
    files = len(os.listdir(os.path.join(FUZZ, "corpus", name)))
    if not runs or int(runs[-1]) < 1000:
        return False, f"{name}: it hardly ran\n{text[-2000:]}"
    return True, f"{name}: {runs[-1]} inputs, {edges[-1]} edges, {files} kept"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each fuzzer")
    parser.add_argument("names", nargs="*", default=sorted(seeds.SEEDS), help="all without any")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for good, text in pool.map(lambda name: run(name, arguments.seconds), arguments.names):
            passed += good
            failed += not good
            print(f"{'PASS' if good else 'FAIL'} {text}", flush=True)
    print(f"fuzzers: {passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
