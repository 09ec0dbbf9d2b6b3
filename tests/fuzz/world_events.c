/* SPDX-License-Identifier: MIT */

/*
 * What comes to the handlers: messages of jobs 1 to 12 at any point of their lives, and what
 * EventBridge, GitHub and dead-letter queues deliver. Job N's machine is i-0000000N.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sign.h"
#include "world.h"

#define NOW_MS INT64_C(1767323045000)

static const char *const specs[] = {"linux", "fleet", "ranked", "ended", "company", "gone"};

/* -- the configuration -- */

char *world_make_config(void)
{
        bool has_app = world_choose(2) == 1;
        bool has_more = has_app && world_choose(2) == 1;
        bool is_in_s3 = world_choose(4) == 1;
        _cleanup_buf_ struct buf text = BUF_INIT(16UL * 1024);
        static const char subnets[] = "\"subnets\":[\"subnet-0000000a\",\"subnet-0000000b\"],"
                                      "\"launch_template\":\"runner\"";

        world.other_run = world_choose(4);
        world.spec = world_one_of(specs);
        world.is_limited = world_choose(2) == 1;
        buf_add_format(&text,
                "{\"prefix\":\"/p\",\"hand_over\":\"%s\",%s\"github\":{%s%s\"repositories\":"
                "[\"o/*\",\"other/r\"]},\"specs\":[",
                is_in_s3 ? "s3" : "ssm",
                world.is_limited ? "\"max_machines\":3,\"max_machines_per_repository\":2," : "",
                has_app ? "\"app_id\":12345,\"installations\":[4711]," : "",
                has_more ? "\"additional_apps\":[23456,34567]," : "");
        buf_add_format(&text,
                "{\"name\":\"linux\",\"labels\":[\"linux\"],\"instance_type\":\"m7i.large\",%s,"
                "\"on_demand_fallback\":%s,\"tags\":{\"team\":\"ci\"}%s},",
                subnets, world_choose(2) ? "false" : "true",
                world.is_limited ? ",\"max_machines\":2" : "");
        buf_add_format(&text,
                "{\"name\":\"fleet\",\"labels\":[\"fleet\"],\"instance_type\":\"m7i.large\",%s,"
                "\"on_demand_fallback\":true,\"allocation\":\"price-capacity-optimized\","
                "\"spot_losses_max\":2},",
                subnets);
        buf_add_format(&text,
                "{\"name\":\"ranked\",\"labels\":[\"ranked\"],\"instance_type\":\"m7a.large\",%s,"
                "\"allocation\":\"capacity-optimized-prioritized\"},",
                subnets);
        buf_add_format(&text,
                "{\"name\":\"ended\",\"labels\":[\"ended\"],\"instance_type\":\"m7i.large\",%s,"
                "\"organization\":\"o\",\"terminate_on_completed\":true,\"rerun\":\"on-demand\","
                "\"on_demand_fallback\":true,\"fork_pull_requests\":\"allow\",\"job_metadata\":"
                "true},",
                subnets);
        buf_add_format(&text,
                "{\"name\":\"company\",\"labels\":[\"company\"],\"instance_type\":\"m7i.large\",%s,"
                "\"instance_types\":[\"m7i.xlarge\"],\"shared_labels\":true,\"enterprise\":\"e\","
                "\"unlabelled\":true,\"rerun\":\"never\"}]}",
                subnets);
        return buf_steal(&text);
}

/* -- jobs -- */

void world_job_url(int64_t id, char url[static 96])
{
        snprintf(url, 96, WORLD_API "/o/r/actions/runs/%lld/job/%lld", (long long)(id - 1) / 4 + 1,
                (long long)id);
}

/* Each may be there, with a value that it has at some point. */
static void add_members(cJSON *job, unsigned n)
{
        static const struct {
                const char *name;
                int64_t value;
        } members[] = {
                {"launch", 1},
                {"relaunches", 2},
                {"relaunches", 6},
                {"tries", 3},
                {"waits", 7},
                {"sends", 3},
                {"stale", 1},
                {"paced", 1},
                {"limited", 1},
                {"missing", 2},
                {"missing", 40},
                {"told_of", 1},
                {"told_of", 14},
                {"offer", 3},
                {"offer", 900},
                {"watches", 1},
                {"watches", 5},
                {"public", 1},
                {"adopted", 1},
                {"asked_ms", NOW_MS - 1000},
                {"queued_ms", NOW_MS - 60000},
                {"not_before_ms", NOW_MS + 3600000},
                {"launched_ms", NOW_MS - 1200000},
                {"launched_ms", NOW_MS - 180000000},
                {"lost_ms", NOW_MS - 600000},
                {"asked", 1},
                {"attempt", 2},
                {"installation", 99},
                {"runner_id", 101},
                {"run_id", 0},
                {"webhook_ms", NOW_MS - 30000},
        };

        for (unsigned i = 0; i < n; i++) {
                unsigned at = world_choose(ARRAY_SIZE(members));

                cJSON_DeleteItemFromObjectCaseSensitive(job, members[at].name);
                json_add_integer(job, members[at].name, members[at].value);
        }
}

