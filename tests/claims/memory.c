/* SPDX-License-Identifier: BSD-2-Clause */
/* What lies at guest-physical addresses: RAM, nothing, devices, a link's window. */
#include "tests/kit/kit.h"

#define HOLE     0xd0000000ull /* in the 32-bit PCI window, no BAR there */
#define CODE_RET 0xc3u

static uint64_t read_64(uint64_t gpa)
{
    return *(volatile uint64_t *)map_physical(gpa, 8);
}

static void load(void *at)
{
    (void)*(volatile uint8_t *)at;
}

static void store(void *at)
{
    *(volatile uint8_t *)at = 1;
}

static uint64_t load_in_user(uint64_t at)
{
    return *(volatile uint8_t *)at;
}

static void call(void *at)
{
    ((void (*)(void))at)();
}

CLAIM(ram_to_its_end, "RAM goes to its last byte, and what is written there stays")
{
    volatile uint8_t *last = map_physical(ram_size() - 1, 1);

    CHECK_EQUAL(ram_size(), 64ull << 20);
    *last = 0x5a;
    CHECK_EQUAL(*last, 0x5a);
}

CLAIM(ram_every_page, "every page of RAM above the kernel holds its own number")
{
    uint64_t first = (uint64_t)ram_alloc(SIZE_4K, SIZE_2M);

    for (uint64_t at = first; at < ram_size(); at += SIZE_4K) {
        *(volatile uint64_t *)at = at;
    }
    for (uint64_t at = first; at < ram_size(); at += SIZE_4K) {
        CHECK_EQUAL(*(volatile uint64_t *)at, at);
    }
}

CLAIM(ram_executes, "RAM can be executed")
{
    uint8_t *page = ram_alloc(SIZE_4K, SIZE_4K);

    page[0] = CODE_RET;
    CHECK_NO_TRAP(trap_of(call, page));
}

CLAIM(hole_reads_ones, "where nothing is, reads of each size are all ones and writes do nothing")
{
    volatile uint8_t *at = map_physical(HOLE, 8);

    CHECK_EQUAL(*at, 0xff);
    CHECK_EQUAL(*(volatile uint16_t *)at, 0xffff);
    CHECK_EQUAL(*(volatile uint32_t *)at, 0xffffffff);
    CHECK_EQUAL(*(volatile uint64_t *)at, ~0ull);
    *(volatile uint32_t *)at = 0;
    CHECK_EQUAL(*(volatile uint32_t *)at, 0xffffffff);
}

CLAIM(hole_behind_ram, "behind RAM, up to the last address that the CPU has, there is nothing")
{
    uint64_t bits = cpuid(0x80000008, 0).eax & 0xff;

    CHECK_EQUAL(read_64(ram_size()), ~0ull);
    CHECK_EQUAL(read_64(0x100000000), ~0ull);
    CHECK_EQUAL(read_64((1ull << bits) - 8), ~0ull);
}

CLAIM(hole_keeps_registers, "a load where nothing is changes its register only")
{
    uint64_t rax = 0, at = (uint64_t)map_physical(HOLE, 8), rcx = 0x1111, rdx = 0x2222, flags;

    __asm__ volatile("stc\n mov (%4), %%eax\n pushfq\n pop %3"
                     : "=&a"(rax), "+c"(rcx), "+d"(rdx), "=&r"(flags)
                     : "r"(at));
    CHECK_EQUAL(rax, 0xffffffff);
    CHECK_EQUAL(rcx, 0x1111);
    CHECK_EQUAL(rdx, 0x2222);
    CHECK((flags & RFLAGS_CF) != 0);
}

CLAIM(hole_fetch, "a fetch where nothing is, is the guest's own #GP, and no end of its VM")
{
    CHECK_TRAP(trap_of(call, map_physical(HOLE, 1)), EXCEPTION_GP, 0);
}

CLAIM(hole_page_table, "page tables where nothing is are the guest's own #GP")
{
    page_map(CLAIM_BASE, 0, SIZE_4K, PTE_WRITE);
    /* The entry of the page directory now points to a table in the hole. */
    uint64_t *table = page_entry(CLAIM_BASE);
    uint64_t *root = (uint64_t *)(read_cr3() & PAGE_MASK);
    uint64_t *pdpt = (uint64_t *)(root[CLAIM_BASE >> 39 & 511] & PAGE_MASK);
    uint64_t *directory = (uint64_t *)(pdpt[0] & PAGE_MASK);

    CHECK_EQUAL(directory[0] & PAGE_MASK, (uint64_t)table);
    directory[0] = HOLE | PTE_PRESENT | PTE_WRITE;
    flush_tlb();
    CHECK_TRAP(trap_of(load, (void *)CLAIM_BASE), EXCEPTION_GP, 0);
}

CLAIM(guest_pages_2m, "guest paging with 2 MiB pages reaches the same RAM")
{
    uint64_t *ram = ram_alloc(SIZE_2M, SIZE_2M);

    page_map(CLAIM_BASE, (uint64_t)ram, SIZE_2M, PTE_WRITE);
    ram[1000] = 0x1234;
    CHECK_EQUAL(((volatile uint64_t *)CLAIM_BASE)[1000], 0x1234);
}

