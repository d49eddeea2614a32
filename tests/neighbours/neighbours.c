/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/neighbours/neighbours.h"

#include "tests/neighbours/port.h"

#define REPORT  20000u
#define PACKETS 100000u /* at least, that arrive over each link */

enum victim_port { TO_FRIEND, TO_ROGUE, PORTS };

static struct port ports[PORTS];
static struct account accounts[PORTS];
static struct random dice = {.state = 1};

void account_print(const char *channel_out, const char *channel_in, const struct account *account)
{
    print("account %s: sent %llu\n", channel_out, (unsigned long long)account->sent);
    print("account %s: taken %llu, lost %llu\n", channel_in,
          (unsigned long long)TAKEN_PACKETS(account->taken),
          (unsigned long long)TAKEN_LOST(account->taken));
}

/* True when there is something new in the account. */
static bool has_changed(unsigned port)
{
    static struct account known[PORTS];
    bool changed =
        known[port].sent != accounts[port].sent || known[port].taken != accounts[port].taken;

    known[port] = accounts[port];
    return changed;
}

static void report_progress(const char *name)
{
    static uint64_t reported;

    if (TAKEN_NEXT(accounts[TO_FRIEND].taken) >= reported + REPORT) {
        reported += REPORT;
        print("%s: %llu packets\n", name, (unsigned long long)reported);
    }
}

/* The victim. */

/* So many have arrived, both ways together. */
static uint64_t packets_of(unsigned port)
{
    return TAKEN_PACKETS(ports[port].peer.taken) + TAKEN_PACKETS(accounts[port].taken);
}

static void print_victims_troubles(void)
{
    const struct port *rogue = &ports[TO_ROGUE];

    print("victim: %llu crossings failed, %llu packets came as only a liar sends them; faults",
          (unsigned long long)rogue->gate_errors, (unsigned long long)rogue->from_liars);
    for (unsigned fault = POSTERN_FAULT_NONE + 1; fault < POSTERN_FAULTS; fault++) {
        print(" %llu", (unsigned long long)rogue->faults[fault]);
    }
    print("\n");
    for (unsigned i = 0; i < PORTS; i++) {
        print("victim: port %u, %llu packets came in pages, %llu lent\n", i,
              (unsigned long long)ports[i].by_pages, (unsigned long long)ports[i].lent);
    }
}

/* Nothing new is sent from here on; what is on its way arrives. */
static void end_all(void)
{
    const uint64_t ends = 1;

    for (unsigned i = 0; i < PORTS; i++) {
        port_put(&ports[i], NOTE_OFFSET + offsetof(struct note, ends), &ends, sizeof(ends));
        (void)hypercall(POSTERN_HC_DOORBELL, ports[i].number, 0, 0);
        ports[i].ended = true;
    }
    print_victims_troubles();
}

static bool victim_looks(void)
{
    if (!ports[TO_ROGUE].ended) {
        report_progress("victim");
        if (ports[TO_ROGUE].peer.ends != 0 && packets_of(TO_FRIEND) >= PACKETS &&
            packets_of(TO_ROGUE) >= PACKETS) {
            end_all();
        }
        return false;
    }
    if (has_changed(TO_FRIEND)) {
        account_print("victim to friend", "friend to victim", &accounts[TO_FRIEND]);
    }
    if (has_changed(TO_ROGUE)) {
        account_print("victim to rogue", "rogue to victim", &accounts[TO_ROGUE]);
    }
    return false;
}

static void victim_role(void)
{
    port_init(&ports[TO_FRIEND], TO_FRIEND, 0, &accounts[TO_FRIEND]);
    port_init(&ports[TO_ROGUE], TO_ROGUE, 0, &accounts[TO_ROGUE]);
    ports[TO_FRIEND].in_turns = true;
    ports[TO_ROGUE].peer_lies = true;
    port_open(&ports[TO_FRIEND]);
    port_open(&ports[TO_ROGUE]);
    ports_work(ports, PORTS, &dice, victim_looks);
}

/* The friend. */

static bool friend_looks(void)
{
    report_progress("friend");
    if (ports[TO_FRIEND].peer.ends != 0 && has_changed(TO_FRIEND)) {
        account_print("friend to victim", "victim to friend", &accounts[TO_FRIEND]);
    }
    return false;
}

static void friend_role(void)
{
    port_init(&ports[TO_FRIEND], 0, 1, &accounts[TO_FRIEND]);
    ports[TO_FRIEND].in_turns = true;
    port_open(&ports[TO_FRIEND]);
    ports_work(ports, 1, &dice, friend_looks);
}

void guest_role(void)
{
    apic_init();
    if (has_word("victim")) {
        victim_role();
    } else if (has_word("friend")) {
        friend_role();
    }
    rogue_role();
}
