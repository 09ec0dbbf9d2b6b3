/* SPDX-License-Identifier: MIT */

/*
 * Signatures: only a delivery that is signed with one of our secrets may launch machines.
 */

#include <string.h>

#include "base/mem.h"
#include "github/webhook.h"
#include "unit.h"

/* From GitHub's documentation. */
#define SECRET "It's a Secret to Everybody"
#define BODY "Hello, World!"
#define DIGEST "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
#define SIGNATURE "sha256=" DIGEST

static bool valid(const char *secrets, const char *signature)
{
        return webhook_signature_valid(secrets, signature, BODY, strlen(BODY));
}

static void test_github_example(void **state)
{
        (void)state;
        assert_true(valid(SECRET, SIGNATURE));
        assert_true(valid(
                SECRET, "sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17"));
}

static void test_any_line_matches(void **state)
{
        (void)state;
        assert_true(valid(SECRET "\nprevious", SIGNATURE));
        assert_true(valid("current\n" SECRET, SIGNATURE));
        assert_true(valid("current\r\n" SECRET "\r\n", SIGNATURE));
        assert_true(valid("\n\n" SECRET "\n", SIGNATURE));
        assert_false(valid("current\nprevious", SIGNATURE));
        assert_false(valid("current" SECRET, SIGNATURE));
}

static void test_spaces_belong_to_a_secret(void **state)
{
        (void)state;
        assert_false(valid(SECRET " ", SIGNATURE));
        assert_false(valid(" " SECRET, SIGNATURE));
}

static void test_forged(void **state)
{
        (void)state;
        assert_false(webhook_signature_valid(SECRET, SIGNATURE, "Hello, World?", strlen(BODY)));
        assert_false(webhook_signature_valid(SECRET, SIGNATURE, BODY, strlen(BODY) - 1));
        assert_false(webhook_signature_valid(SECRET, SIGNATURE, BODY, 0));
}

/* A difference in any digit is noticed, in the last as in the first. */
static void test_every_digit_counts(void **state)
{
        char signature[] = SIGNATURE;

        (void)state;
        for (size_t i = strlen("sha256="); i < strlen(signature); i++) {
                char digit = signature[i];

                signature[i] = digit == '0' ? '1' : '0';
                assert_false(valid(SECRET, signature));
                signature[i] = digit;
        }
        assert_true(valid(SECRET, signature));
}

static void test_malformed_signatures(void **state)
{
        static const char *const malformed[] = {
                NULL,
                "",
                "sha256=",
                "sha256",
                DIGEST,
                "sha1=" DIGEST,
                "SHA256=" DIGEST,
                "sha256= " DIGEST,
                "sha256=" DIGEST "0",
                "sha256=" DIGEST " ",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1g",
                "sha256=0x7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
                assert_false(valid(SECRET, malformed[i]));
}

/* The HMAC of BODY with an empty key, which anyone can compute. */
#define SIGNATURE_WITHOUT_SECRET \
        "sha256=2bbcfa9524f3218c7a34b30e6936f8b1a4516cb097f1a85a1c7d98b5977ec769"

static void test_empty_secret_never_matches(void **state)
{
        static const char *const empty[] = {"", "\n", "\r\n", "\n\n\r\n\n", "secret\n\n"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
                assert_false(valid(empty[i], SIGNATURE_WITHOUT_SECRET));
        assert_false(valid(NULL, SIGNATURE_WITHOUT_SECRET));
}

static void test_binary_body(void **state)
{
        static const char body[] = {'a', '\0', (char)0xff, '\n'};

        (void)state;
        assert_true(webhook_signature_valid("key",
                "sha256=c1b60e9e9cffb5ebad0865bbcd51ffab74f61bc31ebb330427721805ce82e11c", body,
                sizeof(body)));
        assert_false(webhook_signature_valid("key",
                "sha256=c1b60e9e9cffb5ebad0865bbcd51ffab74f61bc31ebb330427721805ce82e11c", body,
                1));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_github_example),
                cmocka_unit_test(test_any_line_matches),
                cmocka_unit_test(test_spaces_belong_to_a_secret),
                cmocka_unit_test(test_forged),
                cmocka_unit_test(test_every_digit_counts),
                cmocka_unit_test(test_malformed_signatures),
                cmocka_unit_test(test_empty_secret_never_matches),
                cmocka_unit_test(test_binary_body),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
