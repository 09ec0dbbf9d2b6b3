/* SPDX-License-Identifier: MIT */

/*
 * Doctor: what a fleet needs and cannot be told with the call: see EC2 chooses in scaler/README.md.
 */

#include <string.h>

#include "doctor.h"

#define ROLE "AWSServiceRoleForEC2Fleet"
#define ADVICE "`make stack` makes such a template, and the role"

static void judge_template(const struct config_spec *spec, const struct ec2_template *template,
        struct finding *finding)
{
        const char *hops = spec->job_metadata ? "2" : "1";
        const struct {
                const char *found;
                const char *needed;
                const char *name;
        } rows[] = {
                {template->shutdown, "terminate", "InstanceInitiatedShutdownBehavior"},
                {template->http_tokens, "required", "MetadataOptions.HttpTokens"},
                {template->tags_shown, "enabled", "MetadataOptions.InstanceMetadataTags"},
                /* EC2's default is 1, unless the image or the account says otherwise. */
                {template->hop_limit, hops, "MetadataOptions.HttpPutResponseHopLimit"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (strcmp(rows[i].found, rows[i].needed) != 0)
                        finding_fail(finding, ADVICE,
                                "spec %s has allocation %s, and launch template %s lacks %s: %s",
                                spec->name, spec->allocation, spec->launch_template, rows[i].name,
                                rows[i].needed);
        finding_say(finding, "%s: %s", spec->name, spec->allocation);
}

/* Who may not look at roles does not hear of it: the first launch would tell. */
static void judge_role(struct doctor *doctor, struct finding *finding)
{
        _cleanup_(http_call_freep) struct http_call *call =
                scaler_call(&doctor->scaler, iam_get_role(doctor->aws, ROLE));
        struct err err;
        int r = iam_get_role_answer(call, &err);

        if (r == IAM_NO_ROLE)
                finding_fail(finding,
                        "aws iam create-service-linked-role "
                        "--aws-service-name ec2fleet.amazonaws.com",
                        "the account has no role " ROLE);
        else if (r < 0)
                finding_say(finding, "whether the account has the role " ROLE " is not known: %s",
                        err.text);
}

void doctor_check_fleets(struct doctor *doctor, struct finding *finding)
{
        bool uses_fleet = false;

        if (!doctor_has_aws(doctor, finding))
                return;
        for (size_t i = 0; i < doctor->config->n_specs; i++) {
                const struct config_spec *spec = &doctor->config->specs[i];

                if (!config_spec_uses_fleet(spec))
                        continue;
                uses_fleet = true;
                if (doctor->templates && doctor->templates[i].id[0])
                        judge_template(spec, &doctor->templates[i], finding);
        }
        if (uses_fleet)
                judge_role(doctor, finding);
        else
                finding_skip(finding, "no spec leaves the choice to EC2");
}
