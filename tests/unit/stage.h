/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The scaler on a scripted network: its container has every member preset and logs into memory.
 */

#include <stddef.h>
#include <stdint.h>

#include "handler.h"
#include "script.h"
#include "unit.h"

#define STAGE_SQS "https://sqs.eu-central-1.amazonaws.com/"
#define STAGE_SSM "https://ssm.eu-central-1.amazonaws.com/"
#define STAGE_EC2 "https://ec2.eu-central-1.amazonaws.com/"
#define STAGE_GITHUB "https://github.test"
#define STAGE_INSTALLATION 4711

struct stage {
        struct script *script;
        struct scaler scaler;
        struct buf answer;
        char *log;
};

/* The key of tickets, as everybody has it who may sign. */
#define STAGE_TICKET_KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* For cmocka: *state is the stage. The configuration has the specs `linux` (two subnets, a job may
 * name m7i.2xlarge), `fallback` (t3.2xlarge, one subnet, on demand as a last resort) and
 * `organization` (terminate_on_completed). Queue URLs are https://sqs.test/NAME;
 * launched jobs and watches may be sent, breakers, which are closed, be read,
 * and limits be stored at any time. */
int stage_set_up(void **state);
/* Fails the test when an expected request was not made. */
int stage_tear_down(void **state);

/* Authenticates as an App with a key and no token yet, instead of with a personal token. */
void stage_become_app(struct stage *stage);

/* The scaler's monotonic clock. */
int64_t stage_now_ms(const struct stage *stage);

/* Everything logged so far, including metrics. */
const char *stage_log(struct stage *stage);
#define assert_logged(stage, text) assert_contains(stage_log(stage), text)
#define assert_not_logged(stage, text) assert_lacks(stage_log(stage), text)

/* One message of a batch. */
struct stage_message {
        const char *id;
        const char *body;
        int receive_count;      /* 0 counts as 1 */
        const char *attributes; /* members of messageAttributes, or NULL */
};

/* Runs HANDLER over a batch and returns the answer to SQS. */
const char *stage_batch(
        struct stage *stage, batch_handler handler, const struct stage_message *messages, size_t n);
const char *stage_one(struct stage *stage, batch_handler handler, const char *body);

#define STAGE_NONE_FAILED "{\"batchItemFailures\":[]}"
#define STAGE_FAILED(id) "{\"batchItemFailures\":[{\"itemIdentifier\":\"" id "\"}]}"

/* A message that contains TEXT (NULL: any) is sent, and SQS takes it. */
void stage_expect_sent(struct stage *stage, const char *text);
/* SQS counts so many messages in QUEUE, "paced.fifo". */
void stage_expect_count(struct stage *stage, const char *queue, int visible, int in_flight);
/* What the last request's body contains. */
#define assert_sent(stage, part) assert_contains(script_last_body((stage)->script), part)
#define assert_not_sent(stage, part) assert_lacks(script_last_body((stage)->script), part)
