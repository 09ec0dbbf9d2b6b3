/* SPDX-License-Identifier: MIT */

/*
 * What all calls to GitHub share: their headers, when another try is worth it, and what people are
 * told about a refusal.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
 */

#include "call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

#define TRIES_MAX 3
#define ANSWER_LIMIT ((size_t)256 * 1024)

/* How much an error repeats of GitHub's own words: in all, and of its message and each detail. */
#define WORDS_LIMIT 400
#define DETAIL_SIZE 200

/* Of a number of seconds. */
#define LIMIT_DIGITS_MAX 11

/*
 * Server errors are worth another try, since all our calls may be repeated (a registration whose
 * answer was lost shows as a name that is taken). So are refusals for which GitHub names a time to
 * wait, which http.c keeps to if it fits the deadline. A rate limit that is used up may need an
 * hour to reset: waiting for that is left to the caller's queue.
 */
static enum http_verdict judge(const struct http_call *call)
{
        char seconds[32];

        if (call->status >= 500)
                return HTTP_AGAIN;
        if (call->status != 403 && call->status != 429)
                return HTTP_DONE;
        return http_call_answer_header(call, "Retry-After", seconds, sizeof(seconds)) ? HTTP_AGAIN
                                                                                      : HTTP_DONE;
}

void github_call_prepare(struct http_call *call, const char *bearer)
{
        http_call_header(call, "Accept", "application/vnd.github+json");
        http_call_header(call, "X-GitHub-Api-Version", "2022-11-28");
        if (bearer && !strpbrk(bearer, "\r\n"))
                buf_add_format(&call->headers, "Authorization: Bearer %s\n", bearer);
        call->judge = judge;
        call->tries_max = TRIES_MAX;
        call->answer_limit = ANSWER_LIMIT;
}

/* -- GitHub's own words -- */

/* Adds TEXT, of which DETAIL_SIZE bytes at most. */
static void add_words(struct buf *words, const char *separator, const char *text)
{
        char detail[DETAIL_SIZE + 1];

        utf8_copy(detail, sizeof(detail), text, strlen(text));
        buf_add_format(words, "%s%s", words->size > 0 ? separator : "", detail);
}

/* Adds an element of `errors`: a sentence, or an object of which any member may be missing. */
static void add_detail(struct buf *words, const cJSON *detail)
{
        static const char *const members[] = {"resource", "field", "code", "message"};
        const char *separator = "; ";

        if (cJSON_IsString(detail))
                add_words(words, separator, detail->valuestring);
        for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
                const char *text = json_string(detail, members[i]);

                if (!text)
                        continue;
                add_words(words, separator, text);
                separator = " ";
        }
}

/* Adds the message and its details; nothing for a body that is not GitHub's JSON. */
static void add_github_words(struct buf *words, const struct http_call *call)
{
        _cleanup_json_ cJSON *body = NULL;
        const char *message;
        const cJSON *detail;

        if (json_parse(buf_string(&call->answer), call->answer.size, call->what, &body, NULL) < 0)
                return;
        message = json_string(body, "message");
        if (message)
                add_words(words, "", message);
        cJSON_ArrayForEach (detail, json_get(body, "errors")) {
                add_detail(words, detail);
        }
}

/* -- refusals -- */

/* Whether the calls of the hour are used up. */
static bool is_used_up(const struct http_call *call)
{
        char remaining[32];

        return http_call_answer_header(
                       call, "x-ratelimit-remaining", remaining, sizeof(remaining)) &&
               strcmp(remaining, "0") == 0;
}

/* Whether a rate limit is the reason; UNTIL gets how long it lasts, if GitHub says so. */
static bool is_rate_limited(const struct http_call *call, const char *words, struct buf *until)
{
        char value[32] = "";
        char time[CLOCK_TEXT_SIZE];
        bool used_up = is_used_up(call);

        if (call->status != 403 && call->status != 429)
                return false;
        if (http_call_answer_header(call, "Retry-After", value, sizeof(value))) {
                buf_add_format(until, " for %s s", value);
                return true;
        }
        if (used_up && http_call_answer_header(call, "x-ratelimit-reset", value, sizeof(value)) &&
                strlen(value) <= LIMIT_DIGITS_MAX)
                buf_add_format(until, " until %s",
                        clock_format(strtoll(value, NULL, 10) * MSEC_PER_SEC, time));
        return used_up || call->status == 429 || strcasestr(words, "rate limit");
}

/* GitHub's limits end within the hour. A later end comes from a clock that is wrong, or from
 * something between us and GitHub. */
#define LIMIT_MAX_MS (65 * 60 * MSEC_PER_SEC)

/* When the limit ends; 0 where GitHub does not say. The end of the hour is in each answer, but does
 * not count for a secondary limit. */
