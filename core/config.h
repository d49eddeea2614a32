/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: which VMs there are and how they are linked. A pure parser over text, which
 * the host's tests compile too. docs/running.md describes the format.
 */
#ifndef POSTERN_CORE_CONFIG_H
#define POSTERN_CORE_CONFIG_H

#include "lib/status.h"

#define CONFIG_MAX_VMS       8u
#define CONFIG_MAX_VCPUS     8u
#define CONFIG_MAX_LINKS     16u
#define CONFIG_MAX_NETWORKS  8u
#define CONFIG_MAX_PORTS     (CONFIG_MAX_LINKS + CONFIG_MAX_NETWORKS) /* of a VM */
#define CONFIG_MAX_MEMBERS   8u
#define CONFIG_MAX_VLANS     64u
#define CONFIG_MAX_DROPS     16u
#define CONFIG_RATE_MAX      100000000000ull
#define CONFIG_NAME_SIZE     32u
#define CONFIG_PATH_SIZE     128u
#define CONFIG_LINE_SIZE     2048u /* a Linux command line, NUL included */
#define CONFIG_MEMORY_MIN    (16ull << 20)
#define CONFIG_MEMORY_MAX    (3ull << 30)
#define CONFIG_WINDOW_MIN    (64ull << 10)
#define CONFIG_WINDOW_MAX    (64ull << 20)
#define CONFIG_POOL_MIN      (64ull << 10)
#define CONFIG_POOL_MAX      (64ull << 20)
#define CONFIG_QUEUES_MAX    8u
#define CONFIG_DOORBELLS_MAX 10000000u
#define CONFIG_MAX_DISKS     4u /* of a VM */
#define CONFIG_MTU_MIN       68u
#define CONFIG_MTU_MAX       65535u
#define CONFIG_OVERLAY_MIN   (64ull << 10)
#define CONFIG_OVERLAY_MAX   (64ull << 30)

#define CONFIG_WEIGHT_MAX    1000u
#define CONFIG_RESTARTS_MAX  1000u

/* What follows the end of a VM: it keeps its memory, it starts again, or its memory is free. */
enum config_policy { CONFIG_STOP, CONFIG_RESTART, CONFIG_DESTROY };

enum config_disk_mode { CONFIG_DISK_RO, CONFIG_DISK_RW, CONFIG_DISK_OVERLAY };

struct config_disk {
    char image[CONFIG_PATH_SIZE]; /* one that is rw is no other VM's file */
    enum config_disk_mode mode;
    uint64_t overlay; /* bytes for blocks that change, a multiple of CONFIG_OVERLAY_MIN */
};

struct config_vm {
    char name[CONFIG_NAME_SIZE];
    char kernel[CONFIG_PATH_SIZE];
    char initrd[CONFIG_PATH_SIZE]; /* empty: none */
    char cmdline[CONFIG_LINE_SIZE];
    uint64_t memory; /* bytes, a multiple of 2 MiB */
    uint32_t vcpus;
    uint32_t pcpus[CONFIG_MAX_VCPUS]; /* of each vCPU: an index into boot_info.cpus */
    enum config_policy on_reboot;     /* default: restart */
    enum config_policy on_crash;      /* default: stop, spelled "keep" */
    uint32_t restarts;   /* after crashes: so many at once, and over time in a minute */
    bool autostart;      /* it is created and started with the machine; default: yes */
    uint32_t weight;     /* its share of a pCPU that it has not alone: 1 to CONFIG_WEIGHT_MAX */
    bool exclusive;      /* no other VM has its pCPUs; default: no */
    uint32_t after;      /* a bit for each VM that runs before it is started by itself */
    uint32_t after_line; /* where it stands, for messages */
    char after_names[CONFIG_MAX_VMS][CONFIG_NAME_SIZE]; /* as they are spelled; then empty */
    bool mwait;            /* MONITOR and MWAIT are shown; default: no */
    bool rng, hvc;         /* it has a virtio device of that kind; default: no */
    bool split_virtqueues; /* packed ones are not offered; default: they are */
    uint32_t disk_count;
    struct config_disk disks[CONFIG_MAX_DISKS];
    uint32_t line; /* where it was declared, for messages */
};

