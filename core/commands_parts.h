/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor's commands share: commands.c has most, commands_life.c those that change a VM's
 * state, commands_dirty.c the one on what it writes, commands_links.c those on links,
 * commands_network.c those on networks, commands_virtio.c the one on devices, commands_vcpu.c that
 * on vCPUs, commands_views.c that on views, commands_trace.c that on traces. Nobody else includes
 * this. */
#ifndef POSTERN_CORE_COMMANDS_PARTS_H
#define POSTERN_CORE_COMMANDS_PARTS_H

#include "core/vm.h"
#include "lib/format.h"
#include "lib/status.h"

struct output {
    format_sink_t sink;
    void *context;
};

#define print(out, ...) format_to((out)->sink, (out)->context, __VA_ARGS__)

/* The VM of that name; NULL, and says which there are. */
struct vm *command_find_vm(const char *name, const struct output *out);

/* Takes the next word out of an argument: copied, cut if it is too long. False if there is none. */
bool command_word(const char **argument, char *word, size_t size);

/* Milliseconds of TSC ticks, without an overflow, however long it is. */
unsigned long long command_ms(uint64_t ticks);

/* What changes the state of the VM that `argument` names; `--yes` behind it where something is
 * lost. */
status_t command_create(const char *argument, const struct output *out);
status_t command_start(const char *argument, const struct output *out);
status_t command_pause(const char *argument, const struct output *out);
status_t command_resume(const char *argument, const struct output *out);
status_t command_reset(const char *argument, const struct output *out);
status_t command_destroy(const char *argument, const struct output *out);
/* The same; without an argument, or with "all": the machine goes off. */
status_t command_shutdown(const char *argument, const struct output *out);

/* Which pages the VM has written to: "VM [start|stop|--map]". */
status_t command_dirty(const char *argument, const struct output *out);

/* What hvctl asks for on the way: "VM [save]"; "VM begin", "VM finish", "VM drop". */
status_t command_snapshot(const char *argument, const struct output *out);
status_t command_restore(const char *argument, const struct output *out);
/* The same: "VM TO [SECTION OFFSET [dirty]]". */
status_t command_clone(const char *argument, const struct output *out);

/* Cuts the name of a VM off `*argument`; NULL, and says which VMs there are. */
struct vm *command_take_vm(const char **argument, const struct output *out);

/* "start", "stop", or the VM whose exits' costs are shown. */
status_t command_costs(const char *argument, const struct output *out);

/* Without an argument: the links. */
status_t command_links(const char *argument, const struct output *out);
/* "add NAME VM VM [KEY VALUE]...", "del LINK --yes", "mode LINK open|gated". */
status_t command_link(const char *argument, const struct output *out);

/* "list [VM]", "regs VM [VCPU]", "pin VM VCPU CPU". */
status_t command_vcpu(const char *argument, const struct output *out);

/* What each view of the VM that `argument` names maps. */
status_t command_views(const char *argument, const struct output *out);

/* Without an argument: the networks and their members, or their rules. */
status_t command_networks(const char *argument, const struct output *out);
status_t command_rules(const char *argument, const struct output *out);
/* The forwarding database of the network that `argument` names. */
status_t command_fdb(const char *argument, const struct output *out);
/* Plugs the virtio NIC in that `argument` names as NETWORK/VM, or pulls its plug. */
status_t command_plug(const char *argument, const struct output *out);
status_t command_unplug(const char *argument, const struct output *out);
/* Without an argument: the virtio devices of all VMs. */
status_t command_devices(const char *argument, const struct output *out);
/* "start [EVENT,...]", "stop", or nothing: what is traced. */
status_t command_trace(const char *argument, const struct output *out);

#endif
