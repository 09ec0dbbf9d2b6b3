/* SPDX-License-Identifier: MIT */

/*
 * The model of S3, which has the hand-overs of each third seed, and of machines that were launched
 * while the configuration named it: one bucket, whose objects stand among SSM's parameters under
 * names that SSM cannot have. Its outage is SSM's.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/store.h"
#include "world.h"

#define OBJECT "object "

bool s3_has_handovers(const struct world *world)
{
        return world->seed % 3 == 0;
}

/* A machine looks where its tag says. */
static void name_handover(struct world *world, const char *instance, char name[static 64])
{
        const struct machine *machine = machine_find(world, instance);
        bool is_in_s3 = machine && machine_tag(machine, STORE_TAG);

        snprintf(name, 64, is_in_s3 ? OBJECT "%s" : PREFIX "/runners/%s", instance);
}

const char *handover_get(struct world *world, const char *instance)
{
        char name[64];

        name_handover(world, instance, name);
        return ssm_get(world, name);
}

bool handover_delete(struct world *world, const char *instance)
{
        char name[64];

        name_handover(world, instance, name);
        return ssm_delete(world, name);
}

static void list(struct world *world, struct answer *answer)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(16 * 1024 * 1024);
        int64_t start = world_wall_ms(world) - world->now_ms;

        buf_add_string(&xml, "<ListBucketResult>");
        for (size_t i = 0; i < world->n_parameters; i++) {
                const struct parameter *object = &world->parameters[i];
                char time[CLOCK_TEXT_SIZE];

                if (strncmp(object->name, OBJECT, strlen(OBJECT)) == 0)
                        buf_add_format(&xml,
                                "<Contents><Key>" INSTANCE_ARNS "/%s</Key>"
                                "<LastModified>%s</LastModified></Contents>",
                                object->name + strlen(OBJECT),
                                clock_format(start + object->modified_ms, time));
        }
        buf_add_string(&xml, "</ListBucketResult>");
        answer_text(answer, 200, buf_string(&xml));
}

void answer_s3_error(struct answer *answer, int status, const char *code)
{
        _cleanup_free_ char *text = mem_format(
                "<Error><Code>%s</Code><Message>because of the simulation</Message></Error>", code);

        answer_text(answer, status, text);
}

void s3_serve(struct world *world, const struct http_call *call, struct answer *answer)
{
        const char *url = buf_string(&call->url);
        const char *value;
        char name[64];

        if (strchr(url, '?')) {
                list(world, answer);
                return;
        }
        snprintf(name, sizeof(name), OBJECT "%s", strrchr(url, '/') + 1);
        value = ssm_get(world, name);
        if (strcmp(call->method, "DELETE") == 0) {
                ssm_delete(world, name);
                answer_text(answer, 204, "");
        } else if (strcmp(call->method, "GET") == 0 && !value) {
                answer_s3_error(answer, 404, "NoSuchKey");
        } else if (strcmp(call->method, "GET") == 0) {
                answer_text(answer, 200, value);
        } else if (fault_strikes(world, FAULT_ERROR, 5)) {
                answer_s3_error(answer, 409, "ConditionalRequestConflict");
        } else if (value) {
                answer_s3_error(answer, 412, "PreconditionFailed");
        } else {
                ssm_set(world, name, buf_string(&call->body));
                answer_text(answer, 200, "");
        }
}
