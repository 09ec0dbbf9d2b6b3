/* SPDX-License-Identifier: MIT */

/*
 * What SQS hands to a function: a batch, and in it the messages of jobs and notifications.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "handler.h"
#include "job/job.h"
#include "notify/notification.h"

static void read_body(const char *body)
{
        _cleanup_json_ cJSON *json = NULL;
        struct notification notification = {0};
        struct job job = {0};
        struct err err = {0};

        if (job_parse(body, strlen(body), &job, &err) < 0) {
                if (!utf8_is_valid(err.text, strlen(err.text)) || job.repository)
                        abort();
        } else {
                _cleanup_free_ char *message = job_print(&job);

                if (job.id <= 0 || job.tries < 0 || job.pool < 0 || !job.repository)
                        abort();
        }
        job_release(&job);
        if (notification_parse(body, strlen(body), &notification, &json, &err) == 0) {
                _cleanup_free_ char *message = notification_print(&notification);

                if (!notification.title)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct batch batch = {0};
        struct err err = {0};
        char *body = mem_alloc(size + 1);

        memcpy(body, data, size);
        read_body(body);
        free(body);
        if (batch_parse((const char *)data, size, &batch, &err) < 0) {
                if (!err.text[0] || batch.records)
                        abort();
                return 0;
        }
        for (size_t i = 0; i < batch.n_records; i++) {
                if (!batch.records[i].message_id || !batch.records[i].body)
                        abort();
                read_body(batch.records[i].body);
        }
        batch_release(&batch);
        return 0;
}