static cJSON *job_message(int64_t id, const char *action)
{
        cJSON *job = cJSON_CreateObject();
        const char *spec = world_choose(4) == 1 ? world_one_of(specs) : world.spec;
        const char *label = strcmp(spec, "gone") != 0 ? spec : world_choose(2) ? "linux" : "none";
        cJSON *labels;
        char url[96];

        world_job_url(id, url);
        json_add_string(job, "action", action);
        json_add_integer(job, "id", id);
        json_add_integer(job, "run_id", (id - 1) / 4 + 1);
        json_add_integer(job, "attempt", 1);
        json_add_integer(job, "installation", 4711);
        json_add_string(job, "repository", (id - 1) / 4 + 1 == world.other_run ? "other/r" : "o/r");
        json_add_string(job, "name", "build");
        json_add_string(job, "url", url);
        json_add_string(job, "spec", spec);
        json_add_string(
                job, "instance_type", strcmp(spec, "ranked") == 0 ? "m7a.large" : "m7i.large");
        labels = cJSON_AddArrayToObject(job, "labels");
        cJSON_AddItemToArray(labels, cJSON_CreateString(label));
        if (world_choose(8) == 1)
                cJSON_AddItemToArray(labels, cJSON_CreateString("run-1"));
        return job;
}

static void add_machine(cJSON *job, int64_t id)
{
        char instance[20];

        snprintf(instance, sizeof(instance), "i-%08llx", (unsigned long long)id);
        json_add_string(job, "instance", instance);
        json_add_integer(job, "launched_ms", NOW_MS - 500);
        json_add_string(job, "machine_type", "m7i.large");
        json_add_string(job, "account", WORLD_ACCOUNT);
        switch (world_choose(8)) {
        case 1:
                json_add_string(job, "bucket", WORLD_BUCKET);
                break;
        case 2:
                json_add_string(job, "bucket", "another-bucket");
                break;
        default:
                break;
        }
}

/* What the launch of JOB depends on. */
static void note_members(const cJSON *job)
{
        const char *spec = json_string(job, "spec");
        int64_t id = json_integer(job, "id", 0);
        struct world_job *noted = &world.jobs[id >= 1 && id <= WORLD_JOBS ? id : 0];

        noted->refuses_forks =
                json_integer(job, "public", 0) > 0 && spec && strcmp(spec, "ended") != 0;
        noted->is_asked_for =
                json_integer(job, "asked_ms", 0) == 0 &&
                (json_integer(job, "stale", 0) > 0 || json_integer(job, "launch", 0) > 0);
}

/* The text of JOB, with some members more or other than usual; or a part of that. */
static char *finish(cJSON *job)
{
        char *text;

        add_members(job, world_choose(4));
        note_members(job);
        text = json_print(job);
        cJSON_Delete(job);
        if (world_choose(32) == 1)
                text[strlen(text) / 2] = '\0';
        return text;
}

static char *make_queued(int64_t id)
{
        cJSON *job = job_message(id, "queued");

        if (world_choose(8) == 1)
                json_add_string(job, "left_out", world_choose(2) ? "07" : "0x");
        return finish(job);
}

static char *make_launched(int64_t id)
{
        cJSON *job = job_message(id, "launched");

        add_machine(job, id);
        return finish(job);
}

static char *make_ran(int64_t id, const char *action)
{
        static const char *const conclusions[] = {"success", "failure", "cancelled", "skipped"};
        cJSON *job = job_message(id, action);
        char instance[20];

        snprintf(instance, sizeof(instance), "i-%08llx", (unsigned long long)id);
        json_add_integer(job, "queued_ms", 1000);
        json_add_integer(job, "started_ms", 2000);
        json_add_integer(job, "completed_ms", 61000);
        json_add_integer(job, "runner_id", 100 + id);
        json_add_string(job, "runner_name", world_choose(8) == 1 ? "laptop" : instance);
        json_add_string(job, "conclusion", world_one_of(conclusions));
        return finish(job);
}

static char *make_in_progress(int64_t id)
{
        return make_ran(id, "in_progress");
}

static char *make_completed(int64_t id)
{
        return make_ran(id, "completed");
}

