/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a VM: from one of its states to another. docs/architecture.md has a picture. */
#include "arch/x86/cpu.h"
#include "core/dirty.h"
#include "core/interrupts.h"
#include "core/link.h"
#include "core/machine.h"
#include "core/pool.h"
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "core/vcpu_views.h"
#include "core/virtio.h"
#include "core/virtio_disk.h"
#include "core/window.h"
#include "lib/log.h"
#include "lib/string.h"
#include "machine/acpi.h"
#include "machine/guest_map.h"

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
    const struct boot_info *boot = machine_get()->info;

    (void)context;
    return boot->wall_clock + (rdtsc() - boot->wall_clock_tsc) / boot->tsc_hz;
}

static void reset_devices(struct vm *vm)
{
    static const struct uart16550_ops uart_ops = {uart_set_irq, uart_transmit};
    static const struct ioapic_ops ioapic_operations = {interrupts_from_ioapic};

    ioapic_init(&vm->ioapic, &ioapic_operations, vm);
    uart16550_init(&vm->uart, &uart_ops, vm);
    rtc_init(&vm->rtc, seconds_now, vm);
    pci_reset(&vm->pci);
    virtio_reset_all(vm);
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

/* Takes the VM from one state to another; false if it is in neither. Of several callers one does.
 */
static bool change(struct vm *vm, enum vm_state from, enum vm_state to)
{
    return atomic_compare_exchange_strong(&vm->state, &from, to);
}

const char *vm_state_name(const struct vm *vm)
{
    static const char *const names[] = {"absent", "creating",  "off",    "starting", "running",
                                        "paused", "restoring", "ending", "crashed"};
    enum vm_state state = atomic_load(&vm->state);

    return state == VM_PAUSED && !vm_is_still(vm) ? "pausing" : names[state];
}

bool vm_is_up(const struct vm *vm)
{
    enum vm_state state = atomic_load_explicit(&vm->state, memory_order_relaxed);

    return state == VM_RUNNING || state == VM_PAUSED;
}

bool vm_is_frozen(const struct vm *vm)
{
    const struct vm_snapshot *snapshot = &vm->snapshot;

    return atomic_load(&snapshot->frozen) || atomic_load(&snapshot->waiting) != 0;
}

bool vm_is_down(const struct vm *vm)
{
    enum vm_state state = atomic_load(&vm->state);

    return state == VM_ABSENT || state == VM_OFF || state == VM_CRASHED || state == VM_RESTORING;
}

static void request_all(struct vm *vm, uint32_t work)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_request(&vm->vcpus[i], work);
    }
}

status_t vm_create(struct vm *vm)
{
    if (!change(vm, VM_ABSENT, VM_CREATING)) {
        return STATUS_BUSY;
    }
    status_t status = vm_make(vm);
    atomic_store(&vm->state, status == STATUS_OK ? VM_OFF : VM_ABSENT);
    return status;
}

/* Not by each vCPU's own reset, before which another one may have opened views to it, or a restore.
 */
static void remove_views(struct vm *vm)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_close_views(&vm->vcpus[i]);
    }
    window_remove_views(vm);
}

/* All that is as after power-on; its vCPUs are parked. */
static void reset_all(struct vm *vm)
{
    spin_lock(&vm->lock);
    reset_devices(vm);
    remove_views(vm);
    port_reset_all(vm);
    link_take_modes(vm);
    views_unplace_all(&vm->views);
    /* A guest that moved its windows about has left empty tables. Each vCPU invalidates what its
     * CPU has cached when it is reset. */
    ept_reclaim(&vm->ept);
    /* The loader has written to it, and RAM is back where the gate was. */
    dirty_note_all(vm);
    vm->tsc_offset = 0;
    vm->tsc_stands = false;
    spin_unlock(&vm->lock);
    link_grant_all(vm);
}

/* In `state`, its vCPUs with a reset and `more` to do. */
static void run(struct vm *vm, enum vm_state state, uint32_t more)
{
    vm->snapshot.size = 0;
    atomic_store(&vm->snapshot.frozen, false);
    atomic_store(&vm->snapshot.waiting, (more & VCPU_WORK_LOAD) != 0 ? vm->vcpu_count : 0);
    vm->starts++;
    vm->start_tsc = rdtsc();
    /* Not parked, so that an end that comes before the reset below still counts each vCPU. */
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        atomic_store(&vm->vcpus[i].state, VCPU_WAITING);
    }
    atomic_store(&vm->vcpus_running, vm->vcpu_count);
    atomic_store(&vm->state, state);
    request_all(vm, VCPU_WORK_RESET | more);
    log_info("%s: starts with %u vCPU, %llu MiB", vm->config->name, vm->vcpu_count,
             (unsigned long long)(vm->ram_size >> 20));
    port_state_changed(vm);
    virtio_state_changed(vm);
}

