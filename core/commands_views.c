/* SPDX-License-Identifier: BSD-2-Clause */
#include "abi/fdb.h"
#include "core/commands_parts.h"
#include "core/link.h"
#include "core/network.h"
#include "lib/bits.h"

#define PAGES_AT_ONCE 1024u

/* What a piece of guest-physical memory is. */
struct origin {
    const char *what;
    const char *channel; /* the link or network that it is of */
    const char *giver;   /* the VM whose it is */
};

/* Pages side by side that are alike. */
struct region {
    uint64_t gpa, size;
    uint64_t permissions;
    struct origin origin;
};

static bool within(uint64_t address, uint64_t from, uint64_t size)
{
    return address - from < size;
}

/* Who writes piece `i` of what a port only reads. */
static const char *writer_of(const struct port *port, uint32_t i)
{
    if (port->link != NULL) {
        return port_peer(port)->vm->config->name;
    }
    return i < port->network->config->member_count ? port->network->ports[i].vm->config->name : "-";
}

static bool find_in_port(const struct port *port, uint64_t gpa, uint64_t address,
                         struct origin *origin)
{
    uint64_t piece = port->section / port->pieces;

    if (within(address, (uint64_t)port->own, port->section)) {
        *origin = (struct origin){"window", port->name, port->vm->config->name};
        return true;
    }
    if (port->fdb != NULL && within(address, (uint64_t)port->fdb, POSTERN_FDB_SIZE)) {
        *origin = (struct origin){"fdb", port->name, "-"};
        return true;
    }
    for (uint32_t i = 0; i < port->pieces; i++) {
        if (port->others[i] != NULL && within(address, (uint64_t)port->others[i], piece)) {
            *origin = (struct origin){"window", port->name, writer_of(port, i)};
            return true;
        }
    }
    if (port->pool.count != 0 && within(gpa, port->bar4_at, port->pool.count * PAGE_SIZE)) {
        *origin = (struct origin){"pool", port->name, writer_of(port, 0)};
        return true;
    }
    return false;
}

static struct origin find_origin(const struct vm *vm, uint64_t gpa, uint64_t address)
{
    struct origin origin = {"other", "-", "-"};

    if (within(address, vm->views.gate, vm->views.gate_pages * PAGE_SIZE)) {
        return (struct origin){"gate", "-", "-"};
    }
    if (gpa < vm->ram_size) {
        return (struct origin){"memory", "-", vm->config->name};
    }
    for (uint32_t i = 0; i < vm->port_count; i++) {
        if (find_in_port(vm->ports[i], gpa, address, &origin)) {
            break;
        }
    }
    return origin;
}

static bool alike(const struct region *region, uint64_t gpa, uint64_t permissions,
                  const struct origin *origin)
{
    return region->gpa + region->size == gpa && region->permissions == permissions &&
           region->origin.what == origin->what && region->origin.channel == origin->channel &&
           region->origin.giver == origin->giver;
}

static void print_region(uint32_t view, const struct region *region, const struct output *out)
{
    if (region->size != 0) {
        print(out, "%u\t0x%llx\t%llu\t%c%c%c\t%s\t%s\t%s\n", view, (unsigned long long)region->gpa,
              (unsigned long long)(region->size >> 10),
              (region->permissions & EPT_READ) != 0 ? 'r' : '-',
              (region->permissions & EPT_WRITE) != 0 ? 'w' : '-',
              (region->permissions & EPT_EXECUTE) != 0 ? 'x' : '-', region->origin.what,
              region->origin.channel, region->origin.giver);
    }
}

static void add_page(const struct vm *vm, uint32_t view, uint64_t gpa,
                     const struct ept_translation *page, struct region *region,
                     const struct output *out)
{
    struct origin origin = find_origin(vm, gpa, page->address);

    if (!alike(region, gpa, page->permissions, &origin)) {
        print_region(view, region, out);
        *region = (struct region){.gpa = gpa, .permissions = page->permissions, .origin = origin};
    }
    region->size += page->page_size;
}

/* Goes on with the pages of a view from *gpa on, not all at once: with small pages there are many,
 * and others wait for the VM's lock. False at the end. */
static bool walk(struct vm *vm, uint32_t view, uint64_t *gpa, struct region *region,
                 const struct output *out)
{
    struct ept_translation page;
    bool more = true;

    spin_lock(&vm->lock);
    /* The view may be gone since, or the VM's memory. */
    const struct ept *ept = vm->vcpu_count != 0 ? views_ept(&vm->views, view) : NULL;
    for (unsigned i = 0; i < PAGES_AT_ONCE && more; i++) {
        more = ept != NULL && ept_next(ept, gpa, &page) == STATUS_OK;
        if (more) {
            add_page(vm, view, *gpa, &page, region, out);
            *gpa += page.page_size;
        }
    }
    spin_unlock(&vm->lock);
    return more;
}

/* What the view's tables say, and not what they should. */
static void print_regions(struct vm *vm, uint32_t view, const struct output *out)
{
    struct region region = {0};
    uint64_t gpa = 0;

    while (walk(vm, view, &gpa, &region, out)) {
    }
    print_region(view, &region, out);
}

static void print_view(const struct vm *vm, uint32_t view, const struct output *out)
{
    const struct port *port = port_of_view(vm, view);
    const char *separator = "";
    uint64_t tables = view == 0 ? vm->ept.pages : views_pages(&vm->views, view);

    print(out, "%u\t%s\t%llu\t", view, port != NULL ? port->name : "-",
          (unsigned long long)(tables * (PAGE_SIZE >> 10)));
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        if (eptp_list_get(vm->vcpus[i].eptp_list, view) != 0) {
            print(out, "%s%u", separator, i);
            separator = ",";
        }
    }
    print(out, "%s\n", separator[0] == '\0' ? "-" : "");
}

/* The views that there are; how many numbers may be one's, 0 while the VM is absent. */
static uint32_t print_views(struct vm *vm, const struct output *out)
{
    spin_lock(&vm->lock);
    uint32_t end = vm->vcpu_count != 0 ? vm->views.end : 0;
    if (end != 0) {
        print(out, "view\tchannel\ttables_kib\tvcpus\n");
    }
    for (uint32_t view = 0; view < end; view++) {
        if (views_ept(&vm->views, view) != NULL) {
            print_view(vm, view, out);
        }
    }
    spin_unlock(&vm->lock);
    return end;
}

status_t command_views(const char *argument, const struct output *out)
{
    struct vm *vm = command_find_vm(argument, out);

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    uint32_t end = print_views(vm, out);
    if (end == 0) {
        print(out, "%s is %s: it has no views\n", vm->config->name, vm_state_name(vm));
        return STATUS_BUSY;
    }
    print(out, "\nview\tstart\tkib\trights\twhat\tchannel\tgiven_by\n");
    for (uint32_t view = 0; view < end; view++) {
        print_regions(vm, view, out);
    }
    return STATUS_OK;
}
