/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far a transfer is: one line of the terminal at standard error, rewritten as it goes. Nothing
 * at all where standard error is no terminal, or belongs to another job. Whoever prints something
 * else clears it first.
 */
#ifndef POSTERN_TOOLS_HVCTL_PROGRESS_H
#define POSTERN_TOOLS_HVCTL_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *name;         /* of what is carried */
    uint64_t round;           /* from 1; 0: there is only one */
    uint64_t done, total;     /* bytes of it */
    uint64_t bytes_on_line;   /* since the transfer began */
    uint64_t bytes_in_second; /* on the line; 0: not known yet */
};

/* Text of at most `columns` characters: what does not fit is left away, from the end. */
void progress_format(const struct progress *progress, char *text, size_t size, size_t columns);

/* Shows it, if it is some time since it was shown; `bytes_in_second` is found out here. */
void progress_show(struct progress *progress);

/* Takes the line away, if there is one. */
void progress_clear(void);

#endif
