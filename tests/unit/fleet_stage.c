/* SPDX-License-Identifier: MIT */

/*
 * See fleet_stage.h.
 */

#include "fleet_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fleet_choose(struct config_spec *spec, const char *allocation)
{
        free(spec->allocation);
        spec->allocation = mem_string(allocation);
}

void fleet_add_subnet(struct config_spec *spec, const char *subnet)
{
        spec->subnets = mem_resize(spec->subnets, spec->n_subnets + 1, sizeof(char *));
        spec->subnets[spec->n_subnets++] = mem_string(subnet);
}

void fleet_add_zone(struct scaler *scaler, const char *subnet, const char *zone)
{
        struct ec2_subnets *zones = &scaler->zones;
        struct ec2_subnet *added;

        zones->items = mem_resize(zones->items, zones->count + 1, sizeof(*zones->items));
        added = &zones->items[zones->count++];
        *added = (struct ec2_subnet){0};
        snprintf(added->id, sizeof(added->id), "%s", subnet);
        snprintf(added->zone, sizeof(added->zone), "%s", zone);
}

int fleet_set_up(void **state)
{
        struct stage *stage;

        stage_set_up(state);
        stage = *state;
        for (size_t i = 0; i < stage->scaler.config->n_specs; i++)
                fleet_choose(&stage->scaler.config->specs[i], CONFIG_ALLOCATION_PRICE);
        fleet_add_zone(&stage->scaler, "subnet-0000000a", "eu-central-1a");
        fleet_add_zone(&stage->scaler, "subnet-0000000b", "eu-central-1b");
        strcpy(stage->scaler.account, "123456789012");
        return 0;
}

void expect_fleet(struct stage *stage, const char *body, int first, int last, const char *errors)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(65536);

        buf_add_format(&xml,
                "<CreateFleetResponse><fleetId>fleet-1</fleetId><errorSet>%s</errorSet>"
                "<fleetInstanceSet><item><launchTemplateAndOverrides><overrides><subnetId>"
                "subnet-0000000b</subnetId></overrides></launchTemplateAndOverrides><lifecycle>"
                "spot</lifecycle><instanceType>m7a.large</instanceType><instanceIds>",
                errors);
        for (int i = last; i >= first; i--) /* in no order */
                buf_add_format(&xml, "<item>i-%08x</item>", (unsigned)i);
        buf_add_string(&xml, "</instanceIds></item></fleetInstanceSet></CreateFleetResponse>");
        script_expect(stage->script, "POST", STAGE_EC2, body, 200, buf_string(&xml));
}

void fleet_last_token(struct stage *stage, char token[static 65])
{
        const char *found = strstr(script_last_body(stage->script), "&ClientToken=");

        assert_non_null(found);
        snprintf(token, 65, "%s", found + strlen("&ClientToken="));
        assert_int_equal(strspn(token, "0123456789abcdef"), 64);
}
