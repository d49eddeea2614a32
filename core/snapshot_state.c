/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/snapshot_state.h"

#include "arch/x86/cpu.h"
#include "core/machine.h"
#include "core/vcpu_image.h"
#include "core/virtio_image.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

/* Measured frequencies of one clock differ by so much at most: 1 in this. */
#define FREQUENCY_TOLERANCE 1000u

/* FNV-1a, of 64 bits. */
#define HASH_BEGIN 0xcbf29ce484222325ull
#define HASH_PRIME 0x100000001b3ull

static uint64_t hash_word(uint64_t hash, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++) {
        hash = (hash ^ (word >> 8 * i & 0xff)) * HASH_PRIME;
    }
    return hash;
}

/* What programs look at to choose instructions: family and model, and features. */
static uint64_t hash_cpuid(const struct vm *vm)
{
    static const uint32_t leaves[] = {1, 7, 0xd, 0x80000001};
    uint64_t hash = HASH_BEGIN;

    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct cpuid_result host = cpuid(leaves[i], 0);
        struct cpuid_regs regs = {host.eax, host.ebx, host.ecx, host.edx};
        cpuid_emulate(&vm->cpuid, leaves[i], 0, &regs);
        hash = hash_word(hash_word(hash_word(hash, regs.eax), regs.ecx), regs.edx);
    }
    return hash;
}

static uint32_t count_functions(const struct vm *vm)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < vm->pci.end; i++) {
        count += vm->pci.functions[i] != NULL ? 1 : 0;
    }
    return count;
}

static struct snapshot_shape shape_of(const struct vm *vm)
{
    return (struct snapshot_shape){
        .memory = vm->ram_size,
        .tsc_hz = vm->cpuid.tsc_hz,
        .xcr0_allowed = vm->cpuid.xcr0_allowed,
        .cr4_hidden = vm->cpuid.cr4_hidden,
        .cpuid = hash_cpuid(vm),
        .vcpus = vm->vcpu_count,
        .functions = count_functions(vm),
        .xsave_size = vcpu_xsave_size(),
        .native = vm->cpuid.native,
        .rdtscp = vm->cpuid.rdtscp,
        .invpcid = vm->cpuid.invpcid,
        .xsaves = vm->cpuid.xsaves,
        .mwait = vm->cpuid.mwait,
        .kernel = vm->entry.kind,
    };
}

static void *add(struct snapshot_writer *writer, enum snapshot_type type, uint16_t version,
                 uint32_t index, uint32_t size)
{
    const struct snapshot_wanted record = {type, version, index, size};

    return snapshot_add(writer, &record);
}

static status_t save_vm(const struct vm *vm, struct snapshot_writer *writer)
{
    struct snapshot_vm *record =
        add(writer, SNAPSHOT_VM, SNAPSHOT_VM_VERSION, 0, sizeof(struct snapshot_vm));

    if (record == NULL) {
        return STATUS_NO_MEMORY;
    }
    record->shape = shape_of(vm);
    record->tsc = vm_tsc(vm);
    record->pci_address = vm->pci.address;
    record->virtio_count = virtio_image_count(vm);
    memcpy(record->name, vm->config->name, strlen(vm->config->name));
    return STATUS_OK;
}

