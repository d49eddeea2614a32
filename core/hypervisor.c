/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The take-over, in order: memory, page tables, this CPU, VMX, the VMs and their links, the
 * monitor, the other CPUs; then each CPU runs its scheduler for ever.
 */
#include "core/hypervisor.h"

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/exceptions.h"
#include "arch/x86/framebuffer.h"
#include "arch/x86/paging.h"
#include "arch/x86/pci_quiesce.h"
#include "arch/x86/pcpu.h"
#include "arch/x86/serial.h"
#include "arch/x86/smp.h"
#include "arch/x86/uefi/runtime.h"
#include "arch/x86/vmx_probe.h"
#include "core/hypercall.h"
#include "core/line.h"
#include "core/link.h"
#include "core/network.h"
#include "core/machine.h"
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "core/virtio.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/panic.h"

static struct machine machine;
static atomic_bool go;
/* How long the machine stays on after it was asked to go off, so that whoever asked can read the
 * answer. */
#define POWER_OFF_SECONDS 1u

static bool power_off_asked;
static uint64_t power_off_due;

const struct machine *machine_get(void)
{
    return &machine;
}

static uint64_t microseconds(void)
{
    uint64_t ticks = rdtsc() - machine.start_tsc;
    uint64_t hz = machine.info->tsc_hz;

    return ticks / hz * 1000000 + ticks % hz * 1000000 / hz;
}

/* A step that must succeed, with what the user can do if it does not. The firmware is gone: all
 * that is left is to say so and stop. */
static void require(status_t status, const char *what)
{
    if (status != STATUS_OK) {
        panic("%s: %s", what, status_name(status));
    }
}

void machine_request_power_off(void)
{
    power_off_asked = true;
    power_off_due = rdtsc() + POWER_OFF_SECONDS * machine.info->tsc_hz;
    for (uint32_t i = 0; i < vm_count(); i++) {
        vm_end(vm_get(i), CONFIG_STOP, false);
    }
    /* The last VM may end on another CPU, which makes a log line: this CPU then looks again. */
}

uint64_t machine_power_off_if_due(uint64_t now)
{
    if (!power_off_asked) {
        return UINT64_MAX;
    }
    for (uint32_t i = 0; i < vm_count(); i++) {
        vm_end(vm_get(i), CONFIG_STOP, false); /* it was starting when all were asked to end */
        if (!vm_is_down(vm_get(i))) {
            return UINT64_MAX;
        }
    }
    if (now < power_off_due) {
        return power_off_due;
    }
    log_info("all VMs are off; the machine goes off");
    line_flush();
    stop_other_cpus();
    uefi_power_off(machine.info);
}

static void add_memory(const struct boot_info *info)
{
    for (uint32_t i = 0; i < info->region_count; i++) {
        if (info->regions[i].type == BOOT_REGION_FREE) {
            require(pages_add(info->regions[i].base, info->regions[i].size),
                    "the firmware's memory map has too many pieces");
        }
    }
}

/* Each CPU: what VMX and the guests' state switching need. */
static void prepare_cpu(struct pcpu *pcpu)
{
    write_cr4(read_cr4() | CR4_OSXSAVE | CR4_OSFXSR | CR4_OSXMMEXCPT);
    require(vmx_check_same(&machine.raw), "this CPU differs from the one that booted");
    require(vmx_enable(pcpu->vmxon_region), "VMX cannot be turned on");
}

/* The other CPUs' way in. They wait until the VMs are complete. */
static void run_cpu(struct pcpu *pcpu)
{
    prepare_cpu(pcpu);
    /* Acquire: pairs with the release in hypervisor_start(). */
    while (!atomic_load_explicit(&go, memory_order_acquire)) {
        cpu_pause();
    }
    scheduler_run(scheduler_get(pcpu->index));
}

static void kick_interrupt(void)
{
    /* Its arrival is all that matters: the CPU left its guest, or its HLT. */
}

static void posted_interrupt(void)
{
    /* The vCPU that it was for has left its guest meanwhile, and sees to it before it goes back:
     * vcpu_run(). */
}

static void take_over(const struct boot_info *info)
{
    interrupts_off();
    /* The firmware's console may have been a sink. */
    log_clear_sinks();
    log_add_sink(serial_write);
    log_add_sink(framebuffer_write);
    machine.info = info;
    machine.start_tsc = rdtsc();
    log_set_clock(microseconds);
    add_memory(info);
    require(paging_build(info), "no memory for the page tables");
    require(pcpu_create_all(info), "no memory for the per-CPU areas");
    paging_activate();
    pcpu_load(pcpu_get(0));
    log_info("bus mastering taken from %u PCI functions", pci_quiesce());
    pic_disable();
    apic_enable();
    atomic_store(&pcpu_get(0)->online, true);
    interrupt_set_handler(VECTOR_KICK, kick_interrupt);
    interrupt_set_handler(VECTOR_POSTED, posted_interrupt);
    interrupt_set_handler(VECTOR_TIMER, scheduler_timer_interrupt);
}

static void create_guests(const struct boot_info *info, const struct config *config,
                          const struct hypervisor_options *options)
{
    vmx_probe(&machine.raw);
    vmx_caps_choose(&machine.raw, options->no_apicv, &machine.caps);
    if (options->tests) {
        hypercall_allow_tests();
    }
    if (options->fallback) {
        vmx_caps_without_views(&machine.caps);
        vmx_caps_without_dirty_flags(&machine.caps);
    }
    vcpu_use_caps(&machine.caps, info->tsc_hz);
    prepare_cpu(pcpu_get(0));
    scheduler_set_max_stay(options->max_stay_ms);
    require(scheduler_create_all(info->tsc_hz), "no memory for the schedulers");
    require(vm_declare_all(config, info), "the VMs cannot be created");
    require(link_create_all(config), "the links cannot be created");
    require(network_create_all(config), "the networks cannot be created");
    require(virtio_create_all(config), "the virtio devices cannot be created");
    for (uint32_t i = 0; i < vm_count(); i++) {
        if (vm_get(i)->config->autostart) {
            require(vm_create(vm_get(i)), "a VM cannot be created");
        }
    }
}

void hypervisor_start(const struct boot_info *info, const struct config *config,
                      const struct hypervisor_options *options)
{
    take_over(info);
    log_info("%u CPU, TSC %llu MHz; taking over", info->cpu_count,
             (unsigned long long)(info->tsc_hz / 1000000));
    create_guests(info, config, options);
    require(smp_start(info, run_cpu), "not all CPUs start");
    log_info("%u CPU in VMX operation, hypervisor memory %llu KiB", info->cpu_count,
             (unsigned long long)(machine_hypervisor_bytes(&machine) >> 10));
    line_start(info);
    vm_autostart_all();
    /* Release: pairs with the acquire in run_cpu(): the other CPUs see all that was made. */
    atomic_store_explicit(&go, true, memory_order_release);
    scheduler_run(scheduler_get(0));
}
