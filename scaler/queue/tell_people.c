/* SPDX-License-Identifier: MIT */

/*
 * Sends notifications to `notify`.
 */

#include "tell_people.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "send.h"

#define QUARTER_MS (15 * 60 * MSEC_PER_SEC)

/* Makes the same id for a KEY throughout a quarter of an hour, so that SQS drops the second
 * notification. */
static void make_deduplication_id(
        const struct scaler *scaler, const char *key, char id[static DIGEST_HEX_SIZE])
{
        char text[512];
        int64_t quarter = clock_wall_ms(scaler->clock) / QUARTER_MS;
        int n = snprintf(text, sizeof(text), "%lld %s", (long long)quarter, key ? key : "");

        digest_sha256_hex(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, id);
}

int tell_people(struct scaler *scaler, const struct notification *notification, struct err *err)
{
        _cleanup_free_ char *body = notification_print(notification);
        char id[DIGEST_HEX_SIZE];
        struct sqs_message message = {.body = body, .group = "notify", .deduplication_id = id};
        int r;

        make_deduplication_id(scaler, notification->key, id);
        r = queue_send(scaler, "NOTIFY_QUEUE_URL", &message, err);
        if (r < 0)
                log_error(&scaler->log, "people could not be told",
                        LOG_TEXT("title", notification->title),
                        LOG_TEXT("text", notification->text), LOG_TEXT("error", err->text));
        return r;
}
