/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/snapshot_port.h"

#include "core/port.h"
#include "core/port_image.h"
#include "core/vcpu.h"
#include "lib/format.h"
#include "lib/word_hash.h"

/* A network's switch has its database and what it has learned in no place that is carried. */
static const struct port *switch_in_use(const struct vm *vm)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (vm->ports[i]->fdb_writable && vm->ports[i]->bar4_at != 0) {
            return vm->ports[i];
        }
    }
    return NULL;
}

status_t snapshot_ports_check(const struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    const struct port *port = switch_in_use(vm);

    if (port != NULL) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "%s is the switch of network %s, which no snapshot carries",
                            vm->config->name, port->name);
        return STATUS_UNSUPPORTED;
    }
    return STATUS_OK;
}

static uint32_t device_of(const struct vm *vm, const struct port *port)
{
    uint32_t device = 0;

    while (device < vm->pci.end && vm->pci.functions[device] != &port->function) {
        device++;
    }
    return device;
}

static struct port_image image_of(const struct vm *vm, const struct port *port)
{
    bool is_member = port->network != NULL;

    return (struct port_image){
        .section = port->section,
        .device = device_of(vm, port),
        .kind = is_member ? POSTERN_PCI_MEMBER : POSTERN_PCI_NIC,
        .mode = port_mode(port),
        .end = port->end,
        .queues = port->queues,
        .lanes = is_member ? port->ops->read_register(port, POSTERN_REG_LANES) : 0,
        .to_switch = is_member ? port->ops->read_register(port, POSTERN_REG_SWITCH) : 0,
        .pool = port->pool.count * (uint32_t)PAGE_SIZE,
    };
}

static uint64_t hash_gate(const struct views *views)
{
    return word_hash(WORD_HASH_BEGIN, (const void *)views->gate, views->gate_pages * PAGE_SIZE);
}

static void save_gates(const struct views *views, struct gates_image *image)
{
    image->hash = hash_gate(views);
    image->gate_pages = views->gate_pages;
    for (uint32_t i = 0; i < VIEW_PLACEMENT_MAX; i++) {
        if (views->placements[i].used) {
            image->placements[image->count].gpa = views->placements[i].gpa;
            image->placements[image->count].page = views->placements[i].page;
            image->count++;
        }
    }
}

/* Its pages are in RAM, or a crossing may be on its way in those of its home. */
static bool uses_gate(const struct vm *vm)
{
    bool uses = false;

    for (uint32_t i = 0; i < vm->port_count; i++) {
        uses |= vm->ports[i]->view != 0;
    }
    for (uint32_t i = 0; i < VIEW_PLACEMENT_MAX; i++) {
        uses |= vm->views.placements[i].used;
    }
    return uses;
}

static const struct snapshot_wanted gates = {SNAPSHOT_GATES, GATES_IMAGE_VERSION, 0,
                                             sizeof(struct gates_image)};

static struct snapshot_wanted wanted_port(uint32_t number)
{
    return (struct snapshot_wanted){SNAPSHOT_PORT, PORT_IMAGE_VERSION, number,
                                    sizeof(struct port_image)};
}

status_t snapshot_ports_save(const struct vm *vm, struct snapshot_writer *writer)
{
    for (uint32_t i = 0; i < vm->port_count; i++) {
        const struct snapshot_wanted wanted = wanted_port(i);
        struct port_image *image = snapshot_add(writer, &wanted);
        if (image == NULL) {
            return STATUS_NO_MEMORY;
        }
        *image = image_of(vm, vm->ports[i]);
    }
    if (!uses_gate(vm)) {
        return STATUS_OK;
    }
    struct gates_image *image = snapshot_add(writer, &gates);
    if (image == NULL) {
        return STATUS_NO_MEMORY;
    }
    save_gates(&vm->views, image);
    return STATUS_OK;
}

static bool gates_fit(const struct vm *vm, const void *bytes, size_t size,
                      char error[SNAPSHOT_ERROR_SIZE])
{
    if (snapshot_count(bytes, size, SNAPSHOT_GATES) == 0) {
        return true;
    }
    const struct gates_image *image = snapshot_find(bytes, size, &gates, error);
    return image != NULL && gates_image_fits(image, hash_gate(&vm->views), vm->views.gate_pages,
                                             vm->ram_size, error);
}

bool snapshot_ports_fit(const struct vm *vm, const void *bytes, size_t size,
                        char error[SNAPSHOT_ERROR_SIZE])
{
    uint32_t count = snapshot_count(bytes, size, SNAPSHOT_PORT);

    if (count != 0 && count != vm->port_count) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "the snapshot is of a VM with %u of Postern's NICs, and %s has %u",
                            count, vm->config->name, vm->port_count);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct port *port = vm->ports[i];
        const struct snapshot_wanted wanted = wanted_port(i);
        const struct port_image ours = image_of(vm, port);
        const struct port_image *theirs = snapshot_find(bytes, size, &wanted, error);
        if (theirs == NULL || !port_image_fits(theirs, &ours, i, port->name, error)) {
            return false;
        }
    }
    return gates_fit(vm, bytes, size, error);
}

status_t snapshot_ports_load(struct vm *vm, const void *bytes, size_t size,
                             char error[SNAPSHOT_ERROR_SIZE])
{
    const struct gates_image *image = snapshot_count(bytes, size, SNAPSHOT_GATES) != 0
                                          ? snapshot_find(bytes, size, &gates, error)
                                          : NULL;
    status_t status = STATUS_OK;

    for (uint32_t i = 0; image != NULL && i < image->count && status == STATUS_OK; i++) {
        status = views_place_gate(&vm->views, image->placements[i].gpa, image->placements[i].page);
    }
    if (status != STATUS_OK) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s has no table left for the gate",
                            vm->config->name);
        return status;
    }
    port_restore_all(vm);
    return STATUS_OK;
}
