/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM and its vCPUs. Each VM of the configuration has its struct and its vCPUs' from boot on, and
 * its ports, which change only while the VM is held (vm_hold()). Its memory it has from vm_create()
 * to vm_destroy(): RAM, tables, VMCSs, overlays of its disks. A VM that restarts is loaded anew
 * into the same memory.
 */
#ifndef POSTERN_CORE_VM_H
#define POSTERN_CORE_VM_H

#include "arch/x86/boot_info.h"
#include "arch/x86/defs/exit_reasons.h"
#include "arch/x86/vmx.h"
#include "core/config.h"
#include "core/console.h"
#include "ept/ept.h"
#include "lib/pages.h"
#include "lib/spinlock.h"
#include "lib/token_bucket.h"
#include "machine/cpuid_policy.h"
#include "machine/guest_kernel.h"
#include "machine/ioapic.h"
#include "machine/lapic.h"
#include "machine/msr_policy.h"
#include "machine/pci.h"
#include "machine/rtc.h"
#include "machine/uart16550.h"
#include "vmfunc/ve.h"
#include "vmfunc/views.h"

struct vm;
struct scheduler;
struct port;
struct virtio_devices;

/* Reasons why a vCPU must not simply go on: set by any CPU, taken by the vCPU's own. */
#define VCPU_WORK_INTERRUPT BIT32(0) /* look at the posted interrupts */
#define VCPU_WORK_NMI       BIT32(1)
#define VCPU_WORK_INIT      BIT32(2)
#define VCPU_WORK_STARTUP   BIT32(3)  /* startup_page is set */
#define VCPU_WORK_PARK      BIT32(4)  /* the VM ends: get out of the guest */
#define VCPU_WORK_RESET     BIT32(5)  /* the VM starts: take the initial state */
#define VCPU_WORK_FLUSH     BIT32(6)  /* the EPT lost entries: INVEPT */
#define VCPU_WORK_YIELD     BIT32(7)  /* let the scheduler choose */
#define VCPU_WORK_PAUSE     BIT32(8)  /* the VM pauses: get out of the guest */
#define VCPU_WORK_SAVE      BIT32(9)  /* put the state into vcpu->image; the VM is paused */
#define VCPU_WORK_LOAD      BIT32(10) /* with RESET: take it from there */
#define VCPU_WORK_CLOCK     BIT32(11) /* the TSC, which stood still since LOAD, goes on */

enum vcpu_state {
    VCPU_PARKED,   /* the VM is not running */
    VCPU_WAITING,  /* for a startup IPI */
    VCPU_RUNNABLE, /* in the guest, or waiting for its turn */
    VCPU_HALTED    /* in HLT until an interrupt */
};

/* Registers that VMX does not switch: swapped when another vCPU takes the pCPU. */
struct vcpu_context {
    uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux, xss;
    uint64_t dr[4], dr6, cr2, xcr0;
    uint8_t *xsave_area; /* 64-byte aligned, large enough for all that the CPU has */
};

struct vcpu {
    struct vmx_vcpu vmx; /* first: the exit path's pointer is also the vCPU's */

    /* Only the vCPU's own pCPU touches these. */
    struct vm *vm;
    uint32_t id; /* in the VM; also its APIC id */
    uint16_t vpid;
    bool arrives; /* from another pCPU: its VMCS is made this one's before it is entered */
    struct vcpu_context context;
    struct lapic lapic;
    struct msr_state msrs;
    uint32_t event;            /* to inject at the next entry, VMCS format; 0: none */
    uint32_t event_error_code; /* with it, when EVENT_ERROR_CODE is set */
    uint32_t event_length;     /* and the instruction's length, for software events */
    bool window_open;          /* interrupt-window exiting is on */
    bool nmi_window_open;      /* NMI-window exiting is on */
    uint32_t nmis_pending;     /* 2: one is delivered, the other waits for its IRET */
    uint64_t eoi_exits[4];     /* the EOI-exit bitmap, as the VMCS has it */
    bool parking;              /* it has left its guest for good: the scheduler parks it */
    bool gives_way;            /* it spins: the scheduler takes another one, if one waits */
    bool test_stay;            /* POSTERN_HC_TEST_STAY has set the preemption timer */
    uint32_t test_event;       /* POSTERN_HC_TEST_STAY: what comes when the stay ends */
    struct ve_information *ve; /* in the guest's RAM, where it registered for #VE; else NULL */
    struct vcpu_image *image;  /* with VCPU_WORK_SAVE and VCPU_WORK_LOAD: in vm->snapshot.state */
    void *image_xsave;         /* likewise */
    /* With VCPU_WORK_LOAD: what it is to register for #VE; or NULL. */
    struct ve_information *image_ve;
    bool timer_held;         /* since LOAD, until CLOCK; then by the guest's TSC */
    uint64_t timer_deadline; /* the local APIC timer's is this */

