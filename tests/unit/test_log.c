/* SPDX-License-Identifier: MIT */

/*
 * Log lines and metrics exactly as CloudWatch gets them: one JSON object a line, with the context
 * of the event.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aws/metric.h"
#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "unit.h"

static int64_t fixed_ms(const struct clock *clock)
{
        (void)clock;
        return INT64_C(1767355200007);
}

static const struct clock fixed_clock = {.wall_ms = fixed_ms, .monotonic_ms = fixed_ms};

struct fixture {
        int fd;
        struct log_json_sink sink;
        struct log log;
        char text[8192];
};

static int set_up(void **state)
{
        struct fixture *fixture = mem_alloc(sizeof(*fixture));

        fixture->fd = memfd_create("log", MFD_CLOEXEC);
        log_json_sink_init(&fixture->sink, fixture->fd, &fixed_clock);
        fixture->log = (struct log){.sink = &fixture->sink.sink, .level = LOG_LEVEL_INFO};
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        close(fixture->fd);
        free(fixture);
        return 0;
}

static const char *written(struct fixture *fixture)
{
        ssize_t n = pread(fixture->fd, fixture->text, sizeof(fixture->text) - 1, 0);

        assert_true(n >= 0);
        fixture->text[n] = '\0';
        return fixture->text;
}

static void a_message_is_a_line(void **state)
{
        struct fixture *fixture = *state;

        log_info(&fixture->log, "launched", LOG_TEXT("instance", "i-1"), LOG_TEXT("spec", NULL),
                LOG_NUMBER("job", 7));
        log_debug(&fixture->log, "dropped");
        log_warning(&fixture->log, "two\nlines \"quoted\"");
        assert_string_equal(written(fixture),
                "{\"time\":\"2026-01-02T12:00:00.007Z\",\"level\":\"info\",\"message\":"
                "\"launched\",\"instance\":\"i-1\",\"job\":7}\n"
                "{\"time\":\"2026-01-02T12:00:00.007Z\",\"level\":\"warning\",\"message\":"
                "\"two\\nlines \\\"quoted\\\"\"}\n");
}

static void context_is_in_every_message(void **state)
{
        struct fixture *fixture = *state;

        log_context(&fixture->log, "job", "7");
        log_context(&fixture->log, "delivery", "abc");
        log_context(&fixture->log, "job", "8");
        log_info(&fixture->log, "one");
        assert_contains(written(fixture), "\"one\",\"job\":\"8\",\"delivery\":\"abc\"}");
        log_context(&fixture->log, "job", NULL);
        log_info(&fixture->log, "two");
        assert_contains(written(fixture), "\"two\",\"delivery\":\"abc\"}");
        log_context_clear(&fixture->log);
        log_info(&fixture->log, "three");
        assert_contains(written(fixture), "\"three\"}");
}

/* JSON readers differ in what they make of a name that occurs twice. */
static void a_field_replaces_context_of_its_name(void **state)
{
        struct fixture *fixture = *state;

        log_context(&fixture->log, "job", "7");
        log_info(&fixture->log, "one", LOG_NUMBER("job", 8));
        assert_contains(written(fixture), "\"one\",\"job\":8}");
}

static void context_is_bounded(void **state)
{
        static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
        struct fixture *fixture = *state;
        char long_text[1000] = "";

        for (size_t i = 0; i + 3 < sizeof(long_text); i += 3)
                memcpy(long_text + i, "€", sizeof("€"));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                log_context(&fixture->log, names[i], long_text);
        assert_int_equal(fixture->log.n_context, LOG_CONTEXT_MAX);
        log_info(&fixture->log, "one");
        assert_true(utf8_is_valid(written(fixture), strlen(fixture->text)));
        assert_in_range(strlen(fixture->log.context[0].text), LOG_CONTEXT_TEXT_MAX - 4,
                LOG_CONTEXT_TEXT_MAX - 1);
}

static void levels_have_names(void **state)
{
        enum log_level level;

        (void)state;
        assert_int_equal(log_level_parse("debug", &level), 0);
        assert_int_equal(level, LOG_LEVEL_DEBUG);
        assert_int_equal(log_level_parse("loud", &level), -EINVAL);
        assert_string_equal(log_level_name(LOG_LEVEL_ERROR), "error");
}

static void metrics_are_embedded(void **state)
{
        struct fixture *fixture = *state;
        const struct metric metrics[] = {
                {"Launched", METRIC_COUNT, 1},
                {"QueueTime", METRIC_MILLISECONDS, 1234},
        };
        const struct log_field properties[] = {
                LOG_NUMBER("job", 7),
                LOG_TEXT("instance", NULL),
                LOG_TEXT("repository", "o/r"),
        };

        metric_emit(fixture->fd, &fixed_clock, "linux", metrics, 2, properties, 3);
        assert_string_equal(written(fixture),
                "{\"_aws\":{\"Timestamp\":1767355200007,\"CloudWatchMetrics\":[{\"Namespace\":"
                "\"scale-agent\",\"Dimensions\":[[],[\"spec\"]],\"Metrics\":[{\"Name\":"
                "\"Launched\",\"Unit\":\"Count\"},{\"Name\":\"QueueTime\",\"Unit\":"
                "\"Milliseconds\"}]}]},\"spec\":\"linux\",\"Launched\":1,\"QueueTime\":1234,"
                "\"job\":7,\"repository\":\"o/r\"}\n");
}

static void without_a_spec_there_is_no_dimension(void **state)
{
        struct fixture *fixture = *state;
        const struct metric metric = {"Lost", METRIC_COUNT, 1};

        metric_emit(fixture->fd, &fixed_clock, NULL, &metric, 0, NULL, 0);
        assert_string_equal(written(fixture), "");
        metric_emit(fixture->fd, &fixed_clock, NULL, &metric, 1, NULL, 0);
        assert_contains(written(fixture), "\"Dimensions\":[[]],");
        assert_lacks(fixture->text, "spec");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_message_is_a_line),
                TEST(context_is_in_every_message),
                TEST(a_field_replaces_context_of_its_name),
                TEST(context_is_bounded),
                TEST(levels_have_names),
                TEST(metrics_are_embedded),
                TEST(without_a_spec_there_is_no_dimension),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
