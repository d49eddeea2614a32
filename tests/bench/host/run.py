#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures the ring between two processes on two cores of this machine, beside DPDK's ways for
packets and the bound that the two copies set. Writes rows of build/bench.csv, all figures to
build/bench-host.json and a plot to build/bench-host.svg.

All ways take turns in each round, in another order each time. A ratio is the median of the rounds'
ratios. A round also shows how long a cache line goes to and fro: where that differs between rounds,
so do the cores that the machine gave.
"""

import argparse
import json
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
# pylint: disable-next=wrong-import-position
import bench_csv
import plot
import ways

COMMAND = "make bench-host"
SIZES = (64, 128, 256, 512, 1024, 1500, 9000)
BURSTS = (1, 8, 32)
OTHERS = ("memif", "vhost", "vhost_packed", "rte_ring", "descriptors", "bound")
# What is compared with what: the bound is that of two copies, which a posted buffer saves one of.
RATIOS = {"postern": OTHERS, "posted": ("memif", "vhost", "vhost_packed", "postern")}
BUSY = 0.5  # of load: more means that others want the cores


def numbers(text):
    return tuple(int(word) for word in text.split(","))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=numbers, default=SIZES)
    parser.add_argument("--bursts", type=numbers, default=BURSTS)
    parser.add_argument("--ways", type=lambda text: text.split(","),
                        default=[way for way in ways.WAYS if way != "vhost_packed"])
    parser.add_argument("--milliseconds", type=int, default=500, help="of each figure but DPDK's")
    parser.add_argument("--window", type=int, default=4 << 20, help="bytes of a section")
    return parser.parse_args()


def measure_round(number, options, taken, figures):
    for size in options.sizes:
        for burst in options.bursts:
            shift = number % len(taken)
            for way in taken[shift:] + taken[:shift]:
                if not ways.carries(way, size) or \
                        way in ways.BURSTLESS and burst != options.bursts[-1]:
                    continue
                try:
                    value = ways.WAYS[way](size, burst, options)
                except (ways.WayError, OSError) as error:
                    print(f"  {way} {size} {burst}: {error}", flush=True)
                    value = None
                figures.setdefault((way, size, burst), []).append(value)


def add_bound(figures, options):
    """The bound is the better one of both, for all bursts."""
    last = options.bursts[-1]
    for size in options.sizes:
        series = [figures[way, size, last] for way in ways.BURSTLESS if (way, size, last) in figures]
        best = [max((value for value in values if value), default=None) for values in zip(*series)]
        for burst in options.bursts:
            figures["bound", size, burst] = best


def median(values):
    values = [value for value in values if value]
    return statistics.median(values) if values else None


def ratios(figures, size, burst):
    """Postern's ways over others: the median of the rounds' ratios."""
    for mine, others in RATIOS.items():
        for way in others:
            pairs = zip(figures.get((mine, size, burst), []), figures.get((way, size, burst), []))
            ratio = median([own / other for own, other in pairs if own and other])
            if ratio is not None:
                yield f"{mine}_over_{way}", ratio


def rows(figures, probes, load, options):
    """Of the largest burst, or with the burst in the name."""
    def row(name, value, unit):
        return name, value, unit, "host", COMMAND

    yield row("host.rounds", options.rounds, "")
    yield row("host.load", load, "")
    yield row("host.probe_ns", round(statistics.median(probes), 1), "ns")
    for size in options.sizes:
        for burst in options.bursts:
            prefix = f"host.{size}" + ("" if burst == options.bursts[-1] else f".burst{burst}")
            for way in (*RATIOS, *OTHERS):
                value = median(figures.get((way, size, burst), []))
                if value is not None:
                    yield row(f"{prefix}.{way}", round(value / 1e6, 4), "Mpackets/s")
            for name, ratio in ratios(figures, size, burst):
                yield row(f"{prefix}.{name}", round(ratio, 3), "")


def write(figures, probes, load, options):
    medians = {key: median(values) for key, values in figures.items()
               if key[0] not in ways.BURSTLESS and median(values)}
    table = list(rows(figures, probes, load, options))
    bench_csv.replace(os.path.join(ways.BUILD, "bench.csv"), COMMAND, table)
    with open(os.path.join(ways.BUILD, "bench-host.json"), "w", encoding="ascii") as file:
        json.dump({"load": load, "probe_ns": probes, "window": options.window,
                   "packets_per_second": [[*key, values] for key, values in figures.items()]}, file)
    note = f"Medians; rounds: {options.rounds}, load before: {load}."
    with open(os.path.join(ways.BUILD, "bench-host.svg"), "w", encoding="ascii") as file:
        file.write(plot.svg(medians, options.sizes, options.bursts, note))
    for name, value, unit, _, _ in table:
        print(f"{name:40}{value:>12}  {unit}")


def main():
    options = arguments()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("bench-host: two CPUs are needed")
    taken = [way for way in options.ways if ways.there(way)]
    for way in options.ways:
        if way not in taken:
            print(f"{way} is left out: DPDK is not installed")
    load = round(os.getloadavg()[0], 2)
    figures, probes = {}, []
    for number in range(options.rounds):
        probes.append(ways.probe())
        print(f"round {number + 1}: a cache line takes {probes[-1]} ns there and back", flush=True)
        measure_round(number, options, taken, figures)
    add_bound(figures, options)
    write(figures, probes, load, options)
    if load > BUSY or options.rounds < 5:
        print("Not to be quoted: " + ("other programs use the cores." if load > BUSY
                                      else "fewer than five rounds."))


if __name__ == "__main__":
    main()
