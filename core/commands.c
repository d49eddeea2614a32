/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/commands.h"

#include "arch/x86/cpu.h"
#include "arch/x86/pcpu.h"
#include "arch/x86/uefi/runtime.h"
#include "core/commands_parts.h"
#include "core/exits.h"
#include "core/line.h"
#include "core/link.h"
#include "core/machine.h"
#include "core/scheduler.h"
#include "lib/string.h"

static struct vm *find_vm(const char *name, const struct output *out)
{
    for (uint32_t i = 0; i < vm_count(); i++) {
        if (strcmp(vm_get(i)->config->name, name) == 0) {
            return vm_get(i);
        }
    }
    print(out, "no VM is named \"%s\"; the VMs are:", name);
    for (uint32_t i = 0; i < vm_count(); i++) {
        print(out, " %s", vm_get(i)->config->name);
    }
    print(out, "\n");
    return NULL;
}

static unsigned long long exits_of(const struct vm *vm)
{
    unsigned long long sum = 0;

    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        for (uint32_t reason = 0; reason < EXIT_REASON_COUNT; reason++) {
            sum += vm->vcpus[i].exits[reason];
        }
    }
    return sum;
}

static status_t list(const char *argument, const struct output *out)
{
    (void)argument;
    print(out, "name\tstate\tvcpus\tpcpus\tmemory_mib\tstarts\texits\n");
    for (uint32_t i = 0; i < vm_count(); i++) {
        struct vm *vm = vm_get(i);
        print(out, "%s\t%s\t%u\t", vm->config->name, vm_state_name(atomic_load(&vm->state)),
              vm->vcpu_count);
        for (uint32_t vcpu = 0; vcpu < vm->vcpu_count; vcpu++) {
            print(out, "%s%u", vcpu == 0 ? "" : ",", vm->config->pcpus[vcpu]);
        }
        print(out, "\t%llu\t%u\t%llu\n", (unsigned long long)(vm->ram_size >> 20), vm->starts,
              exits_of(vm));
    }
    return STATUS_OK;
}

