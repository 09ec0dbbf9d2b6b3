/* SPDX-License-Identifier: MIT */

/*
 * What anybody can send to the function URL, and what someone with the secret can sign: the input
 * is taken as an event, and as the body of a delivery, as JSON and as a form.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "job/delivery.h"
#include "job/job.h"

/* What a queue gets must come out of it as it went in. */
static void send_through_queue(const struct job *job)
{
        _cleanup_free_ char *message = job_print(job);
        _cleanup_free_ char *again = NULL;
        struct job back = {0};
        struct err err;

        if (job_parse(message, strlen(message), &back, &err) < 0)
                abort();
        again = job_print(&back);
        if (strcmp(message, again) != 0)
                abort();
        job_release(&back);
}

static void read_payload(const struct delivery *delivery)
{
        _cleanup_json_ cJSON *body = NULL;
        struct job job = {0};
        struct err err = {0};

        if (delivery_payload(delivery, &body, &err) == 0 &&
                job_from_delivery(body, &job, &err) == 0)
                send_through_queue(&job);
        else if (!err.text[0] || !utf8_is_valid(err.text, strlen(err.text)))
                abort();
        job_release(&job);
}

static void read_body(const uint8_t *data, size_t size, const char *type)
{
        struct delivery delivery = {.type = type, .body = BUF_INIT(DELIVERY_MAX)};

        buf_add(&delivery.body, data, size);
        read_payload(&delivery);
        delivery_release(&delivery);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct delivery delivery = {0};
        struct err err = {0};
        int status = delivery_parse((const char *)data, size, &delivery, &err);

        if (status != 0 && status != 400 && status != 405 && status != 413)
                abort();
        if (status == 0)
                read_payload(&delivery);
        else if (!err.text[0])
                abort();
        delivery_release(&delivery);
        read_body(data, size, "application/json");
        read_body(data, size, "application/x-www-form-urlencoded");
        return 0;
}
