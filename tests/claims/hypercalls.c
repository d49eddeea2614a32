/* SPDX-License-Identifier: BSD-2-Clause */
/* Hypercalls (docs/abi.md, "Hypercalls"). */
#include "tests/kit/kit.h"

CLAIM(hypercall_version, "POSTERN_HC_VERSION returns the version that CPUID tells")
{
    CHECK_EQUAL(hypercall(POSTERN_HC_VERSION, 0, 0, 0), cpuid(POSTERN_CPUID_ABI, 0).eax);
}

CLAIM(hypercall_unknown, "a number that does not exist is POSTERN_ERR_UNKNOWN")
{
    CHECK_EQUAL(hypercall(1000, 0, 0, 0), POSTERN_ERR_UNKNOWN);
    CHECK_EQUAL(hypercall(~0ull, 0, 0, 0), POSTERN_ERR_UNKNOWN);
    CHECK_EQUAL(hypercall(1ull << 32, 0, 0, 0), POSTERN_ERR_UNKNOWN);
    CHECK_EQUAL(hypercall(1ull << 63, 0, 0, 0), POSTERN_ERR_UNKNOWN);
}

static uint64_t hypercall_in_user(uint64_t number)
{
    return (uint64_t)hypercall(number, 0, 0, 0);
}

CLAIM(hypercall_ring_3, "from ring 3 it is POSTERN_ERR_PERMISSION")
{
    uint64_t result = 0;

    CHECK_NO_TRAP(run_user(hypercall_in_user, POSTERN_HC_VERSION, &result));
    CHECK_EQUAL(result, POSTERN_ERR_PERMISSION);
    CHECK_NO_TRAP(run_user(hypercall_in_user, POSTERN_HC_DOORBELL, &result));
    CHECK_EQUAL(result, POSTERN_ERR_PERMISSION);
}

CLAIM(hypercall_keeps_registers, "every register but RAX is kept, and the flags")
{
    uint64_t in[14], out[14], flags = 0;
    uint64_t *from = in, *to = out;

    for (unsigned i = 0; i < ARRAY_SIZE(in); i++) {
        in[i] = 0x1111111111111111ull * (i + 1);
    }
    __asm__ volatile("push %%rbp\n"
                     "push %1\n"
                     "mov %0, %%rax\n"
                     "mov (%%rax), %%rbx\n mov 8(%%rax), %%rcx\n mov 16(%%rax), %%rdx\n"
                     "mov 24(%%rax), %%rsi\n mov 32(%%rax), %%rdi\n mov 40(%%rax), %%rbp\n"
                     "mov 48(%%rax), %%r8\n mov 56(%%rax), %%r9\n mov 64(%%rax), %%r10\n"
                     "mov 72(%%rax), %%r11\n mov 80(%%rax), %%r12\n mov 88(%%rax), %%r13\n"
                     "mov 96(%%rax), %%r14\n mov 104(%%rax), %%r15\n"
                     "xor %%eax, %%eax\n" /* the version; ZF is set */
                     "stc\n"
                     "vmcall\n"
                     "pushfq\n"
                     "mov 8(%%rsp), %%rax\n"
                     "mov %%rbx, (%%rax)\n mov %%rcx, 8(%%rax)\n mov %%rdx, 16(%%rax)\n"
                     "mov %%rsi, 24(%%rax)\n mov %%rdi, 32(%%rax)\n mov %%rbp, 40(%%rax)\n"
                     "mov %%r8, 48(%%rax)\n mov %%r9, 56(%%rax)\n mov %%r10, 64(%%rax)\n"
                     "mov %%r11, 72(%%rax)\n mov %%r12, 80(%%rax)\n mov %%r13, 88(%%rax)\n"
                     "mov %%r14, 96(%%rax)\n mov %%r15, 104(%%rax)\n"
                     "pop %%rax\n"
                     "add $8, %%rsp\n"
                     "pop %%rbp\n"
                     : "+D"(from), "+S"(to), "=&a"(flags)
                     :
                     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
                       "memory");
    CHECK(memcmp(in, out, sizeof(in)) == 0);
    CHECK((flags & (RFLAGS_CF | RFLAGS_ZF)) == (RFLAGS_CF | RFLAGS_ZF));
}

CLAIM(doorbell_unknown_port, "a doorbell of a port that the VM does not have is an error")
{
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, 100, 0, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, ~0ull, 0, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, 1ull << 32, 0, 0), POSTERN_ERR_ARGUMENT);
}

CLAIM(doorbell_unknown_queue, "a doorbell of a queue that the port does not have is an error")
{
    volatile uint32_t *registers = map_physical(nic_bar(need_nic(), 0), SIZE_4K);
    uint32_t port = registers[POSTERN_REG_PORT / 4];
    uint32_t queues = registers[POSTERN_REG_QUEUES / 4];

    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, port, queues, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, port, ~0ull, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, port, 1ull << 32, 0), POSTERN_ERR_ARGUMENT);
    registers[POSTERN_REG_DOORBELL / 4] = queues; /* passed over */
    registers[POSTERN_REG_DOORBELL / 4] = ~0u;
    registers[POSTERN_REG_QUEUES / 4] = 8;
    CHECK_EQUAL(registers[POSTERN_REG_QUEUES / 4], queues);
}

CLAIM(mode_is_not_the_guests, "a write to MODE changes nothing where no other mode is wanted")
{
    volatile uint32_t *registers = map_physical(nic_bar(need_nic(), 0), SIZE_4K);
    uint32_t mode = registers[POSTERN_REG_MODE / 4];

    CHECK_EQUAL(registers[POSTERN_REG_LINK / 4] & POSTERN_LINK_OTHER_MODE, 0);
    for (uint32_t value = 0; value < 3; value++) {
        registers[POSTERN_REG_MODE / 4] = value;
        CHECK_EQUAL(registers[POSTERN_REG_MODE / 4], mode);
    }
}

CLAIM(doorbell, "a doorbell of a port whose peer runs is 0, by hypercall and by register")
{
    volatile uint32_t *registers = map_physical(nic_bar(need_nic(), 0), SIZE_4K);
    uint32_t port = registers[POSTERN_REG_PORT / 4];

    CHECK((registers[POSTERN_REG_LINK / 4] & POSTERN_LINK_PEER_RUNS) != 0);
    CHECK_EQUAL(hypercall(POSTERN_HC_DOORBELL, port, 0, 0), 0);
    registers[POSTERN_REG_DOORBELL / 4] = 0;
}

CLAIM(single_hypercall_instruction, "VMCALL works with prefixes and at the end of a page")
{
    uint8_t *page = ram_alloc(2 * SIZE_4K, SIZE_4K);
    uint8_t *code = page + SIZE_4K - 3;
    static const uint8_t vmcall_ret[] = {0x0f, 0x01, 0xc1, 0xc3};
    uint64_t result = 0;

    memcpy(code, vmcall_ret, sizeof(vmcall_ret));
    __asm__ volatile("call *%1" : "=a"(result) : "r"(code), "a"(0ull) : "memory");
    CHECK_EQUAL(result, POSTERN_ABI_VERSION);
}
