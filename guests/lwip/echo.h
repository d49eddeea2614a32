/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GUESTS_LWIP_ECHO_H
#define POSTERN_GUESTS_LWIP_ECHO_H

/* TCP port 7: sends back what comes (RFC 862). */
void echo_start(void);

#endif
