/* SPDX-License-Identifier: MIT */

/*
 * S3 objects: what a request must look like so that libcurl's signature of it holds, and what S3's
 * answers mean.
 */

#include <errno.h>
#include <stdlib.h>

#include "answer.h"
#include "aws/s3.h"
#include "base/mem.h"
#include "fake_aws.h"
#include "script.h"
#include "unit.h"

#define BUCKET "hand-overs"
#define KEY "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0"
#define PATH "arn%3Aaws%3Aec2%3Aeu-central-1%3A123456789012%3Ainstance/i-0123456789abcdef0"
#define HOST "https://hand-overs.s3.eu-central-1.amazonaws.com/"
#define NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ERROR(code)                                                                               \
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" code "</Code><Message>Why.</" \
        "Message><RequestId>1</RequestId></Error>"

/* -- one object -- */

static void a_request_names_the_hash_of_its_body(void **state)
{
        _cleanup_(http_call_freep) struct http_call *get = s3_get_object(*state, BUCKET, KEY);
        _cleanup_(http_call_freep) struct http_call *put = s3_new_object(*state, BUCKET, KEY, "a");
        _cleanup_(http_call_freep) struct http_call *gone = s3_delete_object(*state, BUCKET, KEY);

        assert_string_equal(get->method, "GET");
        assert_string_equal(buf_string(&get->url), HOST PATH);
        assert_false(get->has_body);
        assert_contains(buf_string(&get->headers), "X-Amz-Content-Sha256: " NOTHING "\n");
        assert_string_equal(get->sign_scope, "aws:amz:eu-central-1:s3");

        assert_string_equal(put->method, "PUT");
        assert_string_equal(buf_string(&put->url), HOST PATH);
        assert_string_equal(buf_string(&put->body), "a");
        assert_contains(buf_string(&put->headers), "If-None-Match: *\n");
        assert_contains(buf_string(&put->headers),
                "X-Amz-Content-Sha256: "
                "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\n");

        assert_string_equal(gone->method, "DELETE");
        assert_string_equal(buf_string(&gone->url), HOST PATH);
        assert_contains(buf_string(&gone->headers), "X-Amz-Content-Sha256: " NOTHING "\n");
}

static void a_bucket_is_part_of_the_path_at_an_endpoint_from_the_settings(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;

        setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:4566/", 1);
        call = s3_get_object(*state, BUCKET, "a b");
        assert_string_equal(buf_string(&call->url), "http://127.0.0.1:4566/" BUCKET "/a%20b");
}

static void an_object_is_read(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = s3_get_object(*state, BUCKET, KEY);
        _cleanup_buf_ struct buf content = BUF_INIT(10);
        struct err err = {0};

        answer(call, 200, "{\"a\":1}");
        assert_int_equal(s3_get_object_answer(call, &content, &err), 0);
        assert_string_equal(buf_string(&content), "{\"a\":1}");
        answer(call, 404, ERROR("NoSuchKey"));
        assert_int_equal(s3_get_object_answer(call, &content, &err), S3_NOT_FOUND);
        assert_int_equal(content.size, 0);
        answer(call, 200, "12345678901");
        assert_int_equal(s3_get_object_answer(call, &content, &err), -EFBIG);
        assert_int_equal(content.size, 0);
}

/* Another machine's object, or a bucket that is gone, must not pass for "not yet". */
static void a_refusal_is_not_an_absence(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = s3_get_object(*state, BUCKET, KEY);
        _cleanup_buf_ struct buf content = BUF_INIT(10);
        struct err err;

        answer(call, 403, ERROR("AccessDenied"));
        assert_int_equal(s3_get_object_answer(call, &content, &err), -EACCES);
        assert_contains(err.text, "s3:GetObject");
        answer(call, 404, ERROR("NoSuchBucket"));
        assert_int_equal(s3_get_object_answer(call, &content, &err), -EREMOTEIO);
        assert_contains(err.text, "NoSuchBucket");
        answer(call, 404, "<html>not found</html>");
        assert_int_equal(s3_get_object_answer(call, &content, &err), -EPROTO);
        answer_nothing(call, -ETIMEDOUT);
        assert_int_equal(s3_get_object_answer(call, &content, &err), -ETIMEDOUT);
}

static void an_object_is_stored_once(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = s3_new_object(*state, BUCKET, KEY, "a");
        struct err err;

        answer(call, 200, "");
        assert_int_equal(s3_new_object_answer(call, &err), 0);
        answer(call, 412, ERROR("PreconditionFailed"));
        assert_int_equal(s3_new_object_answer(call, &err), S3_EXISTS);
        answer(call, 403, ERROR("AccessDenied"));
        assert_int_equal(s3_new_object_answer(call, &err), -EACCES);
        assert_contains(err.text, "s3:PutObject");
}

