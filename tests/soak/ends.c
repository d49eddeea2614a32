/* SPDX-License-Identifier: BSD-2-Clause */
/* The honest processes: the victim with an end of each link, and the friend with one. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/soak/end.h"
#include "tests/unit/random.h"

#define SEARCH_MAX 4096u
#define PROBE_US   500u
#define POLLS_MAX  300u

struct port {
    struct end end;
    bool broken; /* the peer has revoked its section */
};

/* What the crossing into a window is to a guest: an access that the view does not allow ends it. */
static sigjmp_buf gate_exit;
static volatile sig_atomic_t in_gate;
static struct soak *shared;

static bool end_excuses(const struct end *end)
{
    uint32_t count = atomic_load(&end->soak->life_count);

    if (end->peer != ROGUE) {
        return false;
    }
    for (uint32_t life = end->life_from; life < count; life++) {
        if (atomic_load(&end->soak->lives[life].lying) != 0) {
            return true;
        }
    }
    return false;
}

/* Which life of the rogue's has that generation? The newest. Without one a liar has made it up, in
 * this session's life or later. */
static void find_life(struct end *end)
{
    uint32_t count = atomic_load(&end->soak->life_count);

    for (uint32_t life = count; life > 0 && life + SEARCH_MAX > count; life--) {
        if (atomic_load(&end->soak->lives[life - 1].generation) == end->ring.peer_generation) {
            end->life_from = life - 1;
            return;
        }
    }
}

/* Outside the window an end may be broken; what it does must not depend on it. */
static void on_access(int number, siginfo_t *info, void *context)
{
    const uint8_t *section = shared->windows[LINK_ROGUE].readable[1];

    (void)context;
    if (in_gate == 0 || (uintptr_t)info->si_addr - (uintptr_t)section >= SECTION_SIZE) {
        (void)signal(number, SIG_DFL);
        return;
    }
    siglongjmp(gate_exit, 1);
}

/* The hypervisor's part, which may come between any two instructions of the victim's. */
static void on_grant(int number)
{
    uint8_t *section = (uint8_t *)(uintptr_t)shared->windows[LINK_ROGUE].readable[1];

    (void)number;
    if (mprotect(section, SECTION_SIZE, atomic_load(&shared->granted) ? PROT_READ : PROT_NONE) !=
        0) {
        abort();
    }
}

/* Calls `function` in the gate, so to say. False: the crossing has failed. */
static bool cross(struct port *port, bool (*function)(struct port *port), bool *result)
{
    if (sigsetjmp(gate_exit, 0) != 0) {
        in_gate = 0;
        return false;
    }
    in_gate = 1;
    *result = function(port);
    in_gate = 0;
    return true;
}

/* Looks whether the peer's section is there again. */
static bool port_probe(struct port *port)
{
    (void)POSTERN_LOAD(&port->end.ring.peer->generation);
    return true;
}

static void note_fault(struct port *port)
{
    struct end *end = &port->end;

    if (!end_excuses(end)) {
        soak_complain(end->soak, "channel %u: an honest peer is accused of fault %u",
                      end->channel_in, end->ring.fault);
    }
    atomic_fetch_add(&end->soak->faults[end->ring.fault], 1);
}

static bool port_work(struct port *port)
{
    uint32_t fault = port->end.ring.fault;
    bool busy;

    if (end_sync(&port->end) && port->end.peer == ROGUE) {
        find_life(&port->end);
    }
    busy = end_work(&port->end);
    if (port->end.ring.fault != fault && port->end.ring.fault != POSTERN_FAULT_NONE) {
        note_fault(port);
    }
    return busy;
}

static bool port_rest(struct port *port)
{
    return end_rest(&port->end);
}

/* As a driver: closes after a failed crossing, and opens when the section is there again. */
static bool service(struct port *port)
{
    bool busy = false;

    if (port->broken) {
        if (!cross(port, port_probe, &busy)) {
            return false;
        }
        port->broken = false;
        end_open(&port->end, 1);
    }
    if (!cross(port, port_work, &busy)) {
        port->broken = true;
        atomic_fetch_add(&shared->gate_errors, 1);
        postern_ring_close(&port->end.ring);
        end_ring(&port->end, true);
        return true;
    }
    return busy;
}

static bool may_wait(struct port *port)
{
    bool rests = false;

    return port->broken || (cross(port, port_rest, &rests) && rests);
}

static _Noreturn void run(struct soak *soak, enum soak_process self, struct port *ports,
                          unsigned count)
{
    struct random dice = {.state = soak->seed * 2 + 1};
    uint32_t polls = 0;

    while (!atomic_load(&soak->quit)) {
        uint32_t doorbell = atomic_load(&soak->doorbells[self]);
        bool busy = false, wait = true, broken = false;

        for (unsigned i = 0; i < count; i++) {
            busy |= service(&ports[i]);
        }
        /* As NAPI does, and so that a wait may begin at the moment at which a packet comes. */
        polls = busy ? random_below(&dice, POLLS_MAX) : polls - 1;
        if (busy || polls < POLLS_MAX) {
            continue;
        }
        for (unsigned i = 0; i < count; i++) {
            wait &= may_wait(&ports[i]);
            broken |= ports[i].broken;
        }
        if (wait) {
            soak_wait(soak, self, doorbell, broken ? PROBE_US : 0);
        }
    }
    _exit(0);
}

static void catch_signals(void)
{
    struct sigaction access = {.sa_sigaction = on_access, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction grant = {.sa_handler = on_grant};

    if (sigaction(SIGSEGV, &access, NULL) != 0 || sigaction(SIGUSR1, &grant, NULL) != 0) {
        abort();
    }
}

void victim_run(struct soak *soak)
{
    static struct port ports[LINKS];

    shared = soak;
    catch_signals();
    end_init(&ports[LINK_FRIEND].end, soak, LINK_FRIEND, 0, FRIEND);
    end_init(&ports[LINK_ROGUE].end, soak, LINK_ROGUE, 0, ROGUE);
    for (unsigned i = 0; i < LINKS; i++) {
        end_open(&ports[i].end, 1);
    }
    run(soak, VICTIM, ports, LINKS);
}

void friend_run(struct soak *soak)
{
    static struct port port;

    shared = soak;
    end_init(&port.end, soak, LINK_FRIEND, 1, VICTIM);
    end_open(&port.end, 1);
    run(soak, FRIEND, &port, 1);
}
