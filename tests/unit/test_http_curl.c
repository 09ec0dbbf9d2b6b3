/* SPDX-License-Identifier: MIT */

/*
 * libcurl's transport, against a server in threads of this program: requests arrive as they were
 * made, connections are kept and their loss is survived, only trusted servers are spoken to, and an
 * event loop can drive it.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/http.h"
#include "server.h"
#include "unit.h"

struct place {
        struct server *server;
        struct http *http;
        char certificate[64];
};

static struct http *new_http(void)
{
        struct http_transport *transport = NULL;
        struct err err;

        assert_int_equal(http_curl_new("scale-agent-test", &transport, &err), 0);
        return http_new(transport, &clock_system);
}

static int set_up(void **state)
{
        struct place *place = mem_alloc(sizeof(*place));

        place->server = server_start(NULL);
        place->http = new_http();
        *state = place;
        return 0;
}

static int set_up_tls(void **state)
{
        struct place *place = mem_alloc(sizeof(*place));

        snprintf(place->certificate, sizeof(place->certificate), "/tmp/test-http-%d.pem",
                (int)getpid());
        place->server = server_start(place->certificate);
        *state = place;
        return 0;
}

static int tear_down(void **state)
{
        struct place *place = *state;

        http_free(place->http);
        server_stop(place->server);
        if (place->certificate[0])
                unlink(place->certificate);
        unsetenv("SSL_CERT_FILE");
        unsetenv("SSL_CERT_DIR");
        free(place);
        return 0;
}

static struct http_call *new_call(const struct place *place, const char *method, const char *path)
{
        struct http_call *call = http_call_new("Test", method, "%s://127.0.0.1:%d%s",
                place->server->tls ? "https" : "http", place->server->port, path);

        /* Under valgrind it takes seconds to read the system's certificate authorities. */
        call->connect_timeout_ms = call->try_timeout_ms = call->timeout_ms = 60000;
        return call;
}

static void perform_ok(struct place *place, const char *path)
{
        struct http_call *call = new_call(place, "GET", path);

        if (http_perform(place->http, call)->result < 0)
                fail_msg("%s: %s", path, call->err.text);
        assert_int_equal(call->status, 200);
        assert_string_equal(buf_string(&call->answer), "ok");
        http_call_free(call);
}

/* -- requests -- */

static void sends_headers_and_body(void **state)
{
        struct place *place = *state;
        struct http_call *call = new_call(place, "POST", "/echo");
        const char *sent;

        http_call_header(call, "X-Mine", "1");
        http_call_body(call, "application/json", "{\"a\":1}", 7);
        assert_int_equal(http_perform(place->http, call)->result, 0);
        sent = buf_string(&call->answer);
        assert_int_equal(strncmp(sent, "POST /echo HTTP/1.1\r\n", 21), 0);
        assert_contains(sent, "X-Mine: 1\r\n");
        assert_contains(sent, "Content-Type: application/json\r\n");
        assert_contains(sent, "Content-Length: 7\r\n");
        assert_contains(sent, "User-Agent: scale-agent-test\r\n");
        assert_contains(sent, "\r\n\r\n{\"a\":1}");
        http_call_free(call);
}

static void other_methods_have_no_body(void **state)
{
        static const char *const methods[] = {"GET", "DELETE", "PUT", "POST"};
        struct place *place = *state;

        for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
                struct http_call *call = new_call(place, methods[i], "/echo");

                assert_int_equal(http_perform(place->http, call)->result, 0);
                assert_memory_equal(buf_string(&call->answer), methods[i], strlen(methods[i]));
                assert_string_equal(strstr(buf_string(&call->answer), "\r\n\r\n"), "\r\n\r\n");
                http_call_free(call);
        }
}

static void signs_for_aws(void **state)
{
        struct place *place = *state;
        struct http_call *call = new_call(place, "POST", "/echo");
        const char *sent;

        call->sign_scope = mem_string("aws:amz:eu-central-1:ssm");
        call->sign_key = mem_string("AKIDEXAMPLE");
        call->sign_secret = mem_string("wJalrXUtnFEMI");
        http_call_header(call, "X-Amz-Security-Token", "token");
        http_call_body(call, "application/x-amz-json-1.1", "{}", 2);
        assert_int_equal(http_perform(place->http, call)->result, 0);
        sent = buf_string(&call->answer);
        assert_contains(sent, "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/");
        assert_contains(sent, "/eu-central-1/ssm/aws4_request");
        assert_contains(sent, "x-amz-security-token");
        assert_contains(sent, "X-Amz-Date: ");
        assert_lacks(sent, "wJalrXUtnFEMI");
        http_call_free(call);

        /* The handle is used again, without anything of the signature. */
        call = new_call(place, "GET", "/echo");
        assert_int_equal(http_perform(place->http, call)->result, 0);
        assert_lacks(buf_string(&call->answer), "Authorization");
        assert_lacks(buf_string(&call->answer), "x-amz");
        http_call_free(call);
}

