/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder of trapped moves, over encodings from the SDM's tables. Each instruction is decoded
 * from a heap block of its exact size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine/mmio_insn.h"
#include "tests/unit/random.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

static status_t decode(const uint8_t *bytes, size_t count, unsigned bits, struct mmio_insn *insn)
{
    uint8_t *copy = malloc(count + (count == 0));

    assert_non_null(copy);
    memcpy(copy, bytes, count);
    status_t status = mmio_insn_decode(count == 0 ? NULL : copy, count, bits, insn);
    free(copy);
    return status;
}

struct vector {
    const char *text;
    unsigned bits;
    unsigned length; /* of the bytes, which is the instruction's */
    uint8_t bytes[15];
    struct mmio_insn want; /* without the length */
};

#define STORE(s, r)                                          \
    {                                                        \
        .is_write = true, .size = s, .reg = r, .reg_size = s \
    }
#define LOAD(s, r)                         \
    {                                      \
        .size = s, .reg = r, .reg_size = s \
    }
#define IMMEDIATE(s, v)                                            \
    {                                                              \
        .is_write = true, .immediate = true, .size = s, .value = v \
    }
#define ZERO_EXTEND(s, r, rs)               \
    {                                       \
        .size = s, .reg = r, .reg_size = rs \
    }
#define SIGN_EXTEND(s, r, rs)                                    \
    {                                                            \
        .size = s, .reg = r, .reg_size = rs, .sign_extend = true \
    }

