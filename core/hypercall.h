/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers of hypercalls: arguments are in the vCPU's registers, the answer is RAX's. */
#ifndef POSTERN_CORE_HYPERCALL_H
#define POSTERN_CORE_HYPERCALL_H

#include "core/vm.h"

/* The answer of a handler that is not done: the guest makes the same call again, without noticing.
 */
#define HYPERCALL_AGAIN INT64_MIN

/* hypercall_views.c */
int64_t hypercall_gate(struct vcpu *vcpu);
int64_t hypercall_gate_place(struct vcpu *vcpu);
int64_t hypercall_view_open(struct vcpu *vcpu);
int64_t hypercall_view_close(struct vcpu *vcpu);
int64_t hypercall_window_grant(struct vcpu *vcpu);
int64_t hypercall_ve(struct vcpu *vcpu);
int64_t hypercall_exits(struct vcpu *vcpu);
int64_t hypercall_test_stay(struct vcpu *vcpu);

/* Makes POSTERN_HC_TEST_STAY known: the boot option test=on. */
void hypercall_allow_tests(void);

#endif
