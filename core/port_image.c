/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/port_image.h"

#include "abi/pci.h"
#include "lib/bits.h"
#include "lib/format.h"

/* A port that is compared. */
struct compared {
    uint32_t number;
    const char *name;
    char *error; /* SNAPSHOT_ERROR_SIZE */
};

static bool differs(const struct compared *port, const char *what, unsigned long long theirs,
                    unsigned long long ours)
{
    if (theirs != ours) {
        (void)format_string(port->error, SNAPSHOT_ERROR_SIZE,
                            "NIC %u (%s) is another one: its %s is %llu, the snapshot's %llu",
                            port->number, port->name, what, ours, theirs);
    }
    return theirs != ours;
}

static const char *mode_name(uint32_t mode)
{
    static const char *const names[] = {[POSTERN_MODE_OPEN] = "open",
                                        [POSTERN_MODE_GATED] = "gated",
                                        [POSTERN_MODE_DIRECT] = "direct"};

    return mode < ARRAY_SIZE(names) ? names[mode] : "of no known mode";
}

/* A driver that goes by another one would reach for the window where it is not. */
static bool mode_differs(const struct compared *port, uint32_t theirs, uint32_t ours)
{
    if (theirs != ours) {
        (void)format_string(port->error, SNAPSHOT_ERROR_SIZE,
                            "NIC %u (%s) is %s, the snapshot's was %s", port->number, port->name,
                            mode_name(ours), mode_name(theirs));
    }
    return theirs != ours;
}

bool port_image_fits(const struct port_image *theirs, const struct port_image *ours,
                     uint32_t number, const char *name, char error[SNAPSHOT_ERROR_SIZE])
{
    const struct compared port = {number, name, error};

    return !differs(&port, "number on the PCI bus", theirs->device, ours->device) &&
           !differs(&port, "kind", theirs->kind, ours->kind) &&
           !mode_differs(&port, theirs->mode, ours->mode) &&
           !differs(&port, "section", theirs->section, ours->section) &&
           !differs(&port, "end", theirs->end, ours->end) &&
           !differs(&port, "count of queues", theirs->queues, ours->queues) &&
           !differs(&port, "set of lanes", theirs->lanes, ours->lanes) &&
           !differs(&port, "lane to the switch", theirs->to_switch, ours->to_switch) &&
           !differs(&port, "pool", theirs->pool, ours->pool);
}

/* Each page of RAM once; none behind `count`. */
static bool placement_is_valid(const struct gates_image *image, uint32_t index, uint64_t ram_size)
{
    uint64_t gpa = image->placements[index].gpa;
    uint32_t page = image->placements[index].page;

    if (image->placements[index].zero != 0) {
        return false;
    }
    if (index >= image->count) {
        return gpa == 0 && page == 0;
    }
    for (uint32_t i = 0; i < index; i++) {
        if (image->placements[i].gpa == gpa) {
            return false;
        }
    }
    return page < image->gate_pages && is_aligned(gpa, PAGE_SIZE) &&
           range_within(gpa, PAGE_SIZE, 0, ram_size);
}

bool gates_image_fits(const struct gates_image *image, uint64_t hash, uint32_t gate_pages,
                      uint64_t ram_size, char error[SNAPSHOT_ERROR_SIZE])
{
    bool valid = image->count <= VIEW_PLACEMENT_MAX;

    if (image->hash != hash || image->gate_pages != gate_pages) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE,
                            "the snapshot is of a VM that uses the gate of another version of the "
                            "hypervisor");
        return false;
    }
    for (uint32_t i = 0; i < VIEW_PLACEMENT_MAX && valid; i++) {
        valid = placement_is_valid(image, i, ram_size);
    }
    if (!valid) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "no gate can be in such places");
    }
    return valid;
}
