/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits for port I/O: a table of the ports that a guest has; all others read as all ones. */
#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "core/virtio.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "machine/guest_map.h"

#define SLEEP_ENABLE BIT32(5)

typedef uint32_t (*port_read_t)(struct vm *vm, uint16_t port, unsigned size);
/* False: the instruction is to be executed again. */
typedef bool (*port_write_t)(struct vm *vm, uint16_t port, unsigned size, uint32_t value);

static uint64_t ones(unsigned size)
{
    return ~0ull >> (64 - 8 * size);
}

static uint32_t uart_read(struct vm *vm, uint16_t port, unsigned size)
{
    (void)size;
    return uart16550_read(&vm->uart, port & 7);
}

static bool uart_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    (void)size;
    uart16550_write(&vm->uart, port & 7, (uint8_t)value);
    return true;
}

static uint32_t rtc_port_read(struct vm *vm, uint16_t port, unsigned size)
{
    (void)size;
    return rtc_read(&vm->rtc, port & 1);
}

static bool rtc_port_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    (void)size;
    rtc_write(&vm->rtc, port & 1, (uint8_t)value);
    return true;
}

static uint32_t pci_port_read(struct vm *vm, uint16_t port, unsigned size)
{
    return pci_io_read(&vm->pci, port, size);
}

static bool pci_port_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    return pci_io_write(&vm->pci, port, size, value);
}

static uint32_t power_read(struct vm *vm, uint16_t port, unsigned size)
{
    (void)vm;
    (void)port;
    (void)size;
    return 0;
}

/* ACPI's hardware-reduced power registers: sleep control, sleep status, reset. */
static bool power_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    (void)size;
    if (port == GUEST_PORT_SLEEP_CONTROL && (value & SLEEP_ENABLE) != 0 &&
        (value >> 2 & 7) == GUEST_SLEEP_TYPE_S5) {
        log_info("%s: powers off", vm->config->name);
        vm_end(vm, CONFIG_STOP, false);
    } else if (port == GUEST_PORT_RESET && value == GUEST_RESET_VALUE) {
        log_info("%s: resets", vm->config->name);
        vm_end(vm, vm->config->on_reboot, false);
    }
    return true;
}

/* A test's kernel ends its VM and tells how it went (as QEMU's isa-debug-exit). Others have no such
 * port. */
static bool exit_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    (void)port;
    (void)size;
    if (vm->entry.kind == GUEST_KERNEL_MULTIBOOT) {
        log_info("%s: exits with code %u", vm->config->name, value << 1 | 1);
        vm_end(vm, CONFIG_STOP, false);
    }
    return true;
}

static uint32_t exit_read(struct vm *vm, uint16_t port, unsigned size)
{
    (void)vm;
    (void)port;
    return (uint32_t)ones(size);
}

static const struct {
    uint16_t first, last;
    port_read_t read;
    port_write_t write;
} ports[] = {
    {GUEST_PORT_UART, GUEST_PORT_UART + 7, uart_read, uart_write},
    {GUEST_PORT_PCI, GUEST_PORT_PCI + 7, pci_port_read, pci_port_write},
    {GUEST_PORT_EXIT, GUEST_PORT_EXIT, exit_read, exit_write},
    {GUEST_PORT_RTC, GUEST_PORT_RTC + 1, rtc_port_read, rtc_port_write},
    {GUEST_PORT_SLEEP_CONTROL, GUEST_PORT_RESET, power_read, power_write},
};

struct io_access {
    uint16_t port;
    unsigned size;
    bool in;
    uint32_t value; /* to write, or what was read */
};

/* One of a BAR's ports; nothing reads as all ones. False: the instruction is to be executed again.
 */
static bool access_bar(struct vm *vm, struct io_access *access)
{
    struct pci_function *function = NULL;
    unsigned bar = 0;
    uint64_t offset = 0;

    spin_lock(&vm->lock);
    bool found = pci_find_port(&vm->pci, access->port, access->size, &function, &bar, &offset);
    spin_unlock(&vm->lock);
    if (!found) {
        return true;
    }
    if (!access->in) {
        return function->ops->write(function, bar, offset, access->size, access->value);
    }
    access->value = (uint32_t)function->ops->read(function, bar, offset, access->size);
    return true;
}

static bool access_port(struct vm *vm, struct io_access *access)
{
    bool done = true;

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        if (access->port < ports[i].first || access->port > ports[i].last) {
            continue;
        }
        spin_lock(&vm->lock);
        if (access->in) {
            access->value = ports[i].read(vm, access->port, access->size);
        } else {
            done = ports[i].write(vm, access->port, access->size, access->value);
        }
        spin_unlock(&vm->lock);
        return ports[i].write == pci_port_write ? virtio_settle(vm) && done : done;
    }
    return access_bar(vm, access);
}

enum exit_result exit_io_instruction(struct vcpu *vcpu)
{
    uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
    uint64_t *rax = &vcpu->vmx.registers.rax;
    struct io_access access = {.port = (uint16_t)(qualification >> 16),
                               .size = (unsigned)(qualification & 7) + 1,
                               .in = (qualification & BIT(3)) != 0};

    if ((qualification & BIT(4)) != 0) {
        vcpu_refuse_instruction(vcpu, "there is no string I/O", access.port);
        return EXIT_DONE;
    }
    access.value = (uint32_t)(access.in ? ones(access.size) : *rax & ones(access.size));
    if (!access_port(vcpu->vm, &access)) {
        return EXIT_DONE;
    }
    if (access.in) {
        /* A 32-bit result clears the upper half, smaller ones leave the rest. */
        uint64_t mask = access.size == 4 ? ~0ull : ones(access.size);
        *rax = (*rax & ~mask) | (access.value & ones(access.size));
    }
    return EXIT_SKIP;
}
