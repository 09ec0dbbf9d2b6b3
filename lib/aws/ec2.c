/* SPDX-License-Identifier: MIT */

/*
 * Launches, terminates, describes and tags instances, and knows what EC2's errors ask us to do.
 */

#include "aws/ec2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "base/mem.h"
#include "ec2_call.h"
#include "form.h"

/* Instances on a page of a list: some 5 KB of XML each. */
#define LIST_PAGE "400"
#define LIST_ANSWER_MAX (8UL * 1024 * 1024)

/* A new instance may not be known everywhere in EC2 yet. */
static enum http_verdict judge_terminate(const struct http_call *call)
{
        struct aws_error error = {0};

        if (aws_outcome(call, &error, NULL) == AWS_REFUSED &&
                strcmp(error.code, "InvalidInstanceID.NotFound") == 0)
                return HTTP_AGAIN;
        return ec2_judge(call);
}

/* -- calls -- */

/* Options of every launch. */
static const char launch_always[] = "&InstanceInitiatedShutdownBehavior=terminate"
                                    "&MetadataOptions.HttpTokens=required"
                                    "&MetadataOptions.InstanceMetadataTags=enabled";
/* A container is one hop away from its machine. */
static const char launch_hops[] = "&MetadataOptions.HttpPutResponseHopLimit=";
static const char launch_spot[] =
        "&InstanceMarketOptions.MarketType=spot"
        "&InstanceMarketOptions.SpotOptions.SpotInstanceType=one-time"
        "&InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior=terminate";

struct http_call *ec2_run_instances(struct aws *aws, const struct ec2_launch *launch)
{
        static const char *const tagged[] = {"instance", "volume"};
        _cleanup_buf_ struct buf form = BUF_INIT(EC2_FORM_MAX);
        struct http_call *call;

        buf_add_format(&form, "&MinCount=1&MaxCount=%u", launch->count);
        form_add_template(&form, "LaunchTemplate.", launch->launch_template);
        form_add(&form, "LaunchTemplate.Version", launch->launch_template_version);
        form_add(&form, "InstanceType", launch->instance_type);
        form_add(&form, "SubnetId", launch->subnet);
        form_add(&form, "ClientToken", launch->client_token);
        buf_add_string(&form, launch_always);
        buf_add_format(&form, "%s%d", launch_hops, launch->containers_metadata ? 2 : 1);
        if (launch->spot)
                buf_add_string(&form, launch_spot);
        ec2_add_launch_tags(&form, tagged, ARRAY_SIZE(tagged), launch->tags, launch->n_tags);
        call = ec2_call(aws, "RunInstances", &form);
        call->try_timeout_ms = EC2_LAUNCH_TRY_MS;
        call->timeout_ms = EC2_LAUNCH_MS;
        return call;
}

int ec2_run_instances_answer(const struct http_call *call, struct ec2_instances *ret,
        struct aws_error *ret_error, struct err *err)
{
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        int r;

        r = aws_outcome(call, ret_error, err);
        if (r != 0)
                return r;
        r = ec2_parse_instances(buf_string(&call->answer), call->answer.size, &instances, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        if (instances.count == 0)
                return err_set(err, -EBADMSG, "%s: EC2's answer holds no instance", call->what);
        *ret = instances;
        instances = (struct ec2_instances){0};
        return 0;
}

struct http_call *ec2_terminate_instances(struct aws *aws, const char *const *ids, size_t n_ids)
{
        _cleanup_buf_ struct buf form = BUF_INIT(EC2_FORM_MAX);
        struct http_call *call;

