/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vm.h"

#include "abi/hypercall.h"
#include "arch/x86/cpu.h"
#include "core/guest_memory.h"
#include "core/interrupts.h"
#include "core/link.h"
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "core/window.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/string.h"
#include "machine/acpi.h"
#include "machine/guest_map.h"

static struct vm *vms;
static uint32_t vms_count;
static const struct boot_info *boot;

uint32_t vm_count(void)
{
    return vms_count;
}

struct vm *vm_get(uint32_t id)
{
    return &vms[id];
}

const char *vm_state_name(enum vm_state state)
{
    static const char *const names[] = {"off", "starting", "running", "ending", "crashed"};

    return names[state];
}

/* Devices' ops; the VM's lock is held. */

static void uart_set_irq(void *context, bool level)
{
    struct vm *vm = context;

    ioapic_set_irq(&vm->ioapic, GUEST_UART_GSI, level);
}

static void uart_transmit(void *context, uint8_t byte)
{
    struct vm *vm = context;

    console_put(&vm->console, (char)byte);
}

static uint64_t seconds_now(void *context)
{
    (void)context;
    return boot->wall_clock + (rdtsc() - boot->wall_clock_tsc) / boot->tsc_hz;
}

static void *allocate(uint64_t size)
{
    return pages_alloc((size + PAGE_SIZE - 1) / PAGE_SIZE, PAGE_SIZE, PAGES_HYPERVISOR);
}

static void reset_devices(struct vm *vm)
{
    static const struct uart16550_ops uart_ops = {uart_set_irq, uart_transmit};
    static const struct ioapic_ops ioapic_operations = {interrupts_from_ioapic};

    ioapic_init(&vm->ioapic, &ioapic_operations, vm);
    uart16550_init(&vm->uart, &uart_ops, vm);
    rtc_init(&vm->rtc, seconds_now, vm);
    pci_reset(&vm->pci);
}

