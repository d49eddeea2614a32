/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/http.h"

#include <lwip/mem.h>
#include <lwip/tcp.h>
#include <string.h>

#include "guests/lwip/console.h"

#define PORT         80
#define PAGE_SIZE    4096u
#define START_SIZE   16u /* of a request: enough for "GET / " */
#define IDLE_SECONDS 10
#define POLL         (IDLE_SECONDS * 2) /* lwIP counts half seconds */

struct request {
    char start[START_SIZE];
    size_t size;       /* of all that has come */
    unsigned newlines; /* in a row: two end the request */
};

static const struct statistics_source *statistics_source;

static void add_head(struct text *text, const char *status)
{
    text_add(text,
             "HTTP/1.0 %s\r\nContent-Type: text/html; charset=utf-8\r\n"
             "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
             status);
}

static void write_page(const struct request *request, struct text *text)
{
    if (strncmp(request->start, "GET ", 4) != 0) {
        add_head(text, "501 Not Implemented");
        return;
    }
    if (strncmp(request->start, "GET / ", 6) != 0) {
        add_head(text, "404 Not Found");
        text_add(text, "There is only one page: <a href=\"/\">/</a>\n");
        return;
    }
    add_head(text, "200 OK");
    text_add(text,
             "<!DOCTYPE html>\n<html lang=\"en\"><head><title>%s</title></head><body>\n"
             "<h1>%s</h1>\n<pre>\n",
             statistics_source->name, statistics_source->name);
    statistics_add(text, statistics_source);
    text_add(text, "</pre>\n</body></html>\n");
}

static void answer(const struct request *request, struct tcp_pcb *pcb)
{
    char *page = mem_malloc(PAGE_SIZE);
    struct text text;

    if (page == NULL) {
        return;
    }
    text_init(&text, page, PAGE_SIZE);
    write_page(request, &text);
    (void)tcp_write(pcb, page, (u16_t)text.length, TCP_WRITE_FLAG_COPY);
    mem_free(page);
}

/* Takes what has come. True when the request is there as a whole. */
static bool take(struct request *request, const struct pbuf *p)
{
    for (; p != NULL; p = p->next) {
        const char *bytes = p->payload;
        for (u16_t i = 0; i < p->len && request->newlines < 2; i++) {
            if (request->size < START_SIZE - 1) {
                request->start[request->size] = bytes[i];
            }
            request->size++;
            if (bytes[i] == '\n') {
                request->newlines++;
            } else if (bytes[i] != '\r') {
                request->newlines = 0;
            }
        }
    }
    return request->newlines == 2;
}

/* What was written is sent before the end. A connection that cannot even be closed is aborted. */
static err_t end(struct request *request, struct tcp_pcb *pcb)
{
    tcp_arg(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_poll(pcb, NULL, 0);
    mem_free(request);
    if (tcp_close(pcb) == ERR_OK) {
        return ERR_OK;
    }
    tcp_abort(pcb);
    return ERR_ABRT;
}

static err_t on_received(void *argument, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
    struct request *request = argument;
    bool whole;

    (void)error;
    if (p == NULL) {
        return end(request, pcb);
    }
    whole = take(request, p);
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    if (!whole) {
        return ERR_OK;
    }
    answer(request, pcb);
    return end(request, pcb);
}

/* The request has not come in time. */
static err_t on_poll(void *argument, struct tcp_pcb *pcb)
{
    return end(argument, pcb);
}

static void on_error(void *argument, err_t error)
{
    (void)error;
    mem_free(argument);
}

static err_t on_accepted(void *argument, struct tcp_pcb *pcb, err_t error)
{
    struct request *request;

    (void)argument;
    if (error != ERR_OK) {
        return ERR_VAL;
    }
    request = mem_calloc(1, sizeof(*request));
    if (request == NULL) {
        return ERR_MEM;
    }
    tcp_arg(pcb, request);
    tcp_recv(pcb, on_received);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, on_poll, POLL);
    return ERR_OK;
}

void http_start(const struct statistics_source *source)
{
    struct tcp_pcb *pcb = tcp_new();

    statistics_source = source;
    if (pcb == NULL || tcp_bind(pcb, IP_ADDR_ANY, PORT) != ERR_OK) {
        give_up("postern-lwip: no TCP port %u\n", PORT);
    }
    pcb = tcp_listen(pcb);
    tcp_accept(pcb, on_accepted);
}