/* What comes to `watch`, from four queues. */
static char *make_watched(int64_t id)
{
        static const char *const actions[] = {
                "watched", "queued", "paced", "limited", "lost", "watched", "limited", "other"};
        const char *action = world_one_of(actions);
        cJSON *job = job_message(id, action);

        if (strcmp(action, "watched") == 0)
                add_machine(job, id);
        if (strcmp(action, "lost") == 0) {
                char machines[40];

                snprintf(machines, sizeof(machines), "/i-%08llx/", (unsigned long long)id);
                json_add_string(job, "machines", machines);
        }
        return finish(job);
}

/* -- reports, and EC2's events -- */

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
                (unsigned long long)job, url, 100 + (long long)job, (long long)NOW_MS + 86400000,
                (long long)job, (long long)(job - 1) / 4 + 1, (long long)NOW_MS - 200000,
                (long long)NOW_MS - 190000, (long long)NOW_MS - 180000, (long long)NOW_MS - 170000);
        return sign_ticket(WORLD_KEY, content);
}

static void add_times(cJSON *detail)
{
        static const char *const names[] = {"kernel", "agent", "identified", "received",
                "runner_started", "listening", "job_started", "job_finished", "finished"};
        cJSON *times = json_add_object(detail, "times");

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (world_choose(4) != 1)
                        json_add_integer(times, names[i], NOW_MS - 160000 + (int64_t)i * 15000);
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

static char *make_instance(int64_t id)
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
        return finish(event);
}

static cJSON *handover_job(int64_t id)
{
        cJSON *job = cJSON_CreateObject();
        char url[96];

        world_job_url(id, url);
        json_add_integer(job, "id", id);
        json_add_integer(job, "run_id", (id - 1) / 4 + 1);
        json_add_integer(job, "attempt", 1);
        json_add_integer(job, "installation", 4711);
        json_add_integer(job, "relaunches", world_choose(8));
        json_add_string(job, "repository", "o/r");
        json_add_string(job, "name", "build");
        json_add_string(job, "url", url);
        json_add_string(job, "instance_type", "m7i.large");
        return job;
}

static char *make_handover(int64_t id)
{
        cJSON *handover = cJSON_CreateObject();
        _cleanup_free_ char *ticket = world_ticket(id);
        char *text;
        char jit[40];

        snprintf(jit, sizeof(jit), WORLD_JIT_MARK "%08llx", (unsigned long long)id);
        json_add_integer(handover, "version", 1);
        json_add_string(handover, "jit_config", jit);
        json_add_integer(handover, "runner_id", 100 + id);
        json_add_string(handover, "prefix", "/p");
        json_add_string(handover, "spec", "linux");
        json_add_string(handover, "scope", "repos/o/r");
        json_add_string(handover, "ticket", ticket);
        json_add_integer(handover, "idle_limit_seconds", 300);
        json_add_integer(handover, "job_limit_seconds", 3600);
        cJSON_AddItemToObject(handover, "job", handover_job(id));
        json_add_integer(json_add_object(handover, "times"), "launched", NOW_MS - 180000);
        text = json_print(handover);
        cJSON_Delete(handover);
        return text;
}

/* The hand-overs that machines have not taken yet. */
void world_store_handovers(void)
{
        unsigned which = world_choose(256);

        for (int64_t id = 1; id <= WORLD_JOBS; id++) {
                _cleanup_free_ char *handover = make_handover(id);

                if (which >> (id - 1) % 8 & 1)
                        snprintf(world.store[id], sizeof(world.store[id]), "%s", handover);
        }
}

/* -- letters, notifications, deliveries -- */

static char *make_letter(int64_t id)
{
        switch (world_choose(3)) {
        case 1:
                return make_instance(id);
        case 2:
                return mem_string("nonsense");
        default:
                return make_queued(id);
        }
}

static char *make_notification(int64_t id)
{
        static const char *const severities[] = {"info", "warning", "error", "odd"};
        cJSON *json = cJSON_CreateObject();
        char title[32];
        cJSON *fact;

        snprintf(title, sizeof(title), "Title %lld", (long long)id);
        json_add_string(json, "severity", world_one_of(severities));
        json_add_string(json, "title", title);
        json_add_string(json, "text", "x");
        json_add_string(json, "url", "https://github.test/1");
        if (world_choose(2) == 1)
                json_add_string(json, "key", world_choose(2) ? title : "key");
        fact = cJSON_CreateObject();
        json_add_string(fact, "name", "Spec");
        json_add_string(fact, "value", "linux");
        cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "facts"), fact);
        return finish(json);
}

