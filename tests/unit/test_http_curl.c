/* SPDX-License-Identifier: MIT */

/*
 * libcurl's transport, against a server in threads of this program: requests arrive as they were
 * made, connections are kept and their loss is survived, only trusted servers are spoken to, and an
 * event loop can drive it.
 */

#include <errno.h>
#include <openssl/pem.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/http.h"
#include "server.h"
#include "unit.h"

struct fixture {
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
        struct fixture *fixture = mem_alloc(sizeof(*fixture));

        fixture->server = server_start(NULL);
        fixture->http = new_http();
        *state = fixture;
        return 0;
}

static int set_up_tls(void **state)
{
        struct fixture *fixture = mem_alloc(sizeof(*fixture));

        snprintf(fixture->certificate, sizeof(fixture->certificate), "/tmp/test-http-%d.pem",
                (int)getpid());
        fixture->server = server_start(fixture->certificate);
        *state = fixture;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *fixture = *state;

        http_free(fixture->http);
        server_stop(fixture->server);
        if (fixture->certificate[0])
                unlink(fixture->certificate);
        unsetenv("SSL_CERT_FILE");
        unsetenv("SSL_CERT_DIR");
        free(fixture);
        return 0;
}

static struct http_call *new_call(
        const struct fixture *fixture, const char *method, const char *path)
{
        struct http_call *call = http_call_new("Test", method, "%s://127.0.0.1:%d%s",
                fixture->server->tls ? "https" : "http", fixture->server->port, path);

        /* Under valgrind it takes seconds to read the system's certificate authorities. */
        call->connect_timeout_ms = call->try_timeout_ms = call->timeout_ms = 60000;
        return call;
}

static void perform_ok(struct fixture *fixture, const char *path)
{
        struct http_call *call = new_call(fixture, "GET", path);

        if (http_perform(fixture->http, call)->result < 0)
                fail_msg("%s: %s", path, call->err.text);
        assert_int_equal(call->status, 200);
        assert_string_equal(buf_string(&call->answer), "ok");
        http_call_free(call);
}

/* -- requests -- */

static void sends_headers_and_body(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *call = new_call(fixture, "POST", "/echo");
        const char *sent;

        http_call_header(call, "X-Mine", "1");
        http_call_body(call, "application/json", "{\"a\":1}", 7);
        assert_int_equal(http_perform(fixture->http, call)->result, 0);
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
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
                struct http_call *call = new_call(fixture, methods[i], "/echo");

                assert_int_equal(http_perform(fixture->http, call)->result, 0);
                assert_memory_equal(buf_string(&call->answer), methods[i], strlen(methods[i]));
                assert_string_equal(strstr(buf_string(&call->answer), "\r\n\r\n"), "\r\n\r\n");
                http_call_free(call);
        }
}

static void signs_for_aws(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *call = new_call(fixture, "POST", "/echo");
        const char *sent;

        call->sign_scope = mem_string("aws:amz:eu-central-1:ssm");
        call->sign_key = mem_string("AKIDEXAMPLE");
        call->sign_secret = mem_string("wJalrXUtnFEMI");
        http_call_header(call, "X-Amz-Security-Token", "token");
        http_call_body(call, "application/x-amz-json-1.1", "{}", 2);
        assert_int_equal(http_perform(fixture->http, call)->result, 0);
        sent = buf_string(&call->answer);
        assert_contains(sent, "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/");
        assert_contains(sent, "/eu-central-1/ssm/aws4_request");
        assert_contains(sent, "x-amz-security-token");
        assert_contains(sent, "X-Amz-Date: ");
        assert_lacks(sent, "wJalrXUtnFEMI");
        http_call_free(call);

        /* The handle is used again, without anything of the signature. */
        call = new_call(fixture, "GET", "/echo");
        assert_int_equal(http_perform(fixture->http, call)->result, 0);
        assert_lacks(buf_string(&call->answer), "Authorization");
        assert_lacks(buf_string(&call->answer), "x-amz");
        http_call_free(call);
}

/* -- connections -- */

static void a_connection_is_kept(void **state)
{
        struct fixture *fixture = *state;

        for (int i = 0; i < 5; i++)
                perform_ok(fixture, "/ok");
        assert_int_equal(atomic_load(&fixture->server->connections), 1);
        assert_int_equal(atomic_load(&fixture->server->requests), 5);
}

/* A Lambda that was frozen finds that the server has closed the connection meanwhile. */
static void a_stale_connection_is_survived(void **state)
{
        struct fixture *fixture = *state;

        perform_ok(fixture, "/close");
        server_await_closed(fixture->server);
        perform_ok(fixture, "/ok");
        assert_int_equal(atomic_load(&fixture->server->connections), 2);
}

static void a_connection_closed_under_a_request_is_survived(void **state)
{
        struct fixture *fixture = *state;

        perform_ok(fixture, "/drop");
        perform_ok(fixture, "/ok");
        assert_int_equal(atomic_load(&fixture->server->connections), 2);
        assert_int_equal(atomic_load(&fixture->server->requests), 3);
}

/* -- failures -- */

