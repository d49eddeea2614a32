/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP on a Postern link, on bare metal: one thread, which halts while there is nothing to do, if
 * it is not told to wait otherwise.
 */
#include <lwip/apps/lwiperf.h>
#include <lwip/dhcp.h>
#include <lwip/init.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>
#include <string.h>

#include "abi/guest.h"
#include "guests/lwip/burst.h"
#include "guests/lwip/console.h"
#include "guests/lwip/cpu.h"
#include "guests/lwip/echo.h"
#include "guests/lwip/http.h"
#include "guests/lwip/interrupts.h"
#include "guests/lwip/nic.h"
#include "guests/lwip/options.h"

#define INFO_FLAGS   0u /* in the multiboot information */
#define INFO_CMDLINE 16u
#define HAS_CMDLINE  4u

void main(uint64_t info);

static struct options options;
static struct nic nic;
static const struct statistics_source source = {options.hostname, &nic};

u32_t sys_now(void)
{
    return (u32_t)milliseconds();
}

static const char *command_line(uint64_t info)
{
    uint32_t flags, line;

    memcpy(&flags, (const uint8_t *)info + INFO_FLAGS, sizeof(flags));
    memcpy(&line, (const uint8_t *)info + INFO_CMDLINE, sizeof(line));
    return (flags & HAS_CMDLINE) != 0 ? (const char *)(uint64_t)line : "";
}

static void on_new_address(struct netif *netif)
{
    if (!ip4_addr_isany_val(*netif_ip4_addr(netif))) {
        print("postern-lwip: address %s\n", ip4addr_ntoa(netif_ip4_addr(netif)));
    }
}

static void add_interface(void)
{
    ip4_addr_t address = {lwip_htonl(options.address)};
    ip4_addr_t mask = {lwip_htonl(options.mask)};
    ip4_addr_t gateway = {lwip_htonl(options.gateway)};

    if (options.dhcp) {
        ip4_addr_set_zero(&address);
    }
    /* Cannot fail: it only calls nic_init(). */
    (void)netif_add(&nic.netif, &address, &mask, &gateway, &nic, nic_init, ethernet_input);
    netif_set_default(&nic.netif);
    netif_set_hostname(&nic.netif, options.hostname);
    netif_set_up(&nic.netif);
    if (options.dhcp) {
        netif_set_status_callback(&nic.netif, on_new_address);
        (void)dhcp_start(&nic.netif);
    }
}

static void on_iperf_end(void *argument, enum lwiperf_report_type type, const ip_addr_t *local,
                         u16_t local_port, const ip_addr_t *remote, u16_t remote_port, u32_t bytes,
                         u32_t ms, u32_t kilobits)
{
    (void)argument;
    (void)local;
    (void)local_port;
    (void)remote_port;
    print("postern-lwip: iperf: %u bytes from %s in %u ms, %u kbit/s%s\n", bytes,
          ip4addr_ntoa(remote), ms, kilobits, type == LWIPERF_TCP_DONE_SERVER ? "" : ", aborted");
}

/* The TSC says how long the start took: `hvctl exec stats NAME` has its value at the VM's start. */
static void say_ready(void)
{
    print("postern-lwip: %s is ready (lwIP %s, %s, link %s, TSC %lu)\n", options.hostname,
          LWIP_VERSION_STRING, options.dhcp ? "dhcp" : ip4addr_ntoa(netif_ip4_addr(&nic.netif)),
          nic.lanes[0].port.gated ? "gated" : "open", rdtsc());
}

static void wait(void)
{
    u32_t ms = sys_timeouts_sleeptime();

    if (ms != 0) {
        nic_wait(&nic, ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? WAIT_FOREVER : ms);
    }
}

void main(uint64_t info)
{
    const char *wrong = options_parse(command_line(info), &options);

    if (wrong != NULL) {
        give_up("postern-lwip: the command line is wrong from here on: %s\n", wrong);
    }
    if (!postern_is_here()) {
        give_up("postern-lwip: this is not Postern, or not its ABI %u\n", POSTERN_ABI_VERSION);
    }
    nic.idle = options.idle;
    if (nic.idle == IDLE_MWAIT && !has_mwait()) {
        print("postern-lwip: this VM has no MONITOR and MWAIT: it halts\n");
        nic.idle = IDLE_HALT;
    }
    interrupts_init();
    lwip_init();
    add_interface();
    http_start(&source);
    echo_start();
    burst_start();
    (void)lwiperf_start_tcp_server_default(on_iperf_end, NULL);
    say_ready();
    for (;;) {
        bool busy = burst_poll();
        busy = nic_poll(&nic) || busy;
        sys_check_timeouts();
        if (!busy) {
            wait();
        }
    }
}
