/* SPDX-License-Identifier: MIT */

/*
 * EC2 as the scaler uses it: launches of what was asked for, or of less, and machines in any state,
 * with tags as ours have.
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

static char *item_of(const char *form, const char *before, int i, const char *after)
{
        _cleanup_free_ char *name = mem_format("%s.%d%s", before, i, after);

        return world_form_value(form, name);
}

/* The value of the tag KEY among those that a launch gives to instances. */
static char *launch_tag(const char *form, const char *key)
{
        for (int i = 1; i < 60; i++) {
                _cleanup_free_ char *name = item_of(form, "TagSpecification.1.Tag", i, ".Key");

                if (!name)
                        name = item_of(form, "TagSpecification.2.Tag", i, ".Key");
                if (!name)
                        return NULL;
                if (strcmp(name, key) != 0)
                        continue;
                char *value = item_of(form, "TagSpecification.1.Tag", i, ".Value");

                return value ? value : item_of(form, "TagSpecification.2.Tag", i, ".Value");
        }
        return NULL;
}

/* -- what launches are -- */

/* A launch is for jobs of the batch: not for one that GitHub said is a fork's, nor, where it is
 * not fresh, for one that does not wait. */
static void check_names(const char *names)
{
        const char *at = names ? strchr(names, '/') : NULL;

        CHECK(at && at[1]);
        for (; at && at[1]; at = strchr(at + 1, '/')) {
                int id = 0;

                CHECK(sscanf(at, "/%d-", &id) == 1 && id >= 1 && id <= WORLD_JOBS);
                CHECK(!world.jobs[id].is_over || !world.jobs[id].is_asked_for);
                CHECK(!world.jobs[id].is_fork || !world.jobs[id].refuses_forks);
        }
}

static void check_type(const char *type)
{
        CHECK(type && (strncmp(type, "m7i.", 4) == 0 || strncmp(type, "m7a.", 4) == 0));
}

static void check_subnet(const char *subnet)
{
        CHECK(subnet &&
                (strcmp(subnet, "subnet-0000000a") == 0 || strcmp(subnet, "subnet-0000000b") == 0));
}

/* -- instances -- */

static void add_tag(struct buf *xml, const char *key, const char *value)
{
        buf_add_format(xml, "<item><key>scale-agent:%s</key><value>%s</value></item>", key, value);
}

/* What the tag with the job says: its own, another's, or none. */
static void add_job(struct buf *xml, struct world_machine *machine, unsigned job)
{
        char url[96];

        world_job_url(job, url);
        add_tag(xml, "job-url", url);
        add_tag(xml, "job-attempt", "1");
        machine->has_job = true;
        if (job <= WORLD_JOBS)
                world.jobs[job].is_over = true;
}

static void add_tags(struct buf *xml, struct world_machine *machine)
{
        static const char *const specs[] = {"linux", "fleet", "ended", "company", "gone"};
        static const char *const scopes[] = {"repos/o/r", "orgs/o", "enterprises/e", "nonsense"};
        unsigned number = 0;

        machine->is_foreign = world.has_strangers && world_choose(8) == 1;
        add_tag(xml, "prefix", machine->is_foreign ? "/other" : "/p");
        add_tag(xml, "spec", world_one_of(specs));
        add_tag(xml, "scope", world_one_of(scopes));
        add_tag(xml, "installation", "4711");
        if (machine->launches[0])
                add_tag(xml, "launches", machine->launches);
        (void)sscanf(machine->id, "i-%8x", &number);
        if (number > WORLD_JOBS && sscanf(machine->launches, "/%u-", &number) != 1)
                number = 1000;
        if (machine->is_launched)
                return; /* a moment ago */
        switch (world_choose(8)) {
        case 1:
                add_job(xml, machine, number);
                break;
        case 2:
                add_job(xml, machine, 1000);
                break;
        case 3:
                add_tag(xml, "store", WORLD_BUCKET);
                break;
        case 4:
                add_tag(xml, "hangs-since", world_choose(2) ? "0" : "1767322000");
                break;
        case 5:
                add_tag(xml, "interrupted", "2026-01-02T03:00:00Z");
                break;
        case 6:
                add_tag(xml, "store", "another-bucket");
                break;
        default:
                break;
        }
        if (world_choose(4) == 1) {
                machine->is_overdue = true;
                add_tag(xml, "lifetime", "60");
        }
}

