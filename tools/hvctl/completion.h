/* SPDX-License-Identifier: BSD-2-Clause */
/* The words by which a line at the prompt can go on. The shells' completion knows the same
 * (manual.c). */
#ifndef POSTERN_TOOLS_HVCTL_COMPLETION_H
#define POSTERN_TOOLS_HVCTL_COMPLETION_H

#include "tools/hvctl/client.h"

#define COMPLETION_MAX 256u

struct completion {
    char *words[COMPLETION_MAX]; /* in order, no two alike */
    unsigned count;
    size_t common; /* bytes with which all of them begin */
};

/* Finds the words that may stand where `word`, `length` bytes, begins behind the text `before`.
 * Names of VMs, links and networks are asked for; where no answer comes there are none. */
void completion_find(struct completion *completion, struct client *client, const char *before,
                     const char *word, size_t length);
void completion_free(struct completion *completion);

#endif
