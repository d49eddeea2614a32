/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/pcpu.h"
#include "arch/x86/vmx_insn.h"
#include "core/commands_parts.h"
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "core/vcpu_views.h"
#include "lib/string.h"

/* In a word. */
static const char *state_of(const struct vcpu *vcpu)
{
    static const char *const names[] = {"parked", "waiting", "ready", "halted"};
    enum vcpu_state state = atomic_load(&vcpu->state);

    if (atomic_load(&vcpu->scheduler->running) == vcpu) {
        return "running";
    }
    if (atomic_load(&vcpu->vm->state) == VM_PAUSED && state != VCPU_PARKED) {
        return "paused";
    }
    return names[state];
}

static void list_vm(const struct vm *vm, const struct output *out)
{
    for (uint32_t i = 0; i < vm->config->vcpus; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        print(out, "%s\t%u\t%u\t%s\t%llu\t%llu\t%llu\t%u\n", vm->config->name, i,
              vcpu->scheduler->pcpu->index, state_of(vcpu), command_ms(vcpu->ran_ticks),
              (unsigned long long)vcpu_count_exits(vcpu),
              (unsigned long long)vcpu->interrupts_injected, atomic_load(&vcpu->views_open));
    }
}

static status_t list(const char *argument, const struct output *out)
{
    const struct vm *only = NULL;

    if (argument[0] != '\0') {
        only = command_find_vm(argument, out);
        if (only == NULL) {
            return STATUS_INVALID;
        }
    }
    print(out, "vm\tvcpu\tpcpu\tstate\tran_ms\texits\tinterrupts\tviews_open\n");
    for (uint32_t i = 0; i < vm_count(); i++) {
        if (only == NULL || only == vm_get(i)) {
            list_vm(vm_get(i), out);
        }
    }
    return STATUS_OK;
}

/* Numbers. */

static bool parse(const char *text, uint32_t count, uint32_t *value)
{
    uint64_t number = 0;

    if (!string_to_u64(text, &number) || number >= count) {
        return false;
    }
    *value = (uint32_t)number;
    return true;
}

static bool parse_vcpu(const char *text, const struct vm *vm, uint32_t *id,
                       const struct output *out)
{
    bool good = parse(text, vm->config->vcpus, id);

    if (!good) {
        print(out, "%s has no vCPU \"%s\": it has %u, counted from 0\n", vm->config->name, text,
              vm->config->vcpus);
    }
    return good;
}

/* Registers: read where the vCPU's VMCS is. */

struct field {
    const char *name;
    enum vmcs_field field;
};

static const struct field fields[] = {
    {"rip", VMCS_GUEST_RIP},
    {"rsp", VMCS_GUEST_RSP},
    {"rflags", VMCS_GUEST_RFLAGS},
    {"cr0", VMCS_GUEST_CR0},
    {"cr3", VMCS_GUEST_CR3},
    {"cr4", VMCS_GUEST_CR4},
    {"efer", VMCS_GUEST_EFER},
    {"dr7", VMCS_GUEST_DR7},
    {"gdt.base", VMCS_GUEST_GDTR_BASE},
    {"gdt.limit", VMCS_GUEST_GDTR_LIMIT},
    {"idt.base", VMCS_GUEST_IDTR_BASE},
    {"idt.limit", VMCS_GUEST_IDTR_LIMIT},
    {"activity", VMCS_GUEST_ACTIVITY},
    {"interruptibility", VMCS_GUEST_INTERRUPTIBILITY},
};

static const struct {
    const char *name;
    enum vmcs_field selector, base, limit, rights;
} segments[] = {
#define SEGMENT(name, FIELD)                                            \
    {                                                                   \
        name, VMCS_GUEST_##FIELD##_SELECTOR, VMCS_GUEST_##FIELD##_BASE, \
            VMCS_GUEST_##FIELD##_LIMIT, VMCS_GUEST_##FIELD##_RIGHTS     \
    }
    SEGMENT("cs", CS), SEGMENT("ss", SS), SEGMENT("ds", DS),     SEGMENT("es", ES),
    SEGMENT("fs", FS), SEGMENT("gs", GS), SEGMENT("ldtr", LDTR), SEGMENT("tr", TR),
#undef SEGMENT
};

#define GENERAL 16u

static const char *const general_names[GENERAL] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                                   "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                                   "r12", "r13", "r14", "r15"};

struct snapshot {
    struct vcpu *vcpu;
    bool valid;
    uint32_t view;
    uint64_t fields[ARRAY_SIZE(fields)];
    uint64_t general[GENERAL];
    struct {
        uint64_t base;
        uint32_t selector, limit, rights;
    } segments[ARRAY_SIZE(segments)];
};

static void read_all(struct snapshot *snapshot)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        snapshot->fields[i] = vmread(fields[i].field);
    }
    for (unsigned i = 0; i < GENERAL; i++) {
        snapshot->general[i] = vcpu_read_register(snapshot->vcpu, i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
        snapshot->segments[i].selector = vmread32(segments[i].selector);
        snapshot->segments[i].base = vmread(segments[i].base);
        snapshot->segments[i].limit = vmread32(segments[i].limit);
        snapshot->segments[i].rights = vmread32(segments[i].rights);
    }
    snapshot->view = vcpu_current_view(snapshot->vcpu);
}

