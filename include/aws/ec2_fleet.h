/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A fleet of type instant: one call names many pools (an instance type in a subnet), and EC2
 * chooses among them. It answers once it has launched, and keeps nothing running afterwards.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html
 *
 * It cannot be told what RunInstances is told about shutdown and metadata: the launch template must
 * say that machines terminate on shutdown, require IMDSv2 and show their tags in the metadata.
 */

#include <stdbool.h>
#include <stddef.h>

#include "answer.h"
#include "aws.h"
#include "ec2.h"

struct ec2_pool {
        const char *instance_type;
        const char *subnet;
        unsigned priority; /* 0 is tried first; pools may share a priority */
};

struct ec2_fleet {
        const char *launch_template;         /* name, or id "lt-…" */
        const char *launch_template_version; /* "$Default", "$Latest", or a number */
        const struct ec2_pool *pools;        /* at most one subnet of each zone */
        size_t n_pools;
        bool spot;
        const char *strategy; /* of spot: "price-capacity-optimized", …;
                                 on demand: "prioritized" or "lowest-price" */
        unsigned count;
        const char *client_token;   /* at most 64 characters */
        const struct ec2_tag *tags; /* on fleet, instances and volumes */
        size_t n_tags;
};

/* The client token makes the call safe to repeat. */
struct http_call *ec2_create_fleet(struct aws *aws, const struct ec2_fleet *fleet);

/* Why EC2 did not launch in a pool. What is too long is cut. */
struct ec2_fleet_error {
        char code[64]; /* see ec2_classify() */
        char message[256];
        char instance_type[32]; /* "" where EC2 does not say */
        char subnet[EC2_ID_SIZE];
};

/* Further errors are dropped. */
#define EC2_FLEET_ERRORS_MAX 1000

struct ec2_launched {
        struct ec2_instances instances; /* in the order of their ids, which numbers them, too:
                                           see ec2_number_by_id(). Their state, account and tags are
                                           not known */
        struct ec2_fleet_error *errors; /* owned; there may be some beside instances */
        size_t n_errors;
};

void ec2_launched_release(struct ec2_launched *launched);

/* 0, also where nothing was launched; AWS_REFUSED (classify ret_error->code), or negative. */
int ec2_create_fleet_answer(const struct http_call *call, struct ec2_launched *ret,
        struct aws_error *ret_error, struct err *err);

/* Pure parser of that answer: 0, or -EBADMSG (RET is untouched then). */
int ec2_parse_fleet(const char *xml, size_t size, struct ec2_launched *ret, struct err *err);

/* Sorts N instances by their ids, and numbers them so (`launch_index`). EC2 counts the instances of
 * a fleet anew in each of its pools, so that its own numbers do not tell them apart. */
void ec2_number_by_id(struct ec2_instance *instances, size_t n);
