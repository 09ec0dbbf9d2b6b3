/* SPDX-License-Identifier: MIT */

/*
 * Doctor: where hand-overs wait, and whether the store takes as many as the functions make.
 */

#include <stdlib.h>
#include <string.h>

#include "aws/ssm.h"
#include "base/mem.h"
#include "doctor.h"

/* What the stack lets `queued` do at the same time: five batches of ten. */
#define AT_ONCE 50
/* New parameters that SSM takes in a second, in the whole account: what users and AWS's support
 * report. AWS publishes no number. */
#define PUTS "about 3 new ones a second"
#define PUTS_HIGH "about 10 new ones a second"

static void judge_throughput(const char *value, struct finding *finding)
{
        if (strcmp(value, "true") == 0)
                finding_say(finding,
                        "in SSM, with higher throughput: " PUTS_HIGH " in the account, and up to "
                        "%d jobs are launched at once; hand_over \"s3\" has no such limit",
                        AT_ONCE);
        else
                finding_say(finding,
                        "in SSM: " PUTS " in the account, and up to %d jobs are launched at once: "
                        "machines of larger bursts wait; hand_over \"s3\" (make stack "
                        "HAND_OVER=s3) has no such limit, SSM_HIGH_THROUGHPUT=1 a higher one",
                        AT_ONCE);
}

void doctor_check_hand_over(struct doctor *doctor, struct finding *finding)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_free_ char *value = NULL;
        struct err err;

        if (!doctor_has_aws(doctor, finding))
                return;
        if (strcmp(doctor->config->hand_over, CONFIG_HAND_OVER_S3) == 0) {
                finding_say(finding, "in S3, which takes thousands a second");
                return;
        }
        call = scaler_call(&doctor->scaler, ssm_get_setting(doctor->aws, SSM_SETTING_THROUGHPUT));
        if (ssm_get_setting_answer(call, &value, &err) < 0)
                finding_fail(finding, NULL, "%s", err.text);
        else
                judge_throughput(value, finding);
}
