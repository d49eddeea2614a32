/* SPDX-License-Identifier: BSD-2-Clause */
/* The PCI bus with one function like Postern's NIC on it: an 8 KiB BAR, a 4 MiB one of 64 bits, and
 * MSI-X. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bits.h"
#include "machine/pci.h"
#include "tests/unit/random.h"

#define VENDOR    0x504fu
#define DEVICE    0x0001u
#define CLASS     0x020000u
#define VECTORS   2u
#define BAR0_SIZE 0x2000u
#define BAR2_SIZE 0x400000u
#define BAR0_AT   0xc0000000u
#define BAR2_AT   0x1000000000ull
#define COMMAND   0x04u
#define MSIX      0x40u /* checked against the capability pointer */

struct fixture {
    struct pci_bus bus;
    struct pci_function nic;
    uint64_t decoded[PCI_BARS]; /* as the owner was told */
    unsigned moves;
    unsigned interrupts, last_vector;
    struct msi_message last;
};

static void on_moved(struct pci_function *function, unsigned bar, uint64_t old, uint64_t now)
{
    struct fixture *f = function->context;

    assert_true(bar < PCI_BARS);
    assert_int_equal(f->decoded[bar], old);
    assert_int_not_equal(old, now);
    f->decoded[bar] = now;
    f->moves++;
}

static void on_interrupt(struct pci_function *function, unsigned vector,
                         const struct msi_message *message)
{
    struct fixture *f = function->context;

    f->interrupts++;
    f->last = *message;
    f->last_vector = vector;
}

static const struct pci_function_ops ops = {.bar_moved = on_moved, .interrupt = on_interrupt};

static void start(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    pci_init(&f->bus);
    pci_function_init(&f->nic, &ops, f, VENDOR, DEVICE, CLASS);
    pci_add_bar(&f->nic, 0, BAR0_SIZE, BAR0_AT, false, false);
    pci_add_bar(&f->nic, 2, BAR2_SIZE, BAR2_AT, true, true);
    pci_add_msix(&f->nic, VECTORS, 0, 0x1000, 0x1800);
    assert_int_equal(pci_attach(&f->bus, &f->nic), STATUS_OK);
    pci_reset(&f->bus);
}

static void select_device(struct fixture *f, unsigned device, unsigned offset)
{
    (void)!pci_io_write(&f->bus, 0xcf8, 4, 0x80000000u | device << 11 | (offset & 0xfc));
}

static uint32_t config_read(struct fixture *f, unsigned device, unsigned offset, unsigned size)
{
    select_device(f, device, offset);
    return pci_io_read(&f->bus, (uint16_t)(0xcfc + (offset & 3)), size);
}

static void config_write(struct fixture *f, unsigned offset, unsigned size, uint32_t value)
{
    select_device(f, 1, offset);
    (void)!pci_io_write(&f->bus, (uint16_t)(0xcfc + (offset & 3)), size, value);
}

static void test_enumeration(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(config_read(&f, 0, 0, 4), VENDOR);
    assert_int_equal(config_read(&f, 0, 8, 4), 0x06000000);
    assert_int_equal(config_read(&f, 1, 0, 4), DEVICE << 16 | VENDOR);
    assert_int_equal(config_read(&f, 1, 0, 2), VENDOR);
    assert_int_equal(config_read(&f, 1, 2, 2), DEVICE);
    assert_int_equal(config_read(&f, 1, 1, 1), VENDOR >> 8);
    assert_int_equal(config_read(&f, 1, 8, 4), CLASS << 8);
    assert_int_equal(config_read(&f, 1, 0x0e, 1), 0); /* type 0, one function */
    assert_int_equal(config_read(&f, 1, 0x2c, 4), DEVICE << 16 | VENDOR);
    for (unsigned device = 2; device < 32; device++) {
        assert_int_equal(config_read(&f, device, 0, 4), 0xffffffff);
        assert_int_equal(config_read(&f, device, 0, 2), 0xffff);
    }
    /* Another function, another bus, and the enable bit off. */
    static const uint32_t nothing[] = {0x80000900, 0x80000f00, 0x80010800, 0x80ff0800, 0x00000800};
    for (unsigned i = 0; i < ARRAY_SIZE(nothing); i++) {
        (void)!pci_io_write(&f.bus, 0xcf8, 4, nothing[i]);
        assert_int_equal(pci_io_read(&f.bus, 0xcf8, 4), nothing[i]);
        assert_int_equal(pci_io_read(&f.bus, 0xcfc, 4), 0xffffffff);
        (void)!pci_io_write(&f.bus, 0xcfc, 4, 0xffffffff);
    }
    assert_int_equal(config_read(&f, 1, COMMAND, 2), 0);
}

