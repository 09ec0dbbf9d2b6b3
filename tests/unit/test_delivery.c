/* SPDX-License-Identifier: MIT */

/*
 * Deliveries as the function URL passes them on: good ones are read in all their encodings, bad
 * ones are refused with the right HTTP status.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "job/delivery.h"
#include "unit.h"

#define POST "\"requestContext\":{\"http\":{\"method\":\"POST\"}}"

static int parse(const char *event, struct delivery *delivery, struct err *err)
{
        *delivery = (struct delivery){0};
        return delivery_parse(event, strlen(event), delivery, err);
}

static void reads_headers_of_any_case(void **state)
{
        static const char event[] =
                "{" POST ",\"headers\":{\"X-GitHub-Event\":\"workflow_job\",\"x-github-delivery\":"
                "\"d-1\",\"X-HUB-SIGNATURE-256\":\"sha256=0\",\"Content-Type\":\"application/json"
                "\"},\"body\":\"{}\",\"isBase64Encoded\":false}";
        struct delivery delivery;
        struct err err;

        (void)state;
        assert_int_equal(parse(event, &delivery, &err), 0);
        assert_string_equal(delivery.event, "workflow_job");
        assert_string_equal(delivery.id, "d-1");
        assert_string_equal(delivery.signature, "sha256=0");
        assert_string_equal(delivery.body, "{}");
        delivery_release(&delivery);
}

static void decodes_base64(void **state)
{
        static const struct {
                const char *text;
                const char *bytes;
                size_t size;
        } rows[] = {
                {"", "", 0},
                {"e30=", "{}", 2},
                {"e30K", "{}\n", 3},
                {"ew==", "{", 1},
                {"AAECAw==", "\0\1\2\3", 4},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *event = mem_format(
                        "{" POST ",\"body\":\"%s\",\"isBase64Encoded\":true}", rows[i].text);
                struct delivery delivery;
                struct err err;

                assert_int_equal(parse(event, &delivery, &err), 0);
                assert_int_equal(delivery.body_size, rows[i].size);
                assert_memory_equal(delivery.body, rows[i].bytes, rows[i].size);
                delivery_release(&delivery);
        }
}

static void refuses_with_the_right_status(void **state)
{
        static const struct {
                const char *event;
                int status;
                const char *text;
        } rows[] = {
                {"", 400, "empty"},
                {"{", 400, "not JSON"},
                {"\"\xff\"", 400, "not UTF-8"},
                {"[]", 405, "only POST"},
                {"{\"httpMethod\":\"POST\",\"requestContext\":{\"httpMethod\":\"POST\"}}", 400,
                        "an event of API Gateway in format 1.0"},
                {"{\"httpMethod\":\"POST\",\"requestContext\":{\"elb\":{}}}", 400,
                        "an event of a load balancer"},
                {"{}", 405, "only POST"},
                {"{\"requestContext\":{\"http\":{\"method\":\"GET\"}}}", 405, "only POST"},
                {"{\"requestContext\":{\"http\":{\"method\":7}}}", 405, "only POST"},
                {"{\"requestContext\":\"http\"}", 405, "only POST"},
                {"{" POST ",\"body\":\"%%%%\",\"isBase64Encoded\":true}", 400, "not base64"},
                {"{" POST ",\"body\":\"e30\",\"isBase64Encoded\":true}", 400, "not base64"},
                {"{" POST ",\"body\":\"=\",\"isBase64Encoded\":true}", 400, "not base64"},
                {"{" POST ",\"body\":\"\\n\\n==\",\"isBase64Encoded\":true}", 400, "not base64"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct delivery delivery;
                struct err err = {0};

                if (parse(rows[i].event, &delivery, &err) != rows[i].status ||
                        !strstr(err.text, rows[i].text))
                        fail_msg("%s: %s", rows[i].event, err.text);
                assert_null(delivery.json);
        }
}

static void what_is_missing_is_null(void **state)
{
        struct delivery delivery;
        struct err err;

        (void)state;
        assert_int_equal(
                parse("{" POST ",\"headers\":[\"x-github-event\"],\"body\":7}", &delivery, &err),
                0);
        assert_null(delivery.event);
        assert_null(delivery.signature);
        assert_int_equal(delivery.body_size, 0);
        delivery_release(&delivery);
}

/* Parses an event whose body has SIZE bytes, sent as they are or in base64. */
static int parse_large(size_t size, bool base64)
{
        _cleanup_buf_ struct buf event = BUF_INIT(64UL * 1024 * 1024);
        _cleanup_free_ char *body = mem_alloc(base64 ? size / 3 * 4 : size);
        struct delivery delivery = {0};
        struct err err;
        int r;

        memset(body, 'A', base64 ? size / 3 * 4 : size);
        buf_add_string(&event, "{" POST ",\"body\":\"");
        buf_add(&event, body, base64 ? size / 3 * 4 : size);
        buf_add_format(&event, "\",\"isBase64Encoded\":%s}", base64 ? "true" : "false");
        r = delivery_parse(buf_string(&event), event.size, &delivery, &err);
        if (r == 0)
                assert_int_equal(delivery.body_size, base64 ? size / 3 * 3 : size);
        delivery_release(&delivery);
        return r;
}

