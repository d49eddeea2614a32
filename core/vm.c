/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vm.h"

#include "abi/hypercall.h"
#include "arch/x86/cpu.h"
#include "core/guest_memory.h"
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "core/virtio.h"
#include "core/window.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/string.h"

/* In which a VM may start again after crashes as often as its configuration says. */
#define RESTARTS_SECONDS 60u

static struct vm *vms;
static uint32_t vms_count;
static const struct boot_info *boot;
static const struct config *machine;

uint32_t vm_count(void)
{
    return vms_count;
}

struct vm *vm_get(uint32_t id)
{
    return &vms[id];
}

const struct boot_file *vm_boot_file(const char *path)
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

static status_t declare_vcpus(struct vm *vm)
{
    uint32_t count = vm->config->vcpus;
    status_t status = STATUS_OK;

    vm->vcpus = pages_alloc_bytes(sizeof(struct vcpu) * count);
    if (vm->vcpus == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        vcpu_init(&vm->vcpus[i], vm, i);
        status = scheduler_add(scheduler_get(vm->config->pcpus[i]), &vm->vcpus[i]);
    }
    return status;
}

static status_t declare(struct vm *vm, const struct config_vm *config)
{
    vm->config = config;
    vm->kernel = vm_boot_file(config->kernel);
    vm->initrd = config->initrd[0] != '\0' ? vm_boot_file(config->initrd) : NULL;
    vm->console.ring = pages_alloc_bytes(CONSOLE_RING_SIZE);
    if (vm->kernel == NULL || vm->console.ring == NULL) {
        return STATUS_NO_MEMORY;
    }
    set_cpuid(vm, vcpu_caps());
    token_bucket_init(&vm->restarts, boot->tsc_hz * RESTARTS_SECONDS, config->restarts,
                      config->restarts, 1, rdtsc());
    pci_init(&vm->pci);
    return declare_vcpus(vm);
}

status_t vm_declare_all(const struct config *config, const struct boot_info *info)
{
    boot = info;
    machine = config;
    vms = pages_alloc_bytes(sizeof(struct vm) * config->vm_count);
    if (vms == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < config->vm_count; i++) {
        vms[i].id = i;
        status_t status = declare(&vms[i], &config->vms[i]);
        if (status != STATUS_OK) {
            log_error("%s: no memory for it: %s", config->vms[i].name, status_name(status));
            return status;
        }
        vms_count++;
    }
    return STATUS_OK;
}

static status_t make_bitmaps(struct vm *vm)
{
    const struct vmx_caps *caps = vcpu_caps();

    vm->msr_bitmap = page_runs_alloc_bytes(&vm->memory, PAGE_SIZE);
    vm->msr_bitmap_timer = page_runs_alloc_bytes(&vm->memory, PAGE_SIZE);
    if (vm->msr_bitmap == NULL || vm->msr_bitmap_timer == NULL) {
        return STATUS_NO_MEMORY;
    }
    msr_policy_fill_bitmap(vm->msr_bitmap, caps->x2apic_virtualization, caps->rdtscp);
    memcpy(vm->msr_bitmap_timer, vm->msr_bitmap, MSR_BITMAP_SIZE);
    msr_policy_pass_timer(vm->msr_bitmap_timer);
    return STATUS_OK;
}

static status_t make_vcpus(struct vm *vm)
{
    status_t status = STATUS_OK;

    for (uint32_t i = 0; i < vm->config->vcpus && status == STATUS_OK; i++) {
        status = vcpu_create(&vm->vcpus[i]);
    }
    return status;
}

status_t vm_make(struct vm *vm)
{
    vm->ram_size = vm->config->memory;
    status_t status = make_bitmaps(vm);
    if (status == STATUS_OK) {
        status = make_vcpus(vm);
    }
    if (status == STATUS_OK) {
        status = guest_memory_create(vm, vcpu_caps(), machine);
    }
    if (status == STATUS_OK) {
        status = virtio_create_overlays(vm);
    }
    if (status != STATUS_OK) {
        vm_unmake(vm);
        return status;
    }
    /* Others may send it something from now on. */
    spin_lock(&vm->lock);
    vm->vcpu_count = vm->config->vcpus;
    spin_unlock(&vm->lock);
    return STATUS_OK;
}

void vm_unmake(struct vm *vm)
{
    spin_lock(&vm->lock);
    vm->vcpu_count = 0;
    /* What its ports show, and its devices' queues, lies there. */
    pci_reset(&vm->pci);
    virtio_reset_all(vm);
    virtio_drop_overlays(vm);
    window_remove_views(vm);
    vm->snapshot.state = NULL;
    vm->snapshot.size = 0;
    atomic_store(&vm->snapshot.frozen, false);
    guest_memory_forget(vm);
    for (uint32_t i = 0; i < vm->config->vcpus; i++) {
        vcpu_destroy(&vm->vcpus[i]);
    }
    spin_unlock(&vm->lock);
    page_runs_free(&vm->memory);
}