static void test_access_sizes(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned offset = 0; offset < 256; offset += 4) {
        uint32_t whole = config_read(&f, 1, offset, 4);
        assert_int_equal(config_read(&f, 1, offset, 2) | config_read(&f, 1, offset + 2, 2) << 16,
                         whole);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(config_read(&f, 1, offset + i, 1), whole >> 8 * i & 0xff);
        }
    }
    /* Accesses that run out of the register, and parts of the address register. */
    select_device(&f, 1, 0);
    assert_int_equal(pci_io_read(&f.bus, 0xcfd, 4), 0xffffffff);
    assert_int_equal(pci_io_read(&f.bus, 0xcff, 2), 0xffff);
    assert_int_equal(pci_io_read(&f.bus, 0xcfa, 4), 0xffffffff);
    assert_int_equal(pci_io_read(&f.bus, 0xcf8, 1), 0xff);
    (void)!pci_io_write(&f.bus, 0xcf8, 2, 0x1234);
    (void)!pci_io_write(&f.bus, 0xcfb, 1, 0);
    assert_int_equal(pci_io_read(&f.bus, 0xcf8, 4), 0x80000800);
    select_device(&f, 1, COMMAND);
    (void)!pci_io_write(&f.bus, 0xcfd, 4, 0xffffffff);
    (void)!pci_io_write(&f.bus, 0xcff, 2, 0xffff);
    assert_int_equal(config_read(&f, 1, COMMAND, 2), 0);
}

static void test_bar_sizing(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(config_read(&f, 1, 0x10, 4), BAR0_AT);
    assert_int_equal(config_read(&f, 1, 0x18, 4), (uint32_t)BAR2_AT | 0xc); /* 64 bits, prefetch */
    assert_int_equal(config_read(&f, 1, 0x1c, 4), BAR2_AT >> 32);
    config_write(&f, 0x10, 4, 0xffffffff);
    assert_int_equal(config_read(&f, 1, 0x10, 4), ~(BAR0_SIZE - 1));
    config_write(&f, 0x18, 4, 0xffffffff);
    config_write(&f, 0x1c, 4, 0xffffffff);
    assert_int_equal(config_read(&f, 1, 0x18, 4), (~(BAR2_SIZE - 1)) | 0xc);
    assert_int_equal(config_read(&f, 1, 0x1c, 4), 0xffffffff);
    /* No BAR: nothing sticks. */
    static const unsigned none[] = {0x14, 0x20, 0x24, 0x30};
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        config_write(&f, none[i], 4, 0xffffffff);
        assert_int_equal(config_read(&f, 1, none[i], 4), 0);
    }
    /* With decoding off the owner is not told of any of it. */
    assert_int_equal(f.moves, 0);
    /* By bytes, too. */
    config_write(&f, 0x10, 4, 0xc0000000);
    config_write(&f, 0x13, 1, 0xd1);
    config_write(&f, 0x11, 1, 0xff);
    config_write(&f, 0x10, 1, 0xff);
    assert_int_equal(config_read(&f, 1, 0x10, 4), 0xd100e000);
}

