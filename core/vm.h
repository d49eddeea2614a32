/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM and its vCPUs. Everything is made at boot, from the configuration; a VM that restarts is
 * loaded anew into the same memory.
 */
#ifndef POSTERN_CORE_VM_H
#define POSTERN_CORE_VM_H

#include "arch/x86/boot_info.h"
#include "arch/x86/defs/exit_reasons.h"
#include "arch/x86/vmx.h"
#include "core/config.h"
#include "core/console.h"
#include "ept/ept.h"
#include "lib/spinlock.h"
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

/* Reasons why a vCPU must not simply go on: set by any CPU, taken by the vCPU's own. */
#define VCPU_WORK_INTERRUPT BIT32(0) /* look at the posted interrupts */
#define VCPU_WORK_NMI       BIT32(1)
#define VCPU_WORK_INIT      BIT32(2)
#define VCPU_WORK_STARTUP   BIT32(3) /* startup_page is set */
#define VCPU_WORK_PARK      BIT32(4) /* the VM ends: get out of the guest */
#define VCPU_WORK_RESET     BIT32(5) /* the VM starts: take the initial state */
#define VCPU_WORK_FLUSH     BIT32(6) /* the EPT lost entries: INVEPT */
#define VCPU_WORK_YIELD     BIT32(7) /* let the scheduler choose */

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
    struct scheduler *scheduler;
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
    bool test_stay;            /* POSTERN_HC_TEST_STAY has set the preemption timer */
    uint32_t test_event;       /* POSTERN_HC_TEST_STAY: what comes when the stay ends */
    struct ve_information *ve; /* in the guest's RAM, where it registered for #VE; else NULL */

    /* Read by others. */
    uint64_t *eptp_list;          /* written under the VM's lock; VMFUNC reads it */
    _Atomic(uint32_t) views_open; /* protected views in the list */
    _Atomic(enum vcpu_state) state;
    _Atomic uint32_t work;
    _Atomic uint32_t startup_page;
    _Atomic uint32_t nmis_posted;      /* with VCPU_WORK_NMI */
    uint64_t exits[EXIT_REASON_COUNT]; /* written by the owner alone; others may read old values */
    uint64_t interrupts_injected;
    uint64_t refused_accesses;     /* against the EPT, not to a device */
    uint64_t refused_instructions; /* that are not emulated */
    uint64_t crossings_resumed;    /* after an interruption */
    uint64_t crossings_aborted;    /* into what was not open, or not mapped */
};

enum vm_state { VM_OFF, VM_STARTING, VM_RUNNING, VM_ENDING, VM_CRASHED };

struct vm {
    uint32_t id;
    const struct config_vm *config;
    const struct boot_file *kernel, *initrd; /* initrd: NULL for none */
    uint8_t *ram;                            /* guest-physical 0, identity-mapped here */
    uint64_t ram_size;
    struct ept ept; /* the default view */
    struct views views;
    uint64_t default_view; /* EPT pointer of the default view */
    void *table_pool;      /* free pages for the EPT, linked through their first words */
    uint32_t table_pool_count;
    uint8_t *msr_bitmap;
    uint8_t *msr_bitmap_timer; /* the same, with IA32_TSC_DEADLINE the guest's own */
    uint32_t vcpu_count;
    struct vcpu *vcpus;
    uint32_t port_count;
    struct port *ports[CONFIG_MAX_PORTS];
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

    /* Life cycle. */
    _Atomic(enum vm_state) state;
    _Atomic uint32_t vcpus_running; /* not parked; the last to park finishes the VM */
    enum config_policy after;       /* what follows VM_ENDING; set with it */
    bool crashed;                   /* whether it ends by its own fault */
    uint32_t starts;                /* how often it was started */
    uint64_t start_tsc;             /* when it was started last */
};

/* Makes all VMs of `config`: memory, EPT, devices, vCPUs on their pCPUs' schedulers. They are off.
 */
status_t vm_create_all(const struct config *config, const struct boot_info *info) MUST_CHECK;

uint32_t vm_count(void);
struct vm *vm_get(uint32_t id);

/* Loads kernel and initrd and makes vCPU 0 runnable. STATUS_BUSY unless the VM is off or crashed:
 * of two callers one starts it. Any CPU. */
status_t vm_start(struct vm *vm) MUST_CHECK;

/* Ends the VM: its vCPUs leave the guest, then `after` follows. The first caller wins. `crashed`
 * tells a fault of the guest from its own wish. May be called by any CPU. */
void vm_end(struct vm *vm, enum config_policy after, bool crashed);

/* Called by the scheduler when a vCPU has parked. The last one finishes the VM, or restarts it. */
void vm_vcpu_parked(struct vm *vm);

/* The hypervisor's address of guest memory [gpa, gpa + size), NULL unless all of it is RAM. */
void *vm_memory(const struct vm *vm, uint64_t gpa, uint64_t size);

/* Whether no vCPU of `vm` can use a translation that was taken away before this call: each has
 * invalidated what its CPU had cached, or will before it enters the guest. `self` is the vCPU that
 * exited on this CPU. */
bool vm_flushed(const struct vm *vm, const struct vcpu *self);

const char *vm_state_name(enum vm_state state);

#endif
