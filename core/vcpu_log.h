/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's log of the pages that it writes to (SDM "Page-Modification Logging"): the CPU adds a
 * guest-physical address when it sets a dirty flag. On the vCPU's own pCPU with its VMCS current.
 */
#ifndef POSTERN_CORE_VCPU_LOG_H
#define POSTERN_CORE_VCPU_LOG_H

#include "core/vcpu.h"

/* Takes what was logged to vm->dirty.logged, and turns logging on or off as vm->dirty.logging says.
 * Whenever the vCPU leaves its CPU, or is to flush. */
void vcpu_log_sync(struct vcpu *vcpu);

/* The log is full. */
enum exit_result exit_log_full(struct vcpu *vcpu);

#endif
