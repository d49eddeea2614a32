/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers of hypercalls: arguments are in the vCPU's registers. Each ends by
 * hypercall_answer(), or with EXIT_DONE if it is not done: the guest then makes the same call
 * again, without noticing. */
#ifndef POSTERN_CORE_HYPERCALL_H
#define POSTERN_CORE_HYPERCALL_H

#include "core/exits.h"

static inline enum exit_result hypercall_answer(struct vcpu *vcpu, int64_t answer)
{
    vcpu->vmx.registers.rax = (uint64_t)answer;
    return EXIT_SKIP;
}

/* hypercall_views.c */
enum exit_result hypercall_gate(struct vcpu *vcpu);
enum exit_result hypercall_gate_place(struct vcpu *vcpu);
enum exit_result hypercall_view_open(struct vcpu *vcpu);
enum exit_result hypercall_view_close(struct vcpu *vcpu);
enum exit_result hypercall_window_grant(struct vcpu *vcpu);
enum exit_result hypercall_pool_give(struct vcpu *vcpu);
enum exit_result hypercall_pool_take(struct vcpu *vcpu);
enum exit_result hypercall_ve(struct vcpu *vcpu);
enum exit_result hypercall_exits(struct vcpu *vcpu);
enum exit_result hypercall_test_stay(struct vcpu *vcpu);
enum exit_result hypercall_test_seal(struct vcpu *vcpu);

/* Makes the calls for tests known: the boot option test=on. */
void hypercall_allow_tests(void);

#endif