static status_t reserve_vcpus(struct vm *vm, struct snapshot_writer *writer)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *vcpu = &vm->vcpus[i];
        vcpu->image = add(writer, SNAPSHOT_VCPU, VCPU_IMAGE_VERSION, i, sizeof(struct vcpu_image));
        vcpu->image_xsave = add(writer, SNAPSHOT_XSAVE, VCPU_XSAVE_VERSION, i, vcpu_xsave_size());
        if (vcpu->image == NULL || vcpu->image_xsave == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

static status_t save_board(const struct vm *vm, struct snapshot_writer *writer)
{
    struct uart16550_image *uart =
        add(writer, SNAPSHOT_UART, UART16550_IMAGE_VERSION, 0, sizeof(*uart));
    struct rtc_image *rtc = add(writer, SNAPSHOT_RTC, RTC_IMAGE_VERSION, 0, sizeof(*rtc));
    struct ioapic_image *ioapic =
        add(writer, SNAPSHOT_IOAPIC, IOAPIC_IMAGE_VERSION, 0, sizeof(*ioapic));

    if (uart == NULL || rtc == NULL || ioapic == NULL) {
        return STATUS_NO_MEMORY;
    }
    uart16550_save(&vm->uart, uart);
    rtc_save(&vm->rtc, rtc);
    ioapic_save(&vm->ioapic, ioapic);
    return STATUS_OK;
}

static status_t save_functions(const struct vm *vm, struct snapshot_writer *writer)
{
    for (uint32_t i = 0; i < vm->pci.end; i++) {
        if (vm->pci.functions[i] == NULL) {
            continue;
        }
        struct pci_function_image *image =
            add(writer, SNAPSHOT_PCI, PCI_IMAGE_VERSION, i, sizeof(*image));
        if (image == NULL) {
            return STATUS_NO_MEMORY;
        }
        pci_function_save(vm->pci.functions[i], image);
    }
    return STATUS_OK;
}

status_t snapshot_state_save(struct vm *vm, struct snapshot_writer *writer)
{
    status_t status = save_vm(vm, writer);

    if (status == STATUS_OK) {
        status = reserve_vcpus(vm, writer);
    }
    if (status == STATUS_OK) {
        status = save_board(vm, writer);
    }
    if (status == STATUS_OK) {
        status = save_functions(vm, writer);
    }
    return status == STATUS_OK ? virtio_image_save(vm, writer) : status;
}

/* Restoring. */

struct state {
    const void *bytes;
    size_t size;
    char *error; /* SNAPSHOT_ERROR_SIZE */
};

static const void *find(const struct state *state, enum snapshot_type type, uint16_t version,
                        uint32_t index, uint32_t size)
{
    const struct snapshot_wanted wanted = {type, version, index, size};

    return snapshot_find(state->bytes, state->size, &wanted, state->error);
}

static bool differs(const struct state *state, const char *what, unsigned long long theirs,
                    unsigned long long ours)
{
    if (theirs != ours) {
        (void)format_string(state->error, SNAPSHOT_ERROR_SIZE,
                            "the snapshot is of a VM of another shape: its %s is %llu, here it "
                            "is %llu",
                            what, theirs, ours);
    }
    return theirs != ours;
}

static bool frequency_differs(const struct state *state, uint64_t theirs, uint64_t ours)
{
    uint64_t difference = theirs > ours ? theirs - ours : ours - theirs;

    return difference > ours / FREQUENCY_TOLERANCE &&
           differs(state, "TSC's frequency", theirs, ours);
}

static bool shape_fits(const struct vm *vm, const struct state *state,
                       const struct snapshot_shape *theirs)
{
    struct snapshot_shape ours = shape_of(vm);

    return !differs(state, "memory", theirs->memory, ours.memory) &&
           !differs(state, "count of vCPUs", theirs->vcpus, ours.vcpus) &&
           !differs(state, "count of PCI functions", theirs->functions, ours.functions) &&
           !differs(state, "CPU's XSAVE area", theirs->xsave_size, ours.xsave_size) &&
           !differs(state, "XCR0", theirs->xcr0_allowed, ours.xcr0_allowed) &&
           !differs(state, "hidden CR4", theirs->cr4_hidden, ours.cr4_hidden) &&
           !differs(state, "CPU's hash", theirs->cpuid, ours.cpuid) &&
           !differs(state, "CPU's set of VMFUNC and #VE", theirs->native, ours.native) &&
           !differs(state, "RDTSCP", theirs->rdtscp, ours.rdtscp) &&
           !differs(state, "INVPCID", theirs->invpcid, ours.invpcid) &&
           !differs(state, "XSAVES", theirs->xsaves, ours.xsaves) &&
           !differs(state, "MWAIT", theirs->mwait, ours.mwait) &&
           !frequency_differs(state, theirs->tsc_hz, ours.tsc_hz);
}

static const struct snapshot_vm *find_vm(const struct vm *vm, const struct state *state)
{
    const struct snapshot_vm *record =
        find(state, SNAPSHOT_VM, SNAPSHOT_VM_VERSION, 0, sizeof(struct snapshot_vm));

    if (record == NULL || !shape_fits(vm, state, &record->shape)) {
        return NULL;
    }
    if (record->shape.kernel > GUEST_KERNEL_MULTIBOOT || record->pci_address >> 32 != 0) {
        (void)format_string(state->error, SNAPSHOT_ERROR_SIZE,
                            "the VM record has no known kind of kernel, or no bus address");
        return NULL;
    }
    return record;
}

static bool vcpu_fits(const struct vm *vm, uint32_t index, enum guest_kernel_kind kernel,
                      const struct state *state)
{
    const struct vcpu_image_limits limits = {
        .id = index,
        .mwait = vm->cpuid.mwait,
        .kernel = kernel,
        .cr4_hidden = vm->cpuid.cr4_hidden,
        .xcr0_allowed = vm->cpuid.xcr0_allowed,
    };
    const struct vcpu_image *image =
        find(state, SNAPSHOT_VCPU, VCPU_IMAGE_VERSION, index, sizeof(*image));
    const void *area = find(state, SNAPSHOT_XSAVE, VCPU_XSAVE_VERSION, index, vcpu_xsave_size());

    return image != NULL && area != NULL && vcpu_image_is_valid(image, &limits, state->error) &&
           vcpu_xsave_is_valid(area, vcpu_xsave_size(), &limits, state->error);
}

static const struct pci_function_image *find_function(const struct vm *vm, uint32_t index,
                                                      const struct state *state)
{
    const struct pci_function_image *image =
        find(state, SNAPSHOT_PCI, PCI_IMAGE_VERSION, index, sizeof(*image));

    if (image != NULL && !pci_function_fits(vm->pci.functions[index], image)) {
        (void)format_string(state->error, SNAPSHOT_ERROR_SIZE,
                            "PCI function %u is another one here, or in no possible state", index);
        return NULL;
    }
    return image;
}

bool snapshot_state_fits(const struct vm *vm, const void *bytes, size_t size,
                         char error[SNAPSHOT_ERROR_SIZE])
{
    const struct state state = {bytes, size, error};
    const struct snapshot_vm *record = find_vm(vm, &state);

    if (record == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        if (!vcpu_fits(vm, i, (enum guest_kernel_kind)record->shape.kernel, &state)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < vm->pci.end; i++) {
        if (vm->pci.functions[i] != NULL && find_function(vm, i, &state) == NULL) {
            return false;
        }
    }
    return !differs(&state, "count of virtio devices", record->virtio_count,
                    virtio_image_count(vm));
}

static bool load_board(struct vm *vm, const struct state *state)
{
    const struct uart16550_image *uart =
        find(state, SNAPSHOT_UART, UART16550_IMAGE_VERSION, 0, sizeof(*uart));
    const struct rtc_image *rtc = find(state, SNAPSHOT_RTC, RTC_IMAGE_VERSION, 0, sizeof(*rtc));
    const struct ioapic_image *ioapic =
        find(state, SNAPSHOT_IOAPIC, IOAPIC_IMAGE_VERSION, 0, sizeof(*ioapic));

    if (uart == NULL || rtc == NULL || ioapic == NULL) {
        return false;
    }
    const char *refused = !uart16550_load(&vm->uart, uart)    ? "UART"
                          : !rtc_load(&vm->rtc, rtc)          ? "RTC"
                          : !ioapic_load(&vm->ioapic, ioapic) ? "I/O APIC"
                                                              : NULL;
    if (refused != NULL) {
        (void)format_string(state->error, SNAPSHOT_ERROR_SIZE, "no %s can be in such a state",
                            refused);
    }
    return refused == NULL;
}

/* Where its vCPUs find theirs. They only read them. */
static void show_vcpus(struct vm *vm, const struct state *state)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *vcpu = &vm->vcpus[i];
        vcpu->image = (struct vcpu_image *)find(state, SNAPSHOT_VCPU, VCPU_IMAGE_VERSION, i,
                                                sizeof(struct vcpu_image));
        vcpu->image_xsave =
            (void *)find(state, SNAPSHOT_XSAVE, VCPU_XSAVE_VERSION, i, vcpu_xsave_size());
    }
}

status_t snapshot_state_load(struct vm *vm, const void *bytes, size_t size,
                             char error[SNAPSHOT_ERROR_SIZE])
{
    const struct state state = {bytes, size, error};
    const struct snapshot_vm *record = find_vm(vm, &state);

    if (record == NULL || !load_board(vm, &state)) {
        return STATUS_INVALID;
    }
    for (uint32_t i = 0; i < vm->pci.end; i++) {
        struct pci_function *function = vm->pci.functions[i];
        if (function == NULL) {
            continue;
        }
        const struct pci_function_image *image = find_function(vm, i, &state);
        if (image == NULL) {
            return STATUS_INVALID;
        }
        pci_function_load(function, image);
    }
    status_t status = virtio_image_load(vm, bytes, size, error);
    if (status != STATUS_OK) {
        return status;
    }
    vm->pci.address = (uint32_t)record->pci_address;
    vm->entry = (struct guest_entry){.kind = (enum guest_kernel_kind)record->shape.kernel};
    vm->tsc_offset = record->tsc - rdtsc();
    vm->tsc_restored = record->tsc;
    vm->tsc_stands = true;
    show_vcpus(vm, &state);
    return STATUS_OK;
}
