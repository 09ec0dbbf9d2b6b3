/* SPDX-License-Identifier: MIT */

/*
 * What people see: each notification from notify.fifo is posted to every configured channel (Teams,
 * Slack). One channel that accepts it is enough; if none does, the message is delivered again.
 *
 * Repeated notifications are dropped for a quarter of an hour: SQS does it for five minutes, this
 * process remembers the rest. One process suffices, since notify.fifo has one message group.
 *
 * When much happens at once, notifications pile up in the queue while one is posted, and come in
 * batches: a batch of many is shown as one, so that a bad hour neither floods the channel nor meets
 * its limits (Slack: about one message a second).
 * https://docs.slack.dev/apis/web-api/rate-limits
 *
 * What failed holds up all behind it, since it is of their group. So what keeps failing is shown by
 * itself, lest it takes those along that are shown with it; and if every channel refuses it, people
 * get a stand-in, which says where to find it. A channel that refuses that as well takes nothing at
 * all: then nobody is held up.
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

/* Fewer are shown one by one: they are easier to read, and each has its button. */
#define TOGETHER_MIN 4
/* What came so often is shown by itself, or replaced, which is after five minutes. */
#define ALONE_RECEIVES 4

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

/* Tells people of RECORD in words that no channel has a reason to refuse. */
static int post_stand_in(struct scaler *scaler, const struct record *record, struct err *err)
{
        struct notification stand_in = {
                .severity = NOTIFICATION_ERROR,
                .title = "A notification cannot be shown",
                .text = "No channel takes it, or it cannot be read. The log of the function notify "
                        "has it: search for the message.",
        };
        int r = batch_has_time(scaler, err);

        notification_fact(&stand_in, "Message", record->message_id);
        if (r == 0)
                r = post(scaler, &stand_in, err);
        if (r == 0)
                log_warning(&scaler->log, "people were told that there is a notification",
                        LOG_TEXT("message_id", record->message_id));
        return r;
}

/* -- a batch -- */

/* What people have not been shown yet; all arrays have one place for each. */
struct news {
        struct notification *items; /* owned */
        cJSON **json;               /* owned: what the strings of an item point into */
        struct record **records;    /* owned; the messages are the batch's */
        size_t n;
};

static void news_init(struct news *news, size_t n_max)
{
        news->items = mem_alloc(n_max * sizeof(*news->items));
        news->json = mem_alloc(n_max * sizeof(cJSON *));
        news->records = mem_alloc(n_max * sizeof(struct record *));
}

static void news_release(struct news *news)
{
        for (size_t i = 0; i < news->n; i++)
                cJSON_Delete(news->json[i]);
        free(news->items);
        free(news->json);
        free(news->records);
}

static bool is_known(struct scaler *scaler, const struct news *news, const char *key)
{
        for (size_t i = 0; i < news->n; i++)
                if (strcmp(news->items[i].key, key) == 0)
                        return true;
        return recent_has(&scaler->shown, key, clock_monotonic_ms(scaler->clock));
}

static int read_notification(
        struct scaler *scaler, struct record *record, void *userdata, struct err *err)
{
        _cleanup_json_ cJSON *json = NULL;
        struct news *news = userdata;
        struct notification *item = &news->items[news->n];
        struct err ignored;
        int r = notification_parse(record->body, strlen(record->body), item, &json, err);

        if (r < 0 && record->receive_count >= ALONE_RECEIVES) {
                log_error(&scaler->log, "notification cannot be read", LOG_TEXT("error", err->text),
                        LOG_TEXT("message_id", record->message_id), LOG_TEXT("body", record->body));
                return post_stand_in(scaler, record, &ignored) < 0 ? r : 0;
        }
        if (r < 0)
                return r;
        if (is_known(scaler, news, item->key)) {
                log_info(&scaler->log, "told already", LOG_TEXT("title", item->title));
                return 0;
        }
        log_info(&scaler->log, "notification", LOG_TEXT("title", item->title),
                LOG_TEXT("text", item->text), LOG_TEXT("url", item->url),
                LOG_TEXT("message_id", record->message_id));
        news->json[news->n] = MEM_STEAL(json);
        news->records[news->n++] = record;
        return 0;
}

/* Shows NOTIFICATION, which tells the N items of NEWS from FIRST on. */
static void show(struct scaler *scaler, struct news *news, size_t first, size_t n,
        const struct notification *notification)
{
        const struct record *record = news->records[first];
        struct err ignored;
        struct err err;
        int r = batch_has_time(scaler, &err);
        int64_t now;

        if (r == 0)
                r = post(scaler, notification, &err);
        if (r == -EPROTO && record->receive_count >= ALONE_RECEIVES &&
                post_stand_in(scaler, record, &ignored) == 0)
                r = 0;
        now = clock_monotonic_ms(scaler->clock);
        for (size_t i = first; i < first + n; i++) {
                if (r < 0)
                        record_fail(scaler, news->records[i], r, &err);
                else
                        recent_note(&scaler->shown, news->items[i].key, now + SHOWN_KEPT_MS);
        }
}

/* How many from FIRST on may be shown together. */
static size_t count_together(const struct news *news, size_t first)
{
        size_t n = 0;

        while (n < NOTIFICATION_FACTS_MAX && first + n < news->n &&
                news->records[first + n]->receive_count < ALONE_RECEIVES)
                n++;
        return n;
}

/* Shows what comes next: some together, or one. Returns how many. */
static size_t show_next(struct scaler *scaler, struct news *news, size_t first)
{
        _cleanup_(notification_summary_release) struct notification_summary summary = {0};
        size_t n = count_together(news, first);

        if (n < TOGETHER_MIN) {
                show(scaler, news, first, 1, &news->items[first]);
                return 1;
        }
        notification_sum_up(&news->items[first], n, &summary);
        show(scaler, news, first, n, &summary.notification);
        return n;
}

void notify_handle(struct scaler *scaler, struct batch *batch)
{
        _cleanup_(news_release) struct news news = {0};

        news_init(&news, batch->n_records);
        batch_each(scaler, batch, read_notification, &news);
        for (size_t i = 0; i < news.n;)
                i += show_next(scaler, &news, i);
}
