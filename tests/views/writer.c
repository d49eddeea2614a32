/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer's part: with the word "writer" on its command line the guest writes a growing count into
 * its section, through the gate, for ever. */
#include "tests/views/views.h"

#define PAUSE_MS 1u

void guest_role(void)
{
    if (!has_word("writer")) {
        return;
    }
    uint32_t view = open_view();
    uint64_t word = window_of(GATED_PORT) + PEER_OFFSET;
    for (uint64_t count = 1;; count++) {
        (void)gate_store(view, word, PEER_MARK + count);
        delay(PAUSE_MS);
    }
}
