# SPDX-License-Identifier: BSD-2-Clause
UNIT_hdlc := lib/hdlc.c
