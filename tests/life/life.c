/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests whose lives are tried from outside: one that does what is typed on its console, some that
 * count while they have the CPU, one that crashes, one that just is there.
 *
 * What the first one takes, a line each:
 *     w PAGE COUNT   writes a byte to each of so many pages of its RAM; both numbers are decimal
 *     t              prints the TSC's milliseconds, and how often its timer has ticked
 *     b PAGE COUNT   has each tick write its number to the next few of so many pages, round and
 * round v              prints how many of those have another number than their last tick's
 *     n NUMBER       shows each NIC of a link on the bus; writes the number to the end of its own
 *                    section, and shows what is at the end of its peer's, in mode open
 *     g PAGE         has the gate's first page show at that page of its RAM
 */
#include "arch/x86/defs/registers.h"
#include "tests/kit/kit.h"

#define UART_DATA        0x3f8u
#define UART_LINE_STATUS 0x3fdu
#define UART_RECEIVED    1u
#define TICK_VECTOR      0x60u
#define TICK_MS          5u
/* Counting is done from one multiple of 2 to this power of the TSC, which all guests share, to the
 * next, so many times. */
#define WINDOW_SHIFT 25u
#define WINDOWS      6u

/* Of the pages that ticks write to. */
#define PAGES_OF_TICK 16u

static uint64_t ticks_seen;
static struct {
    uint64_t first, count; /* pages; none yet */
    uint64_t began;        /* the tick before the first one */
} busy;

static volatile uint64_t *busy_page(uint64_t index)
{
    return (volatile uint64_t *)((busy.first + index) * SIZE_4K);
}

/* Tick t writes to pages PAGES_OF_TICK * (t - began - 1) and up, modulo their count. */
static void write_busy(void)
{
    for (uint64_t i = 0; i < PAGES_OF_TICK && busy.count != 0; i++) {
        uint64_t index = (ticks_seen - busy.began - 1) * PAGES_OF_TICK + i;
        *busy_page(index % busy.count) = ticks_seen;
    }
}

/* What page `index` has to have after tick `now`. */
static uint64_t wanted(uint64_t index, uint64_t now)
{
    uint64_t written = (now - busy.began) * PAGES_OF_TICK;

    if (written <= index) {
        return busy.began;
    }
    uint64_t last = index + (written - 1 - index) / busy.count * busy.count;
    return busy.began + 1 + last / PAGES_OF_TICK;
}

static void tick(struct frame *frame)
{
    (void)frame;
    ticks_seen++;
    write_busy();
    end_of_interrupt();
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_MS * tsc_per_ms());
}

static void start_ticking(void)
{
    vector_handle(TICK_VECTOR, tick);
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TICK_VECTOR);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_MS * tsc_per_ms());
    __asm__ volatile("sti");
}

static char read_byte(void)
{
    while ((inb(UART_LINE_STATUS) & UART_RECEIVED) == 0) {
        __asm__ volatile("hlt"); /* until the next tick */
    }
    return (char)inb(UART_DATA);
}

/* A number, and the byte behind it. */
static uint64_t read_number(void)
{
    uint64_t number = 0;

    for (char c = read_byte(); c >= '0' && c <= '9'; c = read_byte()) {
        number = number * 10 + (uint64_t)(c - '0');
    }
    return number;
}

static void write_pages(uint64_t first, uint64_t count)
{
    static uint8_t value;

    value++;
    for (uint64_t page = first; page < first + count && (page + 1) * SIZE_4K <= ram_size();
         page++) {
        *(volatile uint8_t *)(page * SIZE_4K) = value;
    }
    print("wrote %llu pages\n", (unsigned long long)count);
}

static void begin_busy(uint64_t first, uint64_t count)
{
    __asm__ volatile("cli");
    busy.first = first;
    busy.count = (first + count) * SIZE_4K <= ram_size() ? count : 0;
    busy.began = ticks_seen;
    for (uint64_t i = 0; i < busy.count; i++) {
        *busy_page(i) = busy.began;
    }
    __asm__ volatile("sti");
    print("busy with %llu pages\n", (unsigned long long)busy.count);
}

