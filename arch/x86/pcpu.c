/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/pcpu.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/paging.h"
#include "lib/pages.h"

static struct pcpu *pcpus;
static uint32_t count;

/* A stack with a guard page below it; returns its upper end. */
static uint8_t *make_stack(void)
{
    uint8_t *pages = pages_alloc(PCPU_STACK_SIZE / PAGE_SIZE + 1, PAGE_SIZE, PAGES_HYPERVISOR);

    if (pages == NULL || paging_unmap_page((uint64_t)pages) != STATUS_OK) {
        return NULL;
    }
    return pages + PAGE_SIZE + PCPU_STACK_SIZE;
}

status_t pcpu_create_all(const struct boot_info *info)
{
    pcpus = pages_alloc_bytes(sizeof(struct pcpu) * info->cpu_count);
    if (pcpus == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        struct pcpu *pcpu = &pcpus[i];
        uint8_t *ist_tops[IST_COUNT] = {NULL};
        pcpu->self = pcpu;
        pcpu->index = i;
        pcpu->apic_id = info->cpus[i];
        pcpu->stack_top = make_stack();
        pcpu->vmxon_region = page_alloc();
        bool complete = pcpu->stack_top != NULL && pcpu->vmxon_region != NULL;
        for (unsigned ist = 1; ist < IST_COUNT; ist++) {
            ist_tops[ist] = make_stack();
            complete = complete && ist_tops[ist] != NULL;
        }
        if (!complete) {
            return STATUS_NO_MEMORY;
        }
        descriptors_build(&pcpu->tables, ist_tops);
    }
    count = info->cpu_count;
    return STATUS_OK;
}

uint32_t pcpu_count(void)
{
    return count;
}

struct pcpu *pcpu_get(uint32_t index)
{
    return &pcpus[index];
}

void pcpu_load(struct pcpu *pcpu)
{
    descriptors_load(&pcpu->tables);
    wrmsr(MSR_IA32_GS_BASE, (uint64_t)pcpu);
}