/* -- connections -- */

static void a_connection_is_kept(void **state)
{
        struct place *place = *state;

        for (int i = 0; i < 5; i++)
                perform_ok(place, "/ok");
        assert_int_equal(atomic_load(&place->server->connections), 1);
        assert_int_equal(atomic_load(&place->server->requests), 5);
}

/* A Lambda that was frozen finds that the server has closed the connection meanwhile. */
static void a_stale_connection_is_survived(void **state)
{
        struct place *place = *state;

        perform_ok(place, "/close");
        usleep(50000); /* until the server's FIN has arrived */
        perform_ok(place, "/ok");
        assert_int_equal(atomic_load(&place->server->connections), 2);
}

static void a_connection_closed_under_a_request_is_survived(void **state)
{
        struct place *place = *state;

        perform_ok(place, "/drop");
        perform_ok(place, "/ok");
        assert_int_equal(atomic_load(&place->server->connections), 2);
        assert_int_equal(atomic_load(&place->server->requests), 3);
}

/* -- failures -- */

static void assert_fails(struct place *place, struct http_call *call, int result, const char *text)
{
        assert_int_equal(http_perform(place->http, call)->result, result);
        assert_int_equal(call->status, 0);
        assert_contains(call->err.text, text);
        assert_lacks(call->err.text, "secret");
        http_call_free(call);
}

static void too_large_an_answer_is_not_read(void **state)
{
        struct place *place = *state;
        struct http_call *call = new_call(place, "GET", "/bytes/1000000");

        call->answer_limit = 1000000;
        assert_int_equal(http_perform(place->http, call)->result, 0);
        assert_int_equal(call->answer.size, 1000000);
        http_call_free(call);
        call = new_call(place, "GET", "/bytes/1000001");
        call->answer_limit = 1000000;
        assert_fails(place, call, -E2BIG, "larger than 1000000 bytes");
        perform_ok(place, "/ok");
}

static void silence_times_out(void **state)
{
        struct place *place = *state;
        struct http_call *call = new_call(place, "GET", "/silent");

        call->try_timeout_ms = 50;
        assert_fails(place, call, -ETIMEDOUT, "Test: no answer: ");
        call = new_call(place, "GET", "/silent");
        call->timeout_ms = 50;
        call->tries_max = 3;
        assert_fails(place, call, -ETIMEDOUT, "");
        assert_int_equal(atomic_load(&place->server->requests), 2);
}

static void a_truncated_answer_is_an_error(void **state)
{
        struct place *place = *state;

        assert_fails(place, new_call(place, "GET", "/cut"), -ECONNRESET, "no answer");
}

static void a_refused_connection_is_an_error(void **state)
{
        struct place *place = *state;
        struct server *gone = server_start(NULL);
        int port = gone->port;

        server_stop(gone);
        assert_fails(place, http_call_new("Test", "GET", "http://127.0.0.1:%d/secret", port),
                -ECONNREFUSED, "no answer");
        assert_fails(place, http_call_new("Test", "GET", "ftp://127.0.0.1:%d/secret", port),
                -EINVAL, "no answer");
        assert_fails(place, http_call_new("Test", "GET", "no url:secret/"), -EINVAL, "no answer");
}

static void interim_answers_are_skipped(void **state)
{
        struct place *place = *state;
        struct http_call *call = new_call(place, "GET", "/early");
        char value[8] = "";

        assert_int_equal(http_perform(place->http, call)->result, 0);
        assert_int_equal(call->status, 200);
        assert_true(http_call_answer_header(call, "x-test", value, sizeof(value)));
        assert_string_equal(value, "yes");
        http_call_free(call);
}

/* -- TLS -- */

static void an_unknown_certificate_is_refused(void **state)
{
        struct place *place = *state;

        place->http = new_http();
        assert_fails(place, new_call(place, "GET", "/secret"), -EKEYREJECTED, "certificate");
        assert_int_equal(atomic_load(&place->server->requests), 0);
}

static void a_refusal_says_where_authorities_were_looked_for(void **state)
{
        struct place *place = *state;

        setenv("SSL_CERT_DIR", "/nowhere", 1);
        place->http = new_http();
        assert_fails(place, new_call(place, "GET", "/secret"), -EKEYREJECTED,
                "trusted are the authorities in /nowhere (SSL_CERT_FILE");
}

/* An empty SSL_CERT_FILE counts as unset: Debian's path, which Debian's own libraries know too. */
static void system_authorities_are_the_default(void **state)
{
        struct place *place = *state;

        setenv("SSL_CERT_FILE", "", 1);
        place->http = new_http();
        assert_fails(place, new_call(place, "GET", "/secret"), -EKEYREJECTED,
                "trusted are the authorities in /etc/ssl/cert");
}

