/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The handlers `queued` and `register` on the stage: messages for them, and what they do at AWS and
 * GitHub. Instances are numbered: 1 is i-00000001, and its runner at GitHub has id 101.
 */

#include "stage.h"

#define QUEUED_RUNNERS_URL STAGE_GITHUB "/repos/o/r/actions/runners"
#define QUEUED_JIT_URL QUEUED_RUNNERS_URL "/generate-jitconfig"
/* How a RunInstances for this type in subnet "a" or "b" can be recognized. */
#define QUEUED_OFFER(type, subnet) "InstanceType=" type "&SubnetId=subnet-0000000" subnet

/* -- what EC2 describes -- */

#define STAGE_TAG(key, value) "<item><key>" key "</key><value>" value "</value></item>"
#define STAGE_INSTANCE(id, state, tags)                                          \
        "<item><instanceId>" id "</instanceId><instanceState><name>" state       \
        "</name></instanceState><amiLaunchIndex>0</amiLaunchIndex><tagSet>" tags \
        "</tagSet></item>"

/* -- expectations -- */

/* EC2 launches the instances FIRST to LAST; BODY is a part of the request (NULL: any). */
void expect_launch(struct stage *stage, const char *body, int first, int last);
/* EC2 answers such a request with the error CODE. */
void expect_refusal(struct stage *stage, const char *body, int status, const char *code);
/* None of the four offers of spec `fallback` has capacity. */
void expect_no_capacity(struct stage *stage, const char *body);
/* EC2 answers such a DescribeInstances with INSTANCES, each a STAGE_INSTANCE(). */
void expect_instances(struct stage *stage, const char *body, const char *instances);
/* GitHub mints a JIT configuration, "c2VjcmV0", for INSTANCE. */
void expect_jit(struct stage *stage, int instance);
/* SSM gives this answer to the storing of the hand-over of INSTANCE. */
void expect_put(struct stage *stage, int instance, int status, const char *answer);
/* Both succeed. */
void expect_registration(struct stage *stage, int instance);
void expect_parameter_deleted(struct stage *stage, int instance);
/* EC2 terminates IDS, "InstanceId.1=i-00000001". */
void expect_terminated(struct stage *stage, const char *ids);

/* -- messages -- */

/* The message of a job; valid until eight others are made. MORE is further members
 * (",\"tries\":1"). */
const char *queued_job(int id, const char *spec);
const char *queued_job_with(int id, const char *spec, const char *more);

/* stage_batch() and stage_one() with `queued`, and then with `register` and what was sent on to it:
 * the answer of `register`, with jobs' numbers as ids, if it left a message, else that of `queued`.
 */
const char *queued_batch(struct stage *stage, const struct stage_message *messages, size_t n);
const char *queued_one(struct stage *stage, const char *body);

/* The same without `register`. */
const char *queued_alone(struct stage *stage, const struct stage_message *messages, size_t n);
/* Then `register` with what was sent on, received RECEIVES times. */
const char *register_sent(struct stage *stage, int receives);
