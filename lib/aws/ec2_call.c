/* SPDX-License-Identifier: MIT */

/*
 * See ec2_call.h.
 */

#include "ec2_call.h"

#include "aws/answer.h"
#include "aws/ec2_errors.h"
#include "base/mem.h"

/* A described instance takes 5 to 8 KB, and there may be a hundred. */
#define ANSWER_MAX (8UL * 1024 * 1024)

/* EC2 sends HTTP 500 also when it has no capacity, so the code decides. The status does where there
 * is no known code, as in the page of a load balancer. */
enum http_verdict ec2_judge(const struct http_call *call)
{
        enum ec2_error_class class;
        struct aws_error error = {0};

        if (aws_outcome(call, &error, NULL) != AWS_REFUSED)
                return aws_judge(call);
        class = ec2_classify(error.code);
        if (class == EC2_ERROR_UNKNOWN)
                return aws_judge(call);
        return class == EC2_ERROR_THROTTLED || class == EC2_ERROR_UNSURE ? HTTP_AGAIN : HTTP_DONE;
}

void ec2_add_tags(struct buf *form, const char *name, const struct ec2_tag *tags, size_t n_tags)
{
        for (size_t i = 0; i < n_tags; i++) {
                buf_add_format(form, "&%s.%zu.Key=", name, i + 1);
                buf_add_form(form, tags[i].key);
                buf_add_format(form, "&%s.%zu.Value=", name, i + 1);
                buf_add_form(form, tags[i].value);
        }
}

void ec2_add_launch_tags(struct buf *form, const char *const *kinds, size_t n_kinds,
        const struct ec2_tag *tags, size_t n_tags)
{
        for (size_t i = 0; i < n_kinds && n_tags > 0; i++) {
                _cleanup_free_ char *name = mem_format("TagSpecification.%zu.Tag", i + 1);

                buf_add_format(form, "&TagSpecification.%zu.ResourceType=%s", i + 1, kinds[i]);
                ec2_add_tags(form, name, tags, n_tags);
        }
}

struct http_call *ec2_call(struct aws *aws, const char *action, const struct buf *form)
{
        struct http_call *call = aws_query_call(aws, AWS_EC2, action, buf_string(form));

        call->answer_limit = ANSWER_MAX;
        call->judge = ec2_judge;
        return call;
}