enum config_link_mode { CONFIG_LINK_OPEN, CONFIG_LINK_GATED, CONFIG_LINK_DIRECT };

struct config_link {
    char name[CONFIG_NAME_SIZE];
    uint32_t ends[2]; /* indices into vms; never equal */
    enum config_link_mode mode;
    uint64_t window; /* bytes of each end's section: a power of two */
    uint32_t queues; /* a power of two; each has window / queues bytes, CONFIG_WINDOW_MIN or more */
    uint32_t doorbells; /* in a second, that each end may ring */
    uint64_t pool;      /* bytes of each end's: a power of two; 0 but in mode direct */
    uint32_t line;
};

/* Who switches a network, if no member does. */
#define CONFIG_BY_HYPERVISOR CONFIG_MAX_MEMBERS

/* Members of a network are numbers from 0, in the order in which they are declared. */
struct config_vlan {
    uint32_t member;
    uint32_t vlan; /* 1 to 4094 */
    bool tagged;
};

struct config_drop {
    uint32_t from, to;  /* a bit for each member */
    uint32_t ethertype; /* 0: any */
};

struct config_network {
    char name[CONFIG_NAME_SIZE];
    uint32_t member_count;                /* 2 and more */
    uint32_t members[CONFIG_MAX_MEMBERS]; /* indices into vms; no two are equal */
    enum config_link_mode mode;           /* open or gated */
    uint64_t window;                      /* bytes of a member's section: a power of two */
    uint32_t doorbells;                   /* in a second, that each member may ring */
    uint32_t switched_by;                 /* a member, or CONFIG_BY_HYPERVISOR */
    /* For the hypervisor's switch. */
    uint32_t virtio; /* a bit for each member whose NIC is virtio's, not Postern's */
    uint32_t mtu;    /* that these are told */
    bool fixed_macs; /* a port has its NIC's address and no other */
    uint64_t floods; /* frames in a second that a port may flood; 0: any */
    uint64_t limits[CONFIG_MAX_MEMBERS]; /* bytes in a second that a port may send; 0: any */
    uint32_t mirrored;                   /* a bit for each member, and to whom the copies go */
    uint32_t mirror_to;
    uint32_t vlan_count;
    uint32_t drop_count;
    struct config_vlan vlans[CONFIG_MAX_VLANS];
    struct config_drop drops[CONFIG_MAX_DROPS];
    uint32_t line;
};

/* Into how many slices a member's section is divided: one for each member, a power of two. */
static inline uint32_t config_network_lanes(const struct config_network *network)
{
    return network->member_count > 4 ? 8 : network->member_count > 2 ? 4 : 2;
}

struct config {
    uint32_t vm_count;
    uint32_t link_count;
    uint32_t network_count;
    struct config_vm vms[CONFIG_MAX_VMS];
    struct config_link links[CONFIG_MAX_LINKS];
    struct config_network networks[CONFIG_MAX_NETWORKS];
};

struct config_error {
    uint32_t line; /* 1 is the first; 0: the file as a whole */
    char text[160];
};

/* A number, decimal or 0x hexadecimal, with an optional K, M or G. */
bool config_parse_size(const char *text, uint64_t *value);

/* As the configuration spells them. */
const char *config_disk_mode_name(enum config_disk_mode mode);
const char *config_mode_name(enum config_link_mode mode);

/* Parses `size` bytes of `text` (need not be terminated; may hold any bytes). On failure returns
 * STATUS_INVALID and says in `error` what is wrong and what is allowed. */
status_t config_parse(const char *text, size_t size, struct config *config,
                      struct config_error *error) MUST_CHECK;

/* One link by itself: its name, two VMs by their numbers, and in `words` keywords as in a link's
 * block, each followed by its value. All that a block can get wrong by itself is found; whether
 * another link has the name is not. Errors as above, of line 0. */
#define CONFIG_LINK_WORDS_SIZE 256u
status_t config_parse_link(const char *name, const uint32_t ends[2], const char *words,
                           struct config_link *link, struct config_error *error) MUST_CHECK;

#endif
