/* SPDX-License-Identifier: MIT */

/*
 * Posts to a webhook. Its URL is secret, so errors are composed from what is known here, and never
 * quote the transport's words or the whole answer, which may name it.
 */

#include "channel.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define TRIES_MAX 3
#define ANSWER_LIMIT ((size_t)64 * 1024)
/* Workflows may take some seconds. A message that comes twice is better than none, but not much. */
#define TRY_TIMEOUT_MS (8 * MSEC_PER_SEC)
#define CODE_SIZE 64

struct http_call *channel_call(const char *name, const char *url, const cJSON *message)
{
        struct http_call *call = http_call_new(name, "POST", "%s", url);
        _cleanup_free_ char *body = json_print(message);

        http_call_body(call, "application/json", body, strlen(body));
        call->tries_max = TRIES_MAX;
        call->try_timeout_ms = TRY_TIMEOUT_MS;
        call->answer_limit = ANSWER_LIMIT;
        return call;
}

static cJSON *read_json(const struct http_call *call)
{
        cJSON *body = NULL;

        (void)json_parse(buf_string(&call->answer), call->answer.size, "the answer", &body, NULL);
        return body;
}

/* The channel's word for what is wrong: Slack's answer is one ("no_service"), or has it as `error`,
 * Teams' is JSON with error.code ("WorkflowTriggerIsNotEnabled"). "" for anything that is not one
 * plain word. */
static void read_code(const struct http_call *call, char code[static CODE_SIZE])
{
        _cleanup_json_ cJSON *body = read_json(call);
        const char *word = body ? json_string(body, "error.code") : buf_string(&call->answer);

        code[0] = '\0';
        if (!word)
                word = json_string(body, "error");
        if (!word || strlen(word) >= CODE_SIZE)
                return;
        for (const char *c = word; *c; c++)
                if (!isalnum((unsigned char)*c) && *c != '_')
                        return;
        memcpy(code, word, strlen(word) + 1);
}

static const char *advice_for(int status)
{
        static const struct {
                int first;
                int last;
                const char *text;
        } table[] = {
                {429, 429, "too many messages at once; it must be sent again later"},
                {413, 413, "the message is too large for it"},
                {300, 499,
                        "check that the webhook still exists and is switched on; "
                        "one that was made anew has another URL"},
                {500, 599, "the service has a problem; the message must be sent again later"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (status >= table[i].first && status <= table[i].last)
                        return table[i].text;
        return "this is not how a webhook answers; check the URL";
}

/* Words with which Teams' connectors answer 200 where they could not deliver a message: then the
 * status is behind them. https://github.com/MicrosoftDocs/msteams-docs/issues/9064 */
#define FAILED "Webhook message delivery failed"
#define STATUS_BEHIND "HTTP error "

/* The status that the words of CALL's answer say, or its own. */
static int status_of(const struct http_call *call)
{
        const char *failed = strstr(buf_string(&call->answer), FAILED);
        const char *status = failed ? strstr(failed, STATUS_BEHIND) : NULL;

        return status ? (int)strtol(status + strlen(STATUS_BEHIND), NULL, 10) : call->status;
}

/* Slack says {"ok":false} where a URL is one of its methods'. */
static bool is_refused_in_words(const struct http_call *call)
{
        _cleanup_json_ cJSON *body = read_json(call);

        return strstr(buf_string(&call->answer), FAILED) || cJSON_IsFalse(json_get(body, "ok"));
}

static bool is_passing(int status)
{
        return status == 429 || status >= 500;
}

int channel_answer(const struct http_call *call, const char *variable, struct err *err)
{
        char code[CODE_SIZE];
        int status;

        if (call->result < 0)
                return err_set(err, call->result,
                        "%s: a webhook of %s did not answer: %s; "
                        "check that its URL is right and can be reached from here",
                        call->what, variable, strerror(-call->result));
        if (call->status / 100 == 2 && !is_refused_in_words(call))
                return 0;
        status = status_of(call);
        read_code(call, code);
        return err_set(err, is_passing(status) ? -EAGAIN : -EPROTO,
                "%s: a webhook of %s answered with HTTP status %d%s%s: %s", call->what, variable,
                status, *code ? ", " : "", code, advice_for(status));
}