        form_add_list(&form, "InstanceId", ids, n_ids);
        call = ec2_call(aws, "TerminateInstances", &form);
        call->judge = judge_terminate;
        return call;
}

/* For any of these, which one instance causes, EC2 leaves others alone as well: it does not know
 * the one, a person protects it from being terminated, or it lost the tag that our role needs.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html */
static bool is_of_one(const char *code)
{
        static const char *const codes[] = {
                "InvalidInstanceID.NotFound",
                "InvalidInstanceID.Malformed",
                "OperationNotPermitted",
                "UnauthorizedOperation",
        };

        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if (strcmp(code, codes[i]) == 0)
                        return true;
        return false;
}

int ec2_terminate_instances_answer(const struct http_call *call, struct err *err)
{
        struct aws_error error = {0};
        int r = aws_outcome(call, &error, err);

        if (r != AWS_REFUSED)
                return r;
        if (is_of_one(error.code) && strstr(buf_string(&call->body), "&InstanceId.2=")) {
                aws_refused(call, &error, err);
                return err_prefix(err, -ENOENT, "EC2 did not terminate all of several instances");
        }
        if (strcmp(error.code, "InvalidInstanceID.NotFound") == 0)
                return 0;
        return aws_refused(call, &error, err);
}

struct http_call *ec2_find_instances(
        struct aws *aws, const char *filter, const char *const *values, size_t n_values)
{
        _cleanup_buf_ struct buf form = BUF_INIT(EC2_FORM_MAX);

        form_add_filter(&form, 1, filter, values, n_values);
        return ec2_call(aws, "DescribeInstances", &form);
}

struct http_call *ec2_describe_instances(struct aws *aws, const char *const *ids, size_t n_ids)
{
        return ec2_find_instances(aws, "instance-id", ids, n_ids);
}

/* PAGE is NULL for the first one. */
static struct http_call *list_call(struct aws *aws, struct buf *form, const char *page)
{
        struct http_call *call;

        form_add(form, "MaxResults", LIST_PAGE);
        if (page)
                form_add(form, "NextToken", page);
        call = ec2_call(aws, "DescribeInstances", form);
        call->answer_limit = LIST_ANSWER_MAX;
        return call;
}

struct http_call *ec2_list_instances(
        struct aws *aws, const char *tag, const char *value, const char *page)
{
        static const char *const states[] = {"pending", "running", "stopping", "stopped"};
        _cleanup_buf_ struct buf form = BUF_INIT(EC2_FORM_MAX);
        _cleanup_free_ char *filter = mem_format("tag:%s", tag);

        form_add_filter(&form, 1, filter, &value, 1);
        form_add_filter(&form, 2, "instance-state-name", states, ARRAY_SIZE(states));
        return list_call(aws, &form, page);
}

struct http_call *ec2_find_of_spec(
        struct aws *aws, const char *prefix, const char *spec, const char *page)
{
        _cleanup_buf_ struct buf form = BUF_INIT(EC2_FORM_MAX);

        form_add_filter(&form, 1, "tag:scale-agent:spec", &spec, 1);
        form_add_filter(&form, 2, "tag:scale-agent:prefix", &prefix, 1);
        return list_call(aws, &form, page);
}

int ec2_describe_instances_answer(
        const struct http_call *call, struct ec2_instances *ret, struct err *err)
{
        int r = aws_accepted(call, err);

        if (r < 0)
                return r;
        r = ec2_parse_instances(buf_string(&call->answer), call->answer.size, ret, err);
        return http_call_prefix(call, r, err);
}

struct http_call *ec2_create_tags(
        struct aws *aws, const char *instance, const struct ec2_tag *tags, size_t n_tags)
{
        _cleanup_buf_ struct buf form = BUF_INIT(EC2_FORM_MAX);

        form_add(&form, "ResourceId.1", instance);
        ec2_add_tags(&form, "Tag", tags, n_tags);
        return ec2_call(aws, "CreateTags", &form);
}

int ec2_create_tags_answer(const struct http_call *call, struct err *err)
{
        struct aws_error error = {0};
        int r = aws_outcome(call, &error, err);

        if (r != AWS_REFUSED)
                return r;
        if (strcmp(error.code, "InvalidInstanceID.NotFound") == 0)
                return EC2_NO_INSTANCE;
        return aws_refused(call, &error, err);
}
