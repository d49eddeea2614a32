/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/ioapic.h"

#include "lib/bits.h"
#include "lib/string.h"

#define OFFSET_SELECT  0x00u
#define OFFSET_WINDOW  0x10u
#define OFFSET_EOI     0x40u
#define REG_ID         0x00u
#define REG_VERSION    0x01u
#define REG_ARB        0x02u
#define REG_TABLE      0x10u
#define VERSION        (0x20u | (IOAPIC_INPUTS - 1) << 16)

#define RTE_VECTOR     MASK(7, 0)
#define RTE_LOGICAL    BIT(11)
#define RTE_STATUS     BIT(12)
#define RTE_REMOTE_IRR BIT(14)
#define RTE_LEVEL      BIT(15)
#define RTE_MASKED     BIT(16)
#define ID_WRITABLE    0x0f000000u
#define RTE_WRITABLE   (MASK(63, 56) | RTE_MASKED | RTE_LEVEL | BIT(13) | MASK(11, 0))

void ioapic_init(struct ioapic *ioapic, const struct ioapic_ops *ops, void *context)
{
    memset(ioapic, 0, sizeof(*ioapic));
    ioapic->ops = ops;
    ioapic->context = context;
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        ioapic->redirection[i] = RTE_MASKED;
    }
}

static void send(struct ioapic *ioapic, unsigned input)
{
    uint64_t rte = ioapic->redirection[input];
    bool level = (rte & RTE_LEVEL) != 0;

    if ((rte & RTE_MASKED) != 0 || (level && (rte & RTE_REMOTE_IRR) != 0)) {
        return;
    }
    if (level) {
        ioapic->redirection[input] |= RTE_REMOTE_IRR;
    }
    ioapic->ops->deliver(ioapic->context, (uint32_t)(rte >> 56), (rte & RTE_LOGICAL) != 0,
                         (uint8_t)(rte & RTE_VECTOR), (uint8_t)(rte >> 8 & 7), level);
}

void ioapic_set_irq(struct ioapic *ioapic, unsigned gsi, bool level)
{
    bool rising = level && !ioapic->line[gsi];

    ioapic->line[gsi] = level;
    if (rising) {
        send(ioapic, gsi);
    }
}

void ioapic_eoi(struct ioapic *ioapic, uint8_t vector)
{
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        uint64_t *rte = &ioapic->redirection[i];
        if ((*rte & RTE_VECTOR) != vector || (*rte & RTE_REMOTE_IRR) == 0) {
            continue;
        }
        *rte &= ~RTE_REMOTE_IRR;
        if (ioapic->line[i]) {
            send(ioapic, i);
        }
    }
}

static uint32_t read_register(const struct ioapic *ioapic)
{
    uint32_t reg = ioapic->select;

    if (reg == REG_ID || reg == REG_ARB) {
        return ioapic->id;
    }
    if (reg == REG_VERSION) {
        return VERSION;
    }
    if (reg >= REG_TABLE && reg < REG_TABLE + 2 * IOAPIC_INPUTS) {
        uint64_t rte = ioapic->redirection[(reg - REG_TABLE) / 2];
        return (uint32_t)((reg & 1) != 0 ? rte >> 32 : rte);
    }
    return 0;
}

static void write_redirection(struct ioapic *ioapic, unsigned input, bool high, uint32_t value)
{
    uint64_t old = ioapic->redirection[input];
    uint64_t written =
        high ? (uint64_t)value << 32 | (uint32_t)old : (old & ~0xffffffffull) | value;
    uint64_t rte = (written & RTE_WRITABLE) | (old & (RTE_REMOTE_IRR | RTE_STATUS));

    /* Switching to edge clears Remote IRR, as the 82093AA does; Linux counts on it. */
    if ((rte & RTE_LEVEL) == 0) {
        rte &= ~RTE_REMOTE_IRR;
    }
    ioapic->redirection[input] = rte;
    /* A level that was masked is delivered now; an edge that was masked is lost. */
    if ((rte & RTE_LEVEL) != 0 && ioapic->line[input]) {
        send(ioapic, input);
    }
}

static void write_register(struct ioapic *ioapic, uint32_t value)
{
    uint32_t reg = ioapic->select;

    if (reg == REG_ID) {
        ioapic->id = value & ID_WRITABLE;
    } else if (reg >= REG_TABLE && reg < REG_TABLE + 2 * IOAPIC_INPUTS) {
        write_redirection(ioapic, (reg - REG_TABLE) / 2, (reg & 1) != 0, value);
    }
}

uint32_t ioapic_read(struct ioapic *ioapic, uint32_t offset, unsigned size)
{
    if (size != 4) {
        return 0;
    }
    return offset == OFFSET_SELECT   ? ioapic->select
           : offset == OFFSET_WINDOW ? read_register(ioapic)
                                     : 0;
}

void ioapic_write(struct ioapic *ioapic, uint32_t offset, unsigned size, uint32_t value)
{
    /* The index register is eight bits wide; a byte access to it is allowed, too. */
    if (offset == OFFSET_SELECT) {
        ioapic->select = value & 0xff;
    } else if (size == 4 && offset == OFFSET_WINDOW) {
        write_register(ioapic, value);
    } else if (size == 4 && offset == OFFSET_EOI) {
        ioapic_eoi(ioapic, (uint8_t)value);
    }
}

void ioapic_save(const struct ioapic *ioapic, struct ioapic_image *image)
{
    *image = (struct ioapic_image){.select = ioapic->select, .id = ioapic->id};
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        image->redirection[i] = ioapic->redirection[i];
        image->lines |= ioapic->line[i] ? BIT32(i) : 0;
    }
}

bool ioapic_load(struct ioapic *ioapic, const struct ioapic_image *image)
{
    if (image->select > 0xff || (image->id & ~ID_WRITABLE) != 0 ||
        image->lines >> IOAPIC_INPUTS != 0) {
        return false;
    }
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        if ((image->redirection[i] & ~(RTE_WRITABLE | RTE_REMOTE_IRR | RTE_STATUS)) != 0) {
            return false;
        }
    }
    ioapic->select = image->select;
    ioapic->id = image->id;
    for (unsigned i = 0; i < IOAPIC_INPUTS; i++) {
        ioapic->redirection[i] = image->redirection[i];
        ioapic->line[i] = (image->lines & BIT32(i)) != 0;
    }
    return true;
}
