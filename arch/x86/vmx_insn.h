/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMX instructions (SDM "VMX Instruction Reference"). All act on this CPU; vmread and vmwrite
 * on its current VMCS. One of those two fails only for a field that the CPU does not have or
 * without a current VMCS, which is the hypervisor's own fault: field, error and caller are
 * reported, and the machine stops.
 */
#ifndef POSTERN_ARCH_X86_VMX_INSN_H
#define POSTERN_ARCH_X86_VMX_INSN_H

#include "arch/x86/defs/vmcs.h"
#include "lib/status.h"

/* Out of line, to keep the accessors small. */
NORETURN void vmx_access_failed(const char *operation, enum vmcs_field field, const char *caller);

static inline uint64_t vmread_for(enum vmcs_field field, const char *caller)
{
    uint64_t value;
    bool failed;

    __asm__ volatile("vmread %2, %0" : "=r"(value), "=@ccbe"(failed) : "r"((uint64_t)field));
    if (UNLIKELY(failed)) {
        vmx_access_failed("vmread", field, caller);
    }
    return value;
}

static inline void vmwrite_for(enum vmcs_field field, uint64_t value, const char *caller)
{
    bool failed;

    __asm__ volatile("vmwrite %1, %2"
                     : "=@ccbe"(failed)
                     : "r"(value), "r"((uint64_t)field)
                     : "memory");
    if (UNLIKELY(failed)) {
        vmx_access_failed("vmwrite", field, caller);
    }
}

#define vmread(field)         vmread_for((field), __func__)
#define vmread32(field)       ((uint32_t)vmread_for((field), __func__))
#define vmwrite(field, value) vmwrite_for((field), (value), __func__)

static inline bool vmx_on(uint64_t region)
{
    bool failed;

    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region) : "memory");
    return !failed;
}

static inline bool vmx_clear(uint64_t vmcs)
{
    bool failed;

    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(vmcs) : "memory");
    return !failed;
}

static inline bool vmx_load(uint64_t vmcs)
{
    bool failed;

    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs) : "memory");
    return !failed;
}

struct invalidation_descriptor {
    uint64_t first, second;
};

#define INVEPT_SINGLE  1ull
#define INVEPT_ALL     2ull
#define INVVPID_SINGLE 1ull
#define INVVPID_ALL    2ull

static inline bool invept(uint64_t type, uint64_t eptp)
{
    struct invalidation_descriptor descriptor = {eptp, 0};
    bool failed;

    __asm__ volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(type) : "memory");
    return !failed;
}

static inline bool invvpid(uint64_t type, uint16_t vpid)
{
    struct invalidation_descriptor descriptor = {vpid, 0};
    bool failed;

    __asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(type) : "memory");
    return !failed;
}

#endif
