/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Instances, as EC2 describes them in its answers to RunInstances and DescribeInstances.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* "i-" and 17 digits, and room for what EC2 may add */
#define EC2_ID_SIZE 32

/* Whether TEXT (may be NULL) looks like an instance id, as all our runners' names do. */
bool ec2_is_instance_id(const char *text);

struct ec2_tag {
        const char *key;
        const char *value;
};

struct ec2_instance {
        char id[EC2_ID_SIZE];
        char type[32];
        char zone[32];
        char subnet[EC2_ID_SIZE];
        char account[16]; /* the owner, for the instance's ARN; may be "" */
        char state[24];   /* "pending", "running", "terminated", … */
        /* Why it ended: "Server.SpotInstanceTermination", "Client.InstanceInitiatedShutdown", … */
        char state_reason[64];
        bool spot;
        int64_t launched_ms; /* wall clock; 0 where EC2 does not say */
        /* AmiLaunchIndex: its number among the instances of one RunInstances, from 0 on. */
        unsigned launch_index;
        struct {
                char key[129];
                char value[257]; /* cut where it is longer in UTF-8 */
        } * tags;                /* owned */
        size_t n_tags;
};

struct ec2_instances {
        struct ec2_instance *items; /* owned */
        size_t count;
        char *next_page; /* of a long list: see ec2_list_instances(); NULL: the last; owned */
};

/* Whether it is "pending" or "running". The answer to RunInstances may name no state. */
bool ec2_instance_lives(const struct ec2_instance *instance);
/* Whether it has ended and has no tags: EC2 takes them away, soon after the end, and later forgets
 * the instance as well.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html */
bool ec2_instance_fades(const struct ec2_instance *instance);

void ec2_instances_release(struct ec2_instances *instances);
/* Moves what is in PAGE to the end of ALL, and what says where the next page begins. */
void ec2_instances_add(struct ec2_instances *all, struct ec2_instances *page);
/* The value of tag KEY, or NULL. Borrowed. */
const char *ec2_instance_tag(const struct ec2_instance *instance, const char *key);

/* Pure parser of both answers: 0, also for an empty list, or -EBADMSG (RET is untouched then). */
int ec2_parse_instances(const char *xml, size_t size, struct ec2_instances *ret, struct err *err);