static status_t create_vcpus(struct vm *vm)
{
    vm->vcpus = allocate(sizeof(struct vcpu) * vm->config->vcpus);
    if (vm->vcpus == NULL) {
        return STATUS_NO_MEMORY;
    }
    vm->vcpu_count = vm->config->vcpus;
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        status_t status = vcpu_create(&vm->vcpus[i], vm, i);
        if (status == STATUS_OK) {
            status = scheduler_add(scheduler_get(vm->config->pcpus[i]), &vm->vcpus[i]);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static const struct boot_file *find_file(const char *path)
{
    for (uint32_t i = 0; i < boot->file_count; i++) {
        if (strcmp(boot->files[i].path, path) == 0) {
            return &boot->files[i];
        }
    }
    return NULL;
}

static struct cpuid_regs ask_cpu(uint32_t leaf)
{
    struct cpuid_result r = cpuid(leaf, 0);

    return (struct cpuid_regs){r.eax, r.ebx, r.ecx, r.edx};
}

/* Whether the CPU can let guests wait: with masked interrupts as events too, and timers that go on
 * in whatever state they wait. */
static bool cpu_has_mwait(const struct vmx_caps *caps)
{
    const uint32_t events = 3, arat = BIT32(2);

    return caps->mwait && (ask_cpu(1).ecx & BIT32(3)) != 0 && (ask_cpu(5).ecx & events) == events &&
           (ask_cpu(6).eax & arat) != 0;
}

static void set_cpuid(struct vm *vm, const struct vmx_caps *caps)
{
    struct cpuid_regs structured = ask_cpu(7);
    struct cpuid_result xsave = cpuid(0xd, 0);

    vm->cpuid = (struct cpuid_env){
        .vcpus = vm->config->vcpus,
        .tsc_hz = boot->tsc_hz,
        .rdtscp = caps->rdtscp,
        .invpcid = caps->invpcid,
        .xsaves = caps->xsaves,
        .mwait = vm->config->mwait && cpu_has_mwait(caps),
        .native = (caps->eptp_switching ? POSTERN_NATIVE_VMFUNC : 0) |
                  (caps->virtualization_exceptions ? POSTERN_NATIVE_VE : 0),
    };
    if (vm->config->mwait && !vm->cpuid.mwait) {
        log_warning("%s: mwait is on, but this CPU has no MONITOR and MWAIT for guests",
                    vm->config->name);
    }
    cpuid_env_limits(&vm->cpuid, &structured, (uint64_t)xsave.edx << 32 | xsave.eax);
    cpuid_cache_fill(&vm->cpuid_cache, &vm->cpuid, ask_cpu);
}

static status_t create(struct vm *vm, const struct config_vm *config, uint32_t ports)
{
    const struct vmx_caps *caps = vcpu_caps();

    vm->config = config;
    vm->ram_size = config->memory;
    vm->kernel = find_file(config->kernel);
    vm->initrd = config->initrd[0] != '\0' ? find_file(config->initrd) : NULL;
    vm->msr_bitmap = page_alloc();
    vm->msr_bitmap_timer = page_alloc();
    vm->console.ring = allocate(CONSOLE_RING_SIZE);
    if (vm->kernel == NULL || vm->msr_bitmap == NULL || vm->msr_bitmap_timer == NULL ||
        vm->console.ring == NULL) {
        return STATUS_NO_MEMORY;
    }
    set_cpuid(vm, caps);
    msr_policy_fill_bitmap(vm->msr_bitmap, caps->x2apic_virtualization, caps->rdtscp);
    memcpy(vm->msr_bitmap_timer, vm->msr_bitmap, MSR_BITMAP_SIZE);
    msr_policy_pass_timer(vm->msr_bitmap_timer);
    pci_init(&vm->pci);
    status_t status = create_vcpus(vm);
    return status == STATUS_OK ? guest_memory_create(vm, caps, ports) : status;
}

status_t vm_create_all(const struct config *config, const struct boot_info *info)
{
    boot = info;
    vms = allocate(sizeof(struct vm) * config->vm_count);
    if (vms == NULL) {
        return STATUS_NO_MEMORY;
    }
    /* A network's port shows pieces of several sections, and the database. */
    uint32_t ports = config->link_count + 2 * config->network_count;

    for (uint32_t i = 0; i < config->vm_count; i++) {
        vms[i].id = i;
        status_t status = create(&vms[i], &config->vms[i], ports);
        if (status != STATUS_OK) {
            log_error("%s: cannot be created: %s", config->vms[i].name, status_name(status));
            return status;
        }
        vms_count++;
    }
    return STATUS_OK;
}

/* What firmware would have at the reset vector: out to ACPI's reset register. Linux jumps there on
 * a reboot, since without EFI it has no other way on a hardware-reduced platform. */
static void put_reset_vector(struct vm *vm)
{
    static const uint8_t code[] = {
        0xba,
        GUEST_PORT_RESET & 0xff,
        GUEST_PORT_RESET >> 8, /* mov $port, %dx */
        0xb0,
        GUEST_RESET_VALUE, /* mov $value, %al */
        0xee,              /* out %al, (%dx) */
        0xf4,
        0xeb,
        0xfd, /* hlt; jmp to the hlt */
    };

    memcpy(vm->ram + GUEST_RESET_VECTOR, code, sizeof(code));
}

/* Kernel, initrd, command line and ACPI tables into the VM's RAM. */
static status_t load(struct vm *vm)
{
    struct guest_kernel_request request = {
        .ram = vm->ram,
        .ram_size = vm->ram_size,
        .kernel = vm->kernel->data,
        .kernel_size = vm->kernel->size,
        .initrd = vm->initrd != NULL ? vm->initrd->data : NULL,
        .initrd_size = vm->initrd != NULL ? vm->initrd->size : 0,
        .cmdline = vm->config->cmdline,
        .rsdp = GUEST_ACPI_BASE,
    };
    char error[128] = "";
    status_t status = guest_kernel_load(&request, &vm->entry, error, sizeof(error));

    if (status != STATUS_OK) {
        log_error("%s: %s cannot be loaded: %s", vm->config->name, vm->config->kernel, error);
        return status;
    }
    put_reset_vector(vm);
    return acpi_build(vm->ram + GUEST_ACPI_BASE, GUEST_ACPI_SIZE, GUEST_ACPI_BASE, vm->vcpu_count);
}

/* Takes the VM from off or crashed to starting; false if it is in another state. */
static bool claim(struct vm *vm)
{
    enum vm_state off = VM_OFF;
    enum vm_state crashed = VM_CRASHED;

    return atomic_compare_exchange_strong(&vm->state, &off, VM_STARTING) ||
           atomic_compare_exchange_strong(&vm->state, &crashed, VM_STARTING);
}

status_t vm_start(struct vm *vm)
{
    if (!claim(vm)) {
        return STATUS_BUSY;
    }
    status_t status = load(vm);

    if (status != STATUS_OK) {
        atomic_store(&vm->state, VM_CRASHED);
        return status;
    }
    spin_lock(&vm->lock);
    reset_devices(vm);
    window_remove_views(vm);
    views_unplace_all(&vm->views);
    /* A guest that moved its windows about has left empty tables. Its vCPUs are parked, and each
     * invalidates what its CPU has cached when it is reset. */
    ept_reclaim(&vm->ept);
    spin_unlock(&vm->lock);
    link_grant_all(vm);
    vm->starts++;
    vm->start_tsc = rdtsc();
    /* Not parked, so that an end that comes before the reset below still counts each vCPU. */
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        atomic_store(&vm->vcpus[i].state, VCPU_WAITING);
    }
    atomic_store(&vm->vcpus_running, vm->vcpu_count);
    atomic_store(&vm->state, VM_RUNNING);
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i], VCPU_WORK_RESET);
    }
    log_info("%s: starts with %u vCPU, %llu MiB", vm->config->name, vm->vcpu_count,
             (unsigned long long)(vm->ram_size >> 20));
    port_state_changed(vm);
    return STATUS_OK;
}

void vm_end(struct vm *vm, enum config_policy after, bool crashed)
{
    enum vm_state running = VM_RUNNING;

    if (!atomic_compare_exchange_strong(&vm->state, &running, VM_ENDING)) {
        return;
    }
    vm->after = after;
    vm->crashed = crashed;
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i], VCPU_WORK_PARK);
    }
}

void vm_vcpu_parked(struct vm *vm)
{
    if (atomic_fetch_sub(&vm->vcpus_running, 1) != 1) {
        return;
    }
    /* Once the VM is off somebody else may start it, and it may end again. */
    enum config_policy after = vm->after;
    log_info("%s: has %s", vm->config->name, vm->crashed ? "crashed" : "ended");
    /* While nobody can start it. */
    port_state_changed(vm);
    atomic_store(&vm->state, vm->crashed ? VM_CRASHED : VM_OFF);
    if (after == CONFIG_RESTART) {
        status_t status = vm_start(vm);
        if (status != STATUS_OK && status != STATUS_BUSY) {
            log_error("%s: stays off", vm->config->name);
        }
    }
}
