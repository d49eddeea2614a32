# SPDX-License-Identifier: BSD-2-Clause
UNIT_trace_ring := lib/trace_ring.c
