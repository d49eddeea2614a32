/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What attacks have in common. Each claim of this guest is an attack that fails as it says, and
 * harms nobody else: after each, the victim at the other end of all links looks at its canaries
 * (after_claim() in world.c).
 */
#ifndef POSTERN_TESTS_ATTACK_ATTACK_H
#define POSTERN_TESTS_ATTACK_ATTACK_H

#include "abi/gate.h"
#include "abi/ring.h"
#include "tests/kit/kit.h"
#include "tests/victim/victim.h"

#define GATE_PAGES    4u
#define GATE_BASE     GUEST_GATE_BASE
#define RANDOM_SEED   0x9e3779b97f4a7c15ull

#define BYTES_VMFUNC  ".byte 0x0f, 0x01, 0xd4"
#define BYTES_VMCALL  ".byte 0x0f, 0x01, 0xc1"
#define SWITCH_LENGTH 3u

/* Whether VMFUNC is the CPU's; else the hypercall is in its place. */
bool native_vmfunc(void);

/* The NIC of a port, with its memory on, and its window in the guest's physical memory: the own
 * section, then the peer's. */
uint32_t nic_of(unsigned port);
uint64_t window_of(unsigned port);
/* Where PORT_OTHER shows the victim's pool. */
uint64_t pool_of_other(void);
/* Moves BAR `bar`, which is one of 64 bits. */
void move_bar(unsigned port, unsigned bar, uint64_t gpa);
static inline uint64_t peer_section_of(unsigned port)
{
    return window_of(port) + SECTION_SIZE;
}

/* Opens the port's view for all vCPUs; its index. */
uint64_t view_open(unsigned port);

/* A window's pages, both sections, in the guest's page tables: writable, also from ring 3. */
uint8_t *window_map(unsigned port);

/* The gate at its home, or elsewhere. */
int64_t cross(uint64_t view, uint32_t function, void *arguments);
int64_t cross_at(uint64_t gate, uint64_t view, uint32_t function, void *arguments);
int64_t cross_copy(uint64_t view, void *to, const void *from, uint64_t size);
/* Fails the claim unless a crossing reads and writes as it should. */
void check_crossing(unsigned port);
/* The same for the victim's section: read as it is, and not to be written. */
void check_victim_section(unsigned port);

/* The instruction that changes views, outside the gate. */
struct trap try_switch(uint64_t view);
struct trap try_vmfunc(uint64_t leaf, uint64_t view);
/* In ring 3. */
struct trap user_switch(uint64_t view);
struct trap user_vmfunc(uint64_t leaf, uint64_t view);

/* No exception on the stack that it came on: registers may be anything. Includes NMIs. */
void exceptions_use_ist(void);

/* Ends the claim's function that runs under trap_of() or run_user() after `ticks` of the TSC, if
 * interrupts are on there: TIMEOUT_VECTOR is its trap. One shot. */
#define TIMEOUT_VECTOR 0x60u
void timeout_set(uint64_t ticks);
void timeout_clear(void);

/* Interrupts on. In Bochs a guest that has them off holds up those of its pCPU: the hypervisor's
 * line and the timers of other VMs there wait for a slice's end. On silicon they end its stay at
 * once. */
static inline void in_bochs_let_others_in(void)
{
    __asm__ volatile("sti" : : : "memory");
}

/* The same sequence at each run. */
uint64_t random_next(void);
void random_seed(uint64_t seed);

/* Asks the victim to look; fails the claim if anything of its own has changed. */
void victim_check(void);
const volatile struct answer *victim_answer(void);
/* Has it take each doorbell's interrupt, and waits until it does. */
void victim_unmask(void);
/* Has it revoke and grant its section of the gated port again and again. */
void victim_revoke(bool on);

/* Whether `word` is a part of a canary. */
static inline bool is_canary(uint64_t word)
{
    return (uint32_t) ~(word >> 32) == (uint32_t)~CANARY_MARK;
}

#endif
