/* SPDX-License-Identifier: MIT */

/*
 * What the runner prints: any bytes become clean lines, and some lines are markers.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "output.h"

/* -- lines -- */

static void collect(void *userdata, const char *line)
{
        buf_add_format(userdata, "<%s>", line);
}

/* The lines of TEXT, which arrives in pieces of PIECE bytes. */
static void assert_lines(const char *text, size_t size, size_t piece, const char *expected)
{
        _cleanup_buf_ struct buf lines = BUF_INIT(1024UL * 1024);
        _cleanup_free_ struct output *output = mem_alloc(sizeof(*output));

        for (size_t at = 0; at < size; at += piece)
                output_add(
                        output, text + at, size - at < piece ? size - at : piece, collect, &lines);
        output_end(output, collect, &lines);
        assert_string_equal(buf_string(&lines), expected);
}

static void test_lines(void **state)
{
        static const struct {
                const char *text;
                const char *expected;
        } cases[] = {
                {"", ""},
                {"\n\n\n", ""},
                {"a\nb\n", "<a><b>"},
                {"a\n\nb", "<a><b>"},
                {"a\r\n  b  \r\n", "<a><  b>"},
                {"\xe2\x88\x9a Connected\n", "<\xe2\x88\x9a Connected>"},
                {"a\tb\x1b[1mc\x07\n", "<a b [1mc>"},
                {"\xff\xfe"
                 "a\xc3(\n",
                        "<?\?a?(>"},
                {"cut \xe2\x88", "<cut ?\?>"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                for (size_t piece = 1; piece < 5; piece++)
                        assert_lines(
                                cases[i].text, strlen(cases[i].text), piece, cases[i].expected);
}

static void test_a_nul_does_not_end_a_line(void **state)
{
        (void)state;
        assert_lines("a\0b\nc", 5, 5, "<a b><c>");
}

static void count(void *userdata, const char *line)
{
        size_t *counts = userdata;

        counts[0]++;
        counts[1] = strlen(line);
        assert_true(utf8_is_valid(line, strlen(line)));
}

static void test_long_lines_are_cut_between_characters(void **state)
{
        _cleanup_free_ struct output *output = mem_alloc(sizeof(*output));
        size_t counts[2] = {0};

        (void)state;
        output_add(output, "x", 1, count, counts);
        for (size_t i = 0; i < OUTPUT_LINE_MAX; i++)
                output_add(output, "\xe2\x88\x9a", 3, count, counts);
        assert_int_equal(counts[0], 1);
        assert_in_range(counts[1], OUTPUT_LINE_MAX - 3, OUTPUT_LINE_MAX + 3);
        output_add(output, "\nshort\n", 7, count, counts);
        assert_int_equal(counts[0], 2);
        assert_int_equal(counts[1], 5);
}

static void test_a_line_of_exactly_the_limit_is_whole(void **state)
{
        _cleanup_free_ struct output *output = mem_alloc(sizeof(*output));
        _cleanup_free_ char *text = mem_alloc(OUTPUT_LINE_MAX + 1);
        size_t counts[2] = {0};

        (void)state;
        memset(text, 'x', OUTPUT_LINE_MAX);
        text[OUTPUT_LINE_MAX] = '\n';
        output_add(output, text, OUTPUT_LINE_MAX + 1, count, counts);
        assert_int_equal(counts[0], 1);
        assert_int_equal(counts[1], OUTPUT_LINE_MAX);
}

/* -- markers -- */

#define NOW "2026-11-23 18:00:00Z: "

static void test_markers(void **state)
{
        static const struct {
                const char *line;
                enum output_marker marker;
                const char *name;
                const char *result;
        } cases[] = {
                {"Listening for Jobs", OUTPUT_LISTENING, NULL, NULL},
                {NOW "Listening for Jobs", OUTPUT_LISTENING, NULL, NULL},
                {NOW "Listening for Jobs of others", OUTPUT_OTHER, NULL, NULL},
                {"not Listening for Jobs", OUTPUT_OTHER, NULL, NULL},
                {"2026-11-23 18:00Z: Listening for Jobs", OUTPUT_OTHER, NULL, NULL},
                {"Runner update in progress, do not shutdown runner.", OUTPUT_UPDATING, NULL, NULL},
                {"No Runner update in progress, do not", OUTPUT_OTHER, NULL, NULL},
                {NOW "Running job: build", OUTPUT_JOB_STARTED, "build", NULL},
                {NOW "Running job: ", OUTPUT_JOB_STARTED, "", NULL},
                {NOW "Running job: a: b / c (1, 2)", OUTPUT_JOB_STARTED, "a: b / c (1, 2)", NULL},
                {NOW "Job build completed with result: Succeeded", OUTPUT_JOB_FINISHED, "build",
                        "Succeeded"},
                {"Job  completed with result: Failed", OUTPUT_JOB_FINISHED, "", "Failed"},
                {"Job a completed with result: b completed with result: Canceled",
                        OUTPUT_JOB_FINISHED, "a completed with result: b", "Canceled"},
                {NOW "Job build", OUTPUT_OTHER, NULL, NULL},
                {"Job message", OUTPUT_OTHER, NULL, NULL},
                {"\xe2\x88\x9a Connected to GitHub", OUTPUT_OTHER, NULL, NULL},
                {"", OUTPUT_OTHER, NULL, NULL},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *name = NULL;
                _cleanup_free_ char *result = NULL;

                if (output_read(cases[i].line, &name, &result) != cases[i].marker)
                        fail_msg("misread: %s", cases[i].line);
                if (cases[i].name)
                        assert_string_equal(name, cases[i].name);
                else
                        assert_null(name);
                if (cases[i].result)
                        assert_string_equal(result, cases[i].result);
                else
                        assert_null(result);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_a_nul_does_not_end_a_line),
                cmocka_unit_test(test_long_lines_are_cut_between_characters),
                cmocka_unit_test(test_a_line_of_exactly_the_limit_is_whole),
                cmocka_unit_test(test_markers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
