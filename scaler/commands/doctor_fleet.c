/* SPDX-License-Identifier: MIT */

/*
 * Doctor: what a fleet needs and cannot be told with the call: see EC2 chooses in scaler/README.md.
 * (An instant fleet needs no service-linked role.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-prerequisites.html)
 */

#include <string.h>

#include "doctor.h"

#define ADVICE "`make stack` makes such a template"

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
        if (!uses_fleet)
                finding_skip(finding, "no spec leaves the choice to EC2");
}
