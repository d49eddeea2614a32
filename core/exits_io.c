/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits for port I/O: a table of the ports that a guest has; all others read as all ones. */
#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "machine/guest_map.h"

#define SLEEP_ENABLE BIT32(5)

typedef uint32_t (*port_read_t)(struct vm *vm, uint16_t port, unsigned size);
typedef void (*port_write_t)(struct vm *vm, uint16_t port, unsigned size, uint32_t value);

static uint64_t ones(unsigned size)
{
    return ~0ull >> (64 - 8 * size);
}

static uint32_t uart_read(struct vm *vm, uint16_t port, unsigned size)
{
    (void)size;
    return uart16550_read(&vm->uart, port & 7);
}

static void uart_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    (void)size;
    uart16550_write(&vm->uart, port & 7, (uint8_t)value);
}

static uint32_t rtc_port_read(struct vm *vm, uint16_t port, unsigned size)
{
    (void)size;
    return rtc_read(&vm->rtc, port & 1);
}

static void rtc_port_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    (void)size;
    rtc_write(&vm->rtc, port & 1, (uint8_t)value);
}

static uint32_t pci_port_read(struct vm *vm, uint16_t port, unsigned size)
{
    return pci_io_read(&vm->pci, port, size);
}

static void pci_port_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    pci_io_write(&vm->pci, port, size, value);
}

static uint32_t power_read(struct vm *vm, uint16_t port, unsigned size)
{
    (void)vm;
    (void)port;
    (void)size;
    return 0;
}

/* ACPI's hardware-reduced power registers: sleep control, sleep status, reset. */
static void power_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
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
}

/* A test's kernel ends its VM and tells how it went (as QEMU's isa-debug-exit). Others have no such
 * port. */
static void exit_write(struct vm *vm, uint16_t port, unsigned size, uint32_t value)
{
    (void)port;
    (void)size;
    if (vm->entry.kind == GUEST_KERNEL_MULTIBOOT) {
        log_info("%s: exits with code %u", vm->config->name, value << 1 | 1);
        vm_end(vm, CONFIG_STOP, false);
    }
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

enum exit_result exit_io_instruction(struct vcpu *vcpu)
{
    uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
    unsigned size = (unsigned)(qualification & 7) + 1;
    bool in = (qualification & BIT(3)) != 0;
    uint16_t port = (uint16_t)(qualification >> 16);
    uint64_t *rax = &vcpu->vmx.registers.rax;
    struct vm *vm = vcpu->vm;
    uint32_t value = (uint32_t)ones(size);

    if ((qualification & BIT(4)) != 0) {
        vcpu_refuse_instruction(vcpu, "there is no string I/O", port);
        return EXIT_DONE;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        if (port < ports[i].first || port > ports[i].last) {
            continue;
        }
        spin_lock(&vm->lock);
        if (in) {
            value = ports[i].read(vm, port, size);
        } else {
            ports[i].write(vm, port, size, (uint32_t)(*rax & ones(size)));
        }
        spin_unlock(&vm->lock);
        break;
    }
    if (in) {
        /* A 32-bit result clears the upper half, smaller ones leave the rest. */
        uint64_t mask = size == 4 ? ~0ull : ones(size);
        *rax = (*rax & ~mask) | (value & ones(size));
    }
    return EXIT_SKIP;
}
