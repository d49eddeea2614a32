/* SPDX-License-Identifier: BSD-2-Clause */
/* All that a claim may use. */
#ifndef POSTERN_TESTS_KIT_KIT_H
#define POSTERN_TESTS_KIT_KIT_H

#include "lib/bits.h"
#include "lib/string.h"
#include "tests/kit/claim.h"
#include "tests/kit/devices.h"
#include "tests/kit/memory.h"
#include "tests/kit/trap.h"

#endif
