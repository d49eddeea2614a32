/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/commands.h"

#include "arch/x86/cpu.h"
#include "arch/x86/pcpu.h"
#include "arch/x86/uefi/runtime.h"
#include "core/commands_parts.h"
#include "core/exits.h"
#include "core/line.h"
#include "core/machine.h"
#include "core/port.h"
#include "core/scheduler.h"
#include "lib/bits.h"
#include "lib/string.h"

static unsigned long long exits_of(const struct vm *vm)
{
    unsigned long long sum = 0;

    for (uint32_t i = 0; i < vm->config->vcpus; i++) {
        sum += vcpu_count_exits(&vm->vcpus[i]);
    }
    return sum;
}

static status_t list(const char *argument, const struct output *out)
{
    (void)argument;
    print(out, "name\tstate\tvcpus\tpcpus\tmemory_mib\tstarts\texits\n");
    for (uint32_t i = 0; i < vm_count(); i++) {
        struct vm *vm = vm_get(i);
        print(out, "%s\t%s\t%u\t", vm->config->name, vm_state_name(vm), vm->config->vcpus);
        for (uint32_t vcpu = 0; vcpu < vm->config->vcpus; vcpu++) {
            print(out, "%s%u", vcpu == 0 ? "" : ",", vm->vcpus[vcpu].scheduler->pcpu->index);
        }
        print(out, "\t%llu\t%u\t%llu\n", (unsigned long long)(vm->ram_size >> 20), vm->starts,
              exits_of(vm));
    }
    return STATUS_OK;
}

unsigned long long command_ms(uint64_t ticks)
{
    uint64_t hz = machine_get()->info->tsc_hz;

    return ticks / hz * 1000 + ticks % hz * 1000 / hz;
}

static status_t stats(const char *argument, const struct output *out)
{
    struct vm *vm = command_find_vm(argument, out);

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    print(out, "vcpu\texit\tcount\n");
    for (uint32_t i = 0; i < vm->config->vcpus; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        unsigned long long sum = 0;
        for (uint32_t reason = 0; reason < EXIT_REASON_COUNT; reason++) {
            if (vcpu->exits[reason] != 0) {
                print(out, "%u\t%s\t%llu\n", i, exit_reason_name(reason),
                      (unsigned long long)vcpu->exits[reason]);
                sum += vcpu->exits[reason];
            }
        }
        print(out, "%u\tall\t%llu\n", i, sum);
    }
    print(out, "\nvcpu\tran_ms\tinterrupts\trefused_accesses\tcrossings_resumed\t"
               "crossings_aborted\n");
    for (uint32_t i = 0; i < vm->config->vcpus; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        print(out, "%u\t%llu\t%llu\t%llu\t%llu\t%llu\n", i, command_ms(vcpu->ran_ticks),
              (unsigned long long)vcpu->interrupts_injected,
              (unsigned long long)vcpu->refused_accesses,
              (unsigned long long)vcpu->crossings_resumed,
              (unsigned long long)vcpu->crossings_aborted);
    }
    print(out, "tsc %llu hz %llu started %llu\n", (unsigned long long)rdtsc(),
          (unsigned long long)machine_get()->info->tsc_hz, (unsigned long long)vm->start_tsc);
    return STATUS_OK;
}

static status_t caps(const char *argument, const struct output *out)
{
    const struct vmx_caps *chosen = &machine_get()->caps;

    (void)argument;
    vmx_caps_report(&machine_get()->raw, false, out->sink, out->context);
    print(out, "virtual interrupts are %s\n",
          chosen->virtual_interrupt_delivery ? "delivered by the CPU" : "injected at entries");
    print(out, "interrupts from other CPUs are %s\n",
          chosen->posted_interrupts ? "posted" : "told by a kick");
    print(out, "views change by %s\n", chosen->eptp_switching ? "VMFUNC" : "exits");
    print(out, "violations come by %s\n", chosen->virtualization_exceptions ? "#VE" : "exits");
    print(out, "dirty pages are found by %s\n",
          chosen->pml                  ? "logs"
          : chosen->ept_accessed_dirty ? "flags"
                                       : "exits");
    return STATUS_OK;
}

/* The tables of each protected view that no other view has. */
static void print_views(const struct output *out)
{
    for (uint32_t i = 0; i < vm_count(); i++) {
        struct vm *vm = vm_get(i);
        spin_lock(&vm->lock);
        for (uint32_t p = 0; p < vm->port_count; p++) {
            const struct port *port = vm->ports[p];
            if (port->view != 0) {
                print(out, "view.%s.%s_kib\t%u\n", vm->config->name, port->name,
                      views_pages(&vm->views, port->view) * (unsigned)(PAGE_SIZE >> 10));
            }
        }
        spin_unlock(&vm->lock);
    }
}