static void test_decoding(void **state)
{
    struct fixture f;
    struct pci_function *function = NULL;
    unsigned bar = 9;
    uint64_t offset = 0;

    (void)state;
    start(&f);
    assert_false(pci_find_bar(&f.bus, BAR0_AT, &function, &bar, &offset));
    config_write(&f, COMMAND, 2, 0x0006);
    assert_int_equal(f.moves, 2);
    assert_int_equal(f.decoded[0], BAR0_AT);
    assert_int_equal(f.decoded[2], BAR2_AT);
    assert_true(pci_find_bar(&f.bus, BAR0_AT + BAR0_SIZE - 1, &function, &bar, &offset));
    assert_true(function == &f.nic && bar == 0 && offset == BAR0_SIZE - 1);
    assert_false(pci_find_bar(&f.bus, BAR0_AT + BAR0_SIZE, &function, &bar, &offset));
    assert_false(pci_find_bar(&f.bus, BAR0_AT - 1, &function, &bar, &offset));
    assert_true(pci_find_bar(&f.bus, BAR2_AT + 0x123456, &function, &bar, &offset));
    assert_true(bar == 2 && offset == 0x123456);
    /* Moved while it decodes; the lower half alone is a move of its own. */
    config_write(&f, 0x10, 4, 0xc1234567);
    assert_int_equal(f.decoded[0], 0xc1234000);
    config_write(&f, 0x1c, 4, 0x11);
    assert_int_equal(f.decoded[2], 0x1100000000ull);
    assert_int_equal(f.moves, 4);
    config_write(&f, 0x10, 4, 0xc1234000); /* to where it is */
    assert_int_equal(f.moves, 4);
    /* Nor does what the bridge does not pass on: RAM, what lies across a window's end, the I/O
     * APIC.
     */
    config_write(&f, 0x10, 4, 0x01000000);
    assert_int_equal(f.decoded[0], 0);
    config_write(&f, 0x10, 4, 0xfebfe000);
    assert_int_equal(f.decoded[0], 0xfebfe000);
    config_write(&f, 0x10, 4, 0xfec00000);
    assert_int_equal(f.decoded[0], 0);
    config_write(&f, 0x1c, 4, 0x20);
    assert_int_equal(f.decoded[2], 0);
    config_write(&f, 0x1c, 4, 0x11);
    /* Address 0 decodes nothing. */
    config_write(&f, 0x10, 4, 0);
    assert_int_equal(f.decoded[0], 0);
    assert_false(pci_find_bar(&f.bus, 0x10, &function, &bar, &offset));
    config_write(&f, COMMAND, 1, 0);
    assert_int_equal(f.decoded[2], 0);
    pci_reset(&f.bus);
    assert_int_equal(config_read(&f, 1, 0x10, 4), BAR0_AT);
    assert_int_equal(config_read(&f, 1, 0x1c, 4), BAR2_AT >> 32);
}

static void test_reset_ends_decoding(void **state)
{
    struct fixture f;
    struct msi_message message;

    (void)state;
    start(&f);
    config_write(&f, COMMAND, 2, 0x0006);
    config_write(&f, MSIX + 2, 2, 0x8000);
    assert_false(pci_msix_fire(&f.nic, 1, &message)); /* masked: pends */
    assert_int_equal(pci_msix_pending(&f.nic), 2);
    pci_reset(&f.bus);
    assert_int_equal(f.decoded[0] | f.decoded[2], 0);
    assert_int_equal(config_read(&f, 1, COMMAND, 2), 0);
    assert_int_equal(config_read(&f, 1, MSIX + 2, 2), VECTORS - 1);
    assert_int_equal(pci_msix_pending(&f.nic), 0);
}

