/* SPDX-License-Identifier: MIT */

/*
 * The agent's first stages: who it is (identify), and what it is to do (receive).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "agent_stand.h"
#include "base/mem.h"

/* -- identify -- */

static void expect_identity(struct script *script)
{
        script_expect(script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_expect(script, "GET", ROLES_URL, NULL, 200, "runner\n");
        script_expect(script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
}

static void test_a_machine_learns_who_it_is(void **state)
{
        struct stand *stand = *state;

        expect_identity(stand->script);
        identify_start(&stand->identify, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_true(stand->agent.is_identified);
        assert_string_equal(stand->agent.identity.instance_id, "i-0123456789abcdef0");
        assert_string_equal(stand->agent.metadata_token, "TOKEN");
        assert_true(agent_has_aws(&stand->agent));
        assert_string_equal(agent_aws(&stand->agent)->credentials.secret_key, "secret");
        assert_true(stand->agent.times[REPORT_TIME_IDENTIFIED] > 0);
}

static void test_identity_and_role_are_asked_for_at_the_same_time(void **state)
{
        struct stand *stand = *state;
        int64_t before = clock_monotonic_ms(stand->agent.clock);

        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_latency(stand->script, 100);
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_latency(stand->script, 50);
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        script_latency(stand->script, 50);
        identify_start(&stand->identify, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_in_range(clock_monotonic_ms(stand->agent.clock) - before, 100, 105);
}

static void test_whatever_fails_is_asked_again(void **state)
{
        struct stand *stand = *state;

        script_expect_failure(stand->script, "PUT", TOKEN_URL, -EHOSTUNREACH);
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 500, "");
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", IDENTITY_URL, NULL, 200, "<html>");
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_latency(stand->script, 10);
        expect_identity(stand->script);
        identify_start(&stand->identify, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
}

static void test_without_metadata_it_is_no_instance(void **state)
{
        struct stand *stand = *state;

        script_expect_failure(stand->script, "PUT", TOKEN_URL, -ETIMEDOUT);
        script_latency(stand->script, 12000);
        identify_start(&stand->identify, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -ETIMEDOUT);
        assert_false(stand->agent.is_identified);
        assert_non_null(strstr(stand->told.err.text, "this is not an EC2 instance"));
        assert_non_null(strstr(stand->told.err.text, "scripted failure"));
}

static void test_an_instance_without_a_role_is_an_instance(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_expect(stand->script, "GET", ROLES_URL, NULL, 404, "");
        script_latency(stand->script, 12000);
        identify_start(&stand->identify, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -ETIMEDOUT);
        assert_true(stand->agent.is_identified);
        assert_false(agent_has_aws(&stand->agent));
        assert_non_null(strstr(stand->told.err.text, "instance profile"));
        assert_non_null(strstr(stand->told.err.text, "has no role"));
}

static void test_credentials_are_refreshed_without_a_second_done(void **state)
{
        struct stand *stand = *state;
        struct aws *aws;

        expect_identity(stand->script);
        identify_start(&stand->identify, stand_done, stand);
        stand_go_on_until(stand, 1);
        aws = agent_aws(&stand->agent);
        mem_free_secret(MEM_STEAL(aws->credentials.secret_key));
        script_expect_failure(stand->script, "PUT", TOKEN_URL, -ETIMEDOUT);
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN2");
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        identify_refresh(&stand->identify);
        identify_refresh(&stand->identify);
        for (int i = 0; i < 500 && !aws->credentials.secret_key; i++) {
                http_finish(stand->agent.http);
                sd_event_run(agent_event(&stand->agent), 10000);
        }
        assert_string_equal(aws->credentials.secret_key, "secret");
        assert_string_equal(stand->agent.metadata_token, "TOKEN2");
        assert_int_equal(stand->told.calls, 1);
}

/* Where its hand-over is, is part of what it must know. */
static void test_a_tag_names_the_bucket(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", IDENTITY_URL, NULL, 200, IDENTITY);
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_latency(stand->script, 20);
        script_expect(stand->script, "GET", BUCKET_TAG_URL, NULL, 500, "");
        script_expect(stand->script, "PUT", TOKEN_URL, NULL, 200, "TOKEN");
        script_expect(stand->script, "GET", BUCKET_TAG_URL, NULL, 200, "b");
        script_latency(stand->script, 50);
        script_expect(stand->script, "GET", ROLES_URL, NULL, 200, "runner");
        script_expect(stand->script, "GET", ROLES_URL "runner", NULL, 200, CREDENTIALS);
        identify_start(&stand->identify, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_string_equal(stand->agent.bucket, "b");
}

/* -- receive -- */

static unsigned n_waiting;

static void count_waiting(void *userdata)
{
        (void)userdata;
        n_waiting++;
}

static void test_a_handover_is_waited_for(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", SSM_URL, NAME, 400, NOT_FOUND);
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, FOUND);
        receive_start(&stand->receive, count_waiting, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_true(stand->agent.has_handover);
        assert_int_equal(stand->agent.handover.job.id, 7);
        assert_int_equal(n_waiting, 1);
        assert_string_equal(stand->agent.handover.jit_config, "QUJD");
}

static void test_who_is_throttled_asks_less_often(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", SSM_URL, NAME, 400, NOT_FOUND);
        script_expect(stand->script, "POST", SSM_URL, NAME, 400, THROTTLED);
        script_expect(stand->script, "POST", SSM_URL, NAME, 200, FOUND);
        receive_start(&stand->receive, count_waiting, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_int_equal(stand->receive.pace.failures, 2);
        assert_true(stand->receive.pace.slower > 0);
        assert_false(stand->receive.pace.is_s3);
}

static void test_the_last_refusal_is_part_of_the_reason(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", SSM_URL, NAME, 400, DENIED);
        script_latency(stand->script, 4200000);
        receive_start(&stand->receive, count_waiting, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -ETIMEDOUT);
        assert_non_null(strstr(stand->told.err.text, NAME " within 4200 s"));
        assert_non_null(strstr(stand->told.err.text, "ssm:GetParameter"));
}

static void test_a_garbled_handover_is_no_reason_to_wait(void **state)
{
        struct stand *stand = *state;

        script_expect(stand->script, "POST", SSM_URL, NAME, 200,
                "{\"Parameter\":{\"Value\":\"TOPSECRET\"}}");
        receive_start(&stand->receive, count_waiting, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -EBADMSG);
        assert_null(strstr(stand->told.err.text, "TOPSECRET"));
        assert_true(stand->agent.has_parameter);
        assert_false(stand->agent.has_handover);
}

static void test_a_handover_in_s3_is_waited_for(void **state)
{
        struct stand *stand = *state;

        stand_use_s3(stand);
        script_expect(stand->script, "GET", S3_URL, NULL, 404, S3_ERROR("NoSuchKey"));
        script_expect(stand->script, "GET", S3_URL, NULL, 403, S3_ERROR("AccessDenied"));
        script_expect(stand->script, "GET", S3_URL, NULL, 200, OBJECT);
        receive_start(&stand->receive, count_waiting, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, 0);
        assert_int_equal(stand->agent.handover.job.id, 7);
        assert_true(stand->receive.pace.is_s3);
}

/* S3 says 404 of an own object that does not exist, so a refusal is a fault. It may last a while,
 * and begins anew after another answer. */
static void test_s3_may_refuse_for_half_a_minute(void **state)
{
        struct stand *stand = *state;

        stand_use_s3(stand);
        script_expect(stand->script, "GET", S3_URL, NULL, 403, S3_ERROR("AccessDenied"));
        script_expect(stand->script, "GET", S3_URL, NULL, 404, S3_ERROR("NoSuchKey"));
        script_latency(stand->script, 29000);
        script_expect(stand->script, "GET", S3_URL, NULL, 403, S3_ERROR("AccessDenied"));
        script_latency(stand->script, 5000);
        script_expect(stand->script, "GET", S3_URL, NULL, 403, S3_ERROR("AccessDenied"));
        script_latency(stand->script, 29000);
        script_expect(stand->script, "GET", S3_URL, NULL, 403, S3_ERROR("AccessDenied"));
        script_latency(stand->script, 1001);
        receive_start(&stand->receive, count_waiting, stand_done, stand);
        stand_go_on_until(stand, 1);
        assert_int_equal(stand->told.result, -EACCES);
        assert_non_null(strstr(stand->told.err.text, "s3:GetObject"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                STAND_FRESH(test_a_machine_learns_who_it_is),
                STAND_FRESH(test_identity_and_role_are_asked_for_at_the_same_time),
                STAND_FRESH(test_whatever_fails_is_asked_again),
                STAND_FRESH(test_without_metadata_it_is_no_instance),
                STAND_FRESH(test_an_instance_without_a_role_is_an_instance),
                STAND_FRESH(test_credentials_are_refreshed_without_a_second_done),
                STAND_FRESH(test_a_tag_names_the_bucket),
                STAND_IDENTIFIED(test_a_handover_is_waited_for),
                STAND_IDENTIFIED(test_a_handover_in_s3_is_waited_for),
                STAND_IDENTIFIED(test_s3_may_refuse_for_half_a_minute),
                STAND_IDENTIFIED(test_who_is_throttled_asks_less_often),
                STAND_IDENTIFIED(test_the_last_refusal_is_part_of_the_reason),
                STAND_IDENTIFIED(test_a_garbled_handover_is_no_reason_to_wait),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