    /* Read by others. */
    _Atomic(struct scheduler *) scheduler; /* of the pCPU that it is pinned to */
    uint64_t *log;                         /* a page, for core/vcpu_log.h; NULL: none yet */
    struct costs *costs;                   /* of core/costs.h; NULL before they were first wanted */
    uint64_t *eptp_list;                   /* written under the VM's lock; VMFUNC reads it */
    _Atomic(uint32_t) views_open;          /* protected views in the list */
    _Atomic(enum vcpu_state) state;
    _Atomic uint32_t work;
    _Atomic uint32_t startup_page;
    _Atomic uint32_t nmis_posted;      /* with VCPU_WORK_NMI */
    _Atomic uint32_t flushes;          /* how often it took VCPU_WORK_FLUSH */
    uint64_t exits[EXIT_REASON_COUNT]; /* written by the owner alone; others may read old values */
    uint64_t ran_ticks;                /* TSC ticks in the guest and in the handling of its exits */
    uint64_t interrupts_injected;
    uint64_t refused_accesses;     /* against the EPT, not to a device */
    uint64_t refused_instructions; /* that are not emulated */
    uint64_t crossings_resumed;    /* after an interruption */
    uint64_t crossings_aborted;    /* into what was not open, or not mapped */
};

enum vm_state {
    VM_ABSENT, /* it has no memory */
    VM_CREATING,
    VM_OFF,
    VM_STARTING,
    VM_RUNNING,
    VM_PAUSED,    /* its vCPUs stay out of the guest; else as running */
    VM_RESTORING, /* its memory and state come from a snapshot; its vCPUs are parked */
    VM_ENDING,
    VM_CRASHED
};

/* Which pages of a VM's RAM were written to: core/dirty.h. Under the VM's lock, but for the bits in
 * `written` and `logged`, which any CPU sets. */
struct dirty {
    bool on;
    _Atomic(bool) logging; /* its vCPUs log what they write to, where the CPU has it */
    uint64_t began;        /* the TSC, by which one tracking is told from another */
    uint64_t pages;        /* of RAM */
    uint64_t *written;     /* by the hypervisor since the last harvest: a bit each */
    uint64_t *logged;      /* by vCPUs, likewise */
    uint64_t *harvest;     /* the last one */
    uint64_t harvests;
    uint64_t blocks; /* of disks' overlays, in the last harvest */
    void **leftover; /* room for the addresses of tables that are to be freed */
    uint32_t leftover_max;
};

/* What core/snapshot.h has of a VM. */
struct vm_snapshot {
    uint8_t *state;           /* room for SNAPSHOT_STATE_MAX bytes of records; NULL: none yet */
    size_t size;              /* of the records; 0: there are none */
    _Atomic uint32_t waiting; /* vCPUs that have not put theirs there, or taken it from there */
    /* The state that it has, or its RAM, is being fetched. */
    _Atomic(bool) frozen;
};

struct vm {
    uint32_t id;
    const struct config_vm *config;
    const struct boot_file *kernel, *initrd; /* initrd: NULL for none */
    struct page_runs memory;                 /* all that it gives back when it is destroyed */
    uint8_t *ram;                            /* guest-physical 0, identity-mapped here */
    uint64_t ram_size;                       /* 0 while it is absent */
    struct ept ept;                          /* the default view */
    struct views views;
    struct dirty dirty;
    struct vm_snapshot snapshot;
    uint64_t tsc_offset;   /* what its TSC is ahead of the CPUs'; 0 but for one that was restored */
    bool tsc_stands;       /* it was restored, and has not gone on yet: its TSC is */
    uint64_t tsc_restored; /* this, and its timers stand still, too */
    uint32_t destructions; /* how often its memory was freed */
    uint64_t default_view; /* EPT pointer of the default view */
    void *table_pool;      /* free pages for the EPT, linked through their first words */
    uint32_t table_pool_count;
    const void *leaving; /* a run of pages that the EPT is to do without; NULL: none */
    uint64_t leaving_size;
    uint8_t *msr_bitmap;
    uint8_t *msr_bitmap_timer; /* the same, with IA32_TSC_DEADLINE the guest's own */
    uint32_t vcpu_count;       /* 0 while it is absent; changes under `lock` */
    struct vcpu *vcpus;        /* config->vcpus of them */
    uint32_t port_count;
    struct port *ports[CONFIG_MAX_PORTS]; /* by their numbers */
    struct cpuid_cache cpuid_cache;
    struct cpuid_env cpuid;   /* what all vCPUs share; the APIC id and OSXSAVE are filled in */
    struct guest_entry entry; /* of the kernel that was loaded last */

    /* Devices, under `lock`. Lock order: one VM's lock at a time. */
    struct spinlock lock;
    struct uart16550 uart;
    struct rtc rtc;
    struct ioapic ioapic;
    struct pci_bus pci;
    struct console console;
    struct virtio_devices *virtio; /* NULL for none */

    /* Life cycle. */
    _Atomic(enum vm_state) state;
    _Atomic uint32_t vcpus_running; /* not parked; the last to park finishes the VM */
    enum config_policy after;       /* what follows VM_ENDING; set with it */
    bool crashed;                   /* whether it ends by its own fault */
    uint32_t starts;                /* how often it was started */
    uint64_t start_tsc;             /* when it was started last */
    uint64_t pause_tsc;             /* when it was paused last */
    uint64_t paused_ticks;          /* how long that was, once it goes on */
    struct token_bucket restarts;   /* after crashes */
};

