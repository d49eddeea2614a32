/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bits.h"
#include "machine/ioapic.h"
#include "tests/unit/random.h"

#define SELECT      0x00u
#define WINDOW      0x10u
#define EOI         0x40u
#define REG_ID      0u
#define REG_VERSION 1u
#define LOGICAL     BIT32(11)
#define REMOTE_IRR  BIT32(14)
#define LEVEL       BIT32(15)
#define MASKED      BIT32(16)

struct message {
    uint32_t destination;
    bool logical, level;
    uint8_t vector, mode;
};

struct fixture {
    struct ioapic ioapic;
    unsigned count;
    struct message last;
};

static void on_deliver(void *context, uint32_t destination, bool logical, uint8_t vector,
                       uint8_t mode, bool level)
{
    struct fixture *f = context;

    f->count++;
    f->last = (struct message){destination, logical, level, vector, mode};
}

static const struct ioapic_ops ops = {.deliver = on_deliver};

static void start(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    ioapic_init(&f->ioapic, &ops, f);
}

static uint32_t rd(struct fixture *f, uint32_t reg)
{
    ioapic_write(&f->ioapic, SELECT, 4, reg);
    return ioapic_read(&f->ioapic, WINDOW, 4);
}

static void wr(struct fixture *f, uint32_t reg, uint32_t value)
{
    ioapic_write(&f->ioapic, SELECT, 4, reg);
    ioapic_write(&f->ioapic, WINDOW, 4, value);
}

static void program(struct fixture *f, unsigned input, uint32_t low, uint8_t destination)
{
    wr(f, 0x11 + 2 * input, (uint32_t)destination << 24);
    wr(f, 0x10 + 2 * input, low);
}

static void test_identity(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(rd(&f, REG_VERSION), 23 << 16 | 0x20);
    wr(&f, REG_ID, 0xffffffff);
    assert_int_equal(rd(&f, REG_ID), 0x0f000000);
    assert_int_equal(ioapic_read(&f.ioapic, SELECT, 4), REG_ID);
    for (unsigned input = 0; input < IOAPIC_INPUTS; input++) {
        assert_int_equal(rd(&f, 0x10 + 2 * input), MASKED);
        assert_int_equal(rd(&f, 0x11 + 2 * input), 0);
    }
    /* Behind the last input, and registers that there are not. */
    static const uint32_t none[] = {0x03, 0x0f, 0x40, 0xff};
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        wr(&f, none[i], 0xffffffff);
        assert_int_equal(rd(&f, none[i]), 0);
    }
}

static void test_other_accesses(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    program(&f, 0, 0x1234, 0);
    assert_int_equal(ioapic_read(&f.ioapic, WINDOW, 1), 0);
    assert_int_equal(ioapic_read(&f.ioapic, WINDOW, 2), 0);
    assert_int_equal(ioapic_read(&f.ioapic, WINDOW, 8), 0);
    assert_int_equal(ioapic_read(&f.ioapic, 0x14, 4), 0);
    assert_int_equal(ioapic_read(&f.ioapic, 0xfff, 4), 0);
    ioapic_write(&f.ioapic, WINDOW, 1, 0);
    ioapic_write(&f.ioapic, WINDOW, 8, 0);
    ioapic_write(&f.ioapic, 0x14, 4, 0);
    assert_int_equal(rd(&f, 0x10), 0x0234); /* bit 12, the delivery status, is read-only */
    /* Only the low byte of the index counts. */
    ioapic_write(&f.ioapic, SELECT, 4, 0xffffff01);
    assert_int_equal(ioapic_read(&f.ioapic, WINDOW, 4), 23 << 16 | 0x20);
}

static void test_edge(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    ioapic_set_irq(&f.ioapic, 4, true); /* masked: lost */
    program(&f, 4, LOGICAL | 1 << 8 | 0x34, 0x81);
    assert_int_equal(f.count, 0);
    ioapic_set_irq(&f.ioapic, 4, true); /* no edge */
    assert_int_equal(f.count, 0);
    ioapic_set_irq(&f.ioapic, 4, false);
    ioapic_set_irq(&f.ioapic, 4, true);
    assert_int_equal(f.count, 1);
    assert_true(f.last.destination == 0x81 && f.last.logical && !f.last.level &&
                f.last.vector == 0x34 && f.last.mode == 1);
    assert_int_equal(rd(&f, 0x18) & REMOTE_IRR, 0);
    ioapic_eoi(&f.ioapic, 0x34); /* means nothing to an edge */
    assert_int_equal(f.count, 1);
    ioapic_set_irq(&f.ioapic, 4, false);
    ioapic_set_irq(&f.ioapic, 4, true);
    assert_int_equal(f.count, 2);
}

