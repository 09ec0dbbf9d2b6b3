/* SPDX-License-Identifier: MIT */

/*
 * What the agent and the starter send each other: requests, signals, answers.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>

#include "starter/message.h"

#define SECRET "QUJDsecret"

static char *const arguments[] = {(char *)"/opt/runner", (char *)"run", (char *)"", NULL};
static char *const variables[] = {(char *)"JIT=" SECRET, (char *)"EMPTY=", NULL};

static void print(struct buf *packet)
{
        struct err err = {0};

        assert_int_equal(starter_request_print("/opt", arguments, variables, packet, &err), 0);
}

static void assert_no_request(const struct buf *packet, const char *reason)
{
        struct starter_request request;
        struct err err;

        assert_int_equal(
                starter_request_parse(packet->data, packet->size, &request, &err), -EBADMSG);
        assert_non_null(strstr(err.text, reason));
        assert_null(strstr(err.text, SECRET));
}

/* -- requests -- */

static void test_what_is_asked_for_is_what_arrives(void **state)
{
        _cleanup_buf_ struct buf packet = BUF_INIT(STARTER_REQUEST_MAX);
        struct starter_request request;
        struct err err;

        (void)state;
        print(&packet);
        assert_int_equal(starter_request_parse(packet.data, packet.size, &request, &err), 0);
        assert_string_equal(request.directory, "/opt");
        for (size_t i = 0; i < 3; i++)
                assert_string_equal(request.arguments[i], arguments[i]);
        assert_null(request.arguments[3]);
        for (size_t i = 0; i < 2; i++)
                assert_string_equal(request.variables[i], variables[i]);
        assert_null(request.variables[2]);
}

static void test_a_request_that_is_cut_anywhere_is_none(void **state)
{
        _cleanup_buf_ struct buf packet = BUF_INIT(STARTER_REQUEST_MAX);
        size_t size;

        (void)state;
        print(&packet);
        size = packet.size;
        for (packet.size = 0; packet.size < size; packet.size++)
                assert_no_request(&packet, packet.size < 12 ? "cut off: it has" : "is cut off");
}

static void test_nothing_may_follow_a_request(void **state)
{
        _cleanup_buf_ struct buf packet = BUF_INIT(STARTER_REQUEST_MAX);

        (void)state;
        print(&packet);
        buf_add(&packet, "X=1", 4);
        assert_no_request(&packet, "has 4 bytes too many");
}

static void test_garbage_is_no_request(void **state)
{
        _cleanup_buf_ struct buf packet = BUF_INIT(STARTER_REQUEST_MAX);

        (void)state;
        buf_add_string(&packet, "GET / HTTP/1.1\r\n\r\n");
        assert_no_request(&packet, "of another version");
}

/* Changes a byte of a good request. */
static void assert_change_is_refused(size_t at, char byte, const char *reason)
{
        _cleanup_buf_ struct buf packet = BUF_INIT(STARTER_REQUEST_MAX);

        print(&packet);
        packet.data[at] = byte;
        assert_no_request(&packet, reason);
}

static void test_counts_are_bounded(void **state)
{
        (void)state;
        assert_change_is_refused(4, 0, "1 to 128 are allowed");
        assert_change_is_refused(7, 1, "1 to 128 are allowed");
        assert_change_is_refused(9, 2, "at most 256 are allowed");
}

static void test_paths_are_absolute_and_variables_have_names(void **state)
{
        (void)state;
        assert_change_is_refused(12, '.', "folder is no absolute path");
        assert_change_is_refused(17, '.', "program is no absolute path");
        assert_change_is_refused(12 + 5 + 12 + 4 + 1, '=', "variable 0 is not NAME=VALUE");
}

static void assert_not_printed(
        const char *directory, char *const *words, char *const *set, int code, const char *reason)
{
        _cleanup_buf_ struct buf packet = BUF_INIT(STARTER_REQUEST_MAX);
        struct err err = {0};

        assert_int_equal(starter_request_print(directory, words, set, &packet, &err), code);
        assert_non_null(strstr(err.text, reason));
        assert_null(strstr(err.text, SECRET));
}