/* Makes the structs of all VMs of `config`, their vCPUs on their pCPUs' schedulers. They are
 * absent. */
status_t vm_declare_all(const struct config *config, const struct boot_info *info) MUST_CHECK;

/* What its TSC is now. */
uint64_t vm_tsc(const struct vm *vm);

uint32_t vm_count(void);
struct vm *vm_get(uint32_t id);

/* The file that was read from `path` of the boot volume; NULL for none. */
const struct boot_file *vm_boot_file(const char *path);

/* The verbs of a VM's life; core/vm_life.c. Of two callers at once one has its way, and the other
 * gets STATUS_BUSY: the VM is in no state for it. Any CPU. */

/* Gives an absent VM its memory: it is off. STATUS_NO_MEMORY, with a line in the log, and it is
 * absent still. */
status_t vm_create(struct vm *vm) MUST_CHECK;

/* Starts a VM that is off or crashed: loads kernel and initrd and makes vCPU 0 runnable. One that
 * is absent is created before. VMs that are to start after it, and wait for no other, start too. */
status_t vm_start(struct vm *vm) MUST_CHECK;

/* Creates and starts what the configuration has start with the machine. */
void vm_autostart_all(void);

/* Has a running VM stop between two instructions, soon: vm_is_still(). Its timers go on, and what
 * is sent to it waits. */
status_t vm_pause(struct vm *vm) MUST_CHECK;
status_t vm_resume(struct vm *vm) MUST_CHECK;

/* Keeps a VM that is absent, off or crashed so: nobody creates, starts or destroys it until
 * vm_release() with the state that it was in. False if it is in another state. */
bool vm_hold(struct vm *vm, enum vm_state *was) MUST_CHECK;
void vm_release(struct vm *vm, enum vm_state was);

/* Has vCPU `id` run on pCPU `pcpu` from now on, whatever its VM is at; both exist. STATUS_NO_MEMORY
 * if that pCPU has as many vCPUs as it can have. On pCPU 0; the caller holds no lock. */
status_t vm_pin(struct vm *vm, uint32_t id, uint32_t pcpu) MUST_CHECK;

/* Takes a VM that is down, and is created if it is absent, to VM_RESTORING: all is as after a
 * reset, but nothing is loaded. STATUS_BUSY unless it is down; as vm_create(). */
status_t vm_begin_restore(struct vm *vm) MUST_CHECK;

/* Ends it: the VM is paused, its vCPUs about to take their images; or it is off. */
void vm_end_restore(struct vm *vm, bool restored);

/* Whether no CPU executes the guest of a VM that was paused. */
bool vm_is_still(const struct vm *vm);

/* Ends a VM that runs or is paused: its vCPUs leave the guest, then `after` follows. The first
 * caller wins. `crashed` tells a fault of the guest from its own wish. */
void vm_end(struct vm *vm, enum config_policy after, bool crashed);

/* Ends a VM and starts it anew, as its reset button would. STATUS_BUSY unless it is up. */
status_t vm_reset(struct vm *vm) MUST_CHECK;

/* Ends a VM if it is up, and frees its memory: at once, or when its last vCPU has left the guest.
 * STATUS_BUSY if it is absent, or on its way from a state to another. */
status_t vm_destroy(struct vm *vm) MUST_CHECK;

/* Whether it runs, or is paused: others may send it something. */
bool vm_is_up(const struct vm *vm);

/* Whether one that is up is sent nothing all the same: its state is being saved, or its vCPUs are
 * still to load what was restored, which would take an interrupt of before with it. Any CPU; it
 * counts with the VM's lock, under which what is sent is put into the VM. */
bool vm_is_frozen(const struct vm *vm);

/* Whether it has ended or never began, and holds nothing up. */
bool vm_is_down(const struct vm *vm);

/* Called by the scheduler when a vCPU has parked. The last one finishes the VM, or restarts it. */
void vm_vcpu_parked(struct vm *vm);

/* Memory, for vm_life.c. The VM is nobody else's meanwhile: creating, or ending with no vCPU left.
 */
status_t vm_make(struct vm *vm) MUST_CHECK;
void vm_unmake(struct vm *vm);

/* The hypervisor's address of guest memory [gpa, gpa + size), NULL unless all of it is RAM. */
void *vm_memory(const struct vm *vm, uint64_t gpa, uint64_t size);

/* Whether no vCPU of `vm` can use a translation that was taken away before this call: each has
 * invalidated what its CPU had cached, or will before it enters the guest. `self` is the vCPU that
 * exited on this CPU. */
bool vm_flushed(const struct vm *vm, const struct vcpu *self);

/* Waits until that is so. Each CPU takes an interrupt for it, whatever its guest does; this one is
 * not in a guest's exit. The caller holds no lock. */
void vm_wait_flushed(const struct vm *vm);

/* In a word: the state, or how it gets there. */
const char *vm_state_name(const struct vm *vm);

#endif