static const struct vector vectors[] = {
    {"mov [rdi], al", 64, 2, {0x88, 0x07}, STORE(1, RAX)},
    {"mov [rdi], ax", 64, 3, {0x66, 0x89, 0x07}, STORE(2, RAX)},
    {"mov [rdi], eax", 64, 2, {0x89, 0x07}, STORE(4, RAX)},
    {"mov [rdi], rax", 64, 3, {0x48, 0x89, 0x07}, STORE(8, RAX)},
    {"mov cl, [rsi]", 64, 2, {0x8a, 0x0e}, LOAD(1, RCX)},
    {"mov cx, [rsi]", 64, 3, {0x66, 0x8b, 0x0e}, LOAD(2, RCX)},
    {"mov ecx, [rsi]", 64, 2, {0x8b, 0x0e}, LOAD(4, RCX)},
    {"mov rcx, [rsi]", 64, 3, {0x48, 0x8b, 0x0e}, LOAD(8, RCX)},
    /* REX: the register's high bit; byte registers 4 to 7 with and without it. */
    {"mov [rdi], r9d", 64, 3, {0x44, 0x89, 0x0f}, STORE(4, R9)},
    {"mov r15, [r14]", 64, 3, {0x4d, 0x8b, 0x3e}, LOAD(8, R15)},
    {"mov [rdi], sil", 64, 3, {0x40, 0x88, 0x37}, STORE(1, RSI)},
    {"mov r12b, [rdi]", 64, 3, {0x44, 0x8a, 0x27}, LOAD(1, R12)},
    {"mov [rdi], dh",
     64,
     2,
     {0x88, 0x37},
     {.is_write = true, .size = 1, .reg = RDX, .reg_size = 1, .high_byte = true}},
    {"mov ah, [rdi]",
     64,
     2,
     {0x8a, 0x27},
     {.size = 1, .reg = RAX, .reg_size = 1, .high_byte = true}},
    {"mov [rdi], spl", 64, 3, {0x40, 0x88, 0x27}, STORE(1, RSP)},
    {"66 and REX.W: 64 bits", 64, 4, {0x66, 0x48, 0x89, 0x07}, STORE(8, RAX)},
    /* Forms of the address. */
    {"mov eax, [rdi+8]", 64, 3, {0x8b, 0x47, 0x08}, LOAD(4, RAX)},
    {"mov eax, [rdi+0x12345678]", 64, 6, {0x8b, 0x87, 0x78, 0x56, 0x34, 0x12}, LOAD(4, RAX)},
    {"mov eax, [rip+0x100]", 64, 6, {0x8b, 0x05, 0x00, 0x01, 0, 0}, LOAD(4, RAX)},
    {"mov eax, [rax+rcx*4]", 64, 3, {0x8b, 0x04, 0x88}, LOAD(4, RAX)},
    {"mov eax, [rcx*4+0x10]", 64, 7, {0x8b, 0x04, 0x8d, 0x10, 0, 0, 0}, LOAD(4, RAX)},
    {"mov eax, [rax+rcx+8]", 64, 4, {0x8b, 0x44, 0x08, 0x08}, LOAD(4, RAX)},
    {"mov eax, [rbp+rcx+8]", 64, 4, {0x8b, 0x44, 0x0d, 0x08}, LOAD(4, RAX)},
    {"mov eax, [rsp+0x100]", 64, 7, {0x8b, 0x84, 0x24, 0, 1, 0, 0}, LOAD(4, RAX)},
    {"mov eax, [r12]", 64, 4, {0x41, 0x8b, 0x04, 0x24}, LOAD(4, RAX)},
    {"mov eax, [r13+0]", 64, 4, {0x41, 0x8b, 0x45, 0}, LOAD(4, RAX)},
    {"mov eax, [edi]", 64, 3, {0x67, 0x8b, 0x07}, LOAD(4, RAX)},
    {"mov eax, gs:[rdi]", 64, 3, {0x65, 0x8b, 0x07}, LOAD(4, RAX)},
    {"mov ax, fs:[edi], prefixes", 64, 5, {0x67, 0x64, 0x66, 0x8b, 0x07}, LOAD(2, RAX)},
    /* Immediates. */
    {"mov byte [rdi], 0x80", 64, 3, {0xc6, 0x07, 0x80}, IMMEDIATE(1, 0x80)},
    {"mov word [rdi], 0x8001", 64, 5, {0x66, 0xc7, 0x07, 0x01, 0x80}, IMMEDIATE(2, 0x8001)},
    {"mov dword [rdi], 0x80000001", 64, 6, {0xc7, 0x07, 1, 0, 0, 0x80}, IMMEDIATE(4, 0x80000001)},
    {"mov qword [rdi], -2",
     64,
     7,
     {0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff},
     IMMEDIATE(8, 0xfffffffffffffffe)},
    {"mov dword [rdi+8], 5", 64, 7, {0xc7, 0x47, 0x08, 5, 0, 0, 0}, IMMEDIATE(4, 5)},
    {"mov dword [r8+rax+0x100], 5",
     64,
     12,
     {0x41, 0xc7, 0x84, 0, 0, 1, 0, 0, 5, 0, 0, 0},
     IMMEDIATE(4, 5)},
    /* The accumulator and an absolute address. */
    {"mov al, [moffs64]", 64, 9, {0xa0, 1, 2, 3, 4, 5, 6, 7, 8}, LOAD(1, RAX)},
    {"mov [moffs64], rax", 64, 10, {0x48, 0xa3, 1, 2, 3, 4, 5, 6, 7, 8}, STORE(8, RAX)},
    {"mov eax, [moffs32]", 64, 6, {0x67, 0xa1, 1, 2, 3, 4}, LOAD(4, RAX)},
    {"mov [moffs32], ax", 32, 6, {0x66, 0xa3, 1, 2, 3, 4}, STORE(2, RAX)},
    {"mov [moffs16], al", 16, 3, {0xa2, 1, 2}, STORE(1, RAX)},
    /* Extending loads. */
    {"movzx eax, byte [rdi]", 64, 3, {0x0f, 0xb6, 0x07}, ZERO_EXTEND(1, RAX, 4)},
    {"movzx rax, byte [rdi]", 64, 4, {0x48, 0x0f, 0xb6, 0x07}, ZERO_EXTEND(1, RAX, 8)},
    {"movzx ax, byte [rdi]", 64, 4, {0x66, 0x0f, 0xb6, 0x07}, ZERO_EXTEND(1, RAX, 2)},
    {"movzx esi, byte [rdi]", 64, 3, {0x0f, 0xb6, 0x37}, ZERO_EXTEND(1, RSI, 4)},
    {"movzx r8d, word [rdi]", 64, 4, {0x44, 0x0f, 0xb7, 0x07}, ZERO_EXTEND(2, R8, 4)},
    {"movsx eax, byte [rdi]", 64, 3, {0x0f, 0xbe, 0x07}, SIGN_EXTEND(1, RAX, 4)},
    {"movsx rax, word [rdi]", 64, 4, {0x48, 0x0f, 0xbf, 0x07}, SIGN_EXTEND(2, RAX, 8)},
    {"movsxd rax, dword [rdi]", 64, 3, {0x48, 0x63, 0x07}, SIGN_EXTEND(4, RAX, 8)},
    {"movsxd eax, dword [rdi]", 64, 2, {0x63, 0x07}, SIGN_EXTEND(4, RAX, 4)},
    {"movsxd ax, word [rdi]", 64, 3, {0x66, 0x63, 0x07}, SIGN_EXTEND(2, RAX, 2)},
    /* 32 and 16 bits. */
    {"mov eax, [edi]", 32, 2, {0x8b, 0x07}, LOAD(4, RAX)},
    {"mov [0x12345678], ecx", 32, 6, {0x89, 0x0d, 0x78, 0x56, 0x34, 0x12}, STORE(4, RCX)},
    {"mov ax, [di], 16-bit address", 32, 4, {0x66, 0x67, 0x8b, 0x05}, LOAD(2, RAX)},
    {"mov eax, [0x1234], 16-bit", 32, 5, {0x67, 0x8b, 0x06, 0x34, 0x12}, LOAD(4, RAX)},
    {"mov ax, [bx+si]", 16, 2, {0x8b, 0x00}, LOAD(2, RAX)},
    {"mov ax, [bp+4]", 16, 3, {0x8b, 0x46, 0x04}, LOAD(2, RAX)},
    {"mov ax, [bx+0x1234]", 16, 4, {0x8b, 0x87, 0x34, 0x12}, LOAD(2, RAX)},
    {"mov ax, [si]", 16, 2, {0x8b, 0x04}, LOAD(2, RAX)}, /* no SIB in 16 bits */
    {"mov eax, [bx]", 16, 3, {0x66, 0x8b, 0x07}, LOAD(4, RAX)},
    {"mov ax, [esp]", 16, 4, {0x67, 0x8b, 0x04, 0x24}, LOAD(2, RAX)},
    {"mov word [0x1234], 7", 16, 6, {0xc7, 0x06, 0x34, 0x12, 7, 0}, IMMEDIATE(2, 7)},
};

