/* SPDX-License-Identifier: MIT */

/*
 * Makes a call and reads what came back. Nothing here knows of the network.
 */

#include "http/http_call.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define URL_LIMIT 4096
#define HEADERS_LIMIT (64 * 1024)
#define BODY_LIMIT (8 * 1024 * 1024)
#define ANSWER_LIMIT_DEFAULT (1024 * 1024)

struct http_call *http_call_new(const char *what, const char *method, const char *url_format, ...)
{
        struct http_call *call = mem_alloc(sizeof(*call));
        _cleanup_free_ char *url = NULL;
        va_list arguments;

        call->what = what;
        call->method = method;
        call->url = (struct buf)BUF_INIT(URL_LIMIT);
        call->headers = (struct buf)BUF_INIT(HEADERS_LIMIT);
        call->body = (struct buf)BUF_INIT(BODY_LIMIT);
        call->answer_headers = (struct buf)BUF_INIT(HEADERS_LIMIT);
        call->answer_limit = ANSWER_LIMIT_DEFAULT;
        call->timeout_ms = 10 * MSEC_PER_SEC;
        call->try_timeout_ms = 5 * MSEC_PER_SEC;
        call->connect_timeout_ms = 2 * MSEC_PER_SEC;
        call->tries_max = 1;

        va_start(arguments, url_format);
        if (vasprintf(&url, url_format, arguments) < 0)
                abort();
        va_end(arguments);
        buf_add_string(&call->url, url);
        return call;
}

void http_call_header(struct http_call *call, const char *name, const char *value)
{
        if (strpbrk(value, "\r\n"))
                return;
        buf_add_string(&call->headers, name);
        buf_add_string(&call->headers, ": ");
        buf_add_string(&call->headers, value);
        buf_add_string(&call->headers, "\n");
}

void http_call_body(
        struct http_call *call, const char *content_type, const char *bytes, size_t size)
{
        call->has_body = true;
        http_call_header(call, "Content-Type", content_type);
        buf_clear(&call->body);
        buf_add(&call->body, bytes, size);
}

/* The value of header NAME in LINES, and its size; NULL when there is none. */
static const char *find_header(const char *lines, const char *name, size_t *ret_size)
{
        size_t name_size = strlen(name);

        while (*lines) {
                size_t size = strcspn(lines, "\r\n");

                if (size > name_size && lines[name_size] == ':' &&
                        strncasecmp(lines, name, name_size) == 0) {
                        *ret_size = size - name_size - 1;
                        return lines + name_size + 1;
                }
                lines += size;
                lines += strspn(lines, "\r\n");
        }
        return NULL;
}

bool http_call_answer_header(
        const struct http_call *call, const char *name, char *value, size_t size)
{
        size_t found_size = 0;
        const char *found = find_header(buf_string(&call->answer_headers), name, &found_size);

        if (!found || size == 0)
                return false;
        while (found_size > 0 && isblank((unsigned char)found[0])) {
                found++;
                found_size--;
        }
        while (found_size > 0 && isblank((unsigned char)found[found_size - 1]))
                found_size--;
        if (found_size >= size)
                found_size = size - 1;
        memcpy(value, found, found_size);
        value[found_size] = '\0';
        return true;
}

int http_call_fail(const struct http_call *call, struct err *err)
{
        char body[201] = "";
        size_t n = 0;

        if (call->result < 0)
                return err_set(err, call->result, "%s", call->err.text);
        for (size_t i = 0; i < call->answer.size && n < sizeof(body) - 1; i++)
                body[n++] =
                        (char)(isprint((unsigned char)call->answer.data[i]) ? call->answer.data[i]
                                                                            : '.');
        return err_set(err, -EPROTO, "%s: unexpected answer, HTTP status %d, beginning with \"%s\"",
                call->what, call->status, body);
}

int http_call_prefix(const struct http_call *call, int r, struct err *err)
{
        return r < 0 ? err_prefix(err, r, "%s", call->what) : r;
}

void http_call_free(struct http_call *call)
{
        if (!call)
                return;
        buf_release(&call->url);
        buf_release(&call->headers);
        buf_release(&call->body);
        buf_release(&call->answer);
        buf_release(&call->answer_headers);
        free(call->sign_scope);
        free(call->sign_key);
        mem_free_secret(call->sign_secret);
        free(call);
}

void http_call_freep(struct http_call **call)
{
        http_call_free(*call);
}
