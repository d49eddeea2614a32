/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder of trapped moves: the input is a mode and an instruction's bytes. */
#include "tests/fuzz/fuzz.h"

#include "machine/mmio_insn.h"

static status_t decode(const uint8_t *bytes, size_t count, unsigned bits, struct mmio_insn *insn)
{
    uint8_t *copy = fuzz_copy(bytes, count);
    status_t status = mmio_insn_decode(copy, count, bits, insn);

    free(copy);
    return status;
}

/* The register's value does not matter but to the sanitizers; of a read, what it does not set of
 * the register stays. */
static void carry_out(const struct mmio_insn *insn)
{
    const uint64_t before = 0x0123456789abcdefull;

    if (insn->is_write) {
        (void)mmio_insn_source(insn, before);
        return;
    }
    uint64_t after = mmio_insn_complete(insn, before, 0xfedcba9876543210ull);
    FUZZ_CHECK(insn->reg_size >= 4 || after >> 16 == before >> 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned modes[] = {16, 32, 64};
    struct fuzz_input input = {data, size};
    struct mmio_insn insn = {0}, again = {0};
    unsigned bits = modes[fuzz_byte(&input) % 3];
    status_t status = decode(input.at, input.left, bits, &insn);

    FUZZ_CHECK(status == STATUS_OK || status == STATUS_INVALID || status == STATUS_UNSUPPORTED);
    if (status != STATUS_OK) {
        return 0;
    }
    FUZZ_CHECK(insn.length >= 2 && insn.length <= MMIO_INSN_MAX && insn.length <= input.left);
    FUZZ_CHECK(insn.size == 1 || insn.size == 2 || insn.size == 4 || insn.size == 8);
    FUZZ_CHECK(insn.reg < (bits == 64 ? 16 : 8));
    FUZZ_CHECK(bits == 64 || insn.size < 8);
    /* What comes behind it changes nothing, and all of it is needed. */
    FUZZ_CHECK(decode(input.at, insn.length, bits, &again) == STATUS_OK);
    FUZZ_CHECK(memcmp(&insn, &again, sizeof(insn)) == 0);
    FUZZ_CHECK(decode(input.at, insn.length - 1, bits, &again) == STATUS_INVALID);
    carry_out(&insn);
    return 0;
}
