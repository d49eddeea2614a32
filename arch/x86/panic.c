/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/panic.h"

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/framebuffer.h"
#include "arch/x86/serial.h"
#include "lib/format.h"
#include "lib/log.h"

static atomic_bool panicking;
static atomic_bool stopping;

void panic_nmi(void)
{
    /* Relaxed: the NMI itself orders it behind the store in stop_other_cpus(). */
    if (atomic_load_explicit(&stopping, memory_order_relaxed)) {
        halt_forever();
    }
}

void stop_other_cpus(void)
{
    atomic_store(&stopping, true);
    if ((rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_X2APIC) != 0) {
        apic_send_nmi_to_others();
    }
}

void panic_take_outputs(void)
{
    static atomic_bool taken;

    if (!atomic_exchange(&taken, true)) {
        stop_other_cpus();
        /* The monitor no longer runs: the line gets the text directly. */
        log_clear_sinks();
        log_add_sink(serial_write);
        log_add_sink(framebuffer_write_last);
    }
}

void panic(const char *format, ...)
{
    char text[200];
    va_list arguments;

    interrupts_off();
    va_start(arguments, format);
    format_string_v(text, sizeof(text), format, arguments);
    va_end(arguments);
    panic_take_outputs();
    if (!atomic_exchange(&panicking, true)) {
        log_error("panic: %s", text);
        log_error("the hypervisor has stopped; switch the machine off and on");
    }
    halt_forever();
}
