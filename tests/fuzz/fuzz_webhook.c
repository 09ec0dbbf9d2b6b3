/* SPDX-License-Identifier: MIT */

/*
 * What anybody can send to the function URL, and what someone with the secret can sign: the input
 * is read as an event, and as the body of a delivery in JSON and as a form.
 */

#include "base/json.h"
#include "config/config.h"
#include "fuzz.h"
#include "job/delivery.h"
#include "job/job.h"

/* A job that is read from a queue is the one that was sent. */
static void send_through_queue(const struct job *job)
{
        _cleanup_free_ char *message = job_print(job);
        _cleanup_free_ char *again = NULL;
        struct job back = {0};
        struct err err;

        CHECK(job_parse(message, strlen(message), &back, &err) == 0);
        again = job_print(&back);
        CHECK(strcmp(message, again) == 0);
        job_release(&back);
}

/* A label that ties the job to its machine is one of its own. */
static void read_labels(const struct job *job)
{
        const char *label = NULL;
        struct err err = {0};

        if (config_run_label((const char *const *)job->labels, job->n_labels, &label, &err) < 0)
                check_err(&err);
        else
                CHECK(!label || strncasecmp(label, "run-", 4) == 0); /* as GitHub compares */
}

static void read_payload(const struct delivery *delivery)
{
        _cleanup_json_ cJSON *body = NULL;
        struct job job = {0};
        struct err err = {0};

        if (delivery_payload(delivery, &body, &err) == 0 &&
                job_from_delivery(body, &job, &err) == 0)
                send_through_queue(&job);
        else
                check_err(&err);
        read_labels(&job);
        job_release(&job);
}

static void read_body(const uint8_t *data, size_t size, const char *type)
{
        _cleanup_buf_ struct buf body = BUF_INIT(DELIVERY_MAX);
        struct delivery delivery = {.type = type};

        buf_add(&body, data, size);
        delivery.body = buf_string(&body);
        delivery.body_size = body.size;
        read_payload(&delivery);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct delivery delivery = {0};
        struct err err = {0};
        int status = delivery_parse((const char *)data, size, &delivery, &err);

        CHECK(status == 0 || status == 400 || status == 405 || status == 413);
        if (status == 0)
                read_payload(&delivery);
        else
                CHECK(err.text[0]);
        delivery_release(&delivery);
        read_body(data, size, "application/json");
        read_body(data, size, "application/x-www-form-urlencoded");
        return 0;
}
