/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The frames that postern_bench sends, and knows when it receives. */
#ifndef POSTERN_BENCH_H
#define POSTERN_BENCH_H

#include <linux/types.h>

#define BENCH_ETHERTYPE 0x88b5 /* IEEE 802: local experimental, 1 */
#define BENCH_MAGIC	0x426e7450u

/* After the Ethernet header, little-endian. */
struct bench_payload {
	__le32 magic;
	__le32 sequence;
} __packed;

#endif
