/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/snapshot/views.h"

#include "abi/guest.h"

#define UART_DATA        0x3f8u
#define UART_LINE_STATUS 0x3fdu
#define UART_RECEIVED    1u
#define PORTS            2u
#define SECTION_SIZE     0x10000ull
#define OFFSET           0x2000ull /* beyond the header of a ring */
#define LONG_COPY        0x8000u
#define CPU_1_MS         10000u
#define TICK_VECTOR      0x60u
#define TICK_US          20000u

/* As the SDM lays it out. */
struct information {
    uint32_t reason, busy;
    uint64_t qualification, linear, gpa;
    uint16_t view;
};

static struct {
    uint64_t bar, window; /* guest-physical, linear */
    uint32_t view;
} ports[PORTS];
static uint64_t gate;
static bool native;
static volatile struct information *area;
static uint64_t crossings, failed; /* long ones */
static unsigned long long checks, wrong;

static void check_at(bool good, unsigned line)
{
    checks++;
    if (!good) {
        wrong++;
        print("views: what is in line %u is not so\n", line);
    }
}

#define check(good) check_at((good), __LINE__)

static int64_t cross(uint32_t port)
{
    return postern_cross(gate, ports[port].view, POSTERN_GATE_NOTHING, NULL);
}

static unsigned read_byte(uint64_t address)
{
    struct trap trap = TRY("movb (%0), %%al", : : "r"(address) : "rax");

    return trap.vector;
}

static void vmfunc_then(void *argument)
{
    __asm__ volatile("vmfunc; nop" : : "a"(0), "c"(argument) : "memory");
}

/* Each view has its own window, and nothing of the other's. */
static void try_window(uint32_t port)
{
    uint64_t own = ports[port].window + OFFSET, peers = own + SECTION_SIZE, value = 0;
    uint64_t others = ports[1 - port].window + OFFSET, number = rdtsc();
    uint32_t view = ports[port].view;

    check(cross(port) == 0);
    check(postern_gate_store(gate, view, own, number) == 0);
    check(postern_gate_load(gate, view, own, &value) == 0 && value == number);
    check(postern_gate_load(gate, view, peers, &value) == 0);
    check(postern_gate_store(gate, view, peers, 1) == POSTERN_ERR_FAULT);
    check(postern_gate_load(gate, view, others, &value) == POSTERN_ERR_FAULT);
}

/* By the CPU, if it has #VE, and by the hypervisor. */
static void try_ve(void)
{
    area->busy = 0;
    check(read_byte(ports[0].window + OFFSET) == EXCEPTION_VE);
    check(area->reason == 48 && area->busy == UINT32_MAX);
    /* Bochs 2.7 does not load the EPTP index at an entry: it is that of the CPU's last VMFUNC. */
    check(area->view == 0 || has_word("bochs"));
    check(area->gpa == ports[0].bar + OFFSET && area->linear == ports[0].window + OFFSET);
    check(read_byte(ports[0].window) == EXCEPTION_GP);
    area->busy = 0;
    if (native) {
        struct trap trap = trap_of(vmfunc_then, (void *)(uint64_t)ports[1].view);
        check(trap.vector == EXCEPTION_VE && area->view == ports[1].view);
        check(area->linear == trap.rip);
    }
}

static void try_on_cpu_1(void *argument)
{
    (void)argument;
    check(cross(0) == POSTERN_ERR_NOT_OPEN);
    check(cross(1) == 0);
    check(read_byte(ports[0].window) == EXCEPTION_GP);
}

static void verify(void)
{
    __asm__ volatile("cli");
    checks = wrong = 0;
    try_window(0);
    try_window(1);
    try_ve();
    cpu_run(1, try_on_cpu_1, NULL);
    check(cpu_wait(1, CPU_1_MS).vector == TRAP_NONE);
    check(failed == 0 && crossings != 0);
    __asm__ volatile("sti");
    print("views: %u and %u, %llu checks, %llu wrong, %llu crossings\n", ports[0].view,
          ports[1].view, checks, wrong, (unsigned long long)crossings);
}

static void start_port(uint32_t port)
{
    uint32_t function = need_nic() + PCI_DEVICE(port);

    pci_write(function, 4, pci_read(function, 4) | 2); /* memory space */
    ports[port].bar = nic_bar(function, POSTERN_BAR_WINDOW);
    ports[port].window = (uint64_t)map_physical(ports[port].bar, 2 * SECTION_SIZE);
}

static void open(uint32_t port, uint64_t vcpus)
{
    int64_t view = postern_hypercall(POSTERN_HC_VIEW_OPEN, port, vcpus);

    if (view < 1) {
        error("port %u has no view: %lld", port, (long long)view);
    }
    ports[port].view = (uint32_t)view;
}

static void start(void)
{
    uint32_t pages;

    start_port(0);
    start_port(1);
    open(1, POSTERN_ALL_VCPUS);
    open(0, 0);
    gate = postern_gate_home(&pages);
    native = (cpuid(POSTERN_CPUID_ABI, 0).ebx & POSTERN_NATIVE_VMFUNC) != 0;
    area = ram_alloc(SIZE_4K, SIZE_4K);
    if (hypercall(POSTERN_HC_VE, (uint64_t)area, 0, 0) != 0) {
        error("vCPU 0 cannot be registered for #VE");
    }
    need_cpu(1);
}

static void tick(struct frame *frame)
{
    (void)frame;
    end_of_interrupt();
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_US * tsc_per_ms() / 1000);
}

/* An interruption may come in mid-crossing. */
static void cross_long(void *bytes)
{
    crossings++;
    failed +=
        postern_gate_copy(gate, ports[0].view, (uint64_t)bytes, (uint64_t)bytes, LONG_COPY) != 0;
}

void views_role(void)
{
    void *bytes = ram_alloc(LONG_COPY, SIZE_4K);

    start();
    vector_handle(TICK_VECTOR, tick);
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TICK_VECTOR);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_US * tsc_per_ms() / 1000);
    print("views: begin\n");
    for (;;) {
        __asm__ volatile("sti; hlt");
        cross_long(bytes);
        if ((inb(UART_LINE_STATUS) & UART_RECEIVED) != 0 && inb(UART_DATA) == 'v') {
            verify();
        }
    }
}
