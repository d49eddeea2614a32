/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/line.h"

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/exceptions.h"
#include "arch/x86/framebuffer.h"
#include "arch/x86/pcpu.h"
#include "arch/x86/serial.h"
#include "core/commands.h"
#include "core/machine.h"
#include "core/monitor.h"
#include "core/scheduler.h"
#include "core/snapshot.h"
#include "core/trace.h"
#include "core/virtio.h"
#include "lib/log.h"
#include "lib/pages.h"
#include "lib/string.h"

/* How often the line is looked at without an interrupt: a guest's console that is shown as text has
 * nobody who asks for it. */
#define CONSOLE_POLL_MS 20u
/* A UART whose interrupt stays asserted for so many rounds is broken; it is looked at again later.
 */
#define ROUNDS 256u

static struct {
    struct monitor *monitor;
    uint64_t tsc_hz;
    bool transmitting;     /* the transmitter's interrupt is on */
    atomic_bool attention; /* there is something to do */
    uint64_t due;          /* TSC of the next look, UINT64_MAX for none */
} line;

/* The monitor's consoles are the VMs' serial ports, then their virtio consoles. */
static struct vm *find_console(unsigned index, bool *is_virtio)
{
    *is_virtio = index >= vm_count();
    return *is_virtio ? virtio_console_vm(index - vm_count()) : vm_get(index);
}

static size_t stream_read(void *context, unsigned stream, uint64_t *offset, char *buffer,
                          size_t size, uint64_t *end)
{
    (void)context;
    if (stream == MONITOR_STREAM_LOG) {
        size_t count = log_read(offset, buffer, size);
        *end = log_end();
        return count;
    }
    bool is_virtio;
    const struct vm *vm = find_console(stream - MONITOR_STREAM_CONSOLE, &is_virtio);
    const struct console *console = is_virtio ? virtio_console_output(vm) : &vm->console;
    size_t count = console_read(console, offset, buffer, size);
    *end = console_end(console);
    return count;
}

static bool trace_read(void *context, unsigned cpu, uint64_t *offset, char *buffer, size_t *size,
                       uint64_t *end)
{
    const struct trace_ring *ring = trace_ring_of(cpu);

    (void)context;
    if (ring != NULL) {
        *size = trace_ring_read(ring, offset, buffer, *size, end);
    }
    return ring != NULL;
}

/* Under the VM's lock it is not destroyed. Its vCPUs go on: a word may be half written. */
static bool memory_read(void *context, unsigned index, uint64_t *offset, char *buffer, size_t *size,
                        uint64_t *end)
{
    (void)context;
    if (index >= vm_count()) {
        return false;
    }
    struct vm *vm = vm_get(index);
    spin_lock(&vm->lock);
    uint64_t at = *offset < vm->ram_size ? *offset : vm->ram_size;
    *size = *size < vm->ram_size - at ? *size : (size_t)(vm->ram_size - at);
    /* Absent, it has neither size nor RAM. */
    if (*size != 0) {
        memcpy(buffer, vm->ram + at, *size);
    }
    *offset = at;
    *end = vm->ram_size;
    spin_unlock(&vm->lock);
    return true;
}

static size_t console_write(void *context, unsigned index, const char *bytes, size_t size)
{
    bool is_virtio;
    struct vm *vm = find_console(index, &is_virtio);
    size_t taken = 0;

    (void)context;
    if (is_virtio) {
        return virtio_console_input(vm, bytes, size);
    }
    if (!vm_is_up(vm)) {
        return size; /* nobody is there to type to */
    }
    if (vm_is_frozen(vm)) {
        return 0; /* later */
    }
    spin_lock(&vm->lock);
    size_t room = uart16550_rx_room(&vm->uart);
    for (; taken < size && taken < room; taken++) {
        uart16550_receive(&vm->uart, (uint8_t)bytes[taken]);
    }
    spin_unlock(&vm->lock);
    return taken;
}

/* Of a serial port; virtio consoles are no VMs of their own. */
static status_t fetch(void *context, unsigned index, struct monitor_piece *piece, uint8_t *bytes,
                      size_t *size)
{
    struct snapshot_piece wanted = {piece->section, piece->flags, piece->offset, 0, 0};

    (void)context;
    if (index >= vm_count()) {
        return STATUS_NOT_FOUND;
    }
    status_t status = snapshot_fetch(vm_get(index), &wanted, bytes, *size, size);
    piece->covered = wanted.covered;
    piece->size = wanted.size;
    return status;
}

