/* SPDX-License-Identifier: MIT */

/*
 * Notifications as documents: what one function queues is what another one shows, and a message
 * needs no more than a title.
 */

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "notify/notification.h"
#include "unit.h"

static const struct notification full = {
        .severity = NOTIFICATION_ERROR,
        .title = "It broke",
        .text = "Mend it.",
        .facts = {{"Job", "build"}, {"Repository", "octo-org/hello"}},
        .n_facts = 2,
        .url = "https://github.com/octo-org/hello/actions/runs/1/job/2",
        .key = "broken-1",
};

static void test_facts_without_a_value_are_left_out(void **state)
{
        struct notification notification = {0};

        (void)state;
        notification_fact(&notification, "a", NULL);
        notification_fact(&notification, "b", "");
        assert_int_equal(notification.n_facts, 0);
        for (size_t i = 0; i < NOTIFICATION_FACTS_MAX + 5; i++)
                notification_fact(&notification, "c", "value");
        assert_int_equal(notification.n_facts, NOTIFICATION_FACTS_MAX);
}

static void test_print(void **state)
{
        _cleanup_free_ char *text = notification_print(&full);

        (void)state;
        assert_string_equal(text,
                "{\"severity\":\"error\",\"title\":\"It broke\",\"text\":\"Mend it.\","
                "\"facts\":[{\"name\":\"Job\",\"value\":\"build\"},"
                "{\"name\":\"Repository\",\"value\":\"octo-org/hello\"}],"
                "\"url\":\"https://github.com/octo-org/hello/actions/runs/1/job/2\","
                "\"key\":\"broken-1\"}");
}

static int parse(const char *text, struct notification *ret, cJSON **ret_json, struct err *err)
{
        return notification_parse(text, strlen(text), ret, ret_json, err);
}

static void test_parse_reads_what_print_wrote(void **state)
{
        _cleanup_free_ char *text = notification_print(&full);
        _cleanup_free_ char *again = NULL;
        _cleanup_json_ cJSON *json = NULL;
        struct notification notification;

        (void)state;
        assert_int_equal(parse(text, &notification, &json, NULL), 0);
        again = notification_print(&notification);
        assert_string_equal(again, text);
}

static void test_parse_needs_a_title_only(void **state)
{
        _cleanup_json_ cJSON *json = NULL;
        struct notification notification;

        (void)state;
        assert_int_equal(parse("{\"title\":\"t\",\"severity\":\"doom\",\"facts\":[7,{},"
                               "{\"name\":\"n\"},{\"name\":\"n\",\"value\":\"v\"}]}",
                                 &notification, &json, NULL),
                0);
        assert_int_equal(notification.severity, NOTIFICATION_WARNING);
        assert_string_equal(notification.title, "t");
        assert_string_equal(notification.text, "");
        assert_string_equal(notification.key, "t");
        assert_null(notification.url);
        assert_int_equal(notification.n_facts, 1);
        assert_string_equal(notification.facts[0].value, "v");
}

static void test_parse_refuses(void **state)
{
        static const char *const texts[] = {
                "", "{", "[]", "{}", "{\"title\":\"\"}", "{\"title\":1}", "{\"title\":\"\xff\"}"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct notification notification = {.title = "untouched"};
                cJSON *json = NULL;
                struct err err = {0};

                assert_int_equal(parse(texts[i], &notification, &json, &err), -EBADMSG);
                assert_null(json);
                assert_string_equal(notification.title, "untouched");
                assert_contains(err.text, "the notification");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_facts_without_a_value_are_left_out),
                cmocka_unit_test(test_print),
                cmocka_unit_test(test_parse_reads_what_print_wrote),
                cmocka_unit_test(test_parse_needs_a_title_only),
                cmocka_unit_test(test_parse_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
