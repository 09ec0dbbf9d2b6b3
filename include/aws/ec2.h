/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * EC2: launching one-time spot (or on-demand) instances, terminating and describing them.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
 */

#include <stdbool.h>
#include <stddef.h>

#include "answer.h"
#include "aws.h"
#include "ec2_errors.h"
#include "ec2_instances.h"

struct ec2_launch {
        const char *launch_template;         /* name, or id "lt-…" */
        const char *launch_template_version; /* "$Default", "$Latest", or a number */
        const char *instance_type;
        const char *subnet;
        bool spot;                  /* one-time, terminated on interruption */
        bool containers_metadata;   /* the metadata service answers containers, too */
        unsigned count;             /* MaxCount; MinCount is 1 */
        const char *client_token;   /* at most 64 characters */
        const struct ec2_tag *tags; /* on instance and volume */
        size_t n_tags;
};

/* Instances terminate on shutdown, require IMDSv2 (with a hop limit of 1, or 2 for containers), and
 * show their tags in the metadata. The client token makes the call safe to repeat. */
struct http_call *ec2_run_instances(struct aws *aws, const struct ec2_launch *launch);

/* 0, AWS_REFUSED (classify ret_error->code), or negative. -EBADMSG: XML that is cut off, has no
 * instance, or more than 1,000. */
int ec2_run_instances_answer(const struct http_call *call, struct ec2_instances *ret,
        struct aws_error *ret_error, struct err *err);

/* For EC2 it is no error to terminate an instance that ended within the last hour. The call is
 * repeated when EC2 does not know an instance, as it may not know a new one everywhere yet. */
struct http_call *ec2_terminate_instances(struct aws *aws, const char *const *ids, size_t n_ids);
/* 0, also for a single instance that EC2 no longer knows. -ENOENT when one of several cannot be
 * terminated: EC2 then leaves others alone as well, and each needs a call of its own. */
int ec2_terminate_instances_answer(const struct http_call *call, struct err *err);

/* Asks by filter, so that unknown ids are missing from the answer. At most 100 ids. */
struct http_call *ec2_describe_instances(struct aws *aws, const char *const *ids, size_t n_ids);
/* Asks for all instances of which FILTER ("tag:KEY", "client-token", …) has one of VALUES, in which
 * a star stands for any characters. At most 200 values. A new instance may be missing for a while,
 * and one that has ended is there for about an hour.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html */
struct http_call *ec2_find_instances(
        struct aws *aws, const char *filter, const char *const *values, size_t n_values);
/* A page of the instances that have not ended and whose tag TAG is VALUE. PAGE is the `next_page`
 * of the page before, NULL for the first. */
struct http_call *ec2_list_instances(
        struct aws *aws, const char *tag, const char *value, const char *page);
/* A page of the instances whose tags say spec SPEC and prefix PREFIX, ended ones included. */
struct http_call *ec2_find_of_spec(
        struct aws *aws, const char *prefix, const char *spec, const char *page);
/* The answer to each of these calls; `next_page` only of the last two. */
int ec2_describe_instances_answer(
        const struct http_call *call, struct ec2_instances *ret, struct err *err);

struct http_call *ec2_create_tags(
        struct aws *aws, const char *instance, const struct ec2_tag *tags, size_t n_tags);
/* Positive result: no such instance. */
#define EC2_NO_INSTANCE 1
int ec2_create_tags_answer(const struct http_call *call, struct err *err);
