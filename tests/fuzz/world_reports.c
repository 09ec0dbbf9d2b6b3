/* SPDX-License-Identifier: MIT */

/*
 * What EventBridge says of machines: reports of agents, and events of EC2.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sign.h"
#include "world.h"

char *world_ticket(int64_t job)
{
        char url[96];
        _cleanup_free_ char *content = NULL;

        world_job_url(job, url);
        content = mem_format(
                "{\"prefix\":\"/p\",\"account\":\"" WORLD_ACCOUNT "\",\"region\":\"eu-central-1\","
                "\"instance\":\"i-%08llx\",\"type\":\"m7a.large\",\"spec\":\"linux\",\"scope\":"
                "\"repos/o/r\",\"repository\":\"o/r\",\"first_type\":\"m7i.large\",\"name\":"
                "\"build\",\"url\":\"%s\",\"runner\":%lld,\"expires\":%lld,\"job\":%lld,\"run\":%"
                "lld,"
                "\"attempt\":1,\"installation\":4711,\"launch\":3,\"relaunches\":1,\"offer\":0,"
                "\"queued\":%lld,\"webhook\":%lld,\"launched\":%lld,\"handed_over\":%lld}",
                (unsigned long long)job, url, 100 + (long long)job,
                (long long)WORLD_NOW_MS + 86400000, (long long)job, (long long)(job - 1) / 4 + 1,
                (long long)WORLD_NOW_MS - 200000, (long long)WORLD_NOW_MS - 190000,
                (long long)WORLD_NOW_MS - 180000, (long long)WORLD_NOW_MS - 170000);
        return sign_ticket(WORLD_KEY, content);
}

static void add_times(cJSON *detail)
{
        static const char *const names[] = {"kernel", "agent", "identified", "received",
                "runner_started", "listening", "job_started", "job_finished", "finished"};
        cJSON *times = json_add_object(detail, "times");
        int64_t step_ms = world_choose(2) ? 15000 : 40000;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (world_choose(4) != 1)
                        json_add_integer(
                                times, names[i], WORLD_NOW_MS - 360000 + (int64_t)i * step_ms);
}

static cJSON *report(int64_t id)
{
        static const char *const stages[] = {
                "ready", "idle", "job_started", "finished", "failed", "interrupted", "another"};
        static const char *const reasons[] = {"why", "no-such-reason", "runner-update",
                "the runner is too old", "registration deleted"};
        _cleanup_free_ char *ticket = world_choose(8) == 1 ? NULL : world_ticket(id);
        cJSON *detail = cJSON_CreateObject();
        char instance[20];

        snprintf(instance, sizeof(instance), "i-%08llx", (unsigned long long)id);
        json_add_integer(detail, "version", 1);
        json_add_string(detail, "prefix", "/p");
        json_add_string(detail, "instance_id", instance);
        json_add_string(detail, "zone", "eu-central-1a");
        json_add_string(detail, "stage", world_one_of(stages));
        json_add_string(detail, "reason", world_one_of(reasons));
        json_add_string(detail, "ticket", ticket);
        json_add_string(detail, "result", world_choose(2) ? "Failed" : "Succeeded");
        json_add_integer(detail, "exit_code", world_choose(3));
        add_times(detail);
        return detail;
}

static cJSON *ec2_event(int64_t id, bool is_warning)
{
        static const char *const states[] = {"terminated", "running", "shutting-down"};
        cJSON *detail = cJSON_CreateObject();
        char instance[20];

        snprintf(instance, sizeof(instance), "i-%08llx", (unsigned long long)id);
        json_add_string(detail, "instance-id", world_choose(16) == 1 ? "x" : instance);
        json_add_string(detail, is_warning ? "instance-action" : "state",
                is_warning ? "terminate" : world_one_of(states));
        return detail;
}

char *world_make_instance(int64_t id)
{
        unsigned kind = world_choose(4);
        cJSON *event = cJSON_CreateObject();

        json_add_string(event, "source", kind < 2 ? "aws.ec2" : "scale-agent.runner");
        json_add_string(event, "detail-type",
                kind == 0   ? "EC2 Instance State-change Notification"
                : kind == 1 ? "EC2 Spot Instance Interruption Warning"
                            : "Runner Report");
        json_add_string(event, "account", WORLD_ACCOUNT);
        json_add_string(event, "time",
                world_choose(4) == 1 ? "2026-01-02T01:00:00Z" : "2026-01-02T03:04:00Z");
        cJSON_AddItemToObject(event, "detail", kind < 2 ? ec2_event(id, kind == 1) : report(id));
        return world_finish(event);
}
