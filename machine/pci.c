/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/pci.h"

#include "machine/guest_map.h"
#include "machine/pci_parts.h"

#define ADDRESS_ENABLE BIT32(31)
#define PORT_ADDRESS   0xcf8u
#define PORT_DATA      0xcfcu
#define CLASS_BRIDGE   0x060000u
#define BRIDGE_VENDOR  0x504fu
#define BRIDGE_DEVICE  0x0000u

void pci_function_init(struct pci_function *function, const struct pci_function_ops *ops,
                       void *context, uint16_t vendor, uint16_t device, uint32_t class_code)
{
    memset(function, 0, sizeof(*function));
    function->ops = ops;
    function->context = context;
    function->last_link = CFG_CAPABILITIES;
    function->capabilities_end = CFG_MSIX;
    pci_put(function->config, CFG_VENDOR, 4, (uint32_t)device << 16 | vendor);
    pci_put(function->config, CFG_CLASS, 4, class_code << 8);
    pci_put(function->config, CFG_SUBSYSTEM, 4, (uint32_t)device << 16 | vendor);
}

void pci_add_bar(struct pci_function *function, unsigned bar, uint64_t size, uint64_t address,
                 bool wide, bool prefetchable)
{
    function->bars[bar] = (struct pci_bar){
        .size = size, .initial = address, .wide = wide, .prefetchable = prefetchable};
}

void pci_add_io_bar(struct pci_function *function, unsigned bar, uint32_t size, uint16_t port)
{
    function->bars[bar] = (struct pci_bar){.size = size, .initial = port, .io = true};
}

unsigned pci_add_capability(struct pci_function *function, const uint8_t *bytes, unsigned size)
{
    uint8_t at = function->capabilities_end;

    pci_put(function->config, CFG_STATUS, 2, STATUS_CAP_LIST);
    memcpy(function->config + at, bytes, size);
    function->config[at + 1] = 0;
    function->config[function->last_link] = at;
    function->last_link = (uint8_t)(at + 1);
    function->capabilities_end = (uint8_t)(at + align_up(size, 4));
    return at;
}

void pci_add_msix(struct pci_function *function, unsigned vectors, unsigned bar,
                  uint32_t table_offset, uint32_t pending_offset)
{
    uint8_t bytes[12];

    function->msix_vectors = vectors;
    pci_put(bytes, 0, 4, CAP_MSIX | (vectors - 1) << 16);
    pci_put(bytes, 4, 4, table_offset | bar);
    pci_put(bytes, 8, 4, pending_offset | bar);
    (void)pci_add_capability(function, bytes, sizeof(bytes));
}

void pci_init(struct pci_bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    pci_function_init(&bus->bridge, NULL, NULL, BRIDGE_VENDOR, BRIDGE_DEVICE, CLASS_BRIDGE);
    bus->functions[0] = &bus->bridge;
    bus->end = 1;
}

bool pci_has_room(const struct pci_bus *bus)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        if (bus->functions[i] == NULL) {
            return true;
        }
    }
    return false;
}

status_t pci_attach(struct pci_bus *bus, struct pci_function *function)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        if (bus->functions[i] == NULL) {
            bus->functions[i] = function;
            bus->end = i >= bus->end ? i + 1 : bus->end;
            return STATUS_OK;
        }
    }
    return STATUS_NO_MEMORY;
}

/* The address in a BAR's registers, without its flags. */
static uint64_t bar_register(const struct pci_function *function, unsigned bar)
{
    uint32_t flags = function->bars[bar].io ? 0x3u : 0xfu;
    uint64_t value = pci_get(function->config, CFG_BAR0 + 4 * bar, 4) & ~flags;

    if (function->bars[bar].wide) {
        value |= (uint64_t)pci_get(function->config, CFG_BAR0 + 4 * bar + 4, 4) << 32;
    }
    return value;
}

void pci_put_bar(struct pci_function *function, unsigned bar, uint64_t value)
{
    const struct pci_bar *b = &function->bars[bar];
    uint32_t flags =
        (b->io ? BAR_IO : 0) | (b->wide ? BAR_WIDE : 0) | (b->prefetchable ? BAR_PREFETCH : 0);

    value &= ~(b->size - 1);
    pci_put(function->config, CFG_BAR0 + 4 * bar, 4, (uint32_t)value | flags);
    if (b->wide) {
        pci_put(function->config, CFG_BAR0 + 4 * bar + 4, 4, (uint32_t)(value >> 32));
    }
}

