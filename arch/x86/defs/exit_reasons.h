/* SPDX-License-Identifier: BSD-2-Clause */
/* Basic exit reasons (SDM appendix "VMX Basic Exit Reasons") as one list: EXIT_REASONS(ROW) calls
 * ROW(number, ENUM_NAME, "text") for each. */
#ifndef POSTERN_ARCH_X86_DEFS_EXIT_REASONS_H
#define POSTERN_ARCH_X86_DEFS_EXIT_REASONS_H

#define EXIT_REASONS(ROW)                                 \
    ROW(0, EXCEPTION_NMI, "exception_nmi")                \
    ROW(1, EXTERNAL_INTERRUPT, "external_interrupt")      \
    ROW(2, TRIPLE_FAULT, "triple_fault")                  \
    ROW(3, INIT, "init")                                  \
    ROW(4, SIPI, "sipi")                                  \
    ROW(5, IO_SMI, "io_smi")                              \
    ROW(6, OTHER_SMI, "other_smi")                        \
    ROW(7, INTERRUPT_WINDOW, "interrupt_window")          \
    ROW(8, NMI_WINDOW, "nmi_window")                      \
    ROW(9, TASK_SWITCH, "task_switch")                    \
    ROW(10, CPUID, "cpuid")                               \
    ROW(11, GETSEC, "getsec")                             \
    ROW(12, HLT, "hlt")                                   \
    ROW(13, INVD, "invd")                                 \
    ROW(14, INVLPG, "invlpg")                             \
    ROW(15, RDPMC, "rdpmc")                               \
    ROW(16, RDTSC, "rdtsc")                               \
    ROW(17, RSM, "rsm")                                   \
    ROW(18, VMCALL, "vmcall")                             \
    ROW(19, VMCLEAR, "vmclear")                           \
    ROW(20, VMLAUNCH, "vmlaunch")                         \
    ROW(21, VMPTRLD, "vmptrld")                           \
    ROW(22, VMPTRST, "vmptrst")                           \
    ROW(23, VMREAD, "vmread")                             \
    ROW(24, VMRESUME, "vmresume")                         \
    ROW(25, VMWRITE, "vmwrite")                           \
    ROW(26, VMXOFF, "vmxoff")                             \
    ROW(27, VMXON, "vmxon")                               \
    ROW(28, CR_ACCESS, "cr_access")                       \
    ROW(29, MOV_DR, "mov_dr")                             \
    ROW(30, IO_INSTRUCTION, "io_instruction")             \
    ROW(31, RDMSR, "rdmsr")                               \
    ROW(32, WRMSR, "wrmsr")                               \
    ROW(33, INVALID_GUEST_STATE, "invalid_guest_state")   \
    ROW(34, MSR_LOADING, "msr_loading")                   \
    ROW(36, MWAIT, "mwait")                               \
    ROW(37, MONITOR_TRAP, "monitor_trap")                 \
    ROW(39, MONITOR, "monitor")                           \
    ROW(40, PAUSE, "pause")                               \
    ROW(41, MACHINE_CHECK_ENTRY, "machine_check_entry")   \
    ROW(43, TPR_BELOW_THRESHOLD, "tpr_below_threshold")   \
    ROW(44, APIC_ACCESS, "apic_access")                   \
    ROW(45, VIRTUALIZED_EOI, "virtualized_eoi")           \
    ROW(46, GDTR_IDTR, "gdtr_idtr")                       \
    ROW(47, LDTR_TR, "ldtr_tr")                           \
    ROW(48, EPT_VIOLATION, "ept_violation")               \
    ROW(49, EPT_MISCONFIGURATION, "ept_misconfiguration") \
    ROW(50, INVEPT, "invept")                             \
    ROW(51, RDTSCP, "rdtscp")                             \
    ROW(52, PREEMPTION_TIMER, "preemption_timer")         \
    ROW(53, INVVPID, "invvpid")                           \
    ROW(54, WBINVD, "wbinvd")                             \
    ROW(55, XSETBV, "xsetbv")                             \
    ROW(56, APIC_WRITE, "apic_write")                     \
    ROW(57, RDRAND, "rdrand")                             \
    ROW(58, INVPCID, "invpcid")                           \
    ROW(59, VMFUNC, "vmfunc")                             \
    ROW(60, ENCLS, "encls")                               \
    ROW(61, RDSEED, "rdseed")                             \
    ROW(62, PML_FULL, "pml_full")                         \
    ROW(63, XSAVES, "xsaves")                             \
    ROW(64, XRSTORS, "xrstors")

#define EXIT_REASON_ENUM_ROW(number, name, text) EXIT_##name = (number),
enum exit_reason { EXIT_REASONS(EXIT_REASON_ENUM_ROW) EXIT_REASON_COUNT };
#undef EXIT_REASON_ENUM_ROW

#define EXIT_REASON_BASIC_MASK   0xffffu
#define EXIT_REASON_ENTRY_FAILED (1u << 31)

#endif
