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
#define CONFIG_NAME_SIZE     32u
#define CONFIG_PATH_SIZE     128u
#define CONFIG_LINE_SIZE     2048u /* a Linux command line, NUL included */
#define CONFIG_MEMORY_MIN    (64ull << 20)
#define CONFIG_MEMORY_MAX    (3ull << 30)
#define CONFIG_WINDOW_MIN    (64ull << 10)
#define CONFIG_WINDOW_MAX    (64ull << 20)
#define CONFIG_QUEUES_MAX    8u
#define CONFIG_DOORBELLS_MAX 10000000u

enum config_policy { CONFIG_STOP, CONFIG_RESTART };

struct config_vm {
    char name[CONFIG_NAME_SIZE];
    char kernel[CONFIG_PATH_SIZE];
    char initrd[CONFIG_PATH_SIZE]; /* empty: none */
    char cmdline[CONFIG_LINE_SIZE];
    uint64_t memory; /* bytes, a multiple of 2 MiB */
    uint32_t vcpus;
    uint32_t pcpus[CONFIG_MAX_VCPUS]; /* of each vCPU: an index into boot_info.cpus */
    enum config_policy on_reboot;     /* default: restart */
    enum config_policy on_crash;      /* default: stop */
    bool mwait;                       /* MONITOR and MWAIT are shown; default: no */
    uint32_t line;                    /* where it was declared, for messages */
};

enum config_link_mode { CONFIG_LINK_OPEN, CONFIG_LINK_GATED };

struct config_link {
    char name[CONFIG_NAME_SIZE];
    uint32_t ends[2]; /* indices into vms; never equal */
    enum config_link_mode mode;
    uint64_t window; /* bytes of each end's section: a power of two */
    uint32_t queues; /* a power of two; each has window / queues bytes, CONFIG_WINDOW_MIN or more */
    uint32_t doorbells; /* in a second, that each end may ring */
    uint32_t line;
};

struct config {
    uint32_t vm_count;
    uint32_t link_count;
    struct config_vm vms[CONFIG_MAX_VMS];
    struct config_link links[CONFIG_MAX_LINKS];
};

struct config_error {
    uint32_t line; /* 1 is the first; 0: the file as a whole */
    char text[160];
};

/* Parses `size` bytes of `text` (need not be terminated; may hold any bytes). On failure returns
 * STATUS_INVALID and says in `error` what is wrong and what is allowed. */
status_t config_parse(const char *text, size_t size, struct config *config,
                      struct config_error *error) MUST_CHECK;

#endif
