/* SPDX-License-Identifier: MIT */

/*
 * Asks EC2 what exists, and Service Quotas how much of it the account may have. describe_xml.c
 * parses EC2's answers.
 */

#include "aws/describe.h"

#include <errno.h>
#include <string.h>

#include "aws/answer.h"
#include "base/json.h"
#include "base/mem.h"
#include "form.h"

#define ANSWER_MAX (8UL * 1024 * 1024)
#define FORM_MAX (256UL * 1024)

static struct http_call *describe(struct aws *aws, const char *action, const struct buf *form)
{
        struct http_call *call = aws_query_call(aws, AWS_EC2, action, buf_string(form));

        call->answer_limit = ANSWER_MAX;
        return call;
}

/* -- launch templates -- */

struct http_call *ec2_describe_template(struct aws *aws, const char *template, const char *version)
{
        _cleanup_buf_ struct buf form = BUF_INIT(FORM_MAX);

        form_add_template(&form, "", template);
        form_add(&form, "LaunchTemplateVersion.1", version);
        return describe(aws, "DescribeLaunchTemplateVersions", &form);
}

int ec2_describe_template_answer(
        const struct http_call *call, struct ec2_template *ret, struct err *err)
{
        struct aws_error error = {0};
        size_t count = 0;
        int r = aws_outcome(call, &error, err);

        /* InvalidLaunchTemplateName.NotFoundException, InvalidLaunchTemplateId.VersionNotFound */
        if (r == AWS_REFUSED)
                return strstr(error.code, "NotFound") ? EC2_NO_TEMPLATE
                                                      : aws_refused(call, &error, err);
        if (r < 0)
                return r;
        r = ec2_parse_templates(buf_string(&call->answer), call->answer.size, ret, &count, err);
        if (r < 0)
                return http_call_prefix(call, r, err);
        return count > 0 ? 0 : EC2_NO_TEMPLATE;
}

/* -- lists -- */

struct http_call *ec2_describe_images(struct aws *aws, const char *const *ids, size_t n_ids)
{
        _cleanup_buf_ struct buf form = BUF_INIT(FORM_MAX);

        form_add_filter(&form, 1, "image-id", ids, n_ids);
        return describe(aws, "DescribeImages", &form);
}

int ec2_describe_images_answer(
        const struct http_call *call, struct ec2_images *ret, struct err *err)
{
        int r = aws_accepted(call, err);

        if (r < 0)
                return r;
        r = ec2_parse_images(buf_string(&call->answer), call->answer.size, ret, err);
        return http_call_prefix(call, r, err);
}

struct http_call *ec2_describe_snapshots(struct aws *aws, const char *const *ids, size_t n_ids)
{
        _cleanup_buf_ struct buf form = BUF_INIT(FORM_MAX);

        form_add_filter(&form, 1, "snapshot-id", ids, n_ids);
        return describe(aws, "DescribeSnapshots", &form);
}

int ec2_describe_snapshots_answer(
        const struct http_call *call, struct ec2_snapshots *ret, struct err *err)
{
        int r = aws_accepted(call, err);

        if (r < 0)
                return r;
        r = ec2_parse_snapshots(buf_string(&call->answer), call->answer.size, ret, err);
        return http_call_prefix(call, r, err);
}

struct http_call *ec2_describe_subnets(struct aws *aws, const char *const *ids, size_t n_ids)
{
        _cleanup_buf_ struct buf form = BUF_INIT(FORM_MAX);

        form_add_filter(&form, 1, "subnet-id", ids, n_ids);
        return describe(aws, "DescribeSubnets", &form);
}

int ec2_describe_subnets_answer(
        const struct http_call *call, struct ec2_subnets *ret, struct err *err)
{
        int r = aws_accepted(call, err);

        if (r < 0)
                return r;
        r = ec2_parse_subnets(buf_string(&call->answer), call->answer.size, ret, err);
        return http_call_prefix(call, r, err);
}

struct http_call *ec2_describe_offerings(struct aws *aws, const char *const *types, size_t n_types,
        const char *const *zones, size_t n_zones)
{
        _cleanup_buf_ struct buf form = BUF_INIT(FORM_MAX);

        buf_add_string(&form, "&LocationType=availability-zone&MaxResults=1000");
        form_add_filter(&form, 1, "location", zones, n_zones);
        form_add_filter(&form, 2, "instance-type", types, n_types);
        return describe(aws, "DescribeInstanceTypeOfferings", &form);
}

int ec2_describe_offerings_answer(
        const struct http_call *call, struct ec2_offerings *ret, struct err *err)
{
        int r = aws_accepted(call, err);

        if (r < 0)
                return r;
        r = ec2_parse_offerings(buf_string(&call->answer), call->answer.size, ret, err);
        return http_call_prefix(call, r, err);
}

/* -- quotas -- */

struct http_call *quotas_get(struct aws *aws, const char *service, const char *quota)
{
        _cleanup_json_ cJSON *body = cJSON_CreateObject();

        json_add_string(body, "ServiceCode", service);
        json_add_string(body, "QuotaCode", quota);
        return aws_object_call(aws, AWS_SERVICE_QUOTAS, "GetServiceQuota", body);
}

int quotas_get_answer(const struct http_call *call, double *ret_value, struct err *err)
{
        _cleanup_json_ cJSON *answer = NULL;
        struct aws_error error = {0};
        const cJSON *value;
        int r = aws_outcome(call, &error, err);

        if (r == AWS_REFUSED)
                return strcmp(error.code, "NoSuchResourceException") == 0
                               ? QUOTAS_NOT_FOUND
                               : aws_refused(call, &error, err);
        if (r == 0)
                r = aws_json_answer(call, &answer, err);
        if (r < 0)
                return r;
        value = json_get(answer, "Quota.Value");
        if (!cJSON_IsNumber(value))
                return err_set(err, -EBADMSG, "%s: Quota.Value: a number is needed, found %s",
                        call->what, json_type_name(value));
        *ret_value = value->valuedouble;
        return 0;
}
