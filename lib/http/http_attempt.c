/* SPDX-License-Identifier: MIT */

/*
 * See http_attempt.h.
 */

#include "http_attempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* -- the request -- */

static struct curl_slist *header_list(const struct http_call *call)
{
        struct curl_slist *list = NULL;
        _cleanup_free_ char *lines = mem_string(buf_string(&call->headers));
        char *rest = lines;
        char *line;

        while ((line = strsep(&rest, "\n")))
                if (*line)
                        list = curl_slist_append(list, line);
        if (lines)
                explicit_bzero(lines, call->headers.size);
        return list;
}

static void set_request(CURL *easy, const struct http_call *call)
{
        bool is_post = strcmp(call->method, "POST") == 0;

        curl_easy_setopt(easy, CURLOPT_URL, buf_string(&call->url));
        if (call->has_body || is_post) {
                curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_string(&call->body));
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.size);
        }
        if (!is_post && strcmp(call->method, "GET") != 0)
                curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
        if (call->without_proxy)
                curl_easy_setopt(easy, CURLOPT_PROXY, "");
        if (call->sign_scope) {
                curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, call->sign_scope);
                curl_easy_setopt(easy, CURLOPT_USERNAME, call->sign_key);
                curl_easy_setopt(easy, CURLOPT_PASSWORD, call->sign_secret);
        }
}

static void set_limits(CURL *easy, const struct http_call *call, int64_t timeout_ms)
{
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout_ms);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
        /* A call that timed out would otherwise wait for its name look-up, for 10 s or more. */
        curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/* -- the answer -- */

static size_t on_body(char *bytes, size_t size, size_t count, void *userdata)
{
        struct attempt *attempt = userdata;
        struct buf *answer = &attempt->call->answer;
        curl_off_t whole = 0;

        if (answer->size == 0 &&
                curl_easy_getinfo(attempt->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &whole) ==
                        CURLE_OK &&
                whole > 0)
                buf_reserve(answer, (size_t)whole);
        return buf_add(answer, bytes, size * count) < 0 ? 0 : size * count;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *userdata)
{
        struct attempt *attempt = userdata;

        /* A new status line: the headers before it belong to an interim answer. */
        if (size * count > 5 && memcmp(bytes, "HTTP/", 5) == 0)
                buf_clear(&attempt->call->answer_headers);
        return buf_add(&attempt->call->answer_headers, bytes, size * count) < 0 ? 0 : size * count;
}

static void set_answer(CURL *easy, struct attempt *attempt)
{
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, attempt->headers);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, attempt);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, attempt);
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, attempt->error);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, attempt);
}

static int errno_of(CURLcode code)
{
        static const struct {
                CURLcode code;
                int result;
        } table[] = {
                {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
                {CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH},
                {CURLE_COULDNT_CONNECT, -ECONNREFUSED},
                {CURLE_SEND_ERROR, -ECONNRESET},
                {CURLE_RECV_ERROR, -ECONNRESET},
                {CURLE_GOT_NOTHING, -ECONNRESET},
                {CURLE_PARTIAL_FILE, -ECONNRESET},
                {CURLE_SSL_CONNECT_ERROR, -ECONNRESET},
                {CURLE_HTTP2, -ECONNRESET},
                {CURLE_HTTP2_STREAM, -ECONNRESET},
                {CURLE_URL_MALFORMAT, -EINVAL},
                {CURLE_UNSUPPORTED_PROTOCOL, -EINVAL},
                {CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (table[i].code == code)
                        return table[i].result;
        return -EPROTO;
}

/* Why there is no answer. Names the host, but never the URL, which may be secret as a whole. */
static int fail(const struct attempt *attempt, CURLcode code, const char *trusted)
{
        struct http_call *call = attempt->call;
        const char *reason = attempt->error[0] ? attempt->error : curl_easy_strerror(code);

        if (call->answer.overflow)
                return err_set(&call->err, -E2BIG, "%s: the answer is larger than %zu bytes",
                        call->what, call->answer_limit);
        if (code == CURLE_SSL_CACERT_BADFILE)
                return err_set(&call->err, errno_of(code),
                        "%s: no answer: %s cannot be read, which should have the authorities to "
                        "trust (SSL_CERT_FILE names another)",
                        call->what, trusted);
        if (code == CURLE_PEER_FAILED_VERIFICATION)
                return err_set(&call->err, errno_of(code),
                        "%s: no answer: %s; trusted are the authorities in %s "
                        "(SSL_CERT_FILE and SSL_CERT_DIR name others)",
                        call->what, reason, trusted);
        return err_set(&call->err, errno_of(code), "%s: no answer: %s", call->what, reason);
}

int attempt_result(const struct attempt *attempt, CURLcode code, const char *trusted)
{
        long status = 0;

        if (code == CURLE_OK)
                curl_easy_getinfo(attempt->easy, CURLINFO_RESPONSE_CODE, &status);
        attempt->call->status = (int)status;
        return code == CURLE_OK ? 0 : fail(attempt, code, trusted);
}

/* -- both -- */

struct attempt *attempt_new(CURL *easy, struct http_call *call, int64_t timeout_ms)
{
        struct attempt *attempt = mem_alloc(sizeof(*attempt));

        attempt->easy = easy;
        attempt->call = call;
        attempt->headers = header_list(call);
        set_request(easy, call);
        set_limits(easy, call, timeout_ms);
        set_answer(easy, attempt);
        return attempt;
}

void attempt_free(struct attempt *attempt)
{
        for (struct curl_slist *item = attempt->headers; item; item = item->next)
                explicit_bzero(item->data, strlen(item->data));
        curl_slist_free_all(attempt->headers);
        free(attempt);
}
