/* SPDX-License-Identifier: BSD-2-Clause */
/* This guest's command line. Words that it does not know are others'. */
#ifndef POSTERN_GUESTS_LWIP_OPTIONS_H
#define POSTERN_GUESTS_LWIP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define HOSTNAME_SIZE 32u

/* Addresses are numbers: 10.0.0.2 is 0x0a000002. */
struct options {
    char hostname[HOSTNAME_SIZE]; /* hostname=NAME; "lwip" */
    uint32_t address;             /* ip=ADDRESS[/PREFIX], of 24 bits if not said */
    uint32_t mask;
    uint32_t gateway; /* gw=ADDRESS; 0: none */
    bool dhcp;        /* the word dhcp, or no ip= */
};

/* Returns NULL, or the word that is wrong. */
const char *options_parse(const char *line, struct options *options);

#endif