static void test_nothing_is_asked_for_that_would_be_refused(void **state)
{
        static char big[STARTER_REQUEST_MAX] = "SECRET=" SECRET;
        char *huge[] = {big, NULL};
        char *none[] = {NULL};
        char *relative[] = {(char *)"runner", NULL};
        char *many[STARTER_VARIABLES_MAX + 2] = {NULL};

        (void)state;
        memset(big + strlen(big), 'x', sizeof(big) - strlen(big) - 1);
        for (size_t i = 0; i <= STARTER_VARIABLES_MAX; i++)
                many[i] = (char *)"A=" SECRET;
        assert_not_printed("/", arguments, huge, -E2BIG, "larger than 128 KiB");
        assert_not_printed("/", arguments, many, -E2BIG, "257 environment variables");
        assert_not_printed("/", none, variables, -E2BIG, "0 arguments");
        assert_not_printed("/", relative, variables, -EINVAL, "no absolute path");
        assert_not_printed(".", arguments, variables, -EINVAL, "folder");
}

/* -- signals and answers -- */

static int parse_signal(uint32_t number, size_t size, int *ret)
{
        struct starter_signal message = {.number = number};

        return starter_signal_parse((const char *)&message, size, ret);
}

static void test_signals_that_ask_to_end_are_passed_on_and_none_is_a_question(void **state)
{
        int number = 0;

        (void)state;
        assert_int_equal(parse_signal(SIGINT, sizeof(struct starter_signal), &number), 0);
        assert_int_equal(number, SIGINT);
        assert_int_equal(parse_signal(SIGTERM, sizeof(struct starter_signal), &number), 0);
        assert_int_equal(number, SIGTERM);
        assert_int_equal(parse_signal(SIGHUP, sizeof(struct starter_signal), &number), -EBADMSG);
        assert_int_equal(
                parse_signal(UINT32_MAX, sizeof(struct starter_signal), &number), -EBADMSG);
        assert_int_equal(parse_signal(SIGINT, 1, &number), -EBADMSG);
        assert_int_equal(number, SIGTERM);
        assert_int_equal(parse_signal(SIGKILL, sizeof(struct starter_signal), &number), 0);
        assert_int_equal(number, SIGKILL);
        assert_int_equal(parse_signal(0, sizeof(struct starter_signal), &number), 0);
        assert_int_equal(number, STARTER_ASK_WORKER);
}

static int parse_answer(enum starter_event event, int32_t value, char fill)
{
        struct starter_answer answer = {.event = event, .value = value};
        struct starter_answer got;
        struct err err;

        memset(answer.text, fill, sizeof(answer.text));
        return starter_answer_parse((const char *)&answer, sizeof(answer), &got, &err);
}

static void test_answers_are_what_can_happen_to_a_program(void **state)
{
        struct starter_answer got;
        struct err err;

        (void)state;
        assert_int_equal(parse_answer(STARTER_STARTED, 4194304, 0), 0);
        assert_int_equal(parse_answer(STARTER_STARTED, -1, 0), -EBADMSG);
        assert_int_equal(parse_answer(STARTER_EXITED, 255, 0), 0);
        assert_int_equal(parse_answer(STARTER_EXITED, 256, 0), -EBADMSG);
        assert_int_equal(parse_answer(STARTER_EXITED, -1, 0), -EBADMSG);
        assert_int_equal(parse_answer(STARTER_KILLED, SIGKILL, 0), 0);
        assert_int_equal(parse_answer(STARTER_KILLED, NSIG, 0), -EBADMSG);
        assert_int_equal(parse_answer(STARTER_FAILED, 0, 0), 0);
        assert_int_equal(parse_answer(STARTER_WORKER, 1, 0), 0);
        assert_int_equal(parse_answer(STARTER_WORKER, 2, 0), -EBADMSG);
        assert_int_equal(parse_answer(STARTER_EVENTS, 0, 0), -EBADMSG);
        assert_int_equal(parse_answer(STARTER_FAILED, 0, 'x'), -EBADMSG);
        assert_int_equal(starter_answer_parse("x", 1, &got, &err), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_asked_for_is_what_arrives),
                cmocka_unit_test(test_a_request_that_is_cut_anywhere_is_none),
                cmocka_unit_test(test_nothing_may_follow_a_request),
                cmocka_unit_test(test_garbage_is_no_request),
                cmocka_unit_test(test_counts_are_bounded),
                cmocka_unit_test(test_paths_are_absolute_and_variables_have_names),
                cmocka_unit_test(test_nothing_is_asked_for_that_would_be_refused),
                cmocka_unit_test(test_signals_that_ask_to_end_are_passed_on_and_none_is_a_question),
                cmocka_unit_test(test_answers_are_what_can_happen_to_a_program),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