static void a_conflict_and_too_many_requests_pass(void **state)
{
        _cleanup_(http_call_freep) struct http_call *conflict =
                s3_new_object(*state, BUCKET, KEY, "a");
        _cleanup_(http_call_freep) struct http_call *get = s3_get_object(*state, BUCKET, KEY);
        _cleanup_(http_call_freep) struct http_call *there =
                s3_new_object(*state, BUCKET, KEY, "a");

        script_assert_tries(conflict, HOST, 409, ERROR("ConditionalRequestConflict"), 3);
        script_assert_tries(get, HOST, 503, ERROR("SlowDown"), 3);
        script_assert_tries(there, HOST, 412, ERROR("PreconditionFailed"), 1);
}

static void deleting_what_is_gone_is_done(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call = s3_delete_object(*state, BUCKET, KEY);
        struct err err;

        answer(call, 204, "");
        assert_int_equal(s3_delete_object_answer(call, &err), 0);
        answer(call, 403, ERROR("AccessDenied"));
        assert_int_equal(s3_delete_object_answer(call, &err), -EACCES);
}

/* -- a list -- */

#define OBJECT(key, time)                                                                   \
        "<Contents><Key>" key "</Key><LastModified>" time "</LastModified><Size>7</Size></" \
        "Contents>"
#define LIST(content)                                                               \
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "            \
        "xmlns=\"http://s3.amazonaws."                                              \
        "com/doc/2006-03-01/\"><Name>" BUCKET "</Name><Prefix>arn</Prefix>" content \
        "</ListBucketResult>"

/* libcurl signs a query as it stands: S3 sorts it by name. */
static void a_list_is_asked_for_in_pages(void **state)
{
        _cleanup_(http_call_freep) struct http_call *first =
                s3_list_objects(*state, BUCKET, "arn:aws/", NULL);
        _cleanup_(http_call_freep) struct http_call *second =
                s3_list_objects(*state, BUCKET, "arn:aws/", "1a+b/c=");

        assert_string_equal(buf_string(&first->url), HOST "?list-type=2&prefix=arn%3Aaws%2F");
        assert_string_equal(buf_string(&second->url),
                HOST "?continuation-token=1a%2Bb%2Fc%3D&list-type=2&prefix=arn%3Aaws%2F");
}

static void a_list_grows_by_its_pages(void **state)
{
        _cleanup_(http_call_freep) struct http_call *call =
                s3_list_objects(*state, BUCKET, "arn", NULL);
        _cleanup_(s3_list_release) struct s3_list list = {0};
        struct err err;

        answer(call, 200,
                LIST(OBJECT("arn:1", "2026-01-02T03:04:05.000Z") OBJECT("arn:2",
                        "2026-01-02T03:04:06.500Z") "<IsTruncated>true</"
                                                    "IsTruncated><NextContinuationToken>1a+b</"
                                                    "NextContinuationToken>"));
        assert_int_equal(s3_list_objects_answer(call, &list, &err), 0);
        assert_int_equal(list.count, 2);
        assert_string_equal(list.items[1].key, "arn:2");
        assert_int_equal(list.items[1].modified_ms - list.items[0].modified_ms, 1500);
        assert_string_equal(list.next_page, "1a+b");

        answer(call, 200, LIST(OBJECT("arn:3", "2026-01-02T03:04:07.000Z")));
        assert_int_equal(s3_list_objects_answer(call, &list, &err), 0);
        assert_int_equal(list.count, 3);
        assert_string_equal(list.items[2].key, "arn:3");
        assert_null(list.next_page);
}

/* A list that seems empty would have what is not in it pass for gone. */
static void what_is_no_list_is_refused(void **state)
{
        static const char *const bodies[] = {"", "nothing", "<html/>", LIST("<Contents/>"),
                LIST("<Contents><Key>a</Key></Contents>"), LIST(OBJECT("a", "yesterday")),
                LIST("<Contents>")};
        _cleanup_(http_call_freep) struct http_call *call =
                s3_list_objects(*state, BUCKET, "arn", NULL);
        _cleanup_(s3_list_release) struct s3_list list = {0};
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                answer(call, 200, bodies[i]);
                assert_int_equal(s3_list_objects_answer(call, &list, &err), -EBADMSG);
                assert_int_equal(list.count, 0);
        }
        answer(call, 403, ERROR("AccessDenied"));
        assert_int_equal(s3_list_objects_answer(call, &list, &err), -EACCES);
        assert_contains(err.text, "s3:ListBucket");
        answer(call, 200, LIST(""));
        assert_int_equal(s3_list_objects_answer(call, &list, &err), 0);
}

#define TEST(function) \
        cmocka_unit_test_setup_teardown(function, fake_aws_set_up, fake_aws_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_request_names_the_hash_of_its_body),
                TEST(a_bucket_is_part_of_the_path_at_an_endpoint_from_the_settings),
                TEST(an_object_is_read),
                TEST(a_refusal_is_not_an_absence),
                TEST(an_object_is_stored_once),
                TEST(a_conflict_and_too_many_requests_pass),
                TEST(deleting_what_is_gone_is_done),
                TEST(a_list_is_asked_for_in_pages),
                TEST(a_list_grows_by_its_pages),
                TEST(what_is_no_list_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
