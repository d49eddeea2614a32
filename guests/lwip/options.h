/* SPDX-License-Identifier: BSD-2-Clause */
/* This guest's command line. Words that it does not know are others'. */
#ifndef POSTERN_GUESTS_LWIP_OPTIONS_H
#define POSTERN_GUESTS_LWIP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define HOSTNAME_SIZE 32u

/* What the guest does while there is nothing to do. */
enum idle {
    IDLE_HALT,  /* halts until a doorbell */
    IDLE_MWAIT, /* waits for the peer's store by MWAIT */
    IDLE_POLL,  /* looks again at once */
    IDLE_WAYS
};

/* Addresses are numbers: 10.0.0.2 is 0x0a000002. */
struct options {
    char hostname[HOSTNAME_SIZE]; /* hostname=NAME; "lwip" */
    uint32_t address;             /* ip=ADDRESS[/PREFIX], of 24 bits if not said */
    uint32_t mask;
    uint32_t gateway; /* gw=ADDRESS; 0: none */
    bool dhcp;        /* the word dhcp, or no ip= */
    enum idle idle;   /* idle=halt, mwait or poll; halt */
};

/* As the option names it. */
const char *idle_name(enum idle idle);

/* Returns NULL, or the word that is wrong. */
const char *options_parse(const char *line, struct options *options);

#endif
