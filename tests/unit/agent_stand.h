/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An agent on a scripted network with stages of its own, for tests of one stage at a time. The
 * network's time is the script's; the stages' timers run in real time, so tests wait for back-offs
 * of a fraction of a second.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent.h"
#include "alarm.h"
#include "clean_up.h"
#include "identify.h"
#include "idle.h"
#include "receive.h"
#include "reporter.h"
#include "script.h"

#define TOKEN_URL "/latest/api/token"
#define IDENTITY_URL "/latest/dynamic/instance-identity/document"
#define ROLES_URL "/latest/meta-data/iam/security-credentials/"
#define BUCKET_TAG_URL "/latest/meta-data/tags/instance/scale-agent:hand-overs"
#define SPOT_URL "/latest/meta-data/spot/instance-action"
#define SSM_URL "https://ssm.eu-central-1.amazonaws.com"
#define S3_URL                                     \
        "https://b.s3.eu-central-1.amazonaws.com/" \
        "arn%3Aaws%3Aec2%3Aeu-central-1%3A123456789012%3Ainstance/i-0123456789abcdef0"
#define EVENTS_URL "https://events.eu-central-1.amazonaws.com"
#define NAME "/scale-agent/runners/i-0123456789abcdef0"

#define IDENTITY                                                                  \
        "{\"instanceId\":\"i-0123456789abcdef0\",\"instanceType\":\"m7i.large\"," \
        "\"availabilityZone\":\"eu-central-1a\",\"region\":\"eu-central-1\","     \
        "\"accountId\":\"123456789012\"}"
#define CREDENTIALS                                                                      \
        "{\"Code\":\"Success\",\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"secret\"," \
        "\"Token\":\"session\",\"Expiration\":\"2026-01-02T09:00:00Z\"}"
#define HANDOVER                                                                                  \
        "{\\\"version\\\":1,\\\"jit_config\\\":\\\"QUJD\\\",\\\"prefix\\\":\\\"/scale-agent\\\"," \
        "\\\"spec\\\":\\\"s\\\",\\\"scope\\\":\\\"orgs/o\\\",\\\"job\\\":{\\\"id\\\":7}}"
#define OBJECT                                                                               \
        "{\"version\":1,\"jit_config\":\"QUJD\",\"prefix\":\"/scale-agent\",\"spec\":\"s\"," \
        "\"scope\":\"orgs/o\",\"job\":{\"id\":7}}"
#define S3_ERROR(code) "<Error><Code>" code "</Code><Message>Why.</Message></Error>"
#define FOUND "{\"Parameter\":{\"Value\":\"" HANDOVER "\"}}"
#define NOT_FOUND "{\"__type\":\"ParameterNotFound\"}"
#define DENIED "{\"__type\":\"AccessDeniedException\",\"message\":\"not authorized\"}"
#define THROTTLED "{\"__type\":\"ThrottlingException\",\"message\":\"slowly\"}"
#define EVENT_TAKEN "{\"FailedEntryCount\":0,\"Entries\":[{\"EventId\":\"1\"}]}"

/* What the stage under test told. */
struct told {
        unsigned calls;
        unsigned idles; /* alarms that no job came */
        int result;
        struct err err;
        enum report_stage stage;
        int64_t grace_ms;
};

struct stand {
        struct agent agent;
        struct identify identify;
        struct receive receive;
        struct alarm alarm;
        struct idle idle;
        struct reporter reporter;
        struct clean_up clean_up;
        struct script *script;
        struct told told;
        struct log_sink sink;
        char logged[2048]; /* the messages, a line each */
};

/* For cmocka: an agent that knows nothing, one that has identified itself, and the end. */
int stand_make(void **state);
int stand_make_identified(void **state);
int stand_free(void **state);

/* From now on, the hand-over is in the bucket "b". */
void stand_use_s3(struct stand *stand);

#define STAND_FRESH(test_) cmocka_unit_test_setup_teardown(test_, stand_make, stand_free)
#define STAND_IDENTIFIED(test_) \
        cmocka_unit_test_setup_teardown(test_, stand_make_identified, stand_free)

/* For stages, with the stand as userdata: they write into stand->told. */
void stand_done(void *userdata, int result, const struct err *err);
extern const struct alarm_events stand_alarm_events;

/* Where a logged message contains WORDS; NULL: no message does. */
const char *stand_logged(const struct stand *stand, const char *words);

/* Lets the agent go on until it has told something CALLS times, or CONDITION is true. */
void stand_go_on_until(struct stand *stand, unsigned calls);
void stand_go_on(struct stand *stand, const bool *condition);
