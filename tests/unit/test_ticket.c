/* SPDX-License-Identifier: MIT */

/*
 * Tickets: what was signed comes back as it was; nothing else is believed.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/ticket.h"
#include "signed_ticket.h"
#include "unit.h"

#define KEY STAGE_TICKET_KEY
#define OTHER_KEY "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NOW_MS INT64_C(1767323045000)

static const struct ticket_place here = {"/p", SIGNED_ACCOUNT, "eu-central-1"};

/* Checks TEXT, and forgets what it says. */
static int check(const char *text, const char *keys)
{
        _cleanup_(ticket_release) struct ticket ticket = {0};

        return ticket_check(text, keys, &here, NOW_MS, &ticket);
}

static char *print(const char *keys)
{
        const struct ticket ticket = {
                .prefix = (char *)"/p",
                .account = (char *)SIGNED_ACCOUNT,
                .region = (char *)"eu-central-1",
                .instance = (char *)"i-00000001",
                .type = (char *)"m7a.large",
                .spec = (char *)"linux",
                .scope = (char *)"repos/o/r",
                .runner_id = 23,
                .expires_ms = INT64_C(9000000000000000),
                .job = {.id = 1,
                        .run_id = 2,
                        .attempt = 1,
                        .installation = 4711,
                        .relaunches = 3,
                        .repository = (char *)"o/r",
                        .name = (char *)"build",
                        .url = (char *)"https://github.test/1",
                        .instance_type = (char *)"m7i.large"},
                .times = {500, 1000, 2000, 2500},
        };

        return ticket_print(&ticket, keys);
}

static void a_ticket_is_signed_with_the_first_key(void **state)
{
        _cleanup_free_ char *wanted = signed_ticket(KEY, SIGNED_CONTENT("3"));
        _cleanup_free_ char *alone = print(KEY);
        _cleanup_free_ char *first = print(KEY "\n" OTHER_KEY " 1767323046\n");
        _cleanup_free_ char *windows = print("\r\n" KEY "\r\n");

        (void)state;
        assert_string_equal(alone, wanted);
        assert_string_equal(first, wanted);
        assert_string_equal(windows, wanted);
        assert_null(print(""));
        assert_null(print("too short to be a key\n"));
        assert_null(print(NULL));
}

static void what_was_signed_comes_back(void **state)
{
        _cleanup_free_ char *text = signed_ticket(KEY, SIGNED_CONTENT("3"));
        _cleanup_(ticket_release) struct ticket ticket = {0};

        (void)state;
        assert_int_equal(ticket_check(text, KEY, &here, NOW_MS, &ticket), 0);
        assert_string_equal(ticket.prefix, "/p");
        assert_string_equal(ticket.instance, "i-00000001");
        assert_string_equal(ticket.type, "m7a.large");
        assert_string_equal(ticket.spec, "linux");
        assert_string_equal(ticket.scope, "repos/o/r");
        assert_int_equal(ticket.runner_id, 23);
        assert_int_equal(ticket.job.id, 1);
        assert_int_equal(ticket.job.run_id, 2);
        assert_int_equal(ticket.job.attempt, 1);
        assert_int_equal(ticket.job.installation, 4711);
        assert_int_equal(ticket.job.relaunches, 3);
        assert_string_equal(ticket.job.repository, "o/r");
        assert_string_equal(ticket.job.name, "build");
        assert_string_equal(ticket.job.url, "https://github.test/1");
        assert_string_equal(ticket.job.instance_type, "m7i.large");
        assert_int_equal(ticket.times.queued, 500);
        assert_int_equal(ticket.times.handed_over, 2500);
}

/* Any byte: of the version, the key's id, each member, or the signature. */
static void one_other_byte_is_refused(void **state)
{
        _cleanup_free_ char *text = signed_ticket(KEY, SIGNED_CONTENT("0"));
        size_t size = strlen(text);

        (void)state;
        for (size_t i = 0; i < size; i++) {
                char byte = text[i];

                for (int bit = 0; bit < 7; bit++) {
                        text[i] = (char)(byte ^ (1 << bit));
                        if (check(text, KEY "\n" OTHER_KEY " 1767323046") == 0)
                                fail_msg("byte %zu, bit %d", i, bit);
                }
                text[i] = byte;
                if (check(text, KEY) != 0)
                        fail_msg("the ticket itself is refused");
        }
        for (size_t n = 0; n < size; n++) {
                _cleanup_free_ char *part = mem_format("%.*s", (int)n, text);

                assert_int_not_equal(check(part, KEY), 0);
                assert_int_not_equal(check(text + n + 1, KEY), 0);
        }
}