static int64_t limit_end(const struct http_call *call, int64_t now_ms)
{
        int64_t end_ms = 0;
        char value[32];

        if (http_call_answer_header(call, "Retry-After", value, sizeof(value))) {
                if (strlen(value) <= LIMIT_DIGITS_MAX)
                        end_ms = now_ms + strtoll(value, NULL, 10) * MSEC_PER_SEC;
        } else if (is_used_up(call) &&
                   http_call_answer_header(call, "x-ratelimit-reset", value, sizeof(value))) {
                if (strlen(value) <= LIMIT_DIGITS_MAX)
                        end_ms = strtoll(value, NULL, 10) * MSEC_PER_SEC;
        }
        return end_ms < now_ms + LIMIT_MAX_MS ? end_ms : now_ms + LIMIT_MAX_MS;
}

bool github_call_is_passing(const struct http_call *call, int64_t now_ms, int64_t *ret_until_ms)
{
        /* What stays refused: renamed, forbidden, gone, invalid. */
        static const int final[] = {301, 307, 308, 400, 403, 404, 409, 410, 415, 422, 451};
        _cleanup_buf_ struct buf words = BUF_INIT(WORDS_LIMIT);
        _cleanup_buf_ struct buf until = BUF_INIT(128);

        *ret_until_ms = 0;
        if (call->result < 0)
                return true;
        add_github_words(&words, call);
        if (is_rate_limited(call, buf_string(&words), &until)) {
                *ret_until_ms = limit_end(call, now_ms);
                return true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(final); i++)
                if (call->status == final[i])
                        return false;
        return true;
}

int github_refused(const struct http_call *call, const char *subject,
        const struct github_advice *advice, struct err *err)
{
        _cleanup_buf_ struct buf words = BUF_INIT(WORDS_LIMIT);
        _cleanup_buf_ struct buf until = BUF_INIT(128);

        if (call->result < 0)
                return http_call_fail(call, err);
        add_github_words(&words, call);
        if (is_rate_limited(call, buf_string(&words), &until))
                return err_set(err, -EAGAIN,
                        "%s: GitHub refuses calls%s, too many were made: HTTP status %d, \"%s\"; "
                        "try again later",
                        subject, buf_string(&until), call->status, buf_string(&words));
        for (; advice->status; advice++)
                if (advice->status == call->status)
                        return err_set(err, advice->code,
                                "%s: GitHub refused with HTTP status %d, \"%s\": %s", subject,
                                call->status, buf_string(&words), advice->text);
        return http_call_fail(call, err);
}

/* -- answers -- */

int github_answer_list(const struct http_call *call, const char *path,
        const struct github_advice *advice, cJSON **ret_body, const cJSON **ret_list,
        struct err *err)
{
        int r;

        if (call->result < 0 || call->status / 100 != 2)
                return github_refused(call, call->what, advice, err);
        r = json_parse(
                buf_string(&call->answer), call->answer.size, "GitHub's answer", ret_body, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        *ret_list = *path ? json_get(*ret_body, path) : *ret_body;
        if (!cJSON_IsArray(*ret_list))
                return err_set(err, -EBADMSG, "%s: %s%sa list is needed, found %s", call->what,
                        path, *path ? ": " : "", json_type_name(*ret_list));
        return 0;
}

int github_answer_items(const struct http_call *call, const struct github_advice *advice,
        size_t item_size, void (*read)(const cJSON *object, void *item), void **ret_items,
        size_t *ret_count, struct err *err)
{
        _cleanup_json_ cJSON *body = NULL;
        const cJSON *list = NULL;
        const cJSON *object;
        char *item;
        int r = github_answer_list(call, "", advice, &body, &list, err);

        if (r < 0)
                return r;
        *ret_count = (size_t)cJSON_GetArraySize(list);
        *ret_items = item = mem_alloc((*ret_count + 1) * item_size);
        cJSON_ArrayForEach (object, list) {
                read(object, item);
                item += item_size;
        }
        return 0;
}

void github_read_labels(const cJSON *object, char ***ret_labels, size_t *ret_count)
{
        const cJSON *label;
        char **labels = NULL;
        size_t count = 0;

        cJSON_ArrayForEach (label, json_get(object, "labels")) {
                if (!cJSON_IsString(label) || count == GITHUB_LABELS_MAX)
                        continue;
                labels = mem_resize(labels, count + 1, sizeof(*labels));
                labels[count++] = mem_string(label->valuestring);
        }
        *ret_labels = labels;
        *ret_count = count;
}

void github_copy(char *to, size_t size, const cJSON *object, const char *path)
{
        const char *text = json_string(object, path);

        if (text)
                utf8_copy(to, size, text, strlen(text));
        else
                to[0] = '\0';
}