/* Whether all VMs have been started that `vm` is to start after. */
static bool is_its_turn(const struct vm *vm)
{
    for (uint32_t i = 0; i < vm_count(); i++) {
        if ((vm->config->after & BIT32(i)) != 0 && vm_get(i)->starts == 0) {
            return false;
        }
    }
    return true;
}

static void tell_start(const struct vm *vm, status_t status)
{
    if (status != STATUS_OK && status != STATUS_BUSY) {
        log_error("%s: does not start: %s", vm->config->name, status_name(status));
    }
}

static void start_by_itself(struct vm *vm)
{
    tell_start(vm, vm_start(vm));
}

/* Starts those that have waited for this VM's first start. */
static void start_followers(const struct vm *vm)
{
    for (uint32_t i = 0; i < vm_count(); i++) {
        struct vm *other = vm_get(i);
        if ((other->config->after & BIT32(vm->id)) != 0 && other->config->autostart &&
            other->starts == 0 && is_its_turn(other)) {
            start_by_itself(other);
        }
    }
}

/* It is starting. */
static status_t launch(struct vm *vm)
{
    status_t status = load(vm);

    if (status != STATUS_OK) {
        atomic_store(&vm->state, VM_CRASHED);
        return status;
    }
    reset_all(vm);
    bool first = vm->starts == 0;
    run(vm, VM_RUNNING, 0);
    if (first) {
        start_followers(vm);
    }
    return STATUS_OK;
}

/* False, with a line in the log, for one whose disks are not what its guest, or anybody, wrote. */
static bool has_whole_disks(const struct vm *vm)
{
    char text[VIRTIO_DISK_TEXT_SIZE];

    if (virtio_disks_are_whole(vm, text)) {
        return true;
    }
    log_error("%s: does not start: %s", vm->config->name, text);
    return false;
}

status_t vm_start(struct vm *vm)
{
    if (!has_whole_disks(vm)) {
        return STATUS_DENIED;
    }
    status_t status = vm_create(vm);

    if (status != STATUS_OK && status != STATUS_BUSY) {
        return status;
    }
    if (!change(vm, VM_OFF, VM_STARTING) && !change(vm, VM_CRASHED, VM_STARTING)) {
        return STATUS_BUSY;
    }
    return launch(vm);
}

void vm_autostart_all(void)
{
    for (uint32_t i = 0; i < vm_count(); i++) {
        struct vm *vm = vm_get(i);
        if (vm->config->autostart && vm->starts == 0 && is_its_turn(vm)) {
            start_by_itself(vm);
        }
    }
}

status_t vm_pause(struct vm *vm)
{
    if (!change(vm, VM_RUNNING, VM_PAUSED)) {
        return STATUS_BUSY;
    }
    vm->pause_tsc = rdtsc();
    /* Behind the new state, which keeps the scheduler from choosing them again. */
    request_all(vm, VCPU_WORK_PAUSE);
    return STATUS_OK;
}

uint64_t vm_tsc(const struct vm *vm)
{
    return vm->tsc_stands ? vm->tsc_restored : rdtsc() + vm->tsc_offset;
}

/* Of one that was restored. Before it is running: a vCPU that enters the guest has taken it. */
static void start_clock(struct vm *vm)
{
    vm->tsc_stands = false;
    vm->tsc_offset = vm->tsc_restored - rdtsc();
    request_all(vm, VCPU_WORK_CLOCK);
}

status_t vm_resume(struct vm *vm)
{
    if (vm->tsc_stands && atomic_load(&vm->state) == VM_PAUSED) {
        start_clock(vm);
    }
    if (!change(vm, VM_PAUSED, VM_RUNNING)) {
        return STATUS_BUSY;
    }
    vm->snapshot.size = 0; /* what was saved is not what it is any more */
    atomic_store(&vm->snapshot.frozen, false);
    vm->paused_ticks = rdtsc() - vm->pause_tsc;
    /* Whatever came meanwhile. Some of it may have been requested then, and with the VM paused its
     * CPU went back to HLT: so each is told to look again. */
    request_all(vm, VCPU_WORK_INTERRUPT);
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        vcpu_kick(&vm->vcpus[i]);
    }
    return STATUS_OK;
}

bool vm_hold(struct vm *vm, enum vm_state *was)
{
    static const enum vm_state states[] = {VM_ABSENT, VM_OFF, VM_CRASHED};

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        if (change(vm, states[i], VM_STARTING)) {
            *was = states[i];
            return true;
        }
    }
    return false;
}