static bool same(const struct mmio_insn *a, const struct mmio_insn *b)
{
    return a->length == b->length && a->size == b->size && a->is_write == b->is_write &&
           a->immediate == b->immediate && a->high_byte == b->high_byte &&
           a->sign_extend == b->sign_extend && a->reg == b->reg && a->reg_size == b->reg_size &&
           a->value == b->value;
}

static void test_vectors(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct mmio_insn want = v->want, got;
        want.length = v->length;
        if (decode(v->bytes, v->length, v->bits, &got) != STATUS_OK || !same(&got, &want)) {
            fail_msg("%s", v->text);
        }
        /* More bytes behind it change nothing; a byte less is no instruction. */
        uint8_t longer[15];
        memset(longer, 0xcc, sizeof(longer));
        memcpy(longer, v->bytes, v->length);
        assert_int_equal(decode(longer, sizeof(longer), v->bits, &got), STATUS_OK);
        assert_int_equal(got.length, v->length);
        for (size_t cut = 0; cut < v->length; cut++) {
            assert_int_equal(decode(v->bytes, cut, v->bits, &got), STATUS_INVALID);
        }
    }
}

static void test_unsupported(void **state)
{
    static const struct {
        unsigned bits, length;
        uint8_t bytes[8];
    } others[] = {
        {64, 2, {0x89, 0xc0}},             /* mov eax, eax: no memory */
        {64, 2, {0x8a, 0xff}},             /* mov bh, bh */
        {64, 3, {0x0f, 0xb6, 0xc0}},       /* movzx eax, al */
        {64, 3, {0xc6, 0xf8, 0}},          /* xabort */
        {64, 3, {0xc6, 0x0f, 0}},          /* C6 /1 */
        {64, 2, {0x01, 0x07}},             /* add [rdi], eax */
        {64, 2, {0x87, 0x07}},             /* xchg */
        {64, 1, {0xa4}},                   /* movsb */
        {64, 2, {0xf3, 0xab}},             /* rep stosd */
        {64, 3, {0xf0, 0x89, 0x07}},       /* lock */
        {64, 3, {0x0f, 0x11, 0x07}},       /* movups */
        {64, 3, {0x0f, 0xc3, 0x07}},       /* movnti */
        {64, 4, {0xc5, 0xf8, 0x11, 0x07}}, /* VEX */
        {32, 2, {0x63, 0x07}},             /* arpl */
        {32, 2, {0x48, 0x89}},             /* dec eax */
        {64, 3, {0x48, 0x66, 0x90}},       /* REX before a prefix */
        {64, 3, {0x0f, 0x0b, 0x00}},       /* ud2 */
        {64, 1, {0x00}},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        struct mmio_insn insn;
        assert_int_equal(decode(others[i].bytes, others[i].length, others[i].bits, &insn),
                         STATUS_UNSUPPORTED);
    }
}

static void test_length_limit(void **state)
{
    uint8_t bytes[32];
    struct mmio_insn insn;

    (void)state;
    memset(bytes, 0x66, sizeof(bytes));
    bytes[13] = 0x8b;
    bytes[14] = 0x07;
    assert_int_equal(decode(bytes, 15, 64, &insn), STATUS_OK);
    assert_int_equal(insn.length, 15);
    bytes[13] = 0x66;
    bytes[14] = 0x8b;
    bytes[15] = 0x07; /* sixteen bytes: the CPU would fault */
    assert_int_equal(decode(bytes, 32, 64, &insn), STATUS_INVALID);
    memset(bytes, 0x2e, sizeof(bytes));
    assert_int_equal(decode(bytes, 32, 64, &insn), STATUS_INVALID);
}

