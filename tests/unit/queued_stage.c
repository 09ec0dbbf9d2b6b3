/* SPDX-License-Identifier: MIT */

/*
 * See queued_stage.h.
 */

#include "queued_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* -- expectations -- */

void expect_launch(struct stage *stage, const char *body, int first, int last)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(65536);

        buf_add_string(&xml, "<RunInstancesResponse><ownerId>123456789012</ownerId><instancesSet>");
        for (int i = first; i <= last; i++)
                buf_add_format(&xml,
                        "<item><instanceId>i-%08x</instanceId><instanceState><name>pending</name>"
                        "</instanceState><amiLaunchIndex>%d</amiLaunchIndex></item>",
                        (unsigned)i, i - first);
        buf_add_string(&xml, "</instancesSet></RunInstancesResponse>");
        script_expect(stage->script, "POST", STAGE_EC2, body, 200, buf_string(&xml));
}

void expect_instances(struct stage *stage, const char *body, const char *instances)
{
        _cleanup_free_ char *xml = mem_format(
                "<DescribeInstancesResponse><reservationSet><item><ownerId>123456789012</ownerId>"
                "<instancesSet>%s</instancesSet></item></reservationSet>"
                "</DescribeInstancesResponse>",
                instances);

        script_expect(stage->script, "POST", STAGE_EC2, body, 200, xml);
}

void expect_refusal(struct stage *stage, const char *body, int status, const char *code)
{
        _cleanup_free_ char *xml = mem_format(
                "<Response><Errors><Error><Code>%s</Code><Message>because</Message></Error>"
                "</Errors></Response>",
                code);

        script_expect(stage->script, "POST", STAGE_EC2, body, status, xml);
}

void expect_no_capacity(struct stage *stage, const char *body)
{
        for (int i = 0; i < 4; i++)
                expect_refusal(stage, body, 500, "InsufficientInstanceCapacity");
}

void expect_jit(struct stage *stage, int instance)
{
        _cleanup_free_ char *name = mem_format("\"name\":\"i-%08x\"", (unsigned)instance);
        _cleanup_free_ char *answer = mem_format(
                "{\"runner\":{\"id\":%d},\"encoded_jit_config\":\"c2VjcmV0\"}", 100 + instance);

        script_expect(stage->script, "POST", QUEUED_JIT_URL, name, 201, answer);
}

void expect_put(struct stage *stage, int instance, int status, const char *answer)
{
        _cleanup_free_ char *name =
                mem_format("{\"Name\":\"/p/runners/i-%08x\",\"Type\"", (unsigned)instance);

        script_expect(stage->script, "POST", STAGE_SSM, name, status, answer);
}

void expect_registration(struct stage *stage, int instance)
{
        expect_jit(stage, instance);
        expect_put(stage, instance, 200, "{\"Version\":1}");
}

void expect_parameter_deleted(struct stage *stage, int instance)
{
        _cleanup_free_ char *names =
                mem_format("{\"Names\":[\"/p/runners/i-%08x\"]}", (unsigned)instance);

        script_expect(stage->script, "POST", STAGE_SSM, names, 200,
                "{\"DeletedParameters\":[],\"InvalidParameters\":[]}");
}

void expect_terminated(struct stage *stage, const char *ids)
{
        _cleanup_free_ char *body =
                mem_format("Action=TerminateInstances&Version=2016-11-15&%s", ids);

        script_expect(stage->script, "POST", STAGE_EC2, body, 200,
                "<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>");
}

/* -- messages -- */

const char *queued_job_with(int id, const char *spec, const char *more)
{
        static char bodies[8][512];
        static size_t next;
        char *body = bodies[next++ % ARRAY_SIZE(bodies)];

        snprintf(body, sizeof(bodies[0]),
                "{\"action\":\"queued\",\"id\":%d,\"run_id\":2,\"attempt\":1,\"repository\":"
                "\"o/r\",\"name\":\"build\",\"labels\":[\"linux\"],\"spec\":\"%s\","
                "\"instance_type\":\"%s\",\"webhook_ms\":1767323044000%s}",
                id, spec, strcmp(spec, "fallback") == 0 ? "t3.2xlarge" : "m7i.large", more);
        return body;
}

const char *queued_job(int id, const char *spec)
{
        return queued_job_with(id, spec, "");
}

const char *queued_alone(struct stage *stage, const struct stage_message *messages, size_t n)
{
        return stage_batch(stage, queued_handle, messages, n);
}

#define SENT_MAX 40

/* The messages of CALL, a SendMessageBatch. */
static size_t add_sent(cJSON *call, struct stage_message *messages, size_t n)
{
        cJSON *entry;

        cJSON_ArrayForEach (entry, json_get(call, "Entries")) {
                const char *body = json_string(entry, "MessageBody");
                _cleanup_json_ cJSON *job = cJSON_Parse(body);
                char id[16];

                assert_true(n < SENT_MAX);
                snprintf(id, sizeof(id), "%d", json_get(job, "id")->valueint);
                json_add_string(entry, "job", id);
                messages[n++] = (struct stage_message){json_string(entry, "job"), body, 0, NULL};
        }
        return n;
}

const char *register_sent(struct stage *stage, int receives)
{
        struct stage_message messages[SENT_MAX] = {0};
        _cleanup_json_ cJSON *calls = cJSON_CreateArray();
        size_t n = 0;
        char *text;

        while ((text = script_take_served(stage->script, "sqs.test/register.fifo"))) {
                cJSON *call = cJSON_Parse(text);

                free(text);
                cJSON_AddItemToArray(calls, call);
                n = add_sent(call, messages, n);
        }
        for (size_t i = 0; i < n; i++)
                messages[i].receive_count = receives;
        return stage_batch(stage, register_handle, messages, n);
}

const char *queued_batch(struct stage *stage, const struct stage_message *messages, size_t n)
{
        _cleanup_free_ char *before = mem_string(queued_alone(stage, messages, n));
        const char *answer = register_sent(stage, 1);

        if (strcmp(answer, STAGE_NONE_FAILED) != 0)
                return answer;
        buf_clear(&stage->answer);
        buf_add_string(&stage->answer, before);
        return buf_string(&stage->answer);
}

const char *queued_one(struct stage *stage, const char *body)
{
        return queued_batch(stage, &(const struct stage_message){.id = "m1", .body = body}, 1);
}