static status_t info_of_machine(const struct output *out)
{
    const struct machine *machine = machine_get();
    uint64_t images = 0;

    for (uint32_t i = 0; i < machine->info->file_count; i++) {
        images += machine->info->files[i].size;
    }
    print(out, "what\tvalue\n");
    print(out, "cpus\t%u\n", machine->info->cpu_count);
    print(out, "tsc_hz\t%llu\n", (unsigned long long)machine->info->tsc_hz);
    print(out, "uptime_ms\t%llu\n", command_ms(rdtsc() - machine->start_tsc));
    print(out, "memory.hypervisor_kib\t%llu\n",
          (unsigned long long)(machine_hypervisor_bytes(machine) >> 10));
    print(out, "memory.guests_kib\t%llu\n", (unsigned long long)(pages_used(PAGES_GUEST) >> 10));
    print(out, "memory.windows_kib\t%llu\n", (unsigned long long)(pages_used(PAGES_WINDOW) >> 10));
    print(out, "memory.disks_kib\t%llu\n", (unsigned long long)(pages_used(PAGES_DISK) >> 10));
    print(out, "memory.free_kib\t%llu\n", (unsigned long long)(pages_unused() >> 10));
    print(out, "memory.images_kib\t%llu\n", (unsigned long long)(images >> 10));
    print_views(out);
    for (uint32_t i = 0; i < pcpu_count(); i++) {
        print(out, "cpu%u.idle_ms\t%llu\n", i, command_ms(scheduler_get(i)->idle_ticks));
        print(out, "cpu%u.nmis\t%u\n", i, pcpu_get(i)->nmi_count);
    }
    return STATUS_OK;
}

static void print_words(const struct output *out, const char *what, uint32_t vms)
{
    const char *separator = "";

    print(out, "%s\t", what);
    for (uint32_t i = 0; i < vm_count(); i++) {
        if ((vms & BIT32(i)) != 0) {
            print(out, "%s%s", separator, vm_get(i)->config->name);
            separator = ",";
        }
    }
    print(out, "%s\n", vms == 0 ? "-" : "");
}

/* How the VM's RAM is mapped in its default view, by the sizes of pages. */
static void print_pages(struct vm *vm, const struct output *out)
{
    struct ept_sizes sizes = {0};

    spin_lock(&vm->lock);
    uint64_t tables = vm->table_pool_count;
    if (vm->ram_size != 0) {
        ept_count_sizes(&vm->ept, 0, vm->ram_size, &sizes);
    }
    spin_unlock(&vm->lock);
    print(out, "memory.pages_1g\t%llu\n", (unsigned long long)sizes.pages_1g);
    print(out, "memory.pages_2m\t%llu\n", (unsigned long long)sizes.pages_2m);
    print(out, "memory.pages_4k\t%llu\n", (unsigned long long)sizes.pages_4k);
    print(out, "memory.tables_free\t%llu\n", (unsigned long long)tables);
}

static uint64_t all_memory(const struct vm *vm)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < vm->memory.count; i++) {
        pages += vm->memory.runs[i].count;
    }
    return pages * PAGE_SIZE;
}

static status_t info_of_vm(struct vm *vm, const struct output *out)
{
    static const char *const policies[] = {
        [CONFIG_STOP] = "keep", [CONFIG_RESTART] = "restart", [CONFIG_DESTROY] = "destroy"};
    const struct config_vm *config = vm->config;

    print(out, "what\tvalue\n");
    print(out, "name\t%s\nstate\t%s\n", config->name, vm_state_name(vm));
    print(out, "kernel\t%s\n", config->kernel);
    print(out, "autostart\t%s\n", config->autostart ? "on" : "off");
    print_words(out, "after", config->after);
    print(out, "on_crash\t%s\n", policies[config->on_crash]);
    print(out, "weight\t%u\nexclusive\t%s\n", config->weight, config->exclusive ? "on" : "off");
    print(out, "starts\t%u\n", vm->starts);
    print(out, "memory.ram_kib\t%llu\n", (unsigned long long)(vm->ram_size >> 10));
    print(out, "memory.all_kib\t%llu\n", (unsigned long long)(all_memory(vm) >> 10));
    print_pages(vm, out);
    for (uint32_t i = 0; i < config->vcpus; i++) {
        print(out, "vcpu%u.pcpu\t%u\nvcpu%u.ran_ms\t%llu\n", i, vm->vcpus[i].scheduler->pcpu->index,
              i, command_ms(vm->vcpus[i].ran_ticks));
    }
    return STATUS_OK;
}

