/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/smp.h"

#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/paging.h"
#include "lib/log.h"
#include "lib/string.h"

/* The end of the bootstrap code, as startup.S lays it out. */
struct startup_parameters {
    uint64_t cr3;
    uint64_t stack;
    uint64_t entry;
    uint64_t pcpu;
};

extern const char startup_begin[], startup_end[], startup_parameters[];
void smp_cpu_main(struct pcpu *pcpu);

static void (*cpu_entry)(struct pcpu *);

/* The first C code of a CPU that startup.S brought into 64-bit mode. */
void smp_cpu_main(struct pcpu *pcpu)
{
    paging_activate();
    pcpu_load(pcpu);
    apic_enable();
    /* Release: pairs with the acquire in start_cpu(). */
    atomic_store_explicit(&pcpu->online, true, memory_order_release);
    cpu_entry(pcpu);
    halt_forever();
}

static void wait_until(uint64_t tsc)
{
    while (rdtsc() < tsc) {
        cpu_pause();
    }
}

static bool wait_online(const struct pcpu *pcpu, uint64_t until)
{
    /* Acquire: pairs with the release in smp_cpu_main(). */
    while (!atomic_load_explicit(&pcpu->online, memory_order_acquire)) {
        if (rdtsc() > until) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

static bool start_cpu(const struct boot_info *info, const struct pcpu *pcpu)
{
    uint64_t ms = info->tsc_hz / 1000;
    unsigned page = (unsigned)(info->low_page / PAGE_SIZE);

    /* 10 ms after INIT and a second SIPI if the first has no effect: what the SDM's universal
     * start-up algorithm asks for. */
    apic_send_init(pcpu->apic_id);
    wait_until(rdtsc() + 10 * ms);
    apic_send_startup(pcpu->apic_id, page);
    if (wait_online(pcpu, rdtsc() + 10 * ms)) {
        return true;
    }
    apic_send_startup(pcpu->apic_id, page);
    return wait_online(pcpu, rdtsc() + 200 * ms);
}

status_t smp_start(const struct boot_info *info, void (*entry)(struct pcpu *))
{
    char *low = (char *)info->low_page;
    struct startup_parameters *parameters =
        (struct startup_parameters *)(low + (startup_parameters - startup_begin));

    cpu_entry = entry;
    for (uint32_t i = 1; i < info->cpu_count; i++) {
        const struct pcpu *pcpu = pcpu_get(i);
        struct startup_parameters values = {
            .cr3 = paging_root(),
            .stack = (uint64_t)pcpu->stack_top,
            .entry = (uint64_t)smp_cpu_main,
            .pcpu = (uint64_t)pcpu,
        };
        /* The page is mapped read-only and executable; write it under its own rules. */
        status_t status = paging_map(info->low_page, PAGE_SIZE, PAGING_WRITE);
        if (status != STATUS_OK) {
            return status;
        }
        write_cr3(read_cr3());
        memcpy(low, startup_begin, (size_t)(startup_end - startup_begin));
        memcpy(parameters, &values, sizeof(values));
        status = paging_map(info->low_page, PAGE_SIZE, PAGING_EXECUTE);
        if (status != STATUS_OK) {
            return status;
        }
        write_cr3(read_cr3());
        if (!start_cpu(info, pcpu)) {
            log_error("cpu %u (APIC id %u) does not start: disable it in the firmware's setup", i,
                      pcpu->apic_id);
            return STATUS_IO;
        }
    }
    return STATUS_OK;
}
