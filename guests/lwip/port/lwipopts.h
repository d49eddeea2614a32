/* SPDX-License-Identifier: BSD-2-Clause */
/* How lwIP is configured. What is not here has lwIP's default. */
#ifndef POSTERN_GUESTS_LWIP_PORT_LWIPOPTS_H
#define POSTERN_GUESTS_LWIP_PORT_LWIPOPTS_H

/* One thread, callbacks. */
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0

#define LWIP_IPV4            1
#define LWIP_IPV6            0
#define LWIP_DHCP            1
#define LWIP_DNS             0
#define LWIP_NETIF_HOSTNAME  1

/* A packet is in a row, as long as a segment with GSO too; TCP keeps up to its window of them. */
#define MEM_ALIGNMENT  8
#define MEM_SIZE       (2 * 1024 * 1024)
#define PBUF_POOL_SIZE 16
/* They would have the window fit into the pool, in which nothing is received here. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1

/* The peer is as far as its CPU: the windows are for the bursts in which it sends and reads. */
#define LWIP_WND_SCALE   1
#define TCP_RCV_SCALE    2
#define TCP_MSS          1460
#define TCP_WND          (128 * 1024)
#define TCP_SND_BUF      (64 * 1024)
#define TCP_SND_QUEUELEN (4 * TCP_SND_BUF / TCP_MSS)
#define MEMP_NUM_TCP_SEG 1024
#define MEMP_NUM_TCP_PCB 32
#define MEMP_NUM_PBUF    256

/* The ring's records tell of TCP's and UDP's checksums: guests/lwip/nic.c. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY        0

#define LWIP_NETIF_STATUS_CALLBACK   1

/* So that a sender that pauses has its report when it ends. */
#define LWIPERF_TCP_MAX_IDLE_SEC 60U

#endif
