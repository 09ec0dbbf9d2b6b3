/* SPDX-License-Identifier: MIT */

/*
 * Telling people: takes notifications from their queue and shows each in every channel that is
 * configured. SQS drops doubles for five minutes; the rest of the quarter of an hour is remembered
 * here, which is enough because one message group means one process at a time.
 */

#include "handler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "config/reference.h"
#include "notify/notification.h"

#define SHOWN_KEPT_MS (15 * 60 * MSEC_PER_SEC)
#define URLS_MAX 32

/* One notification on its way to all URLs of all channels. */
struct telling {
        struct {
                const struct notify_channel *channel;
                struct http_call *call;
        } calls[URLS_MAX];
        size_t n;
};

static void telling_release(struct telling *telling)
{
        for (size_t i = 0; i < telling->n; i++)
                http_call_free(telling->calls[i].call);
}

/* Begins a call to each URL of the list TEXT, one a line. */
static void start_channel(struct scaler *scaler, struct telling *telling,
        const struct notify_channel *channel, char *text, const struct notification *notification)
{
        char *rest = text;
        char *line;

        while ((line = strsep(&rest, "\r\n"))) {
                line += strspn(line, " \t");
                if (!*line || telling->n == URLS_MAX)
                        continue;
                telling->calls[telling->n].channel = channel;
                telling->calls[telling->n].call = channel->call(line, notification);
                http_start(scaler_http(scaler), telling->calls[telling->n].call);
                telling->n++;
        }
}

/* The channel's URLs; none where its variable, or what that refers to, is not there. */
static int start_configured(struct scaler *scaler, struct telling *telling,
        const struct notify_channel *channel, const struct notification *notification,
        struct err *err)
{
        _cleanup_buf_ struct buf urls = BUF_INIT(64 * 1024);
        int r = scaler_variable(scaler, channel->variable, &urls, err);

        if (r == 0 && urls.size > 0)
                start_channel(scaler, telling, channel, urls.data, notification);
        return r < 0 ? r : 0;
}

/* One channel that took it is enough: a second try would show it twice there. */
static int read_answers(struct scaler *scaler, const struct telling *telling, struct err *err)
{
        size_t shown = 0;
        int r = 0;

        for (size_t i = 0; i < telling->n; i++) {
                int answer = telling->calls[i].channel->answer(telling->calls[i].call, err);

                if (answer == 0) {
                        shown++;
                        continue;
                }
                r = answer;
                log_error(&scaler->log, "channel refused the notification",
                        LOG_TEXT("channel", telling->calls[i].channel->name),
                        LOG_TEXT("error", err->text));
        }
        return shown > 0 ? 0 : r;
}

static int show(struct scaler *scaler, const struct notification *notification, struct err *err)
{
        _cleanup_(telling_release) struct telling telling = {0};
        int result = 0;

        for (const struct notify_channel *channel = notify_channels; channel->name; channel++) {
                int r = start_configured(scaler, &telling, channel, notification, err);

                if (r == 0)
                        continue;
                result = r;
                log_error(&scaler->log, "channel cannot be used",
                        LOG_TEXT("channel", channel->name), LOG_TEXT("error", err->text));
        }
        http_finish(scaler_http(scaler));
        if (telling.n == 0 && result < 0)
                return result;
        if (telling.n == 0)
                log_warning(&scaler->log, "nobody is told: no channel is configured",
                        LOG_TEXT("set", "TEAMS_WEBHOOK_URLS or SLACK_WEBHOOK_URLS"));
        return read_answers(scaler, &telling, err);
}

static int handle_one(struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        _cleanup_json_ cJSON *json = NULL;
        struct notification notification = {0};
        int64_t now = clock_monotonic_ms(scaler->clock);
        int r = notification_parse(record->body, strlen(record->body), &notification, &json, err);

        (void)userdata;
        if (r < 0)
                return r;
        if (notification.key && recent_has(&scaler->shown, notification.key, now)) {
                log_info(&scaler->log, "told already", LOG_TEXT("title", notification.title));
                return 0;
        }
        log_info(&scaler->log, "notification", LOG_TEXT("title", notification.title),
                LOG_TEXT("text", notification.text), LOG_TEXT("url", notification.url));
        r = show(scaler, &notification, err);
        if (r == 0 && notification.key)
                recent_note(&scaler->shown, notification.key, now + SHOWN_KEPT_MS);
        return r;
}

void notify_handle(struct scaler *scaler, struct batch *batch)
{
        batch_each(scaler, batch, handle_one, NULL);
}
