/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/pci_quiesce.h"

#include "arch/x86/cpu.h"
#include "lib/bits.h"

#define PORT_ADDRESS       0xcf8u
#define PORT_DATA          0xcfcu
#define ADDRESS_ENABLE     BIT32(31)
#define BUSES              256u
#define DEVICES            32u
#define FUNCTIONS          8u
#define CFG_VENDOR         0x00u
#define CFG_COMMAND        0x04u
#define CFG_CLASS          0x08u
#define CFG_HEADER_TYPE    0x0cu
#define COMMAND_BUS_MASTER BIT32(2)
#define MULTI_FUNCTION     BIT32(23)
#define CLASS_HOST_BRIDGE  0x0600u
#define NOBODY             0xffffu

static uint32_t read_config(uint32_t function, uint32_t offset)
{
    outl(PORT_ADDRESS, ADDRESS_ENABLE | function << 8 | offset);
    return inl(PORT_DATA);
}

static void write_config(uint32_t function, uint32_t offset, uint32_t value)
{
    outl(PORT_ADDRESS, ADDRESS_ENABLE | function << 8 | offset);
    outl(PORT_DATA, value);
}

/* `function`: bus, device and function number, as in CONFIG_ADDRESS. */
static bool quiesce(uint32_t function)
{
    uint32_t command = read_config(function, CFG_COMMAND);

    if ((command & COMMAND_BUS_MASTER) == 0 ||
        read_config(function, CFG_CLASS) >> 16 == CLASS_HOST_BRIDGE) {
        return false;
    }
    /* The upper half is the status, whose bits are cleared by ones. */
    write_config(function, CFG_COMMAND, command & 0xffff & ~COMMAND_BUS_MASTER);
    return true;
}

unsigned pci_quiesce(void)
{
    unsigned count = 0;

    for (uint32_t slot = 0; slot < BUSES * DEVICES; slot++) {
        uint32_t first = slot * FUNCTIONS;
        if ((read_config(first, CFG_VENDOR) & 0xffff) == NOBODY) {
            continue;
        }
        bool many = (read_config(first, CFG_HEADER_TYPE) & MULTI_FUNCTION) != 0;
        for (uint32_t function = first; function < first + (many ? FUNCTIONS : 1); function++) {
            if ((read_config(function, CFG_VENDOR) & 0xffff) != NOBODY && quiesce(function)) {
                count++;
            }
        }
    }
    return count;
}
