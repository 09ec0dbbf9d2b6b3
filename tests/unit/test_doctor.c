/* SPDX-License-Identifier: MIT */

/*
 * Findings of `scaler doctor`: a failure stays one, and is what people read.
 */

#include "commands/doctor.h"

#include "base/mem.h"
#include "unit.h"

static void a_failure_does_not_become_a_skip(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(1024);
        struct finding finding = {.text = text};

        (void)state;
        finding_fail(&finding, "mend it", "it is %s", "broken");
        finding_skip(&finding, "there is nothing to look at");
        finding_say(&finding, "all else is well");
        text = finding.text;
        assert_int_equal(finding.result, FINDING_FAILED);
        assert_string_equal(buf_string(&text), "it is broken");
}

static void a_skip_becomes_a_failure(void **state)
{
        _cleanup_buf_ struct buf text = BUF_INIT(1024);
        struct finding finding = {.text = text};

        (void)state;
        finding_skip(&finding, "there is nothing to look at");
        finding_fail(&finding, NULL, "it is broken");
        text = finding.text;
        assert_int_equal(finding.result, FINDING_FAILED);
        assert_string_equal(buf_string(&text), "it is broken");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_failure_does_not_become_a_skip),
                cmocka_unit_test(a_skip_becomes_a_failure),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
