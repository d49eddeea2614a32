/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction of a trapped memory access: the moves between memory and a register or an
 * immediate, which is what drivers use for devices (SDM volume 2, "Instruction Format"). The
 * address is the exit's; only the operand's size, place and the instruction's length are decoded.
 */
#ifndef POSTERN_MACHINE_MMIO_INSN_H
#define POSTERN_MACHINE_MMIO_INSN_H

#include "lib/status.h"

#define MMIO_INSN_MAX 15u /* bytes of the longest instruction */

struct mmio_insn {
    unsigned length; /* of the instruction, bytes */
    unsigned size;   /* of the memory access: 1, 2, 4 or 8 */
    bool is_write;
    bool immediate;    /* the value to write is `value`; else it is in a register */
    bool high_byte;    /* AH, CH, DH or BH: bits 15 to 8 of `reg` */
    bool sign_extend;  /* of a read */
    unsigned reg;      /* 0 to 15 in the encoding's order: RAX, RCX, RDX, RBX, RSP ... */
    unsigned reg_size; /* how much of the register a read sets */
    uint64_t value;
};

/* Decodes the `count` bytes from the instruction's start in code of 16, 32 or 64 `bits`.
 * STATUS_UNSUPPORTED for any other instruction, STATUS_INVALID if the bytes end before it does. */
status_t mmio_insn_decode(const uint8_t *bytes, size_t count, unsigned bits,
                          struct mmio_insn *insn) MUST_CHECK;

/* The value that a write stores, `size` bytes; `content` is that of register `reg`. */
uint64_t mmio_insn_source(const struct mmio_insn *insn, uint64_t content);

/* What register `reg` holds after a read that gave `value`; `content`: before. */
uint64_t mmio_insn_complete(const struct mmio_insn *insn, uint64_t content, uint64_t value);

#endif