/* On the vCPU's pCPU, which alone may load its VMCS. Before it has come out of reset there is
 * nothing in it, and when it is parked it may be gone. */
static void take_snapshot(struct scheduler *scheduler, void *context)
{
    struct snapshot *snapshot = context;
    struct vcpu *vcpu = snapshot->vcpu;
    enum vcpu_state state = atomic_load(&vcpu->state);

    if ((state != VCPU_RUNNABLE && state != VCPU_HALTED) ||
        (atomic_load(&vcpu->work) & VCPU_WORK_RESET) != 0) {
        return;
    }
    if (scheduler->loaded != vcpu) {
        vmx_vcpu_load(&vcpu->vmx);
    }
    read_all(snapshot);
    snapshot->valid = true;
    if (scheduler->loaded != vcpu && scheduler->loaded != NULL) {
        vmx_vcpu_load(&scheduler->loaded->vmx);
    }
}

static void print_snapshot(const struct snapshot *snapshot, const struct output *out)
{
    print(out, "register\tvalue\n");
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        print(out, "%s\t0x%llx\n", fields[i].name, (unsigned long long)snapshot->fields[i]);
    }
    for (unsigned i = 0; i < GENERAL; i++) {
        if (strcmp(general_names[i], "rsp") != 0) {
            print(out, "%s\t0x%llx\n", general_names[i], (unsigned long long)snapshot->general[i]);
        }
    }
    if (snapshot->view != UINT32_MAX) {
        print(out, "view\t%u\n", snapshot->view);
    }
    print(out, "\nsegment\tselector\tbase\tlimit\trights\n");
    for (unsigned i = 0; i < ARRAY_SIZE(segments); i++) {
        print(out, "%s\t0x%x\t0x%llx\t0x%x\t0x%x\n", segments[i].name,
              snapshot->segments[i].selector, (unsigned long long)snapshot->segments[i].base,
              snapshot->segments[i].limit, snapshot->segments[i].rights);
    }
}

static status_t regs(struct vm *vm, const char *argument, const struct output *out)
{
    struct snapshot snapshot = {0};
    uint32_t id = 0;

    if (argument[0] != '\0' && !parse_vcpu(argument, vm, &id, out)) {
        return STATUS_INVALID;
    }
    snapshot.vcpu = &vm->vcpus[id];
    scheduler_call(snapshot.vcpu->scheduler, take_snapshot, &snapshot);
    if (!snapshot.valid) {
        print(out, "%s/%u is %s: it has no registers now\n", vm->config->name, id,
              state_of(snapshot.vcpu));
        return STATUS_BUSY;
    }
    print_snapshot(&snapshot, out);
    return STATUS_OK;
}

/* Another VM that does not get on with this one on the same pCPU, as the configuration has it. */
static const struct vm *excluding(const struct vm *vm, uint32_t pcpu)
{
    const struct scheduler *scheduler = scheduler_get(pcpu);

    for (uint32_t i = 0; i < scheduler->count; i++) {
        const struct vm *other = scheduler->vcpus[i]->vm;
        if (other != vm && (vm->config->exclusive || other->config->exclusive)) {
            return other;
        }
    }
    return NULL;
}

static status_t pin(struct vm *vm, const char *argument, const struct output *out)
{
    char vcpu[8], cpu[8];
    uint32_t id, pcpu;

    (void)command_word(&argument, vcpu, sizeof(vcpu));
    (void)command_word(&argument, cpu, sizeof(cpu));
    if (!parse_vcpu(vcpu, vm, &id, out)) {
        return STATUS_INVALID;
    }
    if (!parse(cpu, pcpu_count(), &pcpu) || *argument != '\0') {
        print(out, "there is no CPU \"%s%s\": there are %u, counted from 0\n", cpu, argument,
              pcpu_count());
        return STATUS_INVALID;
    }
    const struct vm *other = excluding(vm, pcpu);
    if (other != NULL) {
        print(out, "%s has CPU %u, and %s is exclusive\n", other->config->name, pcpu,
              vm->config->exclusive ? vm->config->name : other->config->name);
        return STATUS_DENIED;
    }
    status_t status = vm_pin(vm, id, pcpu);
    if (status != STATUS_OK) {
        print(out, "CPU %u has as many vCPUs as it can have\n", pcpu);
    }
    return status;
}

status_t command_vcpu(const char *argument, const struct output *out)
{
    char what[8];

    (void)command_word(&argument, what, sizeof(what));
    if (strcmp(what, "list") == 0) {
        return list(argument, out);
    }
    if (strcmp(what, "regs") != 0 && strcmp(what, "pin") != 0) {
        print(out, "\"%s\": list [VM], regs VM [VCPU] or pin VM VCPU CPU is wanted\n", what);
        return STATUS_INVALID;
    }
    struct vm *vm = command_take_vm(&argument, out);
    if (vm == NULL) {
        return STATUS_INVALID;
    }
    return what[0] == 'r' ? regs(vm, argument, out) : pin(vm, argument, out);
}
