# SPDX-License-Identifier: BSD-2-Clause
UNIT_table := lib/table.c
UNIT_fold := tools/hvctl/fold.c
