# SPDX-License-Identifier: BSD-2-Clause
UNIT_word_runs := lib/word_runs.c
UNIT_word_hash := lib/word_hash.c