/* The host bridge passes on what is in its windows: a BAR elsewhere, over RAM or another device,
 * decodes nothing. */
static bool is_passed_on(uint64_t address, uint64_t size, bool io)
{
    if (io) {
        return range_within(address, size, GUEST_PCI_IO_BASE, GUEST_PCI_IO_END - GUEST_PCI_IO_BASE);
    }
    return range_within(address, size, GUEST_PCI_BASE, GUEST_PCI_END - GUEST_PCI_BASE) ||
           range_within(address, size, GUEST_PCI_HIGH_BASE,
                        GUEST_PCI_HIGH_END - GUEST_PCI_HIGH_BASE);
}

/* Recomputes what each BAR decodes and tells the owner of changes. */
void pci_update_decoding(struct pci_function *function)
{
    uint32_t command = pci_get(function->config, CFG_COMMAND, 2);

    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct pci_bar *bar = &function->bars[i];
        if (bar->size == 0) {
            continue;
        }
        uint64_t old = bar->decoded;
        uint64_t address = bar_register(function, i);
        bool enabled = (command & (bar->io ? COMMAND_IO : COMMAND_MEMORY)) != 0;
        bar->decoded = enabled && is_passed_on(address, bar->size, bar->io) ? address : 0;
        if (old != bar->decoded && function->ops != NULL && function->ops->bar_moved != NULL) {
            function->ops->bar_moved(function, i, old, bar->decoded);
        }
    }
}

void pci_detach(struct pci_bus *bus, struct pci_function *function)
{
    pci_put(function->config, CFG_COMMAND, 2, 0);
    pci_update_decoding(function);
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        if (bus->functions[i] == function) {
            bus->functions[i] = NULL;
        }
    }
    while (bus->functions[bus->end - 1] == NULL) {
        bus->end--; /* the bridge stays */
    }
}

void pci_set_initial(struct pci_function *function, unsigned bar, uint64_t address)
{
    function->bars[bar].initial = address;
}

void pci_reset(struct pci_bus *bus)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        struct pci_function *function = bus->functions[i];
        if (function == NULL) {
            continue;
        }
        pci_put(function->config, CFG_COMMAND, 2, 0);
        pci_update_decoding(function);
        for (unsigned bar = 0; bar < PCI_BARS; bar++) {
            if (function->bars[bar].size != 0) {
                pci_put_bar(function, bar, function->bars[bar].initial);
            }
        }
        if (function->msix_vectors != 0) {
            pci_put(function->config, CFG_MSIX + 2, 2, function->msix_vectors - 1);
        }
        for (unsigned vector = 0; vector < PCI_MSIX_VECTORS; vector++) {
            function->msix[vector].masked = true;
            function->msix[vector].pending = false;
        }
    }
}

/* Configuration space. */

static struct pci_function *selected(const struct pci_bus *bus)
{
    uint32_t a = bus->address;

    /* Bus 0, function 0. */
    if ((a & ADDRESS_ENABLE) == 0 || (a >> 16 & 0xff) != 0 || (a >> 8 & 7) != 0) {
        return NULL;
    }
    return bus->functions[a >> 11 & 0x1f];
}

/* Which BAR the register at `offset` is of, PCI_BARS for none; `*high`: its upper half. */
static unsigned bar_at(const struct pci_function *function, unsigned offset, bool *high)
{
    unsigned index = (offset - CFG_BAR0) / 4;

    *high = false;
    if (offset < CFG_BAR0 || index >= PCI_BARS) {
        return PCI_BARS;
    }
    if (function->bars[index].size != 0) {
        return index;
    }
    *high = index > 0 && function->bars[index - 1].size != 0 && function->bars[index - 1].wide;
    return *high ? index - 1 : PCI_BARS;
}

uint32_t pci_writable_command(const struct pci_function *function)
{
    uint32_t mask = COMMAND_WRITABLE;

    for (unsigned i = 0; i < PCI_BARS; i++) {
        mask |= function->bars[i].io ? COMMAND_IO : 0;
    }
    return mask;
}