void vm_release(struct vm *vm, enum vm_state was)
{
    atomic_store(&vm->state, was);
}

status_t vm_pin(struct vm *vm, uint32_t id, uint32_t pcpu)
{
    return scheduler_move(&vm->vcpus[id], scheduler_get(pcpu));
}

static void empty_disks(struct vm *vm)
{
    spin_lock(&vm->lock);
    virtio_disks_empty(vm);
    spin_unlock(&vm->lock);
}

status_t vm_begin_restore(struct vm *vm)
{
    status_t status = vm_create(vm);

    if (status != STATUS_OK && status != STATUS_BUSY) {
        return status;
    }
    if (!change(vm, VM_OFF, VM_RESTORING) && !change(vm, VM_CRASHED, VM_RESTORING)) {
        return STATUS_BUSY;
    }
    reset_all(vm);
    empty_disks(vm);
    return STATUS_OK;
}

void vm_end_restore(struct vm *vm, bool restored)
{
    if (restored) {
        virtio_disks_set_whole(vm);
        run(vm, VM_PAUSED, VCPU_WORK_LOAD);
    } else {
        /* A part of what was to come is nothing to start with. */
        empty_disks(vm);
        atomic_store(&vm->state, VM_OFF);
    }
}

bool vm_is_still(const struct vm *vm)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        /* Partner: run() in core/scheduler.c. Whoever is not seen here sees the request before it
         * enters the guest. */
        if (atomic_load(&vcpu->scheduler->running) == vcpu) {
            return false;
        }
    }
    return true;
}

/* Takes a VM that is up to its end; false if it is not. */
static bool claim_end(struct vm *vm)
{
    enum vm_state state = atomic_load(&vm->state);

    do {
        if (state != VM_RUNNING && state != VM_PAUSED) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&vm->state, &state, VM_ENDING));
    return true;
}

static bool end(struct vm *vm, enum config_policy after, bool crashed)
{
    if (!claim_end(vm)) {
        return false;
    }
    vm->after = after;
    vm->crashed = crashed;
    request_all(vm, VCPU_WORK_PARK);
    return true;
}

void vm_end(struct vm *vm, enum config_policy after, bool crashed)
{
    (void)end(vm, after, crashed);
}

status_t vm_reset(struct vm *vm)
{
    return end(vm, CONFIG_RESTART, false) ? STATUS_OK : STATUS_BUSY;
}

/* The last step; the VM is ending, and its vCPUs are parked. */
static void finish_destroy(struct vm *vm)
{
    vm_unmake(vm);
    log_info("%s: is destroyed", vm->config->name);
    atomic_store(&vm->state, VM_ABSENT);
}

status_t vm_destroy(struct vm *vm)
{
    if (end(vm, CONFIG_DESTROY, false)) {
        return STATUS_OK;
    }
    if (!change(vm, VM_OFF, VM_ENDING) && !change(vm, VM_CRASHED, VM_ENDING) &&
        !change(vm, VM_RESTORING, VM_ENDING)) {
        return STATUS_BUSY;
    }
    finish_destroy(vm);
    return STATUS_OK;
}

/* What is to follow, but for a guest that crashes again and again. */
static enum config_policy limit_restarts(struct vm *vm)
{
    if (!vm->crashed || vm->after != CONFIG_RESTART ||
        token_bucket_take(&vm->restarts, 1, rdtsc())) {
        return vm->after;
    }
    log_error("%s: stays off: it has crashed more than %u times in a minute", vm->config->name,
              vm->config->restarts);
    return CONFIG_STOP;
}

void vm_vcpu_parked(struct vm *vm)
{
    if (atomic_fetch_sub(&vm->vcpus_running, 1) != 1) {
        return;
    }
    /* Once the VM is off somebody else may start it, and it may end again. */
    log_info("%s: has %s", vm->config->name, vm->crashed ? "crashed" : "ended");
    enum config_policy after = limit_restarts(vm);
    /* While nobody can start it: its RAM is its own again before a kernel is loaded there, and
     * those who share a link or a network with it know. */
    pool_take_all(vm);
    port_state_changed(vm);
    virtio_state_changed(vm);
    if (after == CONFIG_DESTROY) {
        finish_destroy(vm);
        return;
    }
    if (after == CONFIG_RESTART) {
        /* Not by way of being off, where somebody else might hold it. */
        atomic_store(&vm->state, VM_STARTING);
        tell_start(vm, launch(vm));
        return;
    }
    atomic_store(&vm->state, vm->crashed ? VM_CRASHED : VM_OFF);
}
