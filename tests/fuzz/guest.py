#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Has a guest write random values to its virtio devices: configuration space, registers and queues.

It is the claim virtio_fuzz of tests/attack, beside its victim, with more operations. The same seed
gives the same values. Exit code 0: all devices work after a reset, and the victim is unharmed.
"""

import argparse
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "boot"))
# pylint: disable-next=wrong-import-position
from kit_machine import KitMachine, running, verdicts

SECONDS_MAX = 4 * 3600


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--operations", type=int, default=1000000, help="on each device")
    parser.add_argument("--seed", type=int, default=21)
    options = parser.parse_args()
    words = f" append=only=virtio_fuzz append=operations={options.operations} append=seed={options.seed}"
    with tempfile.TemporaryDirectory() as directory:
        with running(KitMachine("attack", directory, words, guests=["victim"])) as machine:
            text = machine.run_claims("attack", SECONDS_MAX)
            victim = machine.vms()["victim"]
            log = machine.hvctl("log")
    print(text)
    bad = verdicts(text).get("virtio_fuzz", ("missing",))[0] != "success"
    if bad or (victim["state"], victim["starts"]) != ("running", "1") or "panic" in log:
        print(log)
        raise SystemExit("the guest was not held")


if __name__ == "__main__":
    main()