static void assert_fails(
        struct fixture *fixture, struct http_call *call, int result, const char *text)
{
        assert_int_equal(http_perform(fixture->http, call)->result, result);
        assert_int_equal(call->status, 0);
        assert_contains(call->err.text, text);
        assert_lacks(call->err.text, "secret");
        http_call_free(call);
}

static void too_large_an_answer_is_not_read(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *call = new_call(fixture, "GET", "/bytes/1000000");

        call->answer_limit = 1000000;
        assert_int_equal(http_perform(fixture->http, call)->result, 0);
        assert_int_equal(call->answer.size, 1000000);
        http_call_free(call);
        call = new_call(fixture, "GET", "/bytes/1000001");
        call->answer_limit = 1000000;
        assert_fails(fixture, call, -E2BIG, "larger than 1000000 bytes");
        perform_ok(fixture, "/ok");
}

static void silence_times_out(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *call = new_call(fixture, "GET", "/silent");

        /* Long enough for a busy machine to bring the request to the server. */
        call->try_timeout_ms = 500;
        assert_fails(fixture, call, -ETIMEDOUT, "Test: no answer: ");
        call = new_call(fixture, "GET", "/silent");
        call->timeout_ms = 500;
        call->tries_max = 3;
        assert_fails(fixture, call, -ETIMEDOUT, "");
        assert_int_equal(atomic_load(&fixture->server->requests), 2);
}

static void a_truncated_answer_is_an_error(void **state)
{
        struct fixture *fixture = *state;

        assert_fails(fixture, new_call(fixture, "GET", "/cut"), -ECONNRESET, "no answer");
}

static void a_refused_connection_is_an_error(void **state)
{
        struct fixture *fixture = *state;
        struct server *gone = server_start(NULL);
        int port = gone->port;

        server_stop(gone);
        assert_fails(fixture, http_call_new("Test", "GET", "http://127.0.0.1:%d/secret", port),
                -ECONNREFUSED, "no answer");
        assert_fails(fixture, http_call_new("Test", "GET", "ftp://127.0.0.1:%d/secret", port),
                -EINVAL, "no answer");
        assert_fails(fixture, http_call_new("Test", "GET", "no url:secret/"), -EINVAL, "no answer");
        assert_fails(fixture, http_call_new("Test", "GET", "%s", ""), -EINVAL, "no answer");
}

static void interim_answers_are_skipped(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *call = new_call(fixture, "GET", "/early");
        char value[8] = "";

        assert_int_equal(http_perform(fixture->http, call)->result, 0);
        assert_int_equal(call->status, 200);
        assert_true(http_call_answer_header(call, "x-test", value, sizeof(value)));
        assert_string_equal(value, "yes");
        http_call_free(call);
}

/* -- TLS -- */

static void an_unknown_certificate_is_refused(void **state)
{
        struct fixture *fixture = *state;

        fixture->http = new_http();
        assert_fails(fixture, new_call(fixture, "GET", "/secret"), -EKEYREJECTED, "certificate");
        assert_int_equal(atomic_load(&fixture->server->requests), 0);
}

static void a_refusal_says_where_authorities_were_looked_for(void **state)
{
        struct fixture *fixture = *state;

        setenv("SSL_CERT_DIR", "/nowhere", 1);
        fixture->http = new_http();
        assert_fails(fixture, new_call(fixture, "GET", "/secret"), -EKEYREJECTED,
                "trusted are the authorities in /nowhere (SSL_CERT_FILE");
}

/* An empty SSL_CERT_FILE counts as unset: Debian's path, which Debian's own libraries know too. */
static void system_authorities_are_the_default(void **state)
{
        struct fixture *fixture = *state;

        setenv("SSL_CERT_FILE", "", 1);
        fixture->http = new_http();
        assert_fails(fixture, new_call(fixture, "GET", "/secret"), -EKEYREJECTED,
                "trusted are the authorities in /etc/ssl/cert");
}

static void a_trusted_certificate_is_accepted(void **state)
{
        struct fixture *fixture = *state;

        setenv("SSL_CERT_FILE", fixture->certificate, 1);
        fixture->http = new_http();
        perform_ok(fixture, "/ok");
        perform_ok(fixture, "/ok");
        assert_int_equal(atomic_load(&fixture->server->connections), 1);
        /* A trusted certificate for another name is refused. */
        assert_fails(fixture,
                http_call_new("Test", "GET", "https://localhost:%d/secret", fixture->server->port),
                -EKEYREJECTED, "");
}

static void a_file_of_authorities_that_is_missing_is_named(void **state)
{
        struct fixture *fixture = *state;

        setenv("SSL_CERT_FILE", "/nowhere/authorities.pem", 1);
        fixture->http = new_http();
        assert_fails(fixture, new_call(fixture, "GET", "/secret"), -EPROTO,
                "/nowhere/authorities.pem cannot be read");
        assert_int_equal(atomic_load(&fixture->server->requests), 0);
}