static void twentyfive_megabytes_are_the_limit(void **state)
{
        (void)state;
        assert_int_equal(parse_large(DELIVERY_MAX, false), 0);
        assert_int_equal(parse_large(DELIVERY_MAX + 1, false), 413);
        assert_int_equal(parse_large(DELIVERY_MAX / 3 * 3, true), 0);
        assert_int_equal(parse_large(DELIVERY_MAX + 3, true), 413);
}

/* -- the payload -- */

static int payload(const char *type, const char *body, cJSON **ret, struct err *err)
{
        const struct delivery delivery = {.type = type, .body = body, .body_size = strlen(body)};

        return delivery_payload(&delivery, ret, err);
}

static void reads_json_and_forms(void **state)
{
        static const char form[] = "application/x-www-form-urlencoded";
        static const struct {
                const char *type;
                const char *body;
        } rows[] = {
                {"application/json", "{\"a b\":\"&\"}"},
                {"application/json; charset=utf-8", "{\"a b\":\"&\"}"},
                {NULL, "{\"a b\":\"&\"}"},
                {form, "payload=%7B%22a+b%22%3a%22%26%22%7D"},
                {"Application/X-WWW-Form-Urlencoded; charset=utf-8",
                        "x=payload=1&payload={\"a%20b\":\"%26\"}&y=2"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ cJSON *value = NULL;
                struct err err;

                if (payload(rows[i].type, rows[i].body, &value, &err) < 0)
                        fail_msg("%s: %s", rows[i].body, err.text);
                assert_string_equal(json_string(value, "a b"), "&");
        }
}

static void refuses_bad_payloads(void **state)
{
        static const char form[] = "application/x-www-form-urlencoded";
        static const struct {
                const char *type;
                const char *body;
        } rows[] = {
                {"application/json", ""},
                {"application/json", "payload={}"},
                {"application/json", "{\"a\":1"},
                {form, ""},
                {form, "{}"},
                {form, "load={}"},
                {form, "payload="},
                {form, "payload=%7"},
                {form, "payload=%"},
                {form, "payload=%7B%7D%00"},
                {form, "payload=%7B%22a%22%3A%22%FF%22%7D"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                cJSON *value = NULL;
                struct err err = {0};

                if (payload(rows[i].type, rows[i].body, &value, &err) != -EBADMSG)
                        fail_msg("accepted: %s", rows[i].body);
                assert_true(err.text[0]);
                assert_null(value);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_headers_of_any_case),
                cmocka_unit_test(decodes_base64),
                cmocka_unit_test(refuses_with_the_right_status),
                cmocka_unit_test(what_is_missing_is_null),
                cmocka_unit_test(twentyfive_megabytes_are_the_limit),
                cmocka_unit_test(reads_json_and_forms),
                cmocka_unit_test(refuses_bad_payloads),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
