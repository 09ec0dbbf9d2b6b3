/* SPDX-License-Identifier: MIT */

/*
 * Doctor: what machines are launched from (launch template, image, profile) and into (subnets).
 */

#include <stdlib.h>
#include <string.h>

#include "aws/instance_type.h"
#include "base/mem.h"
#include "doctor.h"

#define IDS_MAX 200

/* A set of ids, borrowed. */
struct ids {
        const char *items[IDS_MAX];
        size_t count;
};

static void ids_add(struct ids *ids, const char *id)
{
        for (size_t i = 0; i < ids->count; i++)
                if (strcmp(ids->items[i], id) == 0)
                        return;
        if (ids->count < IDS_MAX)
                ids->items[ids->count++] = id;
}

/* -- launch templates -- */

size_t doctor_same_template(const struct config *config, size_t index)
{
        const struct config_spec *spec = &config->specs[index];

        for (size_t i = 0; i < index; i++)
                if (strcmp(config->specs[i].launch_template, spec->launch_template) == 0 &&
                        strcmp(config->specs[i].launch_template_version,
                                spec->launch_template_version) == 0)
                        return i;
        return index;
}

static void read_template(struct doctor *doctor, size_t index, struct finding *finding)
{
        const struct config_spec *spec = &doctor->config->specs[index];
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                &doctor->scaler, ec2_describe_template(doctor->aws, spec->launch_template,
                                         spec->launch_template_version));
        struct err err;
        int r;

        r = ec2_describe_template_answer(call, &doctor->templates[index], &err);
        if (r == EC2_NO_TEMPLATE)
                finding_fail(finding,
                        "`make stack` creates one, named as its prefix: "
                        "set specs[].launch_template to it",
                        "spec %s: there is no launch template %s, version %s", spec->name,
                        spec->launch_template, spec->launch_template_version);
        else if (r < 0)
                finding_fail(finding, NULL, "spec %s: %s", spec->name, err.text);
        else
                finding_say(finding, "%s, version %s: %s", spec->launch_template,
                        doctor->templates[index].version,
                        doctor->templates[index].image[0] ? doctor->templates[index].image
                                                          : "no image");
}

void doctor_check_templates(struct doctor *doctor, struct finding *finding)
{
        const struct config *config = doctor->config;

        if (!doctor_has_aws(doctor, finding))
                return;
        doctor->templates = mem_alloc(config->n_specs * sizeof(*doctor->templates));
        for (size_t i = 0; i < config->n_specs; i++) {
                size_t same = doctor_same_template(config, i);

                if (same == i)
                        read_template(doctor, i, finding);
                else
                        doctor->templates[i] = doctor->templates[same];
        }
}

/* Whether there is any template; if not, FINDING is skipped. */
static bool has_template(const struct doctor *doctor, struct finding *finding)
{
        for (size_t i = 0; doctor->templates && i < doctor->config->n_specs; i++)
                if (doctor->templates[i].id[0])
                        return true;
        finding_skip(finding, "no launch template was found");
        return false;
}

/* -- images -- */

const struct ec2_image *doctor_image(const struct doctor *doctor, size_t index)
{
        for (size_t i = 0; i < doctor->images.count; i++)
                if (strcmp(doctor->images.items[i].id, doctor->templates[index].image) == 0)
                        return &doctor->images.items[i];
        return NULL;
}

/* Whether an instance of TYPE can boot an image of ARCHITECTURE. */
static bool can_boot(const char *type, const char *architecture)
{
        const struct instance_family *family = instance_family_find(type);
        bool is_arm64 = strcmp(architecture, "arm64") == 0;

        return !family || !*architecture || (family->architecture == INSTANCE_ARM64) == is_arm64;
}

static void judge_image(const struct config_spec *spec, const char *id,
        const struct ec2_image *image, struct finding *finding)
{
        static const char advice[] = "build one, and `make stack AMI=...`";

        if (!image)
                finding_fail(finding, advice,
                        "spec %s: image %s does not exist, or is not shared with this account",
                        spec->name, *id ? id : "(none in the launch template)");
        else if (strcmp(image->state, "available") != 0)
                finding_fail(finding, advice, "spec %s: image %s is %s, not available", spec->name,
                        id, image->state);
        else if (!can_boot(spec->instance_type, image->architecture))
                finding_fail(finding,
                        "make a launch template for each architecture, "
                        "and set specs[].launch_template to it",
                        "spec %s: image %s is for %s, and %s is not", spec->name, id,
                        image->architecture, spec->instance_type);
        else if (image->job_metadata[0] &&
                 (strcmp(image->job_metadata, "allow") == 0) != spec->job_metadata)
                finding_fail(finding,
                        "set specs[].job_metadata as the image's JOB_METADATA, or build another",
                        "spec %s: image %s has JOB_METADATA=%s, and job_metadata is %s", spec->name,
                        id, image->job_metadata, spec->job_metadata ? "true" : "false");
        else
                finding_say(finding, "%s is available", id);
}