static void test_read_only(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    config_write(&f, COMMAND, 4, 0xffffffff);
    assert_int_equal(config_read(&f, 1, COMMAND, 2), 0x0406);
    assert_int_equal(config_read(&f, 1, 0x06, 2), 0x0010); /* status: a capability list */
    config_write(&f, COMMAND, 4, 0);
    static const unsigned fixed[] = {0x00, 0x08, 0x2c, 0x34, 0x44, 0x48, 0x80, 0xfc};
    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++) {
        uint32_t before = config_read(&f, 1, fixed[i], 4);
        config_write(&f, fixed[i], 4, ~before);
        assert_int_equal(config_read(&f, 1, fixed[i], 4), before);
    }
    config_write(&f, 0x3c, 4, 0xffffffff); /* the interrupt line is the guest's; no pin */
    assert_int_equal(config_read(&f, 1, 0x3c, 4), 0xff);
}

static void test_msix_capability(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    unsigned at = config_read(&f, 1, 0x34, 1);
    assert_int_equal(at, MSIX);
    assert_int_equal(config_read(&f, 1, at, 2), 0x11); /* MSI-X, the last capability */
    assert_int_equal(config_read(&f, 1, at + 2, 2), VECTORS - 1);
    assert_int_equal(config_read(&f, 1, at + 4, 4), 0x1000);
    assert_int_equal(config_read(&f, 1, at + 8, 4), 0x1800);
    config_write(&f, at, 4, 0xffffffff);
    assert_int_equal(config_read(&f, 1, at, 4), 0xc0000011 | (VECTORS - 1) << 16);
}

static void program_vector(struct fixture *f, unsigned vector, uint32_t data, bool masked)
{
    pci_msix_write(&f->nic, vector * 16, 4, 0xfee01000u | 4u);
    pci_msix_write(&f->nic, vector * 16 + 4, 4, 0);
    pci_msix_write(&f->nic, vector * 16 + 8, 4, data);
    pci_msix_write(&f->nic, vector * 16 + 12, 4, masked);
}

static void test_msix_masks(void **state)
{
    struct fixture f;
    struct msi_message message = {0, 0};

    (void)state;
    start(&f);
    program_vector(&f, 0, 0x41, false);
    assert_false(pci_msix_fire(&f.nic, 0, &message)); /* off: lost */
    assert_int_equal(pci_msix_pending(&f.nic), 0);
    config_write(&f, MSIX + 2, 2, 0x8000);
    assert_int_equal(f.interrupts, 0);
    assert_true(pci_msix_fire(&f.nic, 0, &message));
    assert_true(message.address == 0xfee01004 && message.data == 0x41);
    assert_int_equal(pci_msix_pending(&f.nic), 0);
    assert_false(pci_msix_fire(&f.nic, VECTORS, &message));
    assert_false(pci_msix_fire(&f.nic, UINT32_MAX, &message));
    for (unsigned vector = VECTORS; vector < PCI_MSIX_VECTORS; vector++) {
        assert_false(f.nic.msix[vector].pending);
    }
    /* The vector's own mask: it pends once and comes once. */
    program_vector(&f, 0, 0x42, true);
    assert_false(pci_msix_fire(&f.nic, 0, &message));
    assert_false(pci_msix_fire(&f.nic, 0, &message));
    assert_int_equal(pci_msix_pending(&f.nic), 1);
    pci_msix_write(&f.nic, 12, 4, 0);
    assert_int_equal(f.interrupts, 1);
    assert_int_equal(f.last.data, 0x42);
    assert_int_equal(pci_msix_pending(&f.nic), 0);
    /* The function's mask, over an open vector and a masked one. */
    config_write(&f, MSIX + 2, 2, 0xc000);
    assert_false(pci_msix_fire(&f.nic, 0, &message));
    assert_false(pci_msix_fire(&f.nic, 1, &message));
    assert_int_equal(pci_msix_pending(&f.nic), 3);
    config_write(&f, MSIX + 3, 1, 0x80);
    assert_int_equal(f.interrupts, 2);
    assert_int_equal(pci_msix_pending(&f.nic), 2);
    /* A pending vector is sent as it is programmed when its mask goes. */
    program_vector(&f, 1, 0x55, false);
    assert_int_equal(f.interrupts, 3);
    assert_int_equal(f.last.data, 0x55);
    assert_int_equal(f.last_vector, 1);
}

