#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks the models of the ring (ring.pml), of posted buffers (posted.pml) and of the forwarding
database (fdb.pml) with spin: each property holds in every order of accesses, and each mutant, in which one barrier or order is missing,
breaks the property that it is there for.

A mutant names the code of abi/ring_ops.h or abi/fdb_ops.h that it goes without, so that a model cannot
speak of code that is no longer there. The last line is "models: N passed, M failed".
"""

import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ABI = os.path.join(HERE, "..", "..", "abi")

# A model is NAME.pml; what it is of is functions postern_PREFIX_... of `files`, in abi/.
Model = collections.namedtuple("Model", "name prefix files properties mutants")

AWAKE = ""  # no wake-up is lost: spin's own search for deadlocks
RING_PROPERTIES = {
    AWAKE: "no wake-up is lost",
    "CHECK_EARLY": "no record is read before it is published",
    "CHECK_LOST": "no record is overwritten before it is released",
    "CHECK_INDICES": "no index of an honest peer looks like a fault",
    "CHECK_DOORBELLS": "an event makes at most one doorbell",
}

# `breaks`: a property. `order`: the store order in which it does so, "TSO" (x86's) where that is
# enough. `function` and `code`: what of the code it goes without.
Mutant = collections.namedtuple("Mutant", "define breaks order function code")
BARRIER = "POSTERN_FULL_BARRIER()"
RING_MUTANTS = [
    Mutant("NO_PUBLISH_BARRIER", AWAKE, "TSO", "publish", BARRIER),
    Mutant("NO_ARM_RX_BARRIER", AWAKE, "TSO", "arm_rx", BARRIER),
    Mutant("NO_RELEASE_BARRIER", AWAKE, "TSO", "release", BARRIER),
    Mutant("NO_ARM_TX_BARRIER", AWAKE, "TSO", "arm_tx", BARRIER),
    Mutant("NO_ARM_RX_LOOK", AWAKE, "TSO", "is_idle",
           "POSTERN_LOAD(&ring->peer->head) == ring->tail"),
    Mutant("NO_ARM_TX_LOOK", AWAKE, "TSO", "arm_tx", "!postern_ring_room(ring, bytes)"),
    Mutant("NO_PUBLISH_BEFORE_SLEEP", AWAKE, "TSO", None, "has published everything: asks"),
    Mutant("NO_RELEASE_BEFORE_SLEEP", AWAKE, "TSO", None, "has released everything: asks"),
    Mutant("WRONG_PASSES", AWAKE, "TSO", "passes",
           "new_index - event - 1 < new_index - old_index"),
    Mutant("WRONG_TX_EVENT", AWAKE, "TSO", "arm_tx", "ring->head + bytes - ring->data_size - 1"),
    Mutant("WRONG_PASSES_TWICE", "CHECK_DOORBELLS", "TSO", "passes",
           "new_index - event - 1 < new_index - old_index"),
    Mutant("NO_ROOM", "CHECK_INDICES", "TSO", "write_record",
           "!postern_ring_writer_room(ring, writer, pad + size)"),
    Mutant("NO_HEAD_RELEASE", "CHECK_EARLY", "weak", "publish",
           "POSTERN_STORE_RELEASE(&ring->own->head"),
    Mutant("NO_HEAD_ACQUIRE", "CHECK_EARLY", "weak", "available",
           "POSTERN_LOAD_ACQUIRE(&ring->peer->head)"),
    Mutant("NO_TAIL_RELEASE", "CHECK_LOST", "weak", "release",
           "POSTERN_STORE_RELEASE(&ring->own->tail"),
    Mutant("NO_TAIL_ACQUIRE", "CHECK_LOST", "weak", "room",
           "POSTERN_LOAD_ACQUIRE(&ring->peer->tail)"),
]

POSTED_PROPERTIES = {
    "CHECK_ENTRY": "no entry is read before it is posted",
    "CHECK_FILLED": "no buffer is read before it is filled",
    "CHECK_OWNED": "no buffer is written while its owner has it",
}
POSTED_MUTANTS = [
    Mutant("NO_POSTED_RELEASE", "CHECK_ENTRY", "weak", "publish_posted",
           "POSTERN_STORE_RELEASE(&ring->own->posted"),
    Mutant("NO_POSTED_RELEASE", "CHECK_OWNED", "weak", "publish_posted",
           "POSTERN_STORE_RELEASE(&ring->own->posted"),
    Mutant("NO_POSTED_ACQUIRE", "CHECK_ENTRY", "weak", "outstanding",
           "POSTERN_LOAD_ACQUIRE(&ring->peer->posted)"),
    Mutant("NO_HEAD_RELEASE", "CHECK_FILLED", "weak", "publish",
           "POSTERN_STORE_RELEASE(&ring->own->head"),
    Mutant("NO_HEAD_ACQUIRE", "CHECK_FILLED", "weak", "available",
           "POSTERN_LOAD_ACQUIRE(&ring->peer->head)"),
    Mutant("NO_READ_BEFORE_POST", "CHECK_OWNED", "TSO", None,
           "what was read of the buffers before"),
]

MOMENT = "CHECK_MOMENT"
FDB_PROPERTIES = {MOMENT: "an answer is of one state of the database"}
FDB_MUTANTS = [
    Mutant("NO_ODD_CHECK", MOMENT, "TSO", "read_begin", "(*sequence & 1) == 0"),
    Mutant("NO_READ_AGAIN", MOMENT, "TSO", "read_end", "POSTERN_LOAD(&fdb->sequence) == sequence"),
    Mutant("NO_WRITE_BARRIER", MOMENT, "weak", "begin", "POSTERN_WRITE_BARRIER()"),
    Mutant("NO_END_RELEASE", MOMENT, "weak", "end", "POSTERN_STORE_RELEASE(&fdb->sequence"),
    Mutant("NO_READ_ACQUIRE", MOMENT, "weak", "read_begin", "POSTERN_LOAD_ACQUIRE(&fdb->sequence)"),
    Mutant("NO_READ_BARRIER", MOMENT, "weak", "read_end", "POSTERN_READ_BARRIER()"),
]

RING_FILES = ["ring_end.h", "ring_pool.h", "ring_send.h", "ring_receive.h"]
MODELS = [Model("ring", "ring", RING_FILES, RING_PROPERTIES, RING_MUTANTS),
          Model("posted", "ring", RING_FILES, POSTED_PROPERTIES, POSTED_MUTANTS),
          Model("fdb", "fdb", ["fdb_ops.h"], FDB_PROPERTIES, FDB_MUTANTS)]


class ModelError(Exception):
    """spin or the compiler did not do its part."""


def command(arguments, directory):
    done = subprocess.run(arguments, cwd=directory, check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise ModelError(f"{' '.join(arguments)}:\n{done.stdout}")
    return done.stdout


def search(model, defines, deadlocks, optimise):
    """Whether spin finds a counterexample in the model so defined, and a word on the search."""
    file = f"{model.name}.pml"
    with tempfile.TemporaryDirectory(prefix="postern-model-") as directory:
        shutil.copy(os.path.join(HERE, file), directory)
        command(["spin", "-a", *(f"-D{define}" for define in defines), file], directory)
        command(["gcc", optimise, "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"], directory)
        text = command(["./pan", "-m100000", "-w20", *([] if deadlocks else ["-E"])], directory)
    errors = re.search(r"depth reached (\d+), errors: (\d+)\n\s*(\d+) states, stored", text)
    if errors is None or "max search depth too small" in text or "out of memory" in text:
        raise ModelError(f"spin has not searched everything:\n{text}")
    depth, count, states = map(int, errors.groups())
    return count > 0, f"{states} states" if count == 0 else f"after {depth} steps"


def function_body(model, name):
    """Of the function of the model's code, comments too; all of the file for None."""
    text = ""
    for path in model.files:
        with open(os.path.join(ABI, path), encoding="utf-8") as file:
            text += file.read()
    if name is None:
        return text
    found = re.search(rf"^static inline [^;{{]*\bpostern_{model.prefix}_{name}\((.|\n)*?^}}$", text,
                      re.MULTILINE)
    return found.group(0) if found else ""