static void test_level(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    program(&f, 9, LEVEL | MASKED | 0x50, 2);
    ioapic_set_irq(&f.ioapic, 9, true);
    assert_int_equal(f.count, 0);
    program(&f, 9, LEVEL | 0x50, 2); /* unmasked while asserted: delivered now */
    assert_int_equal(f.count, 1);
    assert_true(f.last.level && !f.last.logical && f.last.destination == 2);
    assert_int_equal(rd(&f, 0x22) & REMOTE_IRR, REMOTE_IRR);
    /* Until the EOI it does not come again, whatever the line and the entry do. */
    ioapic_set_irq(&f.ioapic, 9, false);
    ioapic_set_irq(&f.ioapic, 9, true);
    program(&f, 9, LEVEL | MASKED | 0x50, 2);
    program(&f, 9, LEVEL | 0x50, 2);
    assert_int_equal(f.count, 1);
    ioapic_eoi(&f.ioapic, 0x51); /* another's */
    assert_int_equal(f.count, 1);
    ioapic_eoi(&f.ioapic, 0x50); /* still asserted */
    assert_int_equal(f.count, 2);
    ioapic_set_irq(&f.ioapic, 9, false);
    ioapic_write(&f.ioapic, EOI, 4, 0x50); /* by the register */
    assert_int_equal(f.count, 2);
    assert_int_equal(rd(&f, 0x22) & REMOTE_IRR, 0);
    ioapic_set_irq(&f.ioapic, 9, true);
    assert_int_equal(f.count, 3);
}

/* How Linux ends a level interrupt without the EOI register: to edge and back. */
static void test_edge_clears_remote_irr(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    program(&f, 9, LEVEL | 0x50, 2);
    ioapic_set_irq(&f.ioapic, 9, true);
    program(&f, 9, MASKED | 0x50, 2);
    assert_int_equal(rd(&f, 0x22) & REMOTE_IRR, 0);
    program(&f, 9, LEVEL | 0x50, 2);
    assert_int_equal(f.count, 2);
    /* Remote IRR itself cannot be written. */
    program(&f, 10, LEVEL | REMOTE_IRR | 0x51, 2);
    ioapic_set_irq(&f.ioapic, 10, true);
    assert_int_equal(f.count, 3);
}

/* Two inputs with one vector: its EOI ends both. */
static void test_shared_vector(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    program(&f, 0, LEVEL | 0x60, 0);
    program(&f, 23, LEVEL | 0x60, 1);
    ioapic_set_irq(&f.ioapic, 0, true);
    ioapic_set_irq(&f.ioapic, 23, true);
    assert_int_equal(f.count, 2);
    ioapic_set_irq(&f.ioapic, 0, false);
    ioapic_eoi(&f.ioapic, 0x60);
    assert_int_equal(f.count, 3);
    assert_int_equal(f.last.destination, 1);
    assert_int_equal(rd(&f, 0x10) & REMOTE_IRR, 0);
}

static void test_random_accesses(void **state)
{
    static const uint32_t offsets[] = {SELECT, WINDOW, WINDOW, EOI, 0x14, 0xffc};
    struct random random = {8};
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t offset = offsets[random_below(&random, ARRAY_SIZE(offsets))];
        unsigned size = 1u << random_below(&random, 4);
        uint32_t value = random_next(&random);
        unsigned gsi = random_below(&random, IOAPIC_INPUTS);
        unsigned count = f.count;
        bool asserted = f.ioapic.line[gsi];
        switch (random_below(&random, 4)) {
        case 0:
            ioapic_set_irq(&f.ioapic, gsi, value & 1);
            assert_true(f.count == count || ((value & 1) != 0 && !asserted));
            assert_true(f.count - count <= 1);
            break;
        case 1:
            (void)ioapic_read(&f.ioapic, offset, size);
            assert_int_equal(f.count, count);
            break;
        default:
            ioapic_write(&f.ioapic, offset, size,
                         offset == SELECT ? random_below(&random, 0x48) : value);
            assert_true(f.count - count <= (offset == EOI ? IOAPIC_INPUTS : 1));
            break;
        }
        for (unsigned n = 0; n < IOAPIC_INPUTS; n++) {
            uint64_t rte = f.ioapic.redirection[n];
            assert_true((rte & REMOTE_IRR) == 0 || (rte & LEVEL) != 0);
            assert_int_equal(rte & (MASK(55, 17) | BIT(12)), 0);
        }
    }
    assert_true(f.count > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_other_accesses),
        cmocka_unit_test(test_edge),
        cmocka_unit_test(test_level),
        cmocka_unit_test(test_edge_clears_remote_irr),
        cmocka_unit_test(test_shared_vector),
        cmocka_unit_test(test_random_accesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