static void test_msix_table(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(pci_msix_read(&f.nic, 12, 4), 1); /* masked after reset */
    pci_msix_write(&f.nic, 16, 8, 0x11223344fee01007ull);
    assert_int_equal(pci_msix_read(&f.nic, 16, 4), 0xfee01004); /* the low bits are zero */
    assert_int_equal(pci_msix_read(&f.nic, 20, 4), 0x11223344);
    assert_int_equal(pci_msix_read(&f.nic, 16, 8), 0x11223344fee01004ull);
    pci_msix_write(&f.nic, 24, 8, 0xffffffff00000077ull);
    assert_int_equal(pci_msix_read(&f.nic, 24, 8), 0x0000000100000077ull); /* one mask bit */
    /* Wrong sizes, wrong alignment, and beyond the table. */
    pci_msix_write(&f.nic, 24, 1, 0);
    pci_msix_write(&f.nic, 26, 4, 0);
    pci_msix_write(&f.nic, 20, 8, 0);
    assert_int_equal(pci_msix_read(&f.nic, 24, 4), 0x77);
    assert_int_equal(pci_msix_read(&f.nic, 20, 4), 0x11223344);
    static const uint32_t beyond[] = {32, 128, 0x7f8, 0x1000, 0xfffffff8};
    for (unsigned i = 0; i < ARRAY_SIZE(beyond); i++) {
        pci_msix_write(&f.nic, beyond[i], 8, ~0ull);
        assert_int_equal(pci_msix_read(&f.nic, beyond[i], 8), 0);
    }
}

static void test_msi_decode(void **state)
{
    struct msi_message m = {0xfee0a000, 0x4030};
    struct msi_decoded d = msi_decode(&m);

    (void)state;
    assert_true(d.destination == 0x0a && !d.logical && d.mode == 0 && d.vector == 0x30);
    m = (struct msi_message){0xfeeff004, 0x07fe};
    d = msi_decode(&m);
    assert_true(d.destination == 0xff && d.logical && d.mode == 7 && d.vector == 0xfe);
}

static void test_attach_until_full(void **state)
{
    struct pci_bus bus;
    struct pci_function function[PCI_FUNCTIONS];

    (void)state;
    pci_init(&bus);
    for (unsigned i = 1; i < PCI_FUNCTIONS; i++) {
        pci_function_init(&function[i], NULL, NULL, VENDOR, (uint16_t)i, CLASS);
        assert_int_equal(pci_attach(&bus, &function[i]), STATUS_OK);
        assert_ptr_equal(bus.functions[i], &function[i]);
    }
    assert_int_equal(pci_attach(&bus, &function[1]), STATUS_NO_MEMORY);
    (void)!pci_io_write(&bus, 0xcf8, 4, 0x80000000 | 31u << 11);
    assert_int_equal(pci_io_read(&bus, 0xcfe, 2), 31);
}

/* What must hold whatever the guest did. */
static void check(struct fixture *f)
{
    bool memory = (f->nic.config[COMMAND] & 2) != 0;

    assert_int_equal(f->nic.config[0] | f->nic.config[1] << 8, VENDOR);
    assert_int_equal(f->nic.config[0x40], 0x11);
    assert_int_equal(f->nic.config[0x42], VECTORS - 1);
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        const struct pci_bar *b = &f->nic.bars[bar];
        assert_int_equal(f->decoded[bar], b->decoded);
        assert_true(b->decoded == 0 || (memory && b->size != 0 && b->decoded % b->size == 0));
        assert_true(b->decoded <= UINT32_MAX || b->wide);
    }
    assert_true(pci_msix_pending(&f->nic) < BIT(VECTORS));
}

