/* SPDX-License-Identifier: BSD-2-Clause */
/* The classes of what exits cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/costs.h"

static void test_classes(void **state)
{
    unsigned kind = 0;

    (void)state;
    assert_int_equal(costs_class(0), 0);
    assert_int_equal(costs_class(COSTS_FIRST - 1), 0);
    for (uint64_t limit = COSTS_FIRST; kind < COSTS_CLASSES - 1; limit *= 2) {
        assert_int_equal(costs_class(limit - 1), kind);
        kind++;
        assert_int_equal(costs_class(limit), kind);
    }
    assert_int_equal(costs_class(UINT64_MAX), COSTS_CLASSES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