static status_t stats(const char *argument, const struct output *out)
{
    struct vm *vm = find_vm(argument, out);

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    print(out, "vcpu\texit\tcount\n");
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
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
    print(out, "\nvcpu\tinterrupts\trefused_accesses\tcrossings_resumed\tcrossings_aborted\n");
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        print(out, "%u\t%llu\t%llu\t%llu\t%llu\n", i, (unsigned long long)vcpu->interrupts_injected,
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

static status_t info(const char *argument, const struct output *out)
{
    const struct machine *machine = machine_get();
    uint64_t images = 0;

    (void)argument;
    for (uint32_t i = 0; i < machine->info->file_count; i++) {
        images += machine->info->files[i].size;
    }
    print(out, "what\tvalue\n");
    print(out, "cpus\t%u\n", machine->info->cpu_count);
    print(out, "tsc_hz\t%llu\n", (unsigned long long)machine->info->tsc_hz);
    print(out, "uptime_s\t%llu\n",
          (unsigned long long)((rdtsc() - machine->start_tsc) / machine->info->tsc_hz));
    print(out, "memory.hypervisor_kib\t%llu\n",
          (unsigned long long)(machine_hypervisor_bytes(machine) >> 10));
    print(out, "memory.guests_kib\t%llu\n", (unsigned long long)(pages_used(PAGES_GUEST) >> 10));
    print(out, "memory.windows_kib\t%llu\n", (unsigned long long)(pages_used(PAGES_WINDOW) >> 10));
    print(out, "memory.images_kib\t%llu\n", (unsigned long long)(images >> 10));
    print_views(out);
    for (uint32_t i = 0; i < pcpu_count(); i++) {
        print(out, "cpu%u.idle_ms\t%llu\n", i,
              (unsigned long long)(scheduler_get(i)->idle_ticks * 1000 / machine->info->tsc_hz));
        print(out, "cpu%u.nmis\t%u\n", i, pcpu_get(i)->nmi_count);
    }
    return STATUS_OK;
}

static unsigned long long count_of(const struct port *port, unsigned number)
{
    return atomic_load_explicit(&port->counts[number], memory_order_relaxed);
}

/* Two tables: the links, and what exits have had to do for each of their ends. */
static status_t links(const char *argument, const struct output *out)
{
    (void)argument;
    print(out, "name\tmode\tend0\tend1\twindow_kib\tqueues\tdoorbells0\tdoorbells1\t"
               "held0\theld1\n");
    for (uint32_t i = 0; i < link_count(); i++) {
        const struct link *link = link_get(i);
        const struct port *ports = link->ports;
        print(out, "%s\t%s\t%s\t%s\t%llu\t%u\t%llu\t%llu\t%llu\t%llu\n", link->config->name,
              link->config->mode == CONFIG_LINK_GATED ? "gated" : "open", ports[0].vm->config->name,
              ports[1].vm->config->name, (unsigned long long)(link->config->window >> 10),
              link->config->queues, count_of(&ports[0], POSTERN_PORT_DOORBELLS),
              count_of(&ports[1], POSTERN_PORT_DOORBELLS),
              (unsigned long long)atomic_load(&ports[0].doorbells_held),
              (unsigned long long)atomic_load(&ports[1].doorbells_held));
    }
    print(out, "\nlink\tvm\tinterrupts\tresumed\taborted\tswitches\tviolations\n");
    for (uint32_t i = 0; i < 2 * link_count(); i++) {
        const struct port *port = &link_get(i / 2)->ports[i % 2];
        print(out, "%s\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\n", port->link->config->name,
              port->vm->config->name, count_of(port, POSTERN_PORT_INTERRUPTS),
              count_of(port, POSTERN_PORT_RESUMED), count_of(port, POSTERN_PORT_ABORTED),
              count_of(port, POSTERN_PORT_SWITCHES), count_of(port, POSTERN_PORT_VIOLATIONS));
    }
    return STATUS_OK;
}

static status_t start(const char *argument, const struct output *out)
{
    struct vm *vm = find_vm(argument, out);

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    status_t status = vm_start(vm);
    if (status == STATUS_BUSY) {
        print(out, "%s is %s\n", argument, vm_state_name(atomic_load(&vm->state)));
    } else if (status != STATUS_OK) {
        print(out, "%s does not start: %s; the log says more\n", argument, status_name(status));
    }
    return status;
}

/* Without an argument, or with "all": the machine goes off. */
static status_t shutdown(const char *argument, const struct output *out)
{
    if (argument[0] == '\0' || strcmp(argument, "all") == 0) {
        machine_request_power_off();
        print(out, "the machine goes off\n");
        return STATUS_OK;
    }
    struct vm *vm = find_vm(argument, out);
    if (vm == NULL) {
        return STATUS_INVALID;
    }
    if (atomic_load(&vm->state) != VM_RUNNING) {
        print(out, "%s is not running\n", argument);
        return STATUS_BUSY;
    }
    vm_end(vm, CONFIG_STOP, false);
    return STATUS_OK;
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
    {"links", "links", "the links between VMs", false, links},
    {"networks", "networks", "the networks and their members", false, command_networks},
    {"fdb", "fdb NETWORK", "what a network's switch has learned", true, command_fdb},
    {"caps", "caps", "what VMX offers here, and what is done without", false, caps},
    {"info", "info", "CPUs, memory and time", false, info},
    {"start", "start VM", "start a VM that is off", true, start},
    {"shutdown", "shutdown [VM|all]", "switch a VM off at once; all and then the machine", false,
     shutdown},
    {"help", "help", "this list", false, help},
};

static status_t help(const char *argument, const struct output *out)
{
    (void)argument;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        print(out, "%-18s%s\n", commands[i].usage, commands[i].text);
    }
    return STATUS_OK;
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