static status_t store(void *context, unsigned index, struct monitor_piece *piece,
                      const uint8_t *bytes, size_t size)
{
    struct snapshot_piece told = {piece->section, piece->flags, piece->offset, 0, 0};

    (void)context;
    if (index >= vm_count()) {
        return STATUS_NOT_FOUND;
    }
    status_t status = snapshot_store(vm_get(index), &told, bytes, size);
    piece->covered = told.covered;
    return status;
}

static const char *console_name(void *context, unsigned index)
{
    bool is_virtio;
    const struct vm *vm = find_console(index, &is_virtio);

    (void)context;
    if (vm == NULL) {
        return NULL;
    }
    return is_virtio ? virtio_console_name(vm) : vm->config->name;
}

static const struct monitor_ops monitor_operations = {
    .stream_read = stream_read,
    .trace_read = trace_read,
    .memory_read = memory_read,
    .console_write = console_write,
    .fetch = fetch,
    .store = store,
    .execute = commands_execute,
    .vm_name = console_name,
};

static uint64_t to_us(uint64_t tsc)
{
    return tsc / line.tsc_hz * 1000000 + tsc % line.tsc_hz * 1000000 / line.tsc_hz;
}

static void uart_interrupt(void)
{
    atomic_store_explicit(&line.attention, true, memory_order_relaxed);
}

/* New log lines are shown on a terminal at once: pCPU 0 is to look. The log's lock is held. */
static void log_arrived(const char *text, size_t size)
{
    (void)text;
    (void)size;
    /* Relaxed: apic_send() orders the flag before the interrupt. */
    if (!atomic_exchange_explicit(&line.attention, true, memory_order_relaxed)) {
        apic_send(pcpu_get(0)->apic_id, VECTOR_KICK);
    }
}

static void receive(void)
{
    for (int byte = serial_receive(); byte >= 0; byte = serial_receive()) {
        monitor_receive(line.monitor, (uint8_t)byte);
    }
}

static bool transmit(void)
{
    char bytes[16];
    size_t room = serial_transmit_room();

    if (room == 0) {
        return true;
    }
    size_t count =
        monitor_transmit(line.monitor, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
    serial_transmit(bytes, count);
    return count > 0;
}

/* Receives and sends until the UART asserts no interrupt: its line is edge-triggered, and an edge
 * comes only once it has been quiet. */
static void exchange(uint64_t now)
{
    bool more = false;

    for (unsigned i = 0; i < ROUNDS; i++) {
        (void)monitor_poll(line.monitor, to_us(now));
        receive();
        bool any = monitor_poll(line.monitor, to_us(now));
        more = any && transmit();
        if (more != line.transmitting) {
            serial_want_transmit(more);
            line.transmitting = more;
        }
        if (!serial_interrupt_pending()) {
            break;
        }
    }
}

static uint64_t service(uint64_t now)
{
    bool asked = atomic_exchange_explicit(&line.attention, false, memory_order_relaxed);

    if (asked || now >= line.due) {
        exchange(now);
        bool console = line.monitor->mode == MONITOR_CONSOLE && !line.monitor->session_active;
        line.due = console ? now + line.tsc_hz / 1000 * CONSOLE_POLL_MS : UINT64_MAX;
    }
    uint64_t off = machine_power_off_if_due(now);
    return off < line.due ? off : line.due;
}

void line_start(const struct boot_info *info)
{
    line.monitor = pages_alloc_bytes(sizeof(*line.monitor));
    line.tsc_hz = info->tsc_hz;
    line.due = 0;
    if (line.monitor == NULL || info->uart_port == 0) {
        log_warning("no serial line: hvctl cannot be used");
        return;
    }
    log_clear_sinks();
    monitor_init(line.monitor, &monitor_operations, NULL, log_end());
    log_add_sink(log_arrived);
    log_add_sink(framebuffer_write);
    interrupt_set_handler(VECTOR_UART, uart_interrupt);
    ioapic_route(info->ioapic_base, info->uart_gsi, VECTOR_UART);
    serial_enable_interrupts();
    atomic_store(&line.attention, true);
    scheduler_set_service(service);
}

void line_flush(void)
{
    uint64_t until = rdtsc() + line.tsc_hz;

    while (line.monitor != NULL && rdtsc() < until && monitor_poll(line.monitor, to_us(rdtsc()))) {
        (void)transmit();
    }
}