static bool is_own(const struct pci_function *function, unsigned offset)
{
    return offset >= function->own && offset < (unsigned)function->own + function->own_size;
}

/* `value` is the whole aligned 32-bit register at `offset` after the write. */
static bool write_register(struct pci_function *function, unsigned offset, uint32_t value)
{
    bool high = false;
    unsigned bar = bar_at(function, offset, &high);

    if (is_own(function, offset)) {
        return function->ops->write_own(function, offset, value);
    }
    if (offset == CFG_COMMAND) {
        pci_put(function->config, CFG_COMMAND, 2, value & pci_writable_command(function));
        pci_update_decoding(function);
    } else if (bar != PCI_BARS) {
        uint64_t old = bar_register(function, bar);
        pci_put_bar(function, bar,
                    high ? (uint64_t)value << 32 | (uint32_t)old : (old & ~0xffffffffull) | value);
        pci_update_decoding(function);
    } else if (offset == CFG_MSIX && function->msix_vectors != 0) {
        uint32_t control =
            (value >> 16 & (MSIX_ENABLE | MSIX_MASK_ALL)) | (function->msix_vectors - 1);
        pci_put(function->config, CFG_MSIX + 2, 2, control);
        pci_msix_send_pending(function);
    } else if (offset == CFG_INT_LINE) {
        function->config[CFG_INT_LINE] = (uint8_t)value;
    } else if (offset == CFG_CACHE_LINE) {
        function->config[CFG_CACHE_LINE] = (uint8_t)value;
    }
    return true;
}

static uint32_t ones(unsigned size)
{
    return size == 4 ? 0xffffffffu : BIT32(8 * size) - 1;
}

uint32_t pci_io_read(struct pci_bus *bus, uint16_t port, unsigned size)
{
    if (port == PORT_ADDRESS && size == 4) {
        return bus->address;
    }
    struct pci_function *function = selected(bus);
    unsigned within = (unsigned)(port - PORT_DATA);
    unsigned offset = bus->address & 0xfc;
    if (port < PORT_DATA || function == NULL || within + size > 4) {
        return ones(size);
    }
    if (is_own(function, offset)) {
        return function->ops->read_own(function, offset) >> 8 * within & ones(size);
    }
    return pci_get(function->config, offset + within, size);
}

bool pci_io_write(struct pci_bus *bus, uint16_t port, unsigned size, uint32_t value)
{
    if (port == PORT_ADDRESS && size == 4) {
        bus->address = value;
        return true;
    }
    struct pci_function *function = selected(bus);
    unsigned within = (unsigned)(port - PORT_DATA);
    if (port < PORT_DATA || function == NULL || within + size > 4) {
        return true;
    }
    unsigned offset = bus->address & 0xfc;
    uint32_t mask = ones(size) << 8 * within;
    uint32_t old = pci_get(function->config, offset, 4);
    return write_register(function, offset, (old & ~mask) | (value << 8 * within & mask));
}

static bool find(struct pci_bus *bus, bool io, uint64_t address, unsigned size,
                 struct pci_function **function, unsigned *bar, uint64_t *offset)
{
    for (unsigned i = 0; i < bus->end; i++) {
        for (unsigned b = 0; bus->functions[i] != NULL && b < PCI_BARS; b++) {
            const struct pci_bar *candidate = &bus->functions[i]->bars[b];
            if (candidate->decoded != 0 && candidate->io == io &&
                range_within(address, size, candidate->decoded, candidate->size)) {
                *function = bus->functions[i];
                *bar = b;
                *offset = address - candidate->decoded;
                return true;
            }
        }
    }
    return false;
}

bool pci_find_bar(struct pci_bus *bus, uint64_t gpa, struct pci_function **function, unsigned *bar,
                  uint64_t *offset)
{
    return find(bus, false, gpa, 1, function, bar, offset);
}

bool pci_find_port(struct pci_bus *bus, uint16_t port, unsigned size,
                   struct pci_function **function, unsigned *bar, uint64_t *offset)
{
    return find(bus, true, port, size, function, bar, offset);
}