static void a_trusted_certificate_is_accepted(void **state)
{
        struct place *place = *state;

        setenv("SSL_CERT_FILE", place->certificate, 1);
        place->http = new_http();
        perform_ok(place, "/ok");
        perform_ok(place, "/ok");
        assert_int_equal(atomic_load(&place->server->connections), 1);
        /* A trusted certificate for another name is refused. */
        assert_fails(place,
                http_call_new("Test", "GET", "https://localhost:%d/secret", place->server->port),
                -EKEYREJECTED, "");
}

static void stale_tls_connections_are_survived(void **state)
{
        struct place *place = *state;

        setenv("SSL_CERT_FILE", place->certificate, 1);
        place->http = new_http();
        perform_ok(place, "/close");
        usleep(50000);
        perform_ok(place, "/drop");
        perform_ok(place, "/ok");
        assert_int_equal(atomic_load(&place->server->connections), 3);
}

/* -- several calls -- */

static void calls_run_in_parallel(void **state)
{
        struct place *place = *state;
        struct http_call *calls[20];

        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                calls[i] = new_call(place, "GET", "/together/20");
                http_start(place->http, calls[i]);
        }
        http_finish(place->http);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                assert_int_equal(calls[i]->result, 0);
                assert_int_equal(calls[i]->status, 200);
                http_call_free(calls[i]);
        }
        assert_int_equal(atomic_load(&place->server->connections), 20);
}

static void cancelled_calls_leave_nothing(void **state)
{
        struct place *place = *state;
        struct http_call *cancelled = new_call(place, "GET", "/silent");
        struct http_call *left = new_call(place, "GET", "/silent");

        http_start(place->http, cancelled);
        http_start(place->http, left);
        perform_ok(place, "/ok");
        http_cancel(place->http, cancelled);
        assert_int_equal(cancelled->result, -ECANCELED);
        http_call_free(cancelled);
        perform_ok(place, "/ok");
        http_free(MEM_STEAL(place->http));
        assert_int_equal(left->result, -ECANCELED);
        http_call_free(left);
}

/* -- event loops -- */

static void poll_until_ended(struct http *http, const struct http_call *call)
{
        struct pollfd poll_fd = {.fd = http_fd(http), .events = POLLIN};

        assert_true(poll_fd.fd >= 0);
        for (int i = 0; i < 1000 && call->state != HTTP_CALL_ENDED; i++) {
                assert_int_equal(poll(&poll_fd, 1, 5000), 1);
                http_dispatch(http);
        }
        assert_int_equal(call->state, HTTP_CALL_ENDED);
}

static void an_event_loop_drives_calls(void **state)
{
        struct place *place = *state;
        struct http_call *call = new_call(place, "GET", "/busy");
        struct pollfd poll_fd;

        call->tries_max = 2; /* with a wait in between */
        http_start(place->http, call);
        poll_until_ended(place->http, call);
        assert_int_equal(call->status, 200);
        assert_int_equal(call->tries, 2);
        http_call_free(call);

        call = new_call(place, "GET", "/silent");
        call->try_timeout_ms = 50;
        http_start(place->http, call);
        poll_until_ended(place->http, call);
        assert_int_equal(call->result, -ETIMEDOUT);
        http_call_free(call);

        /* An idle loop is not woken. */
        poll_fd = (struct pollfd){.fd = http_fd(place->http), .events = POLLIN};
        for (int i = 0; i < 20 && poll(&poll_fd, 1, 100) > 0; i++)
                http_dispatch(place->http);
        assert_int_equal(poll(&poll_fd, 1, 100), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define TEST_TLS(function) cmocka_unit_test_setup_teardown(function, set_up_tls, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(sends_headers_and_body),
                TEST(other_methods_have_no_body),
                TEST(signs_for_aws),
                TEST(a_connection_is_kept),
                TEST(a_stale_connection_is_survived),
                TEST(a_connection_closed_under_a_request_is_survived),
                TEST(too_large_an_answer_is_not_read),
                TEST(silence_times_out),
                TEST(a_truncated_answer_is_an_error),
                TEST(a_refused_connection_is_an_error),
                TEST(interim_answers_are_skipped),
                TEST_TLS(an_unknown_certificate_is_refused),
                TEST_TLS(a_refusal_says_where_authorities_were_looked_for),
                TEST_TLS(system_authorities_are_the_default),
                TEST_TLS(a_trusted_certificate_is_accepted),
                TEST_TLS(stale_tls_connections_are_survived),
                TEST(calls_run_in_parallel),
                TEST(cancelled_calls_leave_nothing),
                TEST(an_event_loop_drives_calls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