static void test_source(void **state)
{
    uint64_t values[16];

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        values[i] = 0x1122334455667700ull + i * 0x0101010101010101ull;
    }
    static const struct {
        struct mmio_insn insn;
        uint64_t want;
    } cases[] = {
        {STORE(1, RBX), 0x03},
        {STORE(2, RBX), 0x7a03},
        {STORE(4, RBX), 0x58697a03},
        {STORE(8, RBX), 0x1425364758697a03},
        {{.is_write = true, .size = 1, .reg = RBX, .reg_size = 1, .high_byte = true}, 0x7a},
        {STORE(8, R15), 0x203142536475860f},
        {IMMEDIATE(8, 0xfffffffffffffffe), 0xfffffffffffffffe},
        {IMMEDIATE(4, 0xfffffffe), 0xfffffffe},
        {IMMEDIATE(1, 0x80), 0x80},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct mmio_insn *insn = &cases[i].insn;
        assert_true(mmio_insn_source(insn, values[insn->reg]) == cases[i].want);
    }
}

static void test_complete(void **state)
{
    static const struct {
        struct mmio_insn insn;
        uint64_t read, want;
    } cases[] = {
        /* The register holds 0x1111111111111111 before. */
        {LOAD(1, RDX), 0xffffffffffffff80, 0x1111111111111180},
        {LOAD(2, RDX), 0xffffffffffff8000, 0x1111111111118000},
        {LOAD(4, RDX), 0xffffffff80000000, 0x0000000080000000},
        {LOAD(8, RDX), 0x8000000000000000, 0x8000000000000000},
        {{.size = 1, .reg = RDX, .reg_size = 1, .high_byte = true}, 0xff80, 0x1111111111118011},
        {ZERO_EXTEND(1, RDX, 2), 0xff80, 0x1111111111110080},
        {ZERO_EXTEND(1, RDX, 4), 0xff80, 0x80},
        {ZERO_EXTEND(2, RDX, 8), 0xffff8000, 0x8000},
        {SIGN_EXTEND(1, RDX, 2), 0x80, 0x111111111111ff80},
        {SIGN_EXTEND(1, RDX, 4), 0x80, 0x00000000ffffff80},
        {SIGN_EXTEND(1, RDX, 8), 0x80, 0xffffffffffffff80},
        {SIGN_EXTEND(2, RDX, 4), 0x8000, 0x00000000ffff8000},
        {SIGN_EXTEND(4, RDX, 8), 0x80000000, 0xffffffff80000000},
        {SIGN_EXTEND(4, RDX, 8), 0x7fffffff, 0x7fffffff},
        {SIGN_EXTEND(4, RDX, 4), 0x80000000, 0x80000000},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t after = mmio_insn_complete(&cases[i].insn, 0x1111111111111111, cases[i].read);
        assert_true(after == cases[i].want);
    }
}

/* Any bytes, in a block as long as `count` says: what decodes keeps every promise. */
static void test_random_bytes(void **state)
{
    static const uint8_t often[] = {0x66, 0x67, 0x48, 0x44, 0x40, 0x0f, 0xb6, 0xbf, 0x88, 0x89,
                                    0x8a, 0x8b, 0xa0, 0xa3, 0xc6, 0xc7, 0x04, 0x05, 0x84, 0x65};
    struct random random = {0x8b};
    unsigned decoded = 0;

    (void)state;
    for (unsigned i = 0; i < 400000; i++) {
        static const unsigned modes[] = {16, 32, 64};
        size_t count = random_below(&random, 18);
        uint8_t *bytes = malloc(count + (count == 0));
        struct mmio_insn insn;
        assert_non_null(bytes);
        for (size_t n = 0; n < count; n++) {
            bytes[n] = random_below(&random, 3) == 0 ? (uint8_t)random_next(&random)
                                                     : often[random_below(&random, sizeof(often))];
        }
        status_t status = mmio_insn_decode(bytes, count, modes[random_below(&random, 3)], &insn);
        if (status == STATUS_OK) {
            uint64_t value = random_next(&random);
            assert_true(insn.length <= count && insn.length <= MMIO_INSN_MAX);
            assert_true(insn.size == 1 || insn.size == 2 || insn.size == 4 || insn.size == 8);
            assert_true(insn.reg < 16 && insn.reg_size <= 8);
            if (insn.is_write) {
                (void)mmio_insn_source(&insn, value);
            } else {
                assert_true(insn.reg_size >= insn.size && !insn.immediate);
                (void)mmio_insn_complete(&insn, 0, value);
            }
            decoded++;
        }
        free(bytes);
    }
    assert_true(decoded > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),      cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_length_limit), cmocka_unit_test(test_source),
        cmocka_unit_test(test_complete),     cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
