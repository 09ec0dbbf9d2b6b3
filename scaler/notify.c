/* SPDX-License-Identifier: MIT */

/*
 * What people see: each notification from notify.fifo is posted to every configured channel (Teams,
 * Slack). One channel that accepts it is enough; if none does, the message is delivered again.
 *
 * Repeated notifications are dropped for a quarter of an hour: SQS does it for five minutes, this
 * process remembers the rest. One process suffices, since notify.fifo has one message group.
 */

#include "handler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/reference.h"
#include "notify/notification.h"

#define SHOWN_KEPT_MS (15 * 60 * MSEC_PER_SEC)

/* A call that posts the notification to one URL. */
struct post {
        const struct notify_channel *channel;
        struct http_call *call;
};

/* The calls to all URLs of all channels. */
struct posts {
        struct post *items; /* owned */
        size_t n;
};

static void posts_release(struct posts *posts)
{
        for (size_t i = 0; i < posts->n; i++)
                http_call_free(posts->items[i].call);
        free(posts->items);
}

/* Starts a call to each URL in TEXT, one a line. */
static void start_channel(struct scaler *scaler, struct posts *posts,
        const struct notify_channel *channel, char *text, const struct notification *notification)
{
        char *rest = text;
        char *line;

        while ((line = strsep(&rest, "\r\n"))) {
                line += strspn(line, " \t");
                if (!*line)
                        continue;
                posts->items = mem_resize(posts->items, posts->n + 1, sizeof(*posts->items));
                posts->items[posts->n] = (struct post){channel, channel->call(line, notification)};
                scaler_start(scaler, posts->items[posts->n++].call);
        }
}

/* Starts the calls of a channel: none if its variable, or what that refers to, is not set. */
static int start_configured(struct scaler *scaler, struct posts *posts,
        const struct notify_channel *channel, const struct notification *notification,
        struct err *err)
{
        _cleanup_buf_ struct buf urls = BUF_INIT(64 * 1024);
        int r = scaler_resolve_variable(scaler, channel->variable, &urls, err);

        if (r == 0 && urls.size > 0)
                start_channel(scaler, posts, channel, urls.data, notification);
        return r < 0 ? r : 0;
}

/* One channel that accepts it is enough: another try would post it there twice. */
static int read_answers(struct scaler *scaler, const struct posts *posts, struct err *err)
{
        size_t n_accepted = 0;
        int r = 0;

        for (size_t i = 0; i < posts->n; i++) {
                int answer = posts->items[i].channel->answer(posts->items[i].call, err);

                if (answer == 0) {
                        n_accepted++;
                        continue;
                }
                r = answer;
                log_error(&scaler->log, "channel refused the notification",
                        LOG_TEXT("channel", posts->items[i].channel->name),
                        LOG_TEXT("error", err->text));
        }
        return n_accepted > 0 ? 0 : r;
}

static int post(struct scaler *scaler, const struct notification *notification, struct err *err)
{
        _cleanup_(posts_release) struct posts posts = {0};
        int result = 0;

        for (const struct notify_channel *channel = notify_channels; channel->name; channel++) {
                int r = start_configured(scaler, &posts, channel, notification, err);

                if (r == 0)
                        continue;
                result = r;
                log_error(&scaler->log, "channel cannot be used",
                        LOG_TEXT("channel", channel->name), LOG_TEXT("error", err->text));
        }
        http_finish(scaler_http(scaler));
        if (posts.n == 0 && result < 0)
                return result;
        if (posts.n == 0)
                log_warning(&scaler->log, "nobody is told: no channel is configured",
                        LOG_TEXT("set", "TEAMS_WEBHOOK_URLS or SLACK_WEBHOOK_URLS"));
        return read_answers(scaler, &posts, err);
}

static int handle_notification(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
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
        r = post(scaler, &notification, err);
        if (r == 0 && notification.key)
                recent_note(&scaler->shown, notification.key, now + SHOWN_KEPT_MS);
        return r;
}

void notify_handle(struct scaler *scaler, struct batch *batch)
{
        batch_each(scaler, batch, handle_notification, NULL);
}
