/* SPDX-License-Identifier: BSD-2-Clause */
/* Model-specific registers (SDM volume 4, "Architectural MSRs"), under the SDM's names. */
#ifndef POSTERN_ARCH_X86_DEFS_MSR_H
#define POSTERN_ARCH_X86_DEFS_MSR_H

#define MSR_IA32_TSC                0x010u
#define MSR_IA32_PLATFORM_ID        0x017u
#define MSR_IA32_APIC_BASE          0x01bu
#define MSR_SMI_COUNT               0x034u
#define MSR_IA32_FEATURE_CONTROL    0x03au
#define MSR_IA32_TSC_ADJUST         0x03bu
#define MSR_IA32_BIOS_SIGN_ID       0x08bu
#define MSR_IA32_XAPIC_DISABLE      0x0bdu
#define MSR_PLATFORM_INFO           0x0ceu
#define MSR_IA32_MTRRCAP            0x0feu
#define MSR_IA32_ARCH_CAPABILITIES  0x10au
#define MSR_MISC_FEATURES_ENABLES   0x140u
#define MSR_IA32_SYSENTER_CS        0x174u
#define MSR_IA32_SYSENTER_ESP       0x175u
#define MSR_IA32_SYSENTER_EIP       0x176u
#define MSR_IA32_MCG_CAP            0x179u
#define MSR_IA32_MCG_STATUS         0x17au
#define MSR_IA32_MISC_ENABLE        0x1a0u
#define MSR_IA32_DEBUGCTL           0x1d9u
#define MSR_IA32_MTRR_PHYSBASE0     0x200u
#define MSR_IA32_MTRR_FIX64K_00000  0x250u
#define MSR_IA32_MTRR_FIX4K_F8000   0x26fu
#define MSR_IA32_PAT                0x277u
#define MSR_IA32_MTRR_DEF_TYPE      0x2ffu
#define MSR_IA32_VMX_BASIC          0x480u
#define MSR_IA32_VMX_PINBASED       0x481u
#define MSR_IA32_VMX_PROCBASED      0x482u
#define MSR_IA32_VMX_EXIT           0x483u
#define MSR_IA32_VMX_ENTRY          0x484u
#define MSR_IA32_VMX_MISC           0x485u
#define MSR_IA32_VMX_CR0_FIXED0     0x486u
#define MSR_IA32_VMX_CR0_FIXED1     0x487u
#define MSR_IA32_VMX_CR4_FIXED0     0x488u
#define MSR_IA32_VMX_CR4_FIXED1     0x489u
#define MSR_IA32_VMX_PROCBASED2     0x48bu
#define MSR_IA32_VMX_EPT_VPID_CAP   0x48cu
#define MSR_IA32_VMX_TRUE_PINBASED  0x48du
#define MSR_IA32_VMX_TRUE_PROCBASED 0x48eu
#define MSR_IA32_VMX_TRUE_EXIT      0x48fu
#define MSR_IA32_VMX_TRUE_ENTRY     0x490u
#define MSR_IA32_VMX_VMFUNC         0x491u
#define MSR_CONFIG_TDP_CONTROL      0x64bu
#define MSR_PPERF                   0x64eu
#define MSR_IA32_TSC_DEADLINE       0x6e0u
#define MSR_X2APIC_FIRST            0x800u
#define MSR_X2APIC_ID               0x802u
#define MSR_X2APIC_TPR              0x808u
#define MSR_X2APIC_EOI              0x80bu
#define MSR_X2APIC_SVR              0x80fu
#define MSR_X2APIC_IRR              0x820u /* the first of eight */
#define MSR_X2APIC_ICR              0x830u
#define MSR_X2APIC_LVT_TIMER        0x832u
#define MSR_X2APIC_CURRENT_COUNT    0x839u
#define MSR_X2APIC_SELF_IPI         0x83fu
#define MSR_X2APIC_LAST             0x8ffu
#define MSR_IA32_XSS                0xda0u
#define MSR_IA32_EFER               0xc0000080u
#define MSR_IA32_STAR               0xc0000081u
#define MSR_IA32_LSTAR              0xc0000082u
#define MSR_IA32_CSTAR              0xc0000083u
#define MSR_IA32_FMASK              0xc0000084u
#define MSR_IA32_FS_BASE            0xc0000100u
#define MSR_IA32_GS_BASE            0xc0000101u
#define MSR_IA32_KERNEL_GS_BASE     0xc0000102u
#define MSR_IA32_TSC_AUX            0xc0000103u

#define FEATURE_CONTROL_LOCKED      (1ull << 0)
#define FEATURE_CONTROL_VMX_OUTSIDE (1ull << 2)

#define APIC_BASE_BSP               (1ull << 8)
#define APIC_BASE_X2APIC            (1ull << 10)
#define APIC_BASE_ENABLE            (1ull << 11)

#define EFER_SCE                    (1ull << 0)
#define EFER_LME                    (1ull << 8)
#define EFER_LMA                    (1ull << 10)
#define EFER_NXE                    (1ull << 11)

#endif
