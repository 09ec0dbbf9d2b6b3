/* SPDX-License-Identifier: MIT */

/*
 * Asks EC2 what a denied call was about.
 */

#include "denied.h"

#include <errno.h>

#include "aws/ec2.h"

static bool is_a_machine(const struct ec2_instances *instances)
{
        for (size_t i = 0; i < instances->count; i++)
                if (ec2_instance_lives(&instances->items[i]) &&
                        ec2_instance_tag(&instances->items[i], "scale-agent:prefix"))
                        return true;
        return false;
}

int denied_explain(
        struct scaler *scaler, struct aws *aws, const char *instance, int r, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(ec2_instances_release) struct ec2_instances instances = {0};
        struct err denial;
        int described;

        if (r != -EACCES)
                return r;
        denial = *err;
        call = scaler_call(scaler, ec2_describe_instances(aws, &instance, 1));
        described = ec2_describe_instances_answer(call, &instances, err);
        if (described < 0)
                return err_prefix(err, described,
                        "a call was denied, and whose machine it is about"
                        " cannot be seen");
        if (is_a_machine(&instances)) {
                *err = denial;
                return r;
        }
        log_info(&scaler->log, "a machine that has ended, or is not ours, is left alone",
                LOG_TEXT("instance", instance));
        return DENIED_FOR_GOOD;
}
