/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_CORE_GUEST_MEMORY_H
#define POSTERN_CORE_GUEST_MEMORY_H

#include "arch/x86/vmx_caps.h"
#include "core/port.h"

/* Allocates vm->ram_size bytes for `vm`, as a part of vm->memory, maps them from guest-physical 0
 * on, write-back, and prepares its views for what the links and networks of `config` show there. */
status_t guest_memory_create(struct vm *vm, const struct vmx_caps *caps,
                             const struct config *config) MUST_CHECK;

/* Puts `count` pages into the pool that EPT tables come from, as a part of vm->memory. Under the
 * VM's lock, or before others know the VM. */
status_t guest_memory_add_tables(struct vm *vm, uint64_t count) MUST_CHECK;

/* Adds what a link's end may take of the pool, if its VM has memory by now; else it is counted when
 * the VM is created. As guest_memory_add_tables(). */
status_t guest_memory_add_port(struct port *port) MUST_CHECK;

/* Takes what was added out of the pool and gives it back. The VM is held, the port shows nothing,
 * and there are no protected views. Under the VM's lock. */
void guest_memory_remove_port(struct port *port);

/* vm->memory is about to be freed: no RAM, no EPT, no views. Under the VM's lock. */
void guest_memory_forget(struct vm *vm);

#endif