static void test_random_accesses(void **state)
{
    static const unsigned sizes[] = {1, 2, 4};
    static const unsigned offsets[] = {0,    COMMAND, 0x08, 0x10, 0x14, 0x18, 0x1c, 0x20,
                                       0x24, 0x30,    0x3c, MSIX, 0x44, 0xfc, MSIX, COMMAND};
    struct random random = {31337};
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < 300000; i++) {
        unsigned size = sizes[random_below(&random, 3)];
        unsigned low = random_below(&random, 16) == 0 ? 0 : 4; /* the address seldom */
        uint16_t port = (uint16_t)(0xcf8 + low + random_below(&random, 8 - low));
        uint32_t value = random_next(&random);
        struct msi_message message;
        struct pci_function *function = NULL;
        unsigned bar = 0;
        uint64_t offset = 0;
        switch (random_below(&random, 8)) {
        case 0:
            select_device(&f, random_below(&random, 3), offsets[value % ARRAY_SIZE(offsets)]);
            break;
        case 1:
        case 2:
            (void)!pci_io_write(&f.bus, port, size, value);
            break;
        case 3:
            assert_int_equal((uint64_t)pci_io_read(&f.bus, port, size) >> 8 * size, 0);
            break;
        case 4:
            pci_msix_write(&f.nic, random_below(&random, 2) ? value & 0x3f : value,
                           1u << random_below(&random, 4), random_next(&random));
            break;
        case 5:
            (void)pci_msix_read(&f.nic, random_below(&random, 2) ? value & 0x3f : value,
                                1u << random_below(&random, 4));
            break;
        case 6:
            (void)pci_msix_fire(&f.nic, value % 5, &message);
            break;
        default:
            if (pci_find_bar(&f.bus, (uint64_t)value << random_below(&random, 20), &function, &bar,
                             &offset)) {
                assert_ptr_equal(function, &f.nic);
                assert_true(offset < f.nic.bars[bar].size);
            }
            break;
        }
        check(&f);
    }
    assert_true(f.moves > 100 && f.interrupts > 100);
}

/* A function with what virtio ones have besides: ports, more capabilities, registers of its own. */
struct own {
    struct pci_bus bus;
    struct pci_function function;
    unsigned read_at, written_at;
    uint32_t written;
    bool again;
};

static uint32_t on_read_own(struct pci_function *function, unsigned offset)
{
    struct own *o = function->context;

    o->read_at = offset;
    return 0x44332211;
}

static bool on_write_own(struct pci_function *function, unsigned offset, uint32_t value)
{
    struct own *o = function->context;

    o->written_at = offset;
    o->written = value;
    return !o->again;
}

static void start_own(struct own *o)
{
    static const struct pci_function_ops own_ops = {.read_own = on_read_own,
                                                    .write_own = on_write_own};
    static const uint8_t first[] = {9, 0xff, 5, 'a', 'b'}, second[] = {9, 0xff, 4, 'c'};

    memset(o, 0, sizeof(*o));
    pci_init(&o->bus);
    pci_function_init(&o->function, &own_ops, o, VENDOR, DEVICE, CLASS);
    pci_add_bar(&o->function, 0, BAR0_SIZE, BAR0_AT, false, false);
    pci_add_io_bar(&o->function, 2, 4, 0xc010);
    pci_add_msix(&o->function, VECTORS, 0, 0x1000, 0x1800);
    assert_int_equal(pci_add_capability(&o->function, first, sizeof(first)), MSIX + 12);
    assert_int_equal(pci_add_capability(&o->function, second, sizeof(second)), MSIX + 20);
    o->function.own = MSIX + 20;
    o->function.own_size = 4;
    assert_int_equal(pci_attach(&o->bus, &o->function), STATUS_OK);
    pci_reset(&o->bus);
}

static uint32_t own_read(struct own *o, unsigned offset, unsigned size)
{
    (void)!pci_io_write(&o->bus, 0xcf8, 4, 0x80000800u | (offset & 0xfc));
    return pci_io_read(&o->bus, (uint16_t)(0xcfc + (offset & 3)), size);
}

static bool own_write(struct own *o, unsigned offset, unsigned size, uint32_t value)
{
    (void)!pci_io_write(&o->bus, 0xcf8, 4, 0x80000800u | (offset & 0xfc));
    return pci_io_write(&o->bus, (uint16_t)(0xcfc + (offset & 3)), size, value);
}

