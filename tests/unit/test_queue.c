/* SPDX-License-Identifier: MIT */

/*
 * Sending to our own queues: people read a notification once a quarter of an hour, and what cannot
 * be sent is at least in the log.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notify/notification.h"
#include "queue/send.h"
#include "queue/tell_people.h"
#include "stage.h"

#define HALF_MINUTE_MS INT64_C(30000)

static const struct notification notification = {.title = "T", .text = "Mend it.", .key = "k"};

/* SQS drops a message whose deduplication id it has seen in the last 5 minutes; the id changes with
 * the quarter of the hour. */
static void a_key_has_one_deduplication_id_in_each_quarter(void **state)
{
        struct stage *stage = *state;
        char first[128] = "";
        const char *id;
        struct err err;

        script_sleep(stage->script, 20 * HALF_MINUTE_MS - 5000); /* 03:14:00 */
        for (int i = 0; i < 3; i++) {
                stage_expect_sent(stage, "notify.fifo");
                assert_int_equal(tell_people(&stage->scaler, &notification, &err), 0);
                id = strstr(script_last_body(stage->script), "MessageDeduplicationId");
                assert_non_null(id);
                if (i == 0)
                        memcpy(first, id, 88);
                assert_int_equal(strncmp(id, first, 88) == 0, i < 2);
                script_sleep(stage->script, HALF_MINUTE_MS);
        }
        assert_sent(stage, "\"MessageGroupId\":\"notify\"");
}

static void what_people_are_not_told_is_logged(void **state)
{
        struct stage *stage = *state;
        struct err err;

        script_expect(stage->script, "POST", STAGE_SQS, "notify.fifo", 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(tell_people(&stage->scaler, &notification, &err), -EACCES);
        assert_logged(stage, "\"title\":\"T\",\"text\":\"Mend it.\"");
        assert_logged(stage, "sqs:SendMessage");
}

static void a_missing_queue_is_named(void **state)
{
        struct stage *stage = *state;
        struct sqs_message message = {.body = "b"};
        struct err err;

        unsetenv("PARKED_QUEUE_URL");
        assert_int_equal(queue_send(&stage->scaler, "PARKED_QUEUE_URL", &message, &err), -ENOENT);
        assert_contains(err.text, "PARKED_QUEUE_URL");
        setenv("PARKED_QUEUE_URL", "", 1);
        assert_int_equal(queue_send(&stage->scaler, "PARKED_QUEUE_URL", &message, &err), -ENOENT);
        assert_int_equal(script_requests(stage->script), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_key_has_one_deduplication_id_in_each_quarter),
                TEST(what_people_are_not_told_is_logged),
                TEST(a_missing_queue_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