static void add_instance(struct buf *xml, struct world_machine *machine, bool is_listed)
{
        static const char *const states[] = {
                "running", "pending", "terminated", "shutting-down", "stopped"};
        static const char *const reasons[] = {"Client.InstanceInitiatedShutdown",
                "Server.SpotInstanceTermination", "Client.UserInitiatedShutdown",
                "Server.InternalError"};
        static const char *const times[] = {
                "2026-01-02T03:00:00Z", "2026-01-02T01:00:00Z", "2026-01-02T03:04:00Z"};
        unsigned state = world_choose(ARRAY_SIZE(states) - is_listed);

        machine->was_dead |= state >= 2;
        world.n_living += is_listed && state < 2;
        buf_add_format(xml,
                "<item><instanceId>%s</instanceId><instanceType>%s</instanceType>"
                "<launchTime>%s</launchTime><amiLaunchIndex>0</amiLaunchIndex>"
                "<instanceState><name>%s</name></instanceState>",
                machine->id, machine->type, world_one_of(times), states[state]);
        if (world_choose(2) == 0)
                buf_add_string(xml, "<instanceLifecycle>spot</instanceLifecycle>");
        if (state >= 2)
                buf_add_format(
                        xml, "<stateReason><code>%s</code></stateReason>", world_one_of(reasons));
        buf_add_string(xml,
                "<placement><availabilityZone>eu-central-1a</availabilityZone></placement>"
                "<tagSet>");
        if (state < 2 || world_choose(2) == 0)
                add_tags(xml, machine);
        buf_add_string(xml, "</tagSet></item>");
}

static void open_list(struct buf *xml)
{
        buf_add_string(xml,
                "<DescribeInstancesResponse><reservationSet><item><ownerId>" WORLD_ACCOUNT
                "</ownerId><instancesSet>");
}

static void answer_list(struct http_call *call, struct buf *xml, bool paged)
{
        buf_add_string(xml, "</instancesSet></item></reservationSet>");
        if (paged && world_choose(16) == 1)
                buf_add_string(xml, "<nextToken>next</nextToken>");
        buf_add_string(xml, "</DescribeInstancesResponse>");
        world_text(call, 200, buf_string(xml));
}

/* -- DescribeInstances -- */

/* By id: as they are, or unknown. */
static void describe(struct http_call *call, const char *form)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);

        open_list(&xml);
        for (int i = 1; i <= 100; i++) {
                _cleanup_free_ char *id = item_of(form, "InstanceId", i, "");
                struct world_machine *machine;

                if (!id)
                        id = item_of(form, "Filter.1.Value", i, "");
                if (!id)
                        break;
                machine = world_machine(id);
                if (machine && world_choose(8) != 1)
                        add_instance(&xml, machine, false);
        }
        answer_list(call, &xml, false);
}

/* The machine that has VALUE as a tag, or as its token. "*" + "/3-1-0/" + "*" is job 3's own. */
static struct world_machine *machine_with(const char *value, bool by_names)
{
        size_t size = strlen(value);
        struct world_machine *machine;
        unsigned job;
        char id[20];

        if (by_names && sscanf(value, "*/%u-", &job) == 1) {
                snprintf(id, sizeof(id), "i-%08x", job);
                machine = world_machine(id);
                if (machine)
                        snprintf(machine->launches, sizeof(machine->launches), "%.*s",
                                (int)size - 2, value + 1);
                return machine;
        }
        machine = world_new_machine();
        if (machine && by_names)
                snprintf(machine->launches, sizeof(machine->launches), "%s", value);
        return machine;
}

