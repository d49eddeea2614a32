/* SPDX-License-Identifier: BSD-2-Clause */
/* Bits of the VMX control fields and capability MSRs (SDM "VM-Execution Control Fields",
 * "VM-Exit Control Fields", "VM-Entry Control Fields", appendix "VMX Capability Reporting"). */
#ifndef POSTERN_ARCH_X86_DEFS_VMX_CONTROLS_H
#define POSTERN_ARCH_X86_DEFS_VMX_CONTROLS_H

/* Pin-based VM-execution controls */
#define PIN_EXTERNAL_INTERRUPT_EXITING (1u << 0)
#define PIN_NMI_EXITING                (1u << 3)
#define PIN_VIRTUAL_NMIS               (1u << 5)
#define PIN_PREEMPTION_TIMER           (1u << 6)
#define PIN_POSTED_INTERRUPTS          (1u << 7)

/* Primary processor-based VM-execution controls */
#define PROC_INTERRUPT_WINDOW_EXITING (1u << 2)
#define PROC_TSC_OFFSETTING           (1u << 3)
#define PROC_HLT_EXITING              (1u << 7)
#define PROC_MWAIT_EXITING            (1u << 10)
#define PROC_RDPMC_EXITING            (1u << 11)
#define PROC_CR8_LOAD_EXITING         (1u << 19)
#define PROC_CR8_STORE_EXITING        (1u << 20)
#define PROC_TPR_SHADOW               (1u << 21)
#define PROC_NMI_WINDOW_EXITING       (1u << 22)
#define PROC_UNCONDITIONAL_IO_EXITING (1u << 24)
#define PROC_MONITOR_TRAP             (1u << 27)
#define PROC_MSR_BITMAPS              (1u << 28)
#define PROC_MONITOR_EXITING          (1u << 29)
#define PROC_SECONDARY_CONTROLS       (1u << 31)

/* Secondary processor-based VM-execution controls */
#define PROC2_EPT                        (1u << 1)
#define PROC2_DESCRIPTOR_TABLE_EXITING   (1u << 2)
#define PROC2_RDTSCP                     (1u << 3)
#define PROC2_VIRTUALIZE_X2APIC          (1u << 4)
#define PROC2_VPID                       (1u << 5)
#define PROC2_UNRESTRICTED_GUEST         (1u << 7)
#define PROC2_APIC_REGISTER              (1u << 8)
#define PROC2_VIRTUAL_INTERRUPT_DELIVERY (1u << 9)
#define PROC2_PAUSE_LOOP_EXITING         (1u << 10)
#define PROC2_INVPCID                    (1u << 12)
#define PROC2_VM_FUNCTIONS               (1u << 13)
#define PROC2_PML                        (1u << 17)
#define PROC2_VE                         (1u << 18)
#define PROC2_XSAVES                     (1u << 20)
#define PROC2_TSC_SCALING                (1u << 25)

/* VM-exit controls */
#define EXIT_SAVE_DEBUG            (1u << 2)
#define EXIT_HOST_64BIT            (1u << 9)
#define EXIT_ACKNOWLEDGE_INTERRUPT (1u << 15)
#define EXIT_SAVE_PAT              (1u << 18)
#define EXIT_LOAD_PAT              (1u << 19)
#define EXIT_SAVE_EFER             (1u << 20)
#define EXIT_LOAD_EFER             (1u << 21)
#define EXIT_SAVE_PREEMPTION_TIMER (1u << 22)

/* VM-entry controls */
#define ENTRY_LOAD_DEBUG       (1u << 2)
#define ENTRY_IA32E_MODE_GUEST (1u << 9)
#define ENTRY_LOAD_PAT         (1u << 14)
#define ENTRY_LOAD_EFER        (1u << 15)

/* IA32_VMX_EPT_VPID_CAP */
#define EPT_CAP_EXECUTE_ONLY   (1ull << 0)
#define EPT_CAP_WALK_4         (1ull << 6)
#define EPT_CAP_WRITE_BACK     (1ull << 14)
#define EPT_CAP_2M             (1ull << 16)
#define EPT_CAP_1G             (1ull << 17)
#define EPT_CAP_INVEPT         (1ull << 20)
#define EPT_CAP_ACCESSED_DIRTY (1ull << 21)
#define EPT_CAP_INVEPT_SINGLE  (1ull << 25)
#define EPT_CAP_INVEPT_ALL     (1ull << 26)
#define EPT_CAP_INVVPID        (1ull << 32)
#define EPT_CAP_INVVPID_SINGLE (1ull << 41)

/* IA32_VMX_VMFUNC */
#define VMFUNC_CAP_EPTP_SWITCHING (1ull << 0)

/* IA32_VMX_BASIC */
#define VMX_BASIC_TRUE_CONTROLS (1ull << 55)

#endif
