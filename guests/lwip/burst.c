/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/burst.h"

#include <lwip/udp.h>
#include <string.h>

#include "guests/lwip/console.h"

#define PORT         19
#define DATAGRAM_MAX 1472u /* one Ethernet frame */
#define AT_ONCE      32u

struct order {
    uint32_t count, size;
};

static struct udp_pcb *pcb;
static struct order order;
static ip_addr_t address;
static u16_t port;

static void on_order(void *argument, struct udp_pcb *from, struct pbuf *p, const ip_addr_t *sender,
                     u16_t sender_port)
{
    struct order asked;

    (void)argument;
    (void)from;
    if (pbuf_copy_partial(p, &asked, sizeof(asked), 0) == sizeof(asked) &&
        asked.size <= DATAGRAM_MAX) {
        order = asked;
        address = *sender;
        port = sender_port;
    }
    pbuf_free(p);
}

static bool send_one(void)
{
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)order.size, PBUF_RAM);
    bool sent;

    if (p == NULL) {
        return false;
    }
    memset(p->payload, 0, order.size);
    sent = udp_sendto(pcb, p, &address, port) == ERR_OK;
    pbuf_free(p);
    return sent;
}

bool burst_poll(void)
{
    unsigned sent = 0;

    while (sent < AT_ONCE && order.count > 0 && send_one()) {
        order.count--;
        sent++;
    }
    return sent > 0;
}

void burst_start(void)
{
    pcb = udp_new();
    if (pcb == NULL || udp_bind(pcb, IP_ADDR_ANY, PORT) != ERR_OK) {
        give_up("postern-lwip: no UDP port %u\n", PORT);
    }
    udp_recv(pcb, on_order, NULL);
}
