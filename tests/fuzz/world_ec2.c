/* SPDX-License-Identifier: MIT */

/*
 * EC2 as the scaler uses it. world_launches.c has launches, and world_instances.c what machines
 * are.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

/* -- forms -- */

static char unhex(const char *digits)
{
        const char pair[] = {digits[0], digits[1], '\0'};

        return (char)strtol(pair, NULL, 16);
}

char *world_form_value(const char *form, const char *name)
{
        _cleanup_free_ char *start = mem_format("&%s=", name);
        const char *at = strstr(form, start);
        char *value;
        char *to;

        if (!at)
                return NULL;
        at += strlen(start);
        to = value = mem_alloc(strcspn(at, "&") + 1);
        for (; *at && *at != '&'; at++) {
                if (*at != '%' || !isxdigit((unsigned char)at[1]) ||
                        !isxdigit((unsigned char)at[2])) {
                        *to++ = (char)(*at == '+' ? ' ' : *at);
                        continue;
                }
                *to++ = unhex(at + 1);
                at += 2;
        }
        return value;
}

char *world_form_item(const char *form, const char *before, int i, const char *after)
{
        _cleanup_free_ char *name = mem_format("%s.%d%s", before, i, after);

        return world_form_value(form, name);
}

/* Zones of the subnets, of which one may be gone. */
static void describe_subnets(struct http_call *call)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(4096);

        buf_add_string(&xml,
                "<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-0000000a"
                "</subnetId><availabilityZone>eu-central-1a</availabilityZone></item>");
        if (world_choose(4) != 1)
                buf_add_format(&xml,
                        "<item><subnetId>subnet-0000000b</subnetId><availabilityZone>eu-central-1%c"
                        "</availabilityZone></item>",
                        world_choose(2) ? 'a' : 'b');
        buf_add_string(&xml, "</subnetSet></DescribeSubnetsResponse>");
        world_text(call, 200, buf_string(&xml));
}

/* -- ends -- */

/* A machine that works on a job, or is another stack's, is ended by nobody; but each has its last
 * hour. */
static void terminate(struct http_call *call, const char *form)
{
        for (int i = 1; i <= 100; i++) {
                _cleanup_free_ char *id = world_form_item(form, "InstanceId", i, "");
                struct world_machine *machine;

                if (!id)
                        break;
                CHECK(strncmp(id, "i-", 2) == 0);
                machine = world_machine(id);
                CHECK(machine && !machine->is_foreign);
                CHECK(!machine->has_job || machine->is_overdue || machine->is_deregistered ||
                        machine->state[0]);
                machine->is_ended = true;
        }
        world_text(call, 200, "<TerminateInstancesResponse/>");
}

/* As of a machine whose tags, by which the role allows it, are gone. */
static void deny(struct http_call *call)
{
        world_text(call, 403,
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message>"
                "</Error></Errors></Response>");
}

void world_ec2(struct http_call *call)
{
        const char *form = buf_string(&call->body);
        _cleanup_free_ char *from_second = mem_format("&%s", form);
        _cleanup_free_ char *action = world_form_value(from_second, "Action");

        if ((strcmp(action, "CreateTags") == 0 || strcmp(action, "TerminateInstances") == 0) &&
                world_choose(8) == 1)
                deny(call);
        else if (strcmp(action, "RunInstances") == 0)
                world_run_instances(call, form);
        else if (strcmp(action, "CreateFleet") == 0)
                world_create_fleet(call, form);
        else if (strcmp(action, "DescribeInstances") == 0)
                world_describe_instances(call, form);
        else if (strcmp(action, "DescribeSubnets") == 0)
                describe_subnets(call);
        else if (strcmp(action, "TerminateInstances") == 0)
                terminate(call, form);
        else if (strcmp(action, "CreateTags") == 0)
                world_text(call, 200, "<CreateTagsResponse/>");
        else
                CHECK(!"another call of EC2");
}