/* Of the machine, or of a VM. */
static status_t info(const char *argument, const struct output *out)
{
    if (argument[0] == '\0') {
        return info_of_machine(out);
    }
    struct vm *vm = command_find_vm(argument, out);
    return vm != NULL ? info_of_vm(vm, out) : STATUS_INVALID;
}

static status_t help(const char *argument, const struct output *out);

static const struct command {
    const char *name;
    const char *usage;
    const char *text;
    bool needs_argument;
    status_t (*run)(const char *argument, const struct output *out);
} commands[] = {
    {"list", "list", "the VMs and their states", false, list},
    {"stats", "stats VM", "exits by reason, per vCPU", true, stats},
    {"costs", "costs VM|start|stop", "what exits cost, for hvctl stats --costs", true,
     command_costs},
    {"links", "links", "the links between VMs", false, command_links},
    {"link", "link add|del|mode ...", "add or delete a link, or change its mode", true,
     command_link},
    {"networks", "networks", "the networks and their members", false, command_networks},
    {"fdb", "fdb NETWORK", "what a network's switch has learned", true, command_fdb},
    {"rules", "rules", "the networks' rules", false, command_rules},
    {"plug", "plug NETWORK/VM", "put a virtio NIC's plug back", true, command_plug},
    {"unplug", "unplug NETWORK/VM", "pull a virtio NIC's plug", true, command_unplug},
    {"devices", "devices", "the VMs' virtio devices", false, command_devices},
    {"vcpu", "vcpu list|regs VM [VCPU]|pin VM VCPU CPU", "vCPUs, their registers and CPUs", true,
     command_vcpu},
    {"views", "views VM", "what each view of a VM maps", true, command_views},
    {"caps", "caps", "what VMX offers here, and what is done without", false, caps},
    {"info", "info [VM]", "CPUs, memory and time, or a VM", false, info},
    {"trace", "trace [start [EVENT,...]|stop]", "record what the CPUs do, for hvctl trace", false,
     command_trace},
    {"dirty", "dirty VM [start|stop|--map]", "pages that the VM has written to", true,
     command_dirty},
    {"snapshot", "snapshot VM [disks|save [disks]]", "for hvctl snapshot: put its state together",
     true, command_snapshot},
    {"restore", "restore VM begin|check|finish|drop|accept",
     "for hvctl restore: its state is brought", true, command_restore},
    {"clone", "clone VM TO [SECTION OFFSET [dirty]]", "for hvctl clone: pieces go over", true,
     command_clone},
    {"create", "create VM", "give an absent VM its memory", true, command_create},
    {"start", "start VM", "start a VM; one that is absent is created first", true, command_start},
    {"pause", "pause VM", "have a VM stop where it is", true, command_pause},
    {"resume", "resume VM", "have a paused VM go on", true, command_resume},
    {"reset", "reset VM --yes", "end a VM and start it anew", true, command_reset},
    {"destroy", "destroy VM --yes", "end a VM and free its memory", true, command_destroy},
    {"shutdown", "shutdown [VM|all]", "switch a VM off at once; all and then the machine", false,
     command_shutdown},
    {"help", "help", "this list", false, help},
};

static status_t help(const char *argument, const struct output *out)
{
    (void)argument;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        print(out, "%-29s%s\n", commands[i].usage, commands[i].text);
    }
    return STATUS_OK;
}

bool command_word(const char **argument, char *word, size_t size)
{
    size_t length = 0;

    while ((*argument)[length] != '\0' && (*argument)[length] != ' ') {
        length++;
    }
    /* One that is too long is cut, and names nothing. */
    (void)string_copy(word, length < size ? length + 1 : size, *argument);
    *argument += length;
    while (**argument == ' ') {
        ++*argument;
    }
    return length > 0;
}

status_t commands_execute(void *context, const char *line, format_sink_t sink, void *sink_context)
{
    struct output out = {sink, sink_context};
    size_t length = 0;

    (void)context;
    while (*line == ' ') {
        line++;
    }
    while (line[length] != '\0' && line[length] != ' ') {
        length++;
    }
    const char *argument = line + length;
    while (*argument == ' ') {
        argument++;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strlen(commands[i].name) != length || strncmp(line, commands[i].name, length) != 0) {
            continue;
        }
        if (commands[i].needs_argument && argument[0] == '\0') {
            print(&out, "usage: %s\n", commands[i].usage);
            return STATUS_INVALID;
        }
        return commands[i].run(argument, &out);
    }
    return STATUS_NOT_FOUND;
}
