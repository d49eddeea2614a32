# SPDX-License-Identifier: BSD-2-Clause
"""build/bench.csv, which each part of the measurements writes its own rows of."""

import csv
import os

FIELDS = ("name", "value", "unit", "platform", "command")


def replace(path, command, rows):
    """Puts `rows` in the place of those that `command` has written before."""
    kept = []
    if os.path.exists(path):
        with open(path, newline="", encoding="ascii") as file:
            kept = [row for row in csv.reader(file)][1:]
    kept = [row for row in kept if row[-1] != command]
    with open(path, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([*kept, *rows])