/* Writes the path in DIRECTORY where OpenSSL looks for the authority in the file CERTIFICATE. */
static void hashed_path(const char *certificate, const char *directory, char ret[static 128])
{
        FILE *file = fopen(certificate, "re");
        X509 *authority = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

        assert_non_null(authority);
        snprintf(ret, 128, "%s/%08lx.0", directory, X509_subject_name_hash(authority));
        X509_free(authority);
        fclose(file);
}

/* Two connections to the same server, for AWS's services have the same authority. The second one
 * asks for another name, since it would resume the session of the first. */
static void an_authority_in_a_directory_is_read_once(void **state)
{
        struct fixture *fixture = *state;
        char directory[] = "/tmp/test-http-XXXXXX";
        char path[128];

        assert_non_null(mkdtemp(directory));
        hashed_path(fixture->certificate, directory, path);
        assert_int_equal(symlink(fixture->certificate, path), 0);
        setenv("SSL_CERT_DIR", directory, 1);
        fixture->http = new_http();
        perform_ok(fixture, "/ok");
        unlink(path);
        rmdir(directory);
        assert_fails(fixture,
                http_call_new("Test", "GET", "https://localhost:%d/secret", fixture->server->port),
                -EKEYREJECTED, "localhost"); /* the authority is known, the name is not */
}

static void stale_tls_connections_are_survived(void **state)
{
        struct fixture *fixture = *state;

        setenv("SSL_CERT_FILE", fixture->certificate, 1);
        fixture->http = new_http();
        perform_ok(fixture, "/close");
        server_await_closed(fixture->server);
        perform_ok(fixture, "/drop");
        perform_ok(fixture, "/ok");
        assert_int_equal(atomic_load(&fixture->server->connections), 3);
}

/* -- several calls -- */

static void calls_run_in_parallel(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *calls[20];

        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                calls[i] = new_call(fixture, "GET", "/together/20");
                http_start(fixture->http, calls[i]);
        }
        http_finish(fixture->http);
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                assert_int_equal(calls[i]->result, 0);
                assert_int_equal(calls[i]->status, 200);
                http_call_free(calls[i]);
        }
        assert_int_equal(atomic_load(&fixture->server->connections), 20);
}

static void cancelled_calls_leave_nothing(void **state)
{
        struct fixture *fixture = *state;
        struct http_call *cancelled = new_call(fixture, "GET", "/silent");
        struct http_call *left = new_call(fixture, "GET", "/silent");

        http_start(fixture->http, cancelled);
        http_start(fixture->http, left);
        perform_ok(fixture, "/ok");
        http_cancel(fixture->http, cancelled);
        assert_int_equal(cancelled->result, -ECANCELED);
        http_call_free(cancelled);
        perform_ok(fixture, "/ok");
        http_free(MEM_STEAL(fixture->http));
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
        struct fixture *fixture = *state;
        struct http_call *call = new_call(fixture, "GET", "/busy");
        struct pollfd poll_fd;

        call->tries_max = 2; /* with a wait in between */
        http_start(fixture->http, call);
        poll_until_ended(fixture->http, call);
        assert_int_equal(call->status, 200);
        assert_int_equal(call->tries, 2);
        http_call_free(call);

        call = new_call(fixture, "GET", "/silent");
        call->try_timeout_ms = 50;
        http_start(fixture->http, call);
        poll_until_ended(fixture->http, call);
        assert_int_equal(call->result, -ETIMEDOUT);
        http_call_free(call);

        /* An idle loop is not woken. */
        poll_fd = (struct pollfd){.fd = http_fd(fixture->http), .events = POLLIN};
        for (int i = 0; i < 20 && poll(&poll_fd, 1, 100) > 0; i++)
                http_dispatch(fixture->http);
        assert_int_equal(poll(&poll_fd, 1, 100), 0);
}

/* -- proxies -- */

/* The fixture's server is the proxy, which answers by itself; what is asked for does not exist. */
static void the_proxy_of_the_environment_is_used_and_can_be_passed_by(void **state)
{
        static const char url[] = "http://127.0.0.1:9/ok"; /* discard: nobody listens */
        struct fixture *fixture = *state;
        char proxy[64];
        struct http_call *call;

        snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", fixture->server->port);
        setenv("http_proxy", proxy, 1);
        call = http_call_new("Test", "GET", "%s", url);
        assert_int_equal(http_perform(fixture->http, call)->result, 0);
        assert_int_equal(atomic_load(&fixture->server->requests), 1);
        http_call_free(call);

        call = http_call_new("Test", "GET", "%s", url);
        call->without_proxy = true;
        assert_int_equal(http_perform(fixture->http, call)->result, -ECONNREFUSED);
        assert_int_equal(atomic_load(&fixture->server->requests), 1);
        http_call_free(call);
        unsetenv("http_proxy");
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
                TEST_TLS(a_file_of_authorities_that_is_missing_is_named),
                TEST_TLS(an_authority_in_a_directory_is_read_once),
                TEST_TLS(stale_tls_connections_are_survived),
                TEST(calls_run_in_parallel),
                TEST(cancelled_calls_leave_nothing),
                TEST(an_event_loop_drives_calls),
                TEST(the_proxy_of_the_environment_is_used_and_can_be_passed_by),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