static void test_capability_list(void **state)
{
    struct own o;

    (void)state;
    start_own(&o);
    assert_int_equal(own_read(&o, 0x06, 2) & 0x10, 0x10);
    assert_int_equal(own_read(&o, 0x34, 1), MSIX);
    assert_int_equal(own_read(&o, MSIX, 2), (MSIX + 12) << 8 | 0x11);
    assert_int_equal(own_read(&o, MSIX + 12, 4), 'a' << 24 | 5 << 16 | (MSIX + 20) << 8 | 9);
    assert_int_equal(own_read(&o, MSIX + 16, 1), 'b');
    assert_int_equal(o.function.config[MSIX + 21], 0);
}

static void test_ports(void **state)
{
    struct own o;
    struct pci_function *function = NULL;
    unsigned bar = 0;
    uint64_t offset = 0;

    (void)state;
    start_own(&o);
    assert_false(pci_find_port(&o.bus, 0xc010, 1, &function, &bar, &offset));
    assert_int_equal(own_read(&o, 0x18, 4), 0xc011);
    (void)!own_write(&o, 0x18, 4, 0xffffffff);
    assert_int_equal(own_read(&o, 0x18, 4), 0xfffffffd);
    (void)!own_write(&o, 0x18, 4, 0xc020);
    /* Memory's enable bit is not that of ports. */
    (void)!own_write(&o, COMMAND, 2, 2);
    assert_false(pci_find_port(&o.bus, 0xc020, 1, &function, &bar, &offset));
    assert_true(pci_find_bar(&o.bus, BAR0_AT, &function, &bar, &offset));
    (void)!own_write(&o, COMMAND, 2, 1);
    assert_int_equal(own_read(&o, COMMAND, 2), 1);
    assert_false(pci_find_bar(&o.bus, BAR0_AT, &function, &bar, &offset));
    assert_false(pci_find_bar(&o.bus, 0xc020, &function, &bar, &offset));
    for (unsigned size = 1; size <= 4; size *= 2) {
        for (uint16_t port = 0xc018; port < 0xc030; port++) {
            bool inside = port >= 0xc020 && port + size <= 0xc024;
            assert_int_equal(pci_find_port(&o.bus, port, size, &function, &bar, &offset), inside);
            if (inside) {
                assert_ptr_equal(function, &o.function);
                assert_int_equal(bar, 2);
                assert_int_equal(offset, port - 0xc020);
            }
        }
    }
    /* Outside the bridge's window: over other devices' ports. */
    static const uint32_t elsewhere[] = {0x3f8, 0xcf8, 0xbffc, 0xd000, 0xfffffffc, 0x1c020};
    for (unsigned i = 0; i < ARRAY_SIZE(elsewhere); i++) {
        (void)!own_write(&o, 0x18, 4, elsewhere[i]);
        assert_false(
            pci_find_port(&o.bus, (uint16_t)(elsewhere[i] & ~3u), 1, &function, &bar, &offset));
    }
}

/* A function without ports has no enable bit for them. */
static void test_no_ports(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    config_write(&f, COMMAND, 2, 0xffff);
    assert_int_equal(config_read(&f, 1, COMMAND, 2), 0x406);
}

static void test_own_registers(void **state)
{
    struct own o;
    unsigned at = MSIX + 20;

    (void)state;
    start_own(&o);
    assert_int_equal(own_read(&o, at, 4), 0x44332211);
    assert_int_equal(o.read_at, at);
    assert_int_equal(own_read(&o, at + 1, 2), 0x3322);
    assert_int_equal(own_read(&o, at + 3, 1), 0x44);
    /* A part is written into what configuration space has, without a read of the owner's. */
    o.read_at = 0;
    assert_true(own_write(&o, at + 2, 1, 0x77));
    assert_int_equal(o.written_at, at);
    assert_int_equal(o.written, 'c' << 24 | 0x77 << 16 | 9);
    assert_int_equal(o.read_at, 0);
    o.again = true;
    assert_false(own_write(&o, at, 4, 1));
    o.written_at = 0;
    assert_true(own_write(&o, at - 4, 4, 1));
    assert_true(own_write(&o, at + 4, 4, 1));
    assert_int_equal(o.written_at, 0);
}