/* By the value of a tag or token. For each value there may be a machine. */
static void find(struct http_call *call, const char *form, bool by_names)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);

        open_list(&xml);
        for (int i = 1; i <= 100; i++) {
                _cleanup_free_ char *value = item_of(form, "Filter.1.Value", i, "");
                struct world_machine *machine = NULL;

                if (!value)
                        break;
                if (world_choose(4) > 0)
                        machine = machine_with(value, by_names);
                if (machine)
                        add_instance(&xml, machine, false);
        }
        answer_list(call, &xml, false);
}

/* All of the stack: some of the batch's. */
static void list(struct http_call *call, bool is_first)
{
        static const unsigned numbers[] = {0, 1, 2, 5};
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);
        unsigned n = world_one_of(numbers);

        if (is_first)
                world.n_living = 0;
        world.is_counted = true;
        open_list(&xml);
        for (unsigned i = 1; i <= n; i++) {
                char id[20];
                struct world_machine *machine;

                snprintf(id, sizeof(id), "i-%08x", i);
                machine = world_machine(id);
                if (machine)
                        add_instance(&xml, machine, true);
        }
        answer_list(call, &xml, true);
}

static void serve_describe(struct http_call *call, const char *form)
{
        _cleanup_free_ char *filter = world_form_value(form, "Filter.1.Name");

        if (!filter || strcmp(filter, "instance-id") == 0)
                describe(call, form);
        else if (strstr(filter, "prefix") || strstr(filter, ":spec"))
                list(call, !strstr(form, "&NextToken="));
        else
                find(call, form, strstr(filter, "launches") != NULL);
}

/* -- launches -- */

/* How many of COUNT: all of them, or fewer. */
static unsigned launched_of(unsigned count)
{
        unsigned fewer = world_choose(4) == 1 ? 1 + world_choose(4) : 0;

        return fewer < count ? count - fewer : 1;
}

static unsigned number_in(const char *form, const char *name)
{
        _cleanup_free_ char *value = world_form_value(form, name);

        return value ? (unsigned)strtoul(value, NULL, 10) : 0;
}

static struct world_machine *launch_one(const char *type, const char *names)
{
        struct world_machine *machine = world_new_machine();

        if (!machine)
                return NULL;
        machine->is_launched = true;
        snprintf(machine->type, sizeof(machine->type), "%s", type);
        snprintf(machine->launches, sizeof(machine->launches), "%s", names);
        return machine;
}

static void run_instances(struct http_call *call, const char *form)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);
        _cleanup_free_ char *type = world_form_value(form, "InstanceType");
        _cleanup_free_ char *subnet = world_form_value(form, "SubnetId");
        _cleanup_free_ char *names = launch_tag(form, "scale-agent:launches");
        unsigned count = number_in(form, "MaxCount");

        check_type(type);
        check_subnet(subnet);
        check_names(names);
        CHECK(count >= 1 && count <= WORLD_JOBS);
        buf_add_string(
                &xml, "<RunInstancesResponse><ownerId>" WORLD_ACCOUNT "</ownerId><instancesSet>");
        count = launched_of(count);
        for (unsigned i = 0; i < count; i++) {
                struct world_machine *machine = launch_one(type, names);

                if (machine)
                        buf_add_format(&xml,
                                "<item><instanceId>%s</instanceId><instanceType>%s</instanceType>"
                                "<instanceState><name>pending</name></instanceState>"
                                "<amiLaunchIndex>%u</amiLaunchIndex></item>",
                                machine->id, type, i);
        }
        buf_add_string(&xml, "</instancesSet></RunInstancesResponse>");
        world_text(call, 200, buf_string(&xml));
}

