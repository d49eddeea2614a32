/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/mmio_insn.h"

#include "lib/bits.h"

#define REX_W 0x8u
#define REX_R 0x4u

struct decoder {
    const uint8_t *bytes;
    size_t count, at;
    unsigned bits;
    bool operand_override, address_override, rex_present;
    uint8_t rex;
    bool truncated;
};

static uint8_t next(struct decoder *d)
{
    if (d->at >= d->count || d->at >= MMIO_INSN_MAX) {
        d->truncated = true;
        return 0;
    }
    return d->bytes[d->at++];
}

static uint64_t next_little(struct decoder *d, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)next(d) << 8 * i;
    }
    return value;
}

/* The opcode's first byte; prefixes go into `d`. */
static uint8_t skip_prefixes(struct decoder *d)
{
    for (;;) {
        uint8_t byte = next(d);
        switch (byte) {
        case 0x66:
            d->operand_override = true;
            break;
        case 0x67:
            d->address_override = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
            break; /* segments: the exit's address has them in it */
        default:
            if (d->bits == 64 && (byte & 0xf0) == 0x40) {
                /* A REX prefix counts only right before the opcode. */
                d->rex_present = true;
                d->rex = byte & 0xf;
                return next(d);
            }
            return byte;
        }
        if (d->truncated) {
            return 0;
        }
    }
}

static unsigned address_bits(const struct decoder *d)
{
    if (d->bits == 64) {
        return d->address_override ? 32 : 64;
    }
    return (d->bits == 32) != d->address_override ? 32 : 16;
}

static unsigned operand_size(const struct decoder *d)
{
    if ((d->rex & REX_W) != 0) {
        return 8;
    }
    return (d->bits != 16) != d->operand_override ? 4 : 2;
}

/* Reads ModRM with SIB and displacement. False if the operand is a register, not memory. */
static bool skip_modrm(struct decoder *d, unsigned *reg)
{
    uint8_t modrm = next(d);
    unsigned mod = modrm >> 6, rm = modrm & 7;

    *reg = (modrm >> 3 & 7) | ((d->rex & REX_R) != 0 ? 8u : 0u);
    if (mod == 3) {
        return false;
    }
    if (address_bits(d) == 16) {
        (void)next_little(d, mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0);
        return true;
    }
    unsigned base = rm;
    if (rm == 4) {
        base = next(d) & 7;
    }
    (void)next_little(d, mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0);
    return true;
}

static void use_register(const struct decoder *d, struct mmio_insn *insn, unsigned reg,
                         unsigned size)
{
    /* Without REX, byte registers 4 to 7 are AH, CH, DH, BH. */
    insn->high_byte = size == 1 && !d->rex_present && reg >= 4;
    insn->reg = insn->high_byte ? reg - 4 : reg;
    insn->reg_size = size;
}

static bool decode_move(struct decoder *d, uint8_t opcode, struct mmio_insn *insn)
{
    unsigned size = (opcode & 1) != 0 ? operand_size(d) : 1;
    unsigned reg = 0;

    insn->size = size;
    switch (opcode) {
    case 0x88: /* MOV r/m, r */
    case 0x89:
    case 0x8a: /* MOV r, r/m */
    case 0x8b:
        insn->is_write = opcode <= 0x89;
        if (!skip_modrm(d, &reg)) {
            return false;
        }
        use_register(d, insn, reg, size);
        return true;
    case 0xa0: /* MOV accumulator, moffs */
    case 0xa1:
    case 0xa2: /* MOV moffs, accumulator */
    case 0xa3:
        insn->is_write = opcode >= 0xa2;
        (void)next_little(d, address_bits(d) / 8);
        use_register(d, insn, 0, size);
        return true;
    case 0xc6: /* MOV r/m, imm */
    case 0xc7:
        insn->is_write = true;
        insn->immediate = true;
        if (!skip_modrm(d, &reg) || (reg & 7) != 0) {
            return false;
        }
        insn->value = next_little(d, size == 8 ? 4 : size);
        if (size == 8) {
            insn->value = (uint64_t)(int64_t)(int32_t)insn->value;
        }
        return true;
    default:
        return false;
    }
}

/* MOVZX and MOVSX, behind 0F. */
static bool decode_extension(struct decoder *d, struct mmio_insn *insn)
{
    uint8_t opcode = next(d);
    unsigned reg = 0;

    if ((opcode & 0xf6) != 0xb6 || !skip_modrm(d, &reg)) {
        return false;
    }
    insn->size = (opcode & 1) != 0 ? 2 : 1;
    insn->sign_extend = (opcode & 8) != 0;
    insn->reg = reg;
    insn->reg_size = operand_size(d);
    return true;
}

status_t mmio_insn_decode(const uint8_t *bytes, size_t count, unsigned bits, struct mmio_insn *insn)
{
    struct decoder d = {.bytes = bytes, .count = count, .bits = bits};
    uint8_t opcode = skip_prefixes(&d);
    unsigned reg = 0;
    bool known;

    *insn = (struct mmio_insn){0};
    if (opcode == 0x0f) {
        known = decode_extension(&d, insn);
    } else if (opcode == 0x63 && bits == 64) { /* MOVSXD */
        known = skip_modrm(&d, &reg);
        insn->sign_extend = true;
        insn->reg = reg;
        insn->reg_size = operand_size(&d);
        insn->size = insn->reg_size == 2 ? 2 : 4;
    } else {
        known = decode_move(&d, opcode, insn);
    }
    if (d.truncated) {
        return STATUS_INVALID;
    }
    insn->length = (unsigned)d.at;
    return known ? STATUS_OK : STATUS_UNSUPPORTED;
}

static uint64_t low_bytes(uint64_t value, unsigned size)
{
    return value & (~0ull >> (64 - 8 * size));
}

uint64_t mmio_insn_source(const struct mmio_insn *insn, uint64_t content)
{
    uint64_t value = insn->immediate ? insn->value : content;

    return low_bytes(insn->high_byte ? value >> 8 : value, insn->size);
}

uint64_t mmio_insn_complete(const struct mmio_insn *insn, uint64_t content, uint64_t value)
{
    unsigned shift = 64 - 8 * insn->size;

    value = insn->sign_extend ? (uint64_t)((int64_t)(value << shift) >> shift)
                              : low_bytes(value, insn->size);
    value = low_bytes(value, insn->reg_size);
    if (insn->high_byte) {
        return (content & ~0xff00ull) | value << 8;
    }
    if (insn->reg_size >= 4) {
        return value; /* a 32-bit result clears the upper half */
    }
    return (content & ~(BIT(8 * insn->reg_size) - 1)) | value;
}
