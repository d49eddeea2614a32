/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/virtio_function.h"

#include "core/dirty.h"
#include "core/interrupts.h"
#include "core/network.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/string.h"
#include "machine/guest_map.h"

#define CFG_REVISION 0x08u

/* Where BARs lie after reset: memory behind the ports' (core/port.c). */
#define MEMORY_BASE (GUEST_PCI_BASE + 0x100000)
#define IO_BASE     GUEST_PCI_IO_BASE
#define IO_STRIDE   0x10u

/* The device's requests; the VM's lock is held. */

static void interrupt(void *context, uint32_t vector)
{
    struct virtio_function *f = context;
    struct msi_message message;

    if (pci_msix_fire(&f->function, vector, &message)) {
        interrupts_from_msi(f->vm, &message);
    }
}

/* A guest may do it for ever: told once. */
static void failed(void *context, const char *why)
{
    struct virtio_function *f = context;

    if (!f->failure_told) {
        f->failure_told = true;
        log_warning("%s: virtio %s: %s: the device needs a reset", f->vm->config->name,
                    f->pci.device->model->name, why);
    }
}

static void *map(void *context, uint64_t gpa, uint64_t size, bool writable)
{
    const struct virtio_function *f = context;
    void *bytes = vm_memory(f->vm, gpa, size);

    if (writable && bytes != NULL) {
        dirty_note(f->vm, bytes, size);
    }
    return bytes;
}

static void wrote(void *context, const void *bytes, uint64_t size)
{
    const struct virtio_function *f = context;

    dirty_note(f->vm, bytes, size);
}

struct virtio_owner virtio_function_owner(struct virtio_function *function, struct vm *vm,
                                          uint32_t queues)
{
    function->vm = vm;
    return (struct virtio_owner){.interrupt = interrupt,
                                 .failed = failed,
                                 .context = function,
                                 .memory = {.map = map, .context = function, .wrote = wrote},
                                 .vectors = queues + 1};
}

/* The bus's requests. */

static void unmasked(struct pci_function *function, unsigned vector,
                     const struct msi_message *message)
{
    const struct virtio_function *f = function->context;

    (void)vector;
    interrupts_from_msi(f->vm, message);
}

/* Under the VM's lock. */
static uint64_t read_locked(struct virtio_function *f, unsigned bar, uint64_t offset, unsigned size)
{
    if (bar == VIRTIO_PCI_BAR && offset >= VIRTIO_PCI_MSIX_PENDING) {
        return offset == VIRTIO_PCI_MSIX_PENDING ? pci_msix_pending(&f->function) : 0;
    }
    if (bar == VIRTIO_PCI_BAR && offset >= VIRTIO_PCI_MSIX_TABLE) {
        return pci_msix_read(&f->function, (uint32_t)(offset - VIRTIO_PCI_MSIX_TABLE), size);
    }
    return virtio_pci_read(&f->pci, bar, offset, size);
}

/* Under the VM's lock. False: to be made again. */
static bool write_locked(struct virtio_function *f, unsigned bar, uint64_t offset, unsigned size,
                         uint64_t value)
{
    if (bar == VIRTIO_PCI_BAR && offset >= VIRTIO_PCI_MSIX_TABLE) {
        if (offset < VIRTIO_PCI_MSIX_PENDING) {
            pci_msix_write(&f->function, (uint32_t)(offset - VIRTIO_PCI_MSIX_TABLE), size, value);
        }
        return true;
    }
    return !virtio_pci_write(&f->pci, bar, offset, size, value);
}

static uint64_t read_bar(struct pci_function *function, unsigned bar, uint64_t offset,
                         unsigned size)
{
    struct virtio_function *f = function->context;

    spin_lock(&f->vm->lock);
    uint64_t value = read_locked(f, bar, offset, size);
    spin_unlock(&f->vm->lock);
    return value;
}

/* Whether a write is a NIC's driver that sends: that is its network's affair, which takes its own
 * lock before the VM's. */
static bool sends(const struct virtio_function *f, unsigned bar, uint64_t offset, uint64_t value,
                  uint32_t *queue)
{
    return f->network != NULL && virtio_pci_notifies(&f->pci, bar, offset, value, queue) &&
           virtio_net_sends(*queue);
}

static bool write_bar(struct pci_function *function, unsigned bar, uint64_t offset, unsigned size,
                      uint64_t value)
{
    struct virtio_function *f = function->context;
    uint32_t queue;

    if (sends(f, bar, offset, value, &queue)) {
        return network_notified(f->network, f->member, queue);
    }
    spin_lock(&f->vm->lock);
    bool done = write_locked(f, bar, offset, size, value);
    spin_unlock(&f->vm->lock);
    return done;
}

