/* SPDX-License-Identifier: MIT */

/*
 * The configuration, and what goes on for the whole input.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "world.h"

static const char *const specs[] = {
        "linux", "fleet", "ranked", "ended", "company", "gone", "fleet"};

const char *world_spec(void)
{
        return world_one_of(specs);
}

/* In one of N inputs. */
static unsigned choose_habit(unsigned n)
{
        return world_choose(n) == 1 ? 1 + world_choose(255) : 0;
}

static void choose_habits(void)
{
        world.habits = (struct world_habits){
                .launches = choose_habit(2),
                .machines = choose_habit(4),
                .jobs = choose_habit(4),
                .hour = choose_habit(4),
                .github = choose_habit(4),
                .queues = choose_habit(8),
                .names = choose_habit(4),
                .store = choose_habit(4),
                .breakers = choose_habit(4),
        };
}

char *world_make_config(void)
{
        bool has_app = world_choose(2) == 1;
        bool has_more = has_app && world_choose(2) == 1;
        bool is_in_s3 = world_choose(4) == 1;
        _cleanup_buf_ struct buf text = BUF_INIT(16UL * 1024);
        static const char subnets[] = "\"subnets\":[\"subnet-0000000a\",\"subnet-0000000b\"],"
                                      "\"launch_template\":\"runner\"";

        choose_habits();
        world.other_run = world_choose(4);
        world.is_public = world_choose(4) == 1;
        world.has_other = world_choose(8) != 1;
        world.spec = world_spec();
        world.is_limited = world_choose(2) == 1;
        buf_add_format(&text,
                "{\"prefix\":\"/p\",\"hand_over\":\"%s\",%s\"github\":{%s%s\"repositories\":"
                "[%s\"o/*\"]},\"specs\":[",
                is_in_s3 ? "s3" : "ssm",
                world.is_limited ? "\"max_machines\":3,\"max_machines_per_repository\":2," : "",
                has_app ? "\"app_id\":12345,\"installations\":[4711]," : "",
                has_more ? "\"additional_apps\":[23456,34567]," : "",
                world.has_other ? "\"other/r\"," : "");
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
                "\"max_reruns\":1,"
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