static void a_refusal_says_why(void **state)
{
        static const char key[] = KEY;
        static const struct {
                const char *key;
                const char *content;
                int refusal;
        } rows[] = {
                {OTHER_KEY, SIGNED_CONTENT("0"), TICKET_UNKNOWN_KEY},
                {key, SIGNED_CONTENT("-1"), TICKET_MALFORMED},
                {key, "{}", TICKET_MALFORMED},
                {key, "[", TICKET_MALFORMED},
                {key, "", TICKET_MALFORMED},
                {key, SIGNED_CONTENT_OF("/p2", SIGNED_ACCOUNT, "eu-central-1", SIGNED_NEVER, "0"),
                        TICKET_FOREIGN},
                {key, SIGNED_CONTENT_OF("/p", "210987654321", "eu-central-1", SIGNED_NEVER, "0"),
                        TICKET_FOREIGN},
                {key, SIGNED_CONTENT_OF("/p", SIGNED_ACCOUNT, "eu-central-2", SIGNED_NEVER, "0"),
                        TICKET_FOREIGN},
                {key, SIGNED_CONTENT_OF("/p", SIGNED_ACCOUNT, "eu-central-1", "1767323045000", "0"),
                        TICKET_EXPIRED},
                {key, SIGNED_CONTENT_OF("/p", SIGNED_ACCOUNT, "eu-central-1", "1767323045001", "0"),
                        0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = signed_ticket(rows[i].key, rows[i].content);

                if (check(text, KEY) != rows[i].refusal)
                        fail_msg("row %zu: %d", i, check(text, KEY));
        }
        assert_int_equal(check(NULL, KEY), TICKET_ABSENT);
        assert_int_equal(check("", KEY), TICKET_ABSENT);
        for (int refusal = TICKET_ABSENT; refusal <= TICKET_FOREIGN; refusal++)
                assert_contains(ticket_refusal_name((enum ticket_refusal)refusal), "ticket");
        assert_string_equal(ticket_refusal_name(TICKET_EXPIRED), "expired ticket");
}

static void a_signature_of_something_else_is_refused(void **state)
{
        _cleanup_free_ char *one = signed_ticket(KEY, SIGNED_CONTENT("0"));
        _cleanup_free_ char *two = signed_ticket(KEY, SIGNED_CONTENT("1"));

        (void)state;
        memcpy(one + strlen(one) - 64, two + strlen(two) - 64, 64);
        assert_int_equal(check(one, KEY), TICKET_FORGED);
}

/* The key before is believed as long as a ticket of its time may come. */
static void the_key_before_is_believed_until_its_time(void **state)
{
        /* A command that was to print the time has failed, or printed another thing. */
        static const char *const endless[] = {
                "", " ", " x", " 0", " -1", " 99999999999999999999", " 100000000000"};
        _cleanup_free_ char *text = signed_ticket(OTHER_KEY, SIGNED_CONTENT("0"));

        (void)state;
        assert_int_equal(check(text, KEY), TICKET_UNKNOWN_KEY);
        assert_int_equal(check(text, KEY "\n" OTHER_KEY " 1767323046\n"), 0);
        assert_int_equal(check(text, KEY "\n" OTHER_KEY " 1767323045\n"), TICKET_UNKNOWN_KEY);
        for (size_t i = 0; i < ARRAY_SIZE(endless); i++) {
                _cleanup_free_ char *keys = mem_format(KEY "\n" OTHER_KEY "%s\n", endless[i]);

                assert_int_equal(check(text, keys), TICKET_UNKNOWN_KEY);
        }
        assert_int_equal(check(text, OTHER_KEY " \n"), 0);
        assert_int_equal(check(text, ""), TICKET_UNKNOWN_KEY);
        assert_int_equal(check(text, NULL), TICKET_UNKNOWN_KEY);
}

static void a_ticket_that_is_too_large_is_not_read(void **state)
{
        char *content = mem_format("%.*s,\"more\":\"%*s\"}", (int)strlen(SIGNED_CONTENT("0")) - 1,
                SIGNED_CONTENT("0"), TICKET_MAX, "");
        _cleanup_free_ char *text = signed_ticket(KEY, content);

        (void)state;
        free(content);
        assert_int_equal(check(text, KEY), TICKET_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_ticket_is_signed_with_the_first_key),
                cmocka_unit_test(what_was_signed_comes_back),
                cmocka_unit_test(one_other_byte_is_refused),
                cmocka_unit_test(a_refusal_says_why),
                cmocka_unit_test(a_signature_of_something_else_is_refused),
                cmocka_unit_test(the_key_before_is_believed_until_its_time),
                cmocka_unit_test(a_ticket_that_is_too_large_is_not_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
