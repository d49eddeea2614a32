/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CORE_GUEST_MEMORY_H
#define POSTERN_CORE_GUEST_MEMORY_H

#include "arch/x86/vmx_caps.h"
#include "core/vm.h"

/* Allocates vm->ram_size bytes for `vm`, maps them from guest-physical 0 on, write-back, and
 * prepares its views for `ports` windows. Once, at boot, after vm->config, ram_size and vcpu_count
 * are set. */
status_t guest_memory_create(struct vm *vm, const struct vmx_caps *caps, uint32_t ports) MUST_CHECK;

#endif