/* Whether IMAGE is an SSM parameter that names the image, which EC2 reads at launch. */
static bool is_resolved_later(const char *image)
{
        return strncmp(image, "resolve:", 8) == 0;
}

void doctor_check_images(struct doctor *doctor, struct finding *finding)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        const struct config *config = doctor->config;
        struct ids ids = {.count = 0};
        struct err err;

        if (!has_template(doctor, finding))
                return;
        for (size_t i = 0; i < config->n_specs; i++)
                if (strncmp(doctor->templates[i].image, "ami-", 4) == 0)
                        ids_add(&ids, doctor->templates[i].image);
        if (ids.count > 0) {
                call = scaler_call(
                        &doctor->scaler, ec2_describe_images(doctor->aws, ids.items, ids.count));
                if (ec2_describe_images_answer(call, &doctor->images, &err) < 0) {
                        finding_fail(finding, NULL, "%s", err.text);
                        return;
                }
        }
        for (size_t i = 0; i < config->n_specs; i++) {
                const char *id = doctor->templates[i].image;

                if (!doctor->templates[i].id[0] ||
                        (doctor_same_template(config, i) != i &&
                                strcmp(config->specs[i].instance_type,
                                        config->specs[doctor_same_template(config, i)]
                                                .instance_type) == 0))
                        continue;
                if (is_resolved_later(id))
                        finding_say(finding, "%s is looked up at launch", id);
                else
                        judge_image(&config->specs[i], id, doctor_image(doctor, i), finding);
        }
}

/* -- the agent's profile -- */

void doctor_check_profile(struct doctor *doctor, struct finding *finding)
{
        const struct config *config = doctor->config;

        if (!has_template(doctor, finding))
                return;
        for (size_t i = 0; i < config->n_specs; i++) {
                const struct ec2_template *template = &doctor->templates[i];
                const char *name = config->specs[i].launch_template;

                if (!template->id[0] || doctor_same_template(config, i) != i)
                        continue;
                if (!template->profile[0])
                        finding_fail(finding,
                                "give it the stack's RunnerProfile: "
                                "without it the agent cannot read its hand-over",
                                "launch template %s has no instance profile", name);
                /* The scaler asks for IMDSv2 with each launch; other users of the template may not.
                 */
                if (strcmp(template->http_tokens, "required") != 0)
                        finding_fail(finding, "MetadataOptions: HttpTokens: required",
                                "launch template %s does not require IMDSv2", name);
                finding_say(finding, "%s: %s", name, template->profile);
        }
}

/* -- subnets -- */

static const struct ec2_subnet *find_subnet(const struct ec2_subnets *subnets, const char *id)
{
        for (size_t i = 0; i < subnets->count; i++)
                if (strcmp(subnets->items[i].id, id) == 0)
                        return &subnets->items[i];
        return NULL;
}

static void judge_subnet(const char *id, const struct ec2_subnet *subnet, struct finding *finding)
{
        if (!subnet)
                finding_fail(finding, "correct specs[].subnets, or AWS_REGION",
                        "subnet %s does not exist in this region", id);
        else if (strcmp(subnet->state, "available") != 0)
                finding_fail(finding, NULL, "subnet %s is %s, not available", id, subnet->state);
        else if (strtol(subnet->free_addresses, NULL, 10) <= 0)
                finding_fail(finding, "use another subnet, or a larger one",
                        "subnet %s in %s has no free address", id, subnet->zone);
        else
                finding_say(finding, "%s in %s has %s free addresses", id, subnet->zone,
                        subnet->free_addresses);
}

void doctor_check_subnets(struct doctor *doctor, struct finding *finding)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        const struct config *config = doctor->config;
        struct ids ids = {.count = 0};
        struct err err;

        if (!doctor_has_aws(doctor, finding))
                return;
        for (size_t i = 0; i < config->n_specs; i++)
                for (size_t j = 0; j < config->specs[i].n_subnets; j++)
                        ids_add(&ids, config->specs[i].subnets[j]);
        call = scaler_call(
                &doctor->scaler, ec2_describe_subnets(doctor->aws, ids.items, ids.count));
        if (ec2_describe_subnets_answer(call, &doctor->subnets, &err) < 0) {
                finding_fail(finding, NULL, "%s", err.text);
                return;
        }
        for (size_t i = 0; i < ids.count; i++)
                judge_subnet(ids.items[i], find_subnet(&doctor->subnets, ids.items[i]), finding);
}