def check_property(model, define):
    """With weak stores, which come in TSO's order too."""
    found, word = search(model, [define] if define else [], define == AWAKE, "-O1")
    return not found, f"{model.name}: {model.properties[define]}: {word}"


def check_mutant(model, mutant):
    name = f"{model.name}: {mutant.define}"
    if mutant.code not in function_body(model, mutant.function):
        return False, f"{name}: the code has no {mutant.code} in {mutant.function}"
    defines = [mutant.define] + [item for item in (mutant.breaks, mutant.order)
                                 if item not in (AWAKE, "weak")]
    found, word = search(model, defines, mutant.breaks == AWAKE, "-O0")
    if not found:
        return False, f"{name} goes unnoticed: {word}"
    return True, f"{name} breaks \"{model.properties[mutant.breaks]}\" {word}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    arguments = parser.parse_args()
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(check_property, model, define)
                for model in MODELS for define in model.properties]
        runs += [pool.submit(check_mutant, model, mutant)
                 for model in MODELS for mutant in model.mutants]
        for run in runs:
            try:
                good, text = run.result()
            except (ModelError, OSError) as error:
                good, text = False, str(error)
            passed += good
            failed += not good
            print(f"{'PASS' if good else 'FAIL'} {text}", flush=True)
    print(f"models: {passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
