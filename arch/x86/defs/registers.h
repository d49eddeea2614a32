/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers, RFLAGS, segments and exception vectors (SDM volume 3, "Control Registers",
 * "Segment Descriptors", "Exception and Interrupt Reference"). */
#ifndef POSTERN_ARCH_X86_DEFS_REGISTERS_H
#define POSTERN_ARCH_X86_DEFS_REGISTERS_H

#define CR0_PE           (1ull << 0)
#define CR0_MP           (1ull << 1)
#define CR0_EM           (1ull << 2)
#define CR0_TS           (1ull << 3)
#define CR0_ET           (1ull << 4)
#define CR0_NE           (1ull << 5)
#define CR0_WP           (1ull << 16)
#define CR0_AM           (1ull << 18)
#define CR0_NW           (1ull << 29)
#define CR0_CD           (1ull << 30)
#define CR0_PG           (1ull << 31)

#define CR4_DE           (1ull << 3)
#define CR4_PSE          (1ull << 4)
#define CR4_PAE          (1ull << 5)
#define CR4_MCE          (1ull << 6)
#define CR4_PGE          (1ull << 7)
#define CR4_OSFXSR       (1ull << 9)
#define CR4_OSXMMEXCPT   (1ull << 10)
#define CR4_LA57         (1ull << 12)
#define CR4_VMXE         (1ull << 13)
#define CR4_SMXE         (1ull << 14)
#define CR4_PCIDE        (1ull << 17)
#define CR4_OSXSAVE      (1ull << 18)
#define CR4_SMEP         (1ull << 20)

#define RFLAGS_RESERVED1 (1ull << 1)
#define RFLAGS_CF        (1ull << 0)
#define RFLAGS_TF        (1ull << 8)
#define RFLAGS_IF        (1ull << 9)
#define RFLAGS_ZF        (1ull << 6)

#define EXCEPTION_DB     1u
#define EXCEPTION_NMI    2u
#define EXCEPTION_UD     6u
#define EXCEPTION_DF     8u
#define EXCEPTION_GP     13u
#define EXCEPTION_PF     14u
#define EXCEPTION_AC     17u
#define EXCEPTION_MC     18u
#define EXCEPTION_VE     20u

/* In an error code: what it names is in the IDT; the event came from outside the program. */
#define ERROR_CODE_EXTERNAL 1u
#define ERROR_CODE_IDT      2u

/* Access rights in the form of the VMCS's guest segment fields. */
#define SEGMENT_CODE64   0xa09bu
#define SEGMENT_CODE32   0xc09bu
#define SEGMENT_CODE16   0x009bu
#define SEGMENT_DATA     0xc093u
#define SEGMENT_DATA16   0x0093u
#define SEGMENT_TSS      0x008bu
#define SEGMENT_LDT16    0x0082u
#define SEGMENT_DPL      0x0060u
#define SEGMENT_LONG     0x2000u /* L: 64-bit code */
#define SEGMENT_UNUSABLE 0x10000u

#endif
