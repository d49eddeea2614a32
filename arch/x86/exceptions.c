/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/exceptions.h"

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/pcpu.h"
#include "lib/log.h"
#include "lib/panic.h"

#define STUB_SIZE  16u
#define FIRST_FREE 32u
#define VECTORS    256u

/* As exception_common pushes it. */
struct exception_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct fixup {
    int32_t fault, resume; /* each relative to its own address */
};

extern char exception_stubs[];
extern const struct fixup exception_fixups[], exception_fixups_end[];
extern char image_start[] __asm__("__image_start");
int rdmsr_try(uint32_t msr, uint64_t *value);
int wrmsr_try(uint32_t msr, uint64_t value);
int xsetbv_try(uint32_t index, uint64_t value);
int xrstor_try(const void *area, uint64_t mask);
void exception_handle(struct exception_frame *frame);

static interrupt_handler_t handlers[VECTORS];

uint64_t exception_stub(unsigned vector)
{
    return (uint64_t)exception_stubs + (uint64_t)vector * STUB_SIZE;
}

void interrupt_set_handler(unsigned vector, interrupt_handler_t handler)
{
    handlers[vector] = handler;
}

void interrupt_dispatch(unsigned vector)
{
    if (vector == VECTOR_SPURIOUS) {
        return; /* not in service: it gets no EOI */
    }
    if (handlers[vector] != NULL) {
        handlers[vector]();
    } else {
        log_warning("cpu %u: interrupt vector 0x%x is nobody's", this_pcpu()->index, vector);
    }
    apic_eoi();
}

status_t rdmsr_safe(uint32_t msr, uint64_t *value)
{
    return rdmsr_try(msr, value) == 0 ? STATUS_OK : STATUS_DENIED;
}

status_t wrmsr_safe(uint32_t msr, uint64_t value)
{
    return wrmsr_try(msr, value) == 0 ? STATUS_OK : STATUS_DENIED;
}

status_t xsetbv_safe(uint32_t index, uint64_t value)
{
    return xsetbv_try(index, value) == 0 ? STATUS_OK : STATUS_DENIED;
}

status_t xrstor_safe(const void *area, uint64_t mask)
{
    return xrstor_try(area, mask) == 0 ? STATUS_OK : STATUS_DENIED;
}

static bool fix_up(struct exception_frame *frame)
{
    for (const struct fixup *fixup = exception_fixups; fixup < exception_fixups_end; fixup++) {
        uint64_t fault = (uint64_t)((int64_t)&fixup->fault + fixup->fault);
        if (frame->rip == fault) {
            frame->rip = (uint64_t)((int64_t)&fixup->resume + fixup->resume);
            return true;
        }
    }
    return false;
}

static const char *exception_name(uint64_t vector)
{
    static const char *const names[FIRST_FREE] = {
        "#DE divide error",
        "#DB debug",
        "NMI",
        "#BP breakpoint",
        "#OF overflow",
        "#BR bound range",
        "#UD invalid opcode",
        "#NM no device",
        "#DF double fault",
        "coprocessor overrun",
        "#TS invalid TSS",
        "#NP segment not present",
        "#SS stack fault",
        "#GP general protection",
        "#PF page fault",
        "reserved",
        "#MF x87 error",
        "#AC alignment check",
        "#MC machine check",
        "#XM SIMD error",
        "#VE virtualization",
        "#CP control protection",
    };

    return vector < FIRST_FREE && names[vector] != NULL ? names[vector] : "unknown exception";
}

static NORETURN void die(const struct exception_frame *f)
{
    panic_take_outputs();
    log_error("exception %llu, %s, error code 0x%llx, on cpu %u", (unsigned long long)f->vector,
              exception_name(f->vector), (unsigned long long)f->error_code, this_pcpu()->index);
    log_error("  rip %016llx (image + 0x%llx) rflags %016llx cs %llx", (unsigned long long)f->rip,
              (unsigned long long)(f->rip - (uint64_t)image_start), (unsigned long long)f->rflags,
              (unsigned long long)f->cs);
    log_error("  rax %016llx rbx %016llx rcx %016llx rdx %016llx", (unsigned long long)f->rax,
              (unsigned long long)f->rbx, (unsigned long long)f->rcx, (unsigned long long)f->rdx);
    log_error("  rsi %016llx rdi %016llx rbp %016llx rsp %016llx", (unsigned long long)f->rsi,
              (unsigned long long)f->rdi, (unsigned long long)f->rbp, (unsigned long long)f->rsp);
    log_error("  r8  %016llx r9  %016llx r10 %016llx r11 %016llx", (unsigned long long)f->r8,
              (unsigned long long)f->r9, (unsigned long long)f->r10, (unsigned long long)f->r11);
    log_error("  r12 %016llx r13 %016llx r14 %016llx r15 %016llx", (unsigned long long)f->r12,
              (unsigned long long)f->r13, (unsigned long long)f->r14, (unsigned long long)f->r15);
    log_error("  cr2 %016llx cr3 %016llx cr0 %08llx cr4 %08llx", (unsigned long long)read_cr2(),
              (unsigned long long)read_cr3(), (unsigned long long)read_cr0(),
              (unsigned long long)read_cr4());
    panic("unhandled %s", exception_name(f->vector));
}

void exception_handle(struct exception_frame *frame)
{
    if (frame->vector >= FIRST_FREE) {
        interrupt_dispatch((unsigned)frame->vector);
    } else if (frame->vector == EXCEPTION_NMI) {
        /* Sent by panic() to stop the other CPUs; else the firmware's or the chipset's. */
        panic_nmi();
        this_pcpu()->nmi_count++;
    } else if (!fix_up(frame)) {
        die(frame);
    }
}
