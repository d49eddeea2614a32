/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the claims on networks and their peers share: a member's ports, and the frames with which
 * the claims ask something of a peer.
 *
 * A peer answers each frame that it gets by a report to the source, in the same network: on which
 * lane it came, and its first bytes. A frame of type TYPE_COMMAND is obeyed instead.
 */
#ifndef POSTERN_TESTS_NETWORK_NETWORK_H
#define POSTERN_TESTS_NETWORK_NETWORK_H

#include "abi/fdb_ops.h"
#include "abi/hypercall.h"
#include "abi/pci.h"
#include "abi/ring_ops.h"
#include "tests/kit/kit.h"
#include "tests/unit/ether.h"

/* As tests/configs/network.conf declares the networks and their members. */
enum { LAN, VLANS, GUARDED, OWNED, FIXED, NETWORKS };
#define SEALED NETWORKS /* in mode gated: no peer is in it */
enum { SELF, BETA, GAMMA, MEMBERS };

#define LANES        4u
#define SLICE        0x10000u
#define SECTION_SIZE (LANES * SLICE)
#define NO_LANE      LANES

#define TYPE_REPORT  0x88b5u /* both are for local experiments */
#define TYPE_COMMAND 0x88b6u
#define REPORTED     40u /* bytes of the frame that a report has */
#define FRAME_MAX    1600u
#define FRAME        60u /* bytes of a small one */

enum command {
    COMMAND_SPEAK, /* sends a broadcast from station `number` */
    COMMAND_DIE,   /* ends the VM by a fault of its own */
    COMMAND_FLOOD, /* sends `number` broadcasts as fast as it can */
    COMMAND_BREAK, /* publishes what is no head on its lane to the switch, then opens it anew */
};

/* Behind a command's Ethernet header. */
struct order {
    uint32_t command;
    uint32_t number;
};

/* Behind a report's. */
struct report {
    uint32_t member; /* who reports */
    uint32_t lane;   /* on which it came */
    uint8_t bytes[REPORTED];
};

struct member {
    uint32_t address; /* of its PCI function */
    volatile uint32_t *registers;
    struct postern_fdb *fdb;
    uint8_t *window;
    uint32_t port, self, lanes, switch_lane;
    uint64_t mac;
    struct postern_ring rings[LANES];
    struct postern_fdb_reader reader;
};

/* Finds this VM's port in a network. */
void member_find(struct member *member, uint32_t network);
/* The same, and opens all of its lanes. */
void member_open(struct member *member, uint32_t network);

/* Sends on a lane. False when it has no room, or is not up. */
bool member_send_on(struct member *member, uint32_t lane, const uint8_t *frame, uint32_t length);
/* Sends as the database says; what that said. */
int member_send(struct member *member, const uint8_t *frame, uint32_t length);

/* Takes the next frame of any lane: its length, or 0. */
uint32_t member_take(struct member *member, uint8_t *frame, uint32_t *lane);

/* The address of a member's NIC, and that of a station that members may pretend to be. */
uint64_t nic_mac(uint32_t network, uint32_t member);

#endif
