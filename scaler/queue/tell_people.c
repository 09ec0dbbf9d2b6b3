/* SPDX-License-Identifier: MIT */

/*
 * Sends notifications to `notify`.
 */

#include "tell_people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "send.h"

#define QUARTER_MS (15 * 60 * MSEC_PER_SEC)

/* The same id for one key within one quarter of an hour. */
static void make_deduplication_id(
        const struct scaler *scaler, const char *key, char id[static DIGEST_HEX_SIZE])
{
        char text[512];
        int64_t quarter = clock_wall_ms(scaler->clock) / QUARTER_MS;
        int n = snprintf(text, sizeof(text), "%lld %s", (long long)quarter, key ? key : "");

        digest_sha256_hex(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, id);
}

static bool has_digit(const char *word, size_t size)
{
        for (size_t i = 0; i < size; i++)
                if (word[i] >= '0' && word[i] <= '9')
                        return true;
        return false;
}

void tell_group(
        char group[static TELL_GROUP_SIZE], const char *kind, const char *spec, const char *reason)
{
        int n = snprintf(group, TELL_GROUP_SIZE, "%s %s:", kind, spec ? spec : "");
        size_t size = n < TELL_GROUP_SIZE ? (size_t)n : TELL_GROUP_SIZE - 1;

        while (reason && *reason) {
                size_t length = strcspn(reason, " ");

                if (length > 0 && !has_digit(reason, length) && size + length + 1 < TELL_GROUP_SIZE)
                        size += (size_t)snprintf(
                                group + size, TELL_GROUP_SIZE - size, " %.*s", (int)length, reason);
                reason += length;
                reason += strspn(reason, " ");
        }
}

/* Each group of notices is a line of its own (flood.h). */
static const char *line_of(const struct notification *notification, char id[static DIGEST_HEX_SIZE])
{
        if (!notification->group)
                return "notify";
        digest_sha256_hex(notification->group, strlen(notification->group), id);
        return id;
}

int tell_people(struct scaler *scaler, const struct notification *notification, struct err *err)
{
        _cleanup_free_ char *body = notification_print(notification);
        char id[DIGEST_HEX_SIZE];
        char line[DIGEST_HEX_SIZE];
        struct sqs_message message = {.body = body, .deduplication_id = id};
        int r;

        message.group = line_of(notification, line);
        make_deduplication_id(scaler, notification->key, id);
        r = queue_send(scaler, "NOTIFY_QUEUE_URL", &message, err);
        if (r < 0)
                log_error(&scaler->log, "people could not be told",
                        LOG_TEXT("title", notification->title),
                        LOG_TEXT("text", notification->text), LOG_TEXT("error", err->text));
        return r;
}
