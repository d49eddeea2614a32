# SPDX-License-Identifier: BSD-2-Clause
UNIT_token_bucket := lib/token_bucket.c