/* What a fleet could not launch, and where. */
static void add_fleet_errors(struct buf *xml, const char *type, const char *subnet)
{
        static const char *const codes[] = {"InsufficientInstanceCapacity", "UnfulfillableCapacity",
                "MaxSpotInstanceCountExceeded", "InvalidSubnetID.NotFound", "UnauthorizedOperation",
                "RequestLimitExceeded", "UnsupportedOperation", "SomethingNew", "InternalError",
                "InsufficientFreeAddressesInSubnet"};
        unsigned n = world_choose(4);

        buf_add_string(xml, "<errorSet>");
        for (unsigned i = 0; i < n; i++)
                buf_add_format(xml,
                        "<item><errorCode>%s</errorCode><errorMessage>no</errorMessage>"
                        "<launchTemplateAndOverrides><overrides><instanceType>%s</instanceType>"
                        "<subnetId>%s</subnetId></overrides></launchTemplateAndOverrides></item>",
                        world_one_of(codes), world_choose(4) ? type : "",
                        world_choose(4) ? subnet : "subnet-0000000b");
        buf_add_string(xml, "</errorSet>");
}

static void create_fleet(struct http_call *call, const char *form)
{
        static const char overrides[] = "LaunchTemplateConfigs.1.Overrides";
        _cleanup_buf_ struct buf xml = BUF_INIT(256UL * 1024);
        _cleanup_free_ char *names = launch_tag(form, "scale-agent:launches");
        _cleanup_free_ char *type = item_of(form, overrides, 1, ".InstanceType");
        _cleanup_free_ char *subnet = item_of(form, overrides, 1, ".SubnetId");
        unsigned count = number_in(form, "TargetCapacitySpecification.TotalTargetCapacity");

        check_names(names);
        CHECK(count >= 1 && count <= WORLD_JOBS);
        for (int i = 1; i <= 300; i++) {
                _cleanup_free_ char *other = item_of(form, overrides, i, ".InstanceType");
                _cleanup_free_ char *where = item_of(form, overrides, i, ".SubnetId");

                if (!other)
                        break;
                check_type(other);
                check_subnet(where);
        }
        count = world_choose(4) == 3 ? 0 : launched_of(count);
        buf_add_string(&xml, "<CreateFleetResponse><fleetId>fleet-1</fleetId>");
        add_fleet_errors(&xml, type, subnet);
        buf_add_format(&xml,
                "<fleetInstanceSet><item><instanceType>%s</instanceType><lifecycle>spot"
                "</lifecycle><instanceIds>",
                type);
        for (unsigned i = 0; i < count; i++) {
                struct world_machine *machine = launch_one(type, names);

                if (machine)
                        buf_add_format(&xml, "<item>%s</item>", machine->id);
        }
        buf_add_string(&xml, "</instanceIds></item></fleetInstanceSet></CreateFleetResponse>");
        world_text(call, 200, buf_string(&xml));
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
                _cleanup_free_ char *id = item_of(form, "InstanceId", i, "");
                struct world_machine *machine;

                if (!id)
                        break;
                CHECK(strncmp(id, "i-", 2) == 0);
                machine = world_machine(id);
                CHECK(machine && !machine->is_foreign);
                CHECK(!machine->has_job || machine->is_overdue || machine->is_deregistered);
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
        else if ((strcmp(action, "RunInstances") == 0 || strcmp(action, "CreateFleet") == 0) &&
                 world_choose(4) == 1)
                world_refuse_ec2(call); /* most often it is this that fails */
        else if (strcmp(action, "RunInstances") == 0)
                run_instances(call, form);
        else if (strcmp(action, "CreateFleet") == 0)
                create_fleet(call, form);
        else if (strcmp(action, "DescribeInstances") == 0)
                serve_describe(call, form);
        else if (strcmp(action, "DescribeSubnets") == 0)
                describe_subnets(call);
        else if (strcmp(action, "TerminateInstances") == 0)
                terminate(call, form);
        else if (strcmp(action, "CreateTags") == 0)
                world_text(call, 200, "<CreateTagsResponse/>");
        else
                CHECK(!"another call of EC2");
}
