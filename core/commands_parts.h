/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor's commands share: commands.c has most, commands_network.c those on networks.
 * Nobody else includes this. */
#ifndef POSTERN_CORE_COMMANDS_PARTS_H
#define POSTERN_CORE_COMMANDS_PARTS_H

#include "lib/format.h"
#include "lib/status.h"

struct output {
    format_sink_t sink;
    void *context;
};

#define print(out, ...) format_to((out)->sink, (out)->context, __VA_ARGS__)

/* Without an argument: the networks and their members. */
status_t command_networks(const char *argument, const struct output *out);
/* The forwarding database of the network that `argument` names. */
status_t command_fdb(const char *argument, const struct output *out);

#endif
