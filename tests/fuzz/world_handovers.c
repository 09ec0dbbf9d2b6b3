/* SPDX-License-Identifier: MIT */

/*
 * Hand-overs that wait for their machines in SSM, or in S3, which is here as well.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* -- what is stored -- */

/* The number of the batch's own first machines, i-00000001 and so on; 0: it is none of them. */
static size_t number_of(const char *name)
{
        const char *id = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;

        return strncmp(id, "i-000000", 8) == 0 ? world_job_of(id) : 0;
}

bool world_has_handover(const char *name)
{
        size_t number = number_of(name);

        return number > 0 && world.store[number][0];
}

const char *world_handover_of(const char *name)
{
        size_t number = number_of(name);

        if (number == 0 || !world.store[number][0])
                return NULL;
        world.jobs[number].is_read = world.store[number][0] == '{'; /* it says which job it is of */
        return world.store[number];
}

/* A hand-over is what its machine may know: the registration is of that machine's name. */
void world_store_handover(const char *name, const char *value)
{
        const char *id = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
        _cleanup_json_ cJSON *handover = cJSON_Parse(value);
        const char *jit = json_string(handover, "jit_config");
        int64_t job = json_integer(handover, "job.id", 0);
        size_t number = number_of(name);

        CHECK(jit && strncmp(jit, WORLD_JIT_MARK, strlen(WORLD_JIT_MARK)) == 0);
        CHECK(strcmp(jit + strlen(WORLD_JIT_MARK), id + strlen("i-")) == 0);
        CHECK(!strstr(value, WORLD_TOKEN_MARK) && !strstr(value, WORLD_KEY_MARK));
        if (job >= 1 && job <= WORLD_JOBS)
                world.jobs[job].is_stored = true;
        if (number > 0)
                snprintf(world.store[number], sizeof(world.store[number]), "%s", value);
}

/* -- what is there before -- */

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
        json_add_integer(json_add_object(handover, "times"), "launched", WORLD_NOW_MS - 180000);
        text = json_print(handover);
        cJSON_Delete(handover);
        return text;
}

/* The hand-overs that machines have not taken yet, or what somebody else has put there. */
void world_store_handovers(void)
{
        unsigned which = world_choose(256);
        bool is_garbled = world_choose(8) == 1;

        for (int64_t id = 1; id <= WORLD_JOBS; id++) {
                _cleanup_free_ char *handover = make_handover(id);

                if (which >> (id - 1) % 8 & 1)
                        snprintf(world.store[id], sizeof(world.store[id]), "%s",
                                is_garbled ? "nonsense" : handover);
        }
}

int64_t world_modified_seconds(void)
{
        static const int64_t seconds[] = {1767300000, 1767322500, 1767323040, 0};

        return world_one_of(seconds);
}

/* -- S3 -- */

static void list_objects(struct http_call *call)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(16UL * 1024);

        buf_add_string(&xml, "<ListBucketResult>");
        for (size_t i = 1; i <= WORLD_JOBS; i++) {
                char time[CLOCK_TEXT_SIZE];

                if (!world.store[i][0])
                        continue;
                buf_add_format(&xml,
                        "<Contents><Key>arn:aws:ec2:eu-central-1:" WORLD_ACCOUNT
                        ":instance/i-%08zx</Key><LastModified>%s</LastModified></Contents>",
                        i, clock_format(world_modified_seconds() * MSEC_PER_SEC, time));
        }
        if (world_choose(16) == 1)
                buf_add_string(&xml, "<NextContinuationToken>next</NextContinuationToken>");
        buf_add_string(&xml, "</ListBucketResult>");
        world_text(call, 200, buf_string(&xml));
}

void world_s3(struct http_call *call)
{
        const char *url = buf_string(&call->url);

        if (strchr(url, '?')) {
                list_objects(call);
        } else if (strcmp(call->method, "PUT") == 0 && world_has_handover(url)) {
                world_text(call, 412, "<Error><Code>PreconditionFailed</Code></Error>");
        } else if (strcmp(call->method, "PUT") == 0) {
                world_store_handover(url, buf_string(&call->body));
                world_text(call, 200, "");
        } else if (strcmp(call->method, "DELETE") == 0) {
                world_text(call, 204, "");
        } else if (world_has_handover(url)) {
                world_text(call, 200, world_handover_of(url));
        } else {
                world_text(call, 404, "<Error><Code>NoSuchKey</Code></Error>");
        }
}