/* One function goes: its neighbours stay where they are, and the next one to come has its place. */
static void test_detach(void **state)
{
    struct pci_function more[3] = {0}, *function;
    struct fixture f;
    uint64_t offset;
    unsigned bar;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++) {
        pci_function_init(&more[i], NULL, NULL, VENDOR, (uint16_t)(DEVICE + 1 + i), CLASS);
        pci_add_bar(&more[i], 0, BAR0_SIZE, BAR0_AT + (i + 1) * BAR0_SIZE, false, false);
        assert_int_equal(pci_attach(&f.bus, &more[i]), STATUS_OK);
    }
    pci_reset(&f.bus);
    config_write(&f, COMMAND, 2, 2);
    select_device(&f, 3, COMMAND);
    (void)!pci_io_write(&f.bus, 0xcfc, 2, 2);
    assert_int_equal(f.decoded[0], BAR0_AT);
    pci_detach(&f.bus, &f.nic);
    assert_true(f.decoded[0] == 0 && f.decoded[2] == 0);
    assert_int_equal(config_read(&f, 1, 0, 4), 0xffffffff);
    assert_int_equal(config_read(&f, 3, 0, 4), (DEVICE + 2) << 16 | VENDOR);
    assert_false(pci_find_bar(&f.bus, BAR0_AT, &function, &bar, &offset));
    assert_true(pci_find_bar(&f.bus, BAR0_AT + 2 * BAR0_SIZE + 4, &function, &bar, &offset));
    assert_true(function == &more[1] && bar == 0 && offset == 4);
    config_write(&f, COMMAND, 2, 2); /* into the gap */
    pci_reset(&f.bus);
    assert_false(pci_find_bar(&f.bus, BAR0_AT + 2 * BAR0_SIZE, &function, &bar, &offset));
    /* The last one, and with it the gap in front of it. */
    pci_detach(&f.bus, &more[1]);
    assert_int_equal(f.bus.end, 5);
    pci_detach(&f.bus, &more[2]);
    assert_int_equal(f.bus.end, 3);
    pci_detach(&f.bus, &more[2]); /* it is not there */
    assert_int_equal(f.bus.end, 3);
    /* Back again, at another address from the next reset on. */
    pci_set_initial(&f.nic, 0, BAR0_AT + 8 * BAR0_SIZE);
    assert_int_equal(pci_attach(&f.bus, &f.nic), STATUS_OK);
    assert_ptr_equal(f.bus.functions[1], &f.nic);
    pci_reset(&f.bus);
    assert_int_equal(config_read(&f, 1, 0x10, 4), BAR0_AT + 8 * BAR0_SIZE);
    for (unsigned i = 1; i < PCI_FUNCTIONS; i++) {
        if (f.bus.functions[i] != NULL) {
            pci_detach(&f.bus, f.bus.functions[i]);
        }
    }
    assert_int_equal(f.bus.end, 1);
    assert_int_equal(config_read(&f, 0, 0, 4), VENDOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enumeration),
        cmocka_unit_test(test_access_sizes),
        cmocka_unit_test(test_bar_sizing),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_reset_ends_decoding),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_msix_capability),
        cmocka_unit_test(test_msix_masks),
        cmocka_unit_test(test_msix_table),
        cmocka_unit_test(test_msi_decode),
        cmocka_unit_test(test_capability_list),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_no_ports),
        cmocka_unit_test(test_own_registers),
        cmocka_unit_test(test_attach_until_full),
        cmocka_unit_test(test_detach),
        cmocka_unit_test(test_random_accesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
