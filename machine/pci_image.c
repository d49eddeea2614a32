/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI functions in snapshots of VMs. */
#include "machine/pci_parts.h"

void pci_function_save(const struct pci_function *function, struct pci_function_image *image)
{
    const uint8_t *config = function->config;

    memset(image, 0, sizeof(*image));
    image->identity = pci_get(config, CFG_VENDOR, 4);
    image->command = (uint16_t)pci_get(config, CFG_COMMAND, 2);
    image->msix_control =
        (uint16_t)(function->msix_vectors != 0 ? pci_get(config, CFG_MSIX + 2, 2) : 0);
    memcpy(image->bars, config + CFG_BAR0, sizeof(image->bars));
    image->cache_line = config[CFG_CACHE_LINE];
    image->interrupt_line = config[CFG_INT_LINE];
    image->msix_vectors = function->msix_vectors;
    image->own_size = function->own_size;
    memcpy(image->own, config + function->own, function->own_size);
    for (unsigned i = 0; i < function->msix_vectors; i++) {
        image->msix[i].address = function->msix[i].address;
        image->msix[i].data = function->msix[i].data;
        image->msix[i].masked = function->msix[i].masked;
        image->msix[i].pending = function->msix[i].pending;
    }
}

bool pci_function_fits(const struct pci_function *function, const struct pci_function_image *image)
{
    for (unsigned i = 0; i < function->msix_vectors; i++) {
        if (image->msix[i].masked > 1 || image->msix[i].pending > 1 ||
            (image->msix[i].address & 3) != 0) {
            return false;
        }
    }
    return image->identity == pci_get(function->config, CFG_VENDOR, 4) &&
           image->msix_vectors == function->msix_vectors && image->own_size == function->own_size;
}

void pci_function_load(struct pci_function *function, const struct pci_function_image *image)
{
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        if (function->bars[bar].size != 0) {
            uint64_t high = function->bars[bar].wide ? image->bars[bar + 1] : 0;
            pci_put_bar(function, bar, high << 32 | image->bars[bar]);
        }
    }
    for (unsigned i = 0; i < function->msix_vectors; i++) {
        function->msix[i].address = image->msix[i].address;
        function->msix[i].data = image->msix[i].data;
        function->msix[i].masked = image->msix[i].masked != 0;
        function->msix[i].pending = image->msix[i].pending != 0;
    }
    if (function->msix_vectors != 0) {
        pci_put(function->config, CFG_MSIX + 2, 2,
                (image->msix_control & (MSIX_ENABLE | MSIX_MASK_ALL)) |
                    (function->msix_vectors - 1));
    }
    function->config[CFG_CACHE_LINE] = image->cache_line;
    function->config[CFG_INT_LINE] = image->interrupt_line;
    memcpy(function->config + function->own, image->own, function->own_size);
    pci_put(function->config, CFG_COMMAND, 2, image->command & pci_writable_command(function));
    pci_update_decoding(function);
}