CLAIM(guest_pages_1g, "guest paging with 1 GiB pages reaches RAM and the hole behind it")
{
    uint64_t *ram = ram_alloc(SIZE_4K, SIZE_4K);

    if ((cpuid(0x80000001, 0).edx & BIT32(26)) == 0) {
        skip("no 1 GiB pages");
    }
    page_map(CLAIM_BASE, 0, SIZE_1G, PTE_WRITE);
    ram[5] = 0x1234;
    CHECK_EQUAL(*(volatile uint64_t *)(CLAIM_BASE + (uint64_t)&ram[5]), 0x1234);
    CHECK_EQUAL(*(volatile uint64_t *)(CLAIM_BASE + ram_size()), ~0ull);
}

CLAIM(guest_accessed_dirty, "the guest's own accessed and dirty bits are set")
{
    page_map(CLAIM_BASE, (uint64_t)ram_alloc(SIZE_4K, SIZE_4K), SIZE_4K, PTE_WRITE);
    CHECK_EQUAL(*page_entry(CLAIM_BASE) & (PTE_ACCESSED | PTE_DIRTY), 0);
    load((void *)CLAIM_BASE);
    CHECK_EQUAL(*page_entry(CLAIM_BASE) & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED);
    store((void *)CLAIM_BASE);
    CHECK_EQUAL(*page_entry(CLAIM_BASE) & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY);
}

CLAIM(guest_no_execute, "a fetch from a no-execute page is #PF with the fetch bit")
{
    page_map(CLAIM_BASE, (uint64_t)ram_alloc(SIZE_4K, SIZE_4K), SIZE_4K, PTE_NX);
    CHECK_TRAP(trap_of(call, (void *)CLAIM_BASE), EXCEPTION_PF, 0x11);
}

CLAIM(guest_not_present, "a page fault tells its address and does not exit to anything else")
{
    struct trap trap = trap_of(store, (void *)(CLAIM_BASE + 0x123));

    CHECK_TRAP(trap, EXCEPTION_PF, 2);
    CHECK_EQUAL(trap.cr2, CLAIM_BASE + 0x123);
}

CLAIM(guest_reserved_bit, "an entry with an address beyond the CPU's width is #PF, reserved bit")
{
    uint64_t bits = cpuid(0x80000008, 0).eax & 0xff;

    page_map(CLAIM_BASE, 1ull << bits, SIZE_4K, PTE_WRITE);
    CHECK_TRAP(trap_of(load, (void *)CLAIM_BASE), EXCEPTION_PF, 9);
}

CLAIM(user_pages, "ring 3 does not reach the supervisor's pages")
{
    page_map(CLAIM_BASE, (uint64_t)ram_alloc(SIZE_4K, SIZE_4K), SIZE_4K, PTE_WRITE);
    struct trap trap = run_user(load_in_user, CLAIM_BASE, NULL);
    CHECK_TRAP(trap, EXCEPTION_PF, 5);
    CHECK(trap.user);
}

CLAIM(window_own_section, "a port's own section can be written, and keeps what is written")
{
    uint32_t nic = need_nic();
    volatile uint64_t *own = map_physical(nic_bar(nic, POSTERN_BAR_WINDOW) + 0x8000, 8);

    *own = 0x1122334455667788;
    CHECK_EQUAL(*own, 0x1122334455667788);
}

CLAIM(window_peer_section, "the peer's section can be read; a write to it is #GP")
{
    uint32_t nic = need_nic();
    volatile uint32_t *registers = map_physical(nic_bar(nic, 0), SIZE_4K);
    uint64_t section = registers[POSTERN_REG_SECTION_SIZE / 4];
    void *peer = map_physical(nic_bar(nic, POSTERN_BAR_WINDOW) + section, 8);

    CHECK_NO_TRAP(trap_of(load, peer));
    CHECK_TRAP(trap_of(store, peer), EXCEPTION_GP, 0);
}

CLAIM(window_not_executable, "a port's window cannot be executed")
{
    uint32_t nic = need_nic();
    uint8_t *own = map_physical(nic_bar(nic, POSTERN_BAR_WINDOW) + 0x8000, 1);

    own[0] = CODE_RET;
    CHECK_TRAP(trap_of(call, own), EXCEPTION_GP, 0);
}

CLAIM(window_ends, "behind a port's window there is nothing")
{
    uint32_t nic = need_nic();
    volatile uint32_t *registers = map_physical(nic_bar(nic, 0), SIZE_4K);
    uint64_t section = registers[POSTERN_REG_SECTION_SIZE / 4];

    CHECK_EQUAL(read_64(nic_bar(nic, POSTERN_BAR_WINDOW) + 2 * section), ~0ull);
}

CLAIM(window_follows_bar, "the window is where BAR 2 says, and nowhere once memory is turned off")
{
    uint32_t nic = need_nic();
    uint64_t old = nic_bar(nic, POSTERN_BAR_WINDOW), new = old + 0x10000000;
    volatile uint64_t *first = map_physical(old + 0x8000, 8);
    volatile uint64_t *second = map_physical(new + 0x8000, 8);

    *first = 0x77;
    pci_write(nic, 0x18, (uint32_t) new);
    CHECK_EQUAL(*first, ~0ull);
    CHECK_EQUAL(*second, 0x77);
    pci_write(nic, 0x04, 0);
    CHECK_EQUAL(*second, ~0ull);
    pci_write(nic, 0x18, (uint32_t)old);
    pci_write(nic, 0x04, 2);
    CHECK_EQUAL(*first, 0x77);
}
