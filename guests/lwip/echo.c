/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/echo.h"

#include <lwip/mem.h>
#include <lwip/tcp.h>
#include <stdbool.h>

#include "guests/lwip/console.h"

#define PORT      7
#define QUEUE_MAX 64u
#define POLL      1 /* half seconds: tries again after lwIP had no memory */

/* What has come and was not sent back yet, oldest first. The window bounds its bytes: it opens
 * again only by what was sent. */
struct echo {
    struct pbuf *queue[QUEUE_MAX];
    unsigned first, count;
    bool peer_has_ended;
};

static void send_back(struct echo *echo, struct tcp_pcb *pcb)
{
    while (echo->count > 0) {
        struct pbuf **p = &echo->queue[echo->first];
        u16_t size = (u16_t)LWIP_MIN((*p)->len, tcp_sndbuf(pcb));

        if (size == 0 || tcp_write(pcb, (*p)->payload, size, TCP_WRITE_FLAG_COPY) != ERR_OK) {
            break;
        }
        tcp_recved(pcb, size);
        *p = pbuf_free_header(*p, size);
        if (*p == NULL) {
            echo->first = (echo->first + 1) % QUEUE_MAX;
            echo->count--;
        }
    }
    (void)tcp_output(pcb);
}

static void forget(struct echo *echo)
{
    for (; echo->count > 0; echo->count--) {
        pbuf_free(echo->queue[echo->first]);
        echo->first = (echo->first + 1) % QUEUE_MAX;
    }
    mem_free(echo);
}

/* Sends what can be sent; after the peer's end, and when all is sent, ends too. A close for which
 * lwIP has no memory is tried again by on_poll(). */
static void go_on(struct echo *echo, struct tcp_pcb *pcb)
{
    send_back(echo, pcb);
    if (echo->peer_has_ended && echo->count == 0 && tcp_close(pcb) == ERR_OK) {
        tcp_arg(pcb, NULL);
        tcp_err(pcb, NULL);
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_poll(pcb, NULL, 0);
        forget(echo);
    }
}

static err_t on_received(void *argument, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
    struct echo *echo = argument;

    (void)error;
    if (p == NULL) {
        echo->peer_has_ended = true;
    } else if (echo->count == QUEUE_MAX) {
        return ERR_MEM; /* lwIP keeps it and comes again */
    } else {
        echo->queue[(echo->first + echo->count++) % QUEUE_MAX] = p;
    }
    go_on(echo, pcb);
    return ERR_OK;
}

static err_t on_sent(void *argument, struct tcp_pcb *pcb, u16_t size)
{
    (void)size;
    go_on(argument, pcb);
    return ERR_OK;
}

static err_t on_poll(void *argument, struct tcp_pcb *pcb)
{
    go_on(argument, pcb);
    return ERR_OK;
}

static void on_error(void *argument, err_t error)
{
    (void)error;
    forget(argument);
}

static err_t on_accepted(void *argument, struct tcp_pcb *pcb, err_t error)
{
    struct echo *echo;

    (void)argument;
    if (error != ERR_OK) {
        return ERR_VAL;
    }
    echo = mem_calloc(1, sizeof(*echo));
    if (echo == NULL) {
        return ERR_MEM;
    }
    tcp_arg(pcb, echo);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, on_poll, POLL);
    return ERR_OK;
}

void echo_start(void)
{
    struct tcp_pcb *pcb = tcp_new();

    if (pcb == NULL || tcp_bind(pcb, IP_ADDR_ANY, PORT) != ERR_OK) {
        give_up("postern-lwip: no TCP port %u\n", PORT);
    }
    pcb = tcp_listen(pcb);
    tcp_accept(pcb, on_accepted);
}
