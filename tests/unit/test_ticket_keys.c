/* SPDX-License-Identifier: MIT */

/*
 * The key of tickets: the first `queued` that needs one makes it, several at once use the same, and
 * a warm process seldom asks.
 */

#include "job/ticket_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queued_stage.h"

#define OTHER_KEY "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define ABSENT "{\"__type\":\"ParameterNotFound\"}"
#define DENIED "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"
#define VALUE(text) "{\"Parameter\":{\"Value\":\"" text "\"}}"
#define QUARTER_MS (15 * 60 * MSEC_PER_SEC)

static void expect_get(struct stage *stage, int status, const char *answer)
{
        script_expect(stage->script, "POST", STAGE_SSM,
                "{\"Name\":\"/p/ticket-key\",\"WithDecryption\":true}", status, answer);
}

static void expect_new(struct stage *stage, int status, const char *answer)
{
        script_expect(stage->script, "POST", STAGE_SSM,
                "{\"Name\":\"/p/ticket-key\",\"Type\":\"SecureString\",\"Tier\":\"Standard\","
                "\"Overwrite\":false,\"Value\":\"",
                status, answer);
}

/* As a process that has just started. */
static void start_anew(struct stage *stage)
{
        buf_clear(&stage->scaler.ticket_keys);
        stage->scaler.ticket_keys_read_ms = 0;
}

static void the_first_key_is_made_and_what_is_stored_counts(void **state)
{
        static const struct {
                int status;
                const char *answer;
        } rows[] = {
                {200, "{\"Version\":1}"},
                {400, "{\"__type\":\"ParameterAlreadyExists\"}"}, /* another process was first */
        };
        struct stage *stage = *state;
        const char *keys;
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                start_anew(stage);
                expect_get(stage, 400, ABSENT);
                expect_new(stage, rows[i].status, rows[i].answer);
                expect_get(stage, 200, VALUE(OTHER_KEY));
                assert_int_equal(ticket_keys_make(&stage->scaler, &keys, &err), 0);
                assert_string_equal(keys, OTHER_KEY);
        }
        assert_not_logged(stage, OTHER_KEY);
}

static void a_new_key_is_long_and_another_each_time(void **state)
{
        struct stage *stage = *state;
        char values[2][65];
        const char *keys;
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                const char *value;

                start_anew(stage);
                expect_get(stage, 400, ABSENT);
                expect_new(stage, 400, DENIED);
                assert_int_equal(ticket_keys_make(&stage->scaler, &keys, &err), -EACCES);
                value = strstr(script_last_body(stage->script), "\"Value\":\"");
                assert_non_null(value);
                value += strlen("\"Value\":\"");
                assert_int_equal(strspn(value, "0123456789abcdef"), 64);
                memcpy(values[i], value, 64);
                values[i][64] = '\0';
        }
        assert_string_not_equal(values[0], values[1]);
}

static void a_warm_process_asks_each_quarter_of_an_hour(void **state)
{
        struct stage *stage = *state;
        const char *keys;
        struct err err;

        assert_int_equal(ticket_keys_make(&stage->scaler, &keys, &err), 0);
        script_sleep(stage->script, QUARTER_MS);
        assert_int_equal(ticket_keys_make(&stage->scaler, &keys, &err), 0);
        assert_int_equal(script_requests(stage->script), 0);
        script_sleep(stage->script, 1);
        expect_get(stage, 400, DENIED); /* the old one stays */
        assert_int_equal(ticket_keys_make(&stage->scaler, &keys, &err), 0);
        assert_string_equal(keys, STAGE_TICKET_KEY);
        expect_get(stage, 200, VALUE(OTHER_KEY));
        assert_int_equal(ticket_keys_make(&stage->scaler, &keys, &err), 0);
        assert_string_equal(keys, OTHER_KEY);
}

/* As while GitHub's key cannot be read: nothing is registered, and people are told. */
static void without_a_key_machines_wait(void **state)
{
        struct stage *stage = *state;

        start_anew(stage);
        expect_launch(stage, NULL, 1, 1);
        expect_get(stage, 400, DENIED);
        stage_expect_sent(stage, "/p/ticket-key");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_FAILED("1"));
        assert_int_equal(script_requests(stage->script), 3);
}

/* Else each machine would get a hand-over without a ticket, and no report of it be believed. */
static void a_text_that_is_no_key_is_none(void **state)
{
        struct stage *stage = *state;
        const char *keys;
        struct err err;

        for (int i = 0; i < 2; i++) {
                start_anew(stage);
                expect_get(stage, 200, VALUE("too short"));
                assert_int_equal(ticket_keys_make(&stage->scaler, &keys, &err), -EINVAL);
                assert_contains(err.text, "delete it, and a new one is made");
        }
        expect_get(stage, 200, VALUE(OTHER_KEY)); /* as soon as there is one */
        assert_int_equal(ticket_keys_make(&stage->scaler, &keys, &err), 0);
        assert_string_equal(keys, OTHER_KEY);
}

static void the_hand_over_has_a_ticket(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, NULL, 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_sent(stage, "\\\"ticket\\\":\\\"1.");
        assert_sent(stage, "\\\\\\\"account\\\\\\\":\\\\\\\"123456789012\\\\\\\"");
        assert_sent(stage, "\\\\\\\"instance\\\\\\\":\\\\\\\"i-00000001\\\\\\\"");
}

/* A forger makes nobody ask for a key that nobody has made. */
static void who_checks_makes_no_key_and_asks_once_a_minute(void **state)
{
        struct stage *stage = *state;
        const char *keys;
        struct err err;

        start_anew(stage);
        expect_get(stage, 400, ABSENT);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(ticket_keys_read(&stage->scaler, false, &keys, &err), 0);
                assert_string_equal(keys, "");
                assert_int_equal(ticket_keys_read(&stage->scaler, true, &keys, &err), 0);
                assert_null(keys);
        }
        script_sleep(stage->script, 60 * MSEC_PER_SEC + 1);
        expect_get(stage, 200, VALUE(OTHER_KEY));
        assert_int_equal(ticket_keys_read(&stage->scaler, false, &keys, &err), 0);
        assert_string_equal(keys, OTHER_KEY);
}

/* A key that was stolen and replaced: nobody may send a ticket of the new one for hours. */
static void who_checks_asks_each_quarter_of_an_hour(void **state)
{
        struct stage *stage = *state;
        const char *keys;
        struct err err;

        script_sleep(stage->script, QUARTER_MS);
        assert_int_equal(ticket_keys_read(&stage->scaler, false, &keys, &err), 0);
        assert_int_equal(script_requests(stage->script), 0);
        script_sleep(stage->script, 1);
        expect_get(stage, 400, DENIED); /* the old one stays */
        assert_int_equal(ticket_keys_read(&stage->scaler, false, &keys, &err), 0);
        assert_string_equal(keys, STAGE_TICKET_KEY);
        expect_get(stage, 200, VALUE(OTHER_KEY));
        assert_int_equal(ticket_keys_read(&stage->scaler, false, &keys, &err), 0);
        assert_string_equal(keys, OTHER_KEY);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_first_key_is_made_and_what_is_stored_counts),
                TEST(a_new_key_is_long_and_another_each_time),
                TEST(a_warm_process_asks_each_quarter_of_an_hour),
                TEST(without_a_key_machines_wait),
                TEST(a_text_that_is_no_key_is_none),
                TEST(the_hand_over_has_a_ticket),
                TEST(who_checks_makes_no_key_and_asks_once_a_minute),
                TEST(who_checks_asks_each_quarter_of_an_hour),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
