# SPDX-License-Identifier: BSD-2-Clause
UNIT_word_runs := lib/word_runs.c
