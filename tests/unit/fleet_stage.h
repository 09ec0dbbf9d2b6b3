/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The stage of `queued` where EC2 chooses: specs with an allocation, zones of subnets, and what
 * CreateFleet answers.
 */

#include "queued_stage.h"

#define FALLBACK 1 /* its number among the specs */

#define ERROR(code, type, subnet)                                                   \
        "<item><launchTemplateAndOverrides><overrides><instanceType>" type          \
        "</instanceType><subnetId>" subnet "</subnetId></overrides></launch"        \
        "TemplateAndOverrides><errorCode>" code "</errorCode><errorMessage>because" \
        "</errorMessage></item>"
#define NO_CAPACITY(type, subnet) \
        ERROR("InsufficientInstanceCapacity", type, "subnet-0000000" subnet)

#define POOL(n, type, subnet)                                                     \
        "&LaunchTemplateConfigs.1.Overrides." n ".InstanceType=" type             \
        "&LaunchTemplateConfigs.1.Overrides." n ".SubnetId=subnet-0000000" subnet \
        "&LaunchTemplateConfigs.1.Overrides." n ".Priority="
#define ON_DEMAND "DefaultTargetCapacityType=on-demand"
#define SPOT "DefaultTargetCapacityType=spot"

void fleet_choose(struct config_spec *spec, const char *allocation);
void fleet_add_subnet(struct config_spec *spec, const char *subnet);
void fleet_add_zone(struct scaler *scaler, const char *subnet, const char *zone);

/* The stage with fleets, whose subnets a and b are in zones of their own. */
int fleet_set_up(void **state);

/* EC2 launches the instances FIRST to LAST for such a request, and says ERRORS. */
void expect_fleet(struct stage *stage, const char *body, int first, int last, const char *errors);

/* The client token of the last request. */
void fleet_last_token(struct stage *stage, char token[static 65]);