/* Access to the BARs through configuration space (VIRTIO 1.2, "PCI configuration access
 * capability"): the function's own registers are the capability's but for its first word. */

static uint32_t get_field(const struct pci_function *function, unsigned field)
{
    uint32_t value;

    memcpy(&value, function->config + function->own - 4u + field, sizeof(value));
    return value;
}

struct window {
    unsigned bar;
    uint32_t offset, size;
};

/* What the driver has set; false for what is no access. */
static bool get_window(const struct pci_function *function, struct window *w)
{
    w->bar = get_field(function, VIRTIO_PCI_ACCESS_BAR) & 0xff;
    w->offset = get_field(function, VIRTIO_PCI_ACCESS_OFFSET);
    w->size = get_field(function, VIRTIO_PCI_ACCESS_LENGTH);
    return w->bar < PCI_BARS && (w->size == 1 || w->size == 2 || w->size == 4) &&
           is_aligned(w->offset, w->size) &&
           range_within(w->offset, w->size, 0, function->bars[w->bar].size);
}

static bool is_data(const struct pci_function *function, unsigned offset)
{
    return offset == function->own - 4u + VIRTIO_PCI_ACCESS_DATA;
}

static uint32_t read_own(struct pci_function *function, unsigned offset)
{
    struct window w;

    if (is_data(function, offset) && get_window(function, &w)) {
        return (uint32_t)read_locked(function->context, w.bar, w.offset, w.size);
    }
    return get_field(function, offset - function->own + 4u);
}

static bool write_own(struct pci_function *function, unsigned offset, uint32_t value)
{
    struct virtio_function *f = function->context;
    struct window w;
    uint32_t queue;

    memcpy(function->config + offset, &value, sizeof(value));
    if (!is_data(function, offset) || !get_window(function, &w)) {
        return true;
    }
    value &= w.size == 4 ? ~0u : BIT32(8 * w.size) - 1;
    if (sends(f, w.bar, w.offset, value, &queue)) {
        f->noticed |= BIT32(queue);
        return true;
    }
    return write_locked(f, w.bar, w.offset, w.size, value);
}

bool virtio_function_settle(struct virtio_function *f)
{
    bool done = true;

    spin_lock(&f->vm->lock);
    uint32_t noticed = f->noticed;
    f->noticed = 0;
    spin_unlock(&f->vm->lock);
    for (uint32_t queue = 0; noticed >> queue != 0; queue++) {
        if ((noticed >> queue & 1) != 0) {
            done = network_notified(f->network, f->member, queue) && done;
        }
    }
    return done;
}

static const struct pci_function_ops function_ops = {
    .interrupt = unmasked,
    .read = read_bar,
    .write = write_bar,
    .read_own = read_own,
    .write_own = write_own,
};

status_t virtio_function_attach(struct virtio_function *f, struct virtio_device *device,
                                uint32_t class_code, uint32_t index)
{
    struct pci_function *function = &f->function;

    f->pci.device = device;
    pci_function_init(function, &function_ops, f, VIRTIO_PCI_VENDOR,
                      (uint16_t)(VIRTIO_PCI_DEVICE_BASE + device->model->id), class_code);
    function->config[CFG_REVISION] = VIRTIO_PCI_REVISION;
    pci_add_bar(function, VIRTIO_PCI_BAR, VIRTIO_PCI_BAR_SIZE,
                MEMORY_BASE + index * (uint64_t)VIRTIO_PCI_BAR_SIZE, false, false);
    pci_add_io_bar(function, VIRTIO_PCI_IO_BAR, VIRTIO_PCI_IO_BAR_SIZE,
                   (uint16_t)(IO_BASE + index * IO_STRIDE));
    pci_add_msix(function, device->owner.vectors, VIRTIO_PCI_BAR, VIRTIO_PCI_MSIX_TABLE,
                 VIRTIO_PCI_MSIX_PENDING);
    for (unsigned i = 0; i < VIRTIO_PCI_CAPABILITIES; i++) {
        const struct virtio_pci_capability *c = &virtio_pci_capabilities[i];
        unsigned at = pci_add_capability(function, c->bytes, c->size);
        if (i == VIRTIO_PCI_ACCESS) {
            function->own = (uint8_t)(at + 4);
            function->own_size = (uint8_t)(c->size - 4);
        }
    }
    return pci_attach(&f->vm->pci, function);
}

void virtio_function_reset(struct virtio_function *f)
{
    memset(f->function.config + f->function.own, 0, f->function.own_size);
    virtio_pci_reset(&f->pci);
    f->failure_told = false;
    f->noticed = 0;
}