static char *make_delivery(int64_t id)
{
        static const char *const actions[] = {"queued", "in_progress", "completed", "waiting"};
        const char *action = world_one_of(actions);
        cJSON *body = cJSON_CreateObject();
        cJSON *job = json_add_object(body, "workflow_job");
        cJSON *repository = json_add_object(body, "repository");

        json_add_string(body, "action", action);
        json_add_string(repository, "full_name", world_choose(8) == 1 ? "stranger/r" : "o/r");
        json_add_boolean(repository, "private", world_choose(2) == 0);
        json_add_integer(
                json_add_object(body, "installation"), "id", world_choose(8) == 1 ? 99 : 4711);
        json_add_integer(job, "id", id);
        json_add_integer(job, "run_id", (id - 1) / 4 + 1);
        json_add_integer(job, "run_attempt", 1);
        json_add_string(job, "status", world_choose(8) == 1 ? "waiting" : action);
        json_add_string(job, "created_at", "2026-01-02T03:04:00Z");
        json_add_string(job, "started_at", "2026-01-02T03:04:01Z");
        cJSON_AddItemToArray(
                cJSON_AddArrayToObject(job, "labels"), cJSON_CreateString(world_one_of(specs)));
        return finish(body);
}

/* -- batches -- */

const struct world_handler world_handlers[WORLD_HANDLERS] = {
        {"queued", make_queued, "queued.fifo"},
        {"register", make_launched, "register.fifo"},
        {"watch", make_watched, "watch"},
        {"instance", make_instance, "instance"},
        {"in_progress", make_in_progress, "in_progress"},
        {"completed", make_completed, "completed"},
        {"dead_letter", make_letter, "dead"},
        {"notify", make_notification, "notify.fifo"},
        {"recover", NULL, NULL},
        {"webhook", make_delivery, NULL},
};

static void add_text(cJSON *attributes, const char *name, const char *value)
{
        json_add_string(json_add_object(attributes, name), "stringValue", value);
}

static cJSON *make_record(const struct world_handler *handler, int64_t id)
{
        static const char *const receives[] = {"1", "2", "4", "70", "905", "990"};
        _cleanup_free_ char *body = handler->make_body(id);
        _cleanup_free_ char *arn =
                mem_format("arn:aws:sqs:eu-central-1:" WORLD_ACCOUNT ":%s", handler->queue);
        cJSON *record = cJSON_CreateObject();
        cJSON *attributes = json_add_object(record, "attributes");
        char message[24];

        snprintf(message, sizeof(message), "m%lld", (long long)id);
        json_add_string(record, "messageId", message);
        json_add_string(record, "receiptHandle", "receipt");
        json_add_string(record, "body", body);
        json_add_string(record, "eventSourceARN", arn);
        json_add_string(attributes, "ApproximateReceiveCount", world_one_of(receives));
        json_add_string(attributes, "SentTimestamp", "1767323000000");
        json_add_string(attributes, "ApproximateFirstReceiveTimestamp",
                world_choose(2) ? "1767322000000" : "1767323044000");
        if (world_choose(2) == 0 && strcmp(handler->queue, "dead") == 0) {
                cJSON *own = json_add_object(record, "messageAttributes");

                add_text(own, "source", arn);
                add_text(own, "cause", "because");
        }
        return record;
}

/* A delivery of GitHub's, signed by whoever knows the secret, or not. */
static char *make_delivery_event(void)
{
        _cleanup_free_ char *body = make_delivery(1);
        _cleanup_free_ char *header = NULL;
        cJSON *event = cJSON_CreateObject();
        cJSON *headers = json_add_object(event, "headers");
        char signature[65];
        char *text;

        sign_text(world_choose(8) == 1 ? "guessed" : WORLD_WEBHOOK_MARK, body, signature);
        header = mem_format("sha256=%s", signature);
        json_add_string(json_add_object(json_add_object(event, "requestContext"), "http"), "method",
                "POST");
        json_add_string(headers, "x-github-event", world_choose(8) == 1 ? "ping" : "workflow_job");
        json_add_string(headers, "x-github-delivery", "delivery");
        if (world_choose(8) != 1)
                json_add_string(headers, "x-hub-signature-256", header);
        if (world_choose(4) == 1) {
                json_add_string(headers, "x-github-hook-installation-target-type", "integration");
                json_add_string(headers, "x-github-hook-installation-target-id",
                        world_choose(2) ? "23456" : "12345");
        }
        json_add_string(event, "body", body);
        text = json_print(event);
        cJSON_Delete(event);
        return text;
}

char *world_make_event(const struct world_handler *handler, unsigned n_records)
{
        cJSON *event;
        cJSON *records;
        char *text;

        if (!handler->make_body)
                return mem_string("{}");
        if (!handler->queue)
                return make_delivery_event();
        event = cJSON_CreateObject();
        records = cJSON_AddArrayToObject(event, "Records");
        for (unsigned i = 1; i <= n_records; i++)
                cJSON_AddItemToArray(records, make_record(handler, i));
        text = json_print(event);
        cJSON_Delete(event);
        return text;
}