static void verify_busy(void)
{
    uint64_t wrong = 0;

    __asm__ volatile("cli");
    for (uint64_t i = 0; i < busy.count; i++) {
        wrong += *busy_page(i) != wanted(i, ticks_seen);
    }
    __asm__ volatile("sti");
    print("wrong pages: %llu of %llu\n", (unsigned long long)wrong, (unsigned long long)busy.count);
}

static void show_nic(uint32_t device, uint64_t number)
{
    uint32_t address = PCI_DEVICE(device);

    pci_write(address, 4, pci_read(address, 4) | 2);
    volatile uint32_t *registers = map_physical(nic_bar(address, 0), SIZE_4K);
    uint64_t section = registers[POSTERN_REG_SECTION_SIZE / 4];
    print("nic %u: port %u end %u mode %u section %llu link %u", device,
          registers[POSTERN_REG_PORT / 4], registers[POSTERN_REG_END / 4],
          registers[POSTERN_REG_MODE / 4], (unsigned long long)section,
          registers[POSTERN_REG_LINK / 4]);
    if (registers[POSTERN_REG_MODE / 4] == POSTERN_MODE_OPEN) {
        uint64_t window = nic_bar(address, POSTERN_BAR_WINDOW);
        volatile uint64_t *own = map_physical(window + section - sizeof(*own), sizeof(*own));
        const volatile uint64_t *peers =
            map_physical(window + 2 * section - sizeof(*peers), sizeof(*peers));
        *own = number;
        print(" peer's %llu", (unsigned long long)*peers);
    }
    print("\n");
}

static void show_nics(uint64_t number)
{
    unsigned count = 0;

    for (uint32_t device = 0; device < 32; device++) {
        if (pci_read(PCI_DEVICE(device), 0) == (POSTERN_PCI_NIC << 16 | POSTERN_PCI_VENDOR)) {
            show_nic(device, number);
            count++;
        }
    }
    print("nics: %u\n", count);
}

static NORETURN void talk(void)
{
    start_ticking();
    print("talker: ready\n");
    for (;;) {
        char c = read_byte();
        if (c == 'w') {
            (void)read_byte();
            uint64_t first = read_number();
            write_pages(first, read_number());
        } else if (c == 'b') {
            (void)read_byte();
            uint64_t first = read_number();
            begin_busy(first, read_number());
        } else if (c == 'n') {
            (void)read_byte();
            show_nics(read_number());
        } else if (c == 'g') {
            (void)read_byte();
            int64_t placed = hypercall(POSTERN_HC_GATE_PLACE, 0, read_number() * SIZE_4K, 0);
            print("gate: %lld\n", (long long)placed);
        } else if (c == 'v') {
            verify_busy();
        } else if (c == 't') {
            print("talker: %llu ms, %llu ticks\n", (unsigned long long)(rdtsc() / tsc_per_ms()),
                  (unsigned long long)ticks_seen);
        }
    }
}

/* How often it looks at the clock from the beginning of each window to its end. */
static NORETURN void count(void)
{
    uint64_t first = (rdtsc() >> WINDOW_SHIFT) + 1, counted[WINDOWS] = {0};

    for (;;) {
        uint64_t window = rdtsc() >> WINDOW_SHIFT;
        if (window >= first + WINDOWS) {
            break;
        }
        if (window >= first) {
            counted[window - first]++;
        }
    }
    for (unsigned i = 0; i < WINDOWS; i++) {
        print("window %llu: counted %llu\n", (unsigned long long)first + i,
              (unsigned long long)counted[i]);
    }
    print("counter: done\n");
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

static NORETURN void crash(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } PACKED nothing = {0, 0};

    print("crasher: begins\n");
    __asm__ volatile("lidt %0; ud2" : : "m"(nothing));
    __builtin_unreachable();
}

void guest_role(void)
{
    if (has_word("count")) {
        count();
    }
    if (has_word("crash")) {
        crash();
    }
    talk();
}
