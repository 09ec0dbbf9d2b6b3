/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `scaler doctor`: checks a deployment from end to end, as its functions see it. Each check is a
 * row of the table in doctor.c and fills one finding. Doctor goes on after a failed check; a later
 * check that needs what the failed one was to find is skipped, and says so.
 */

#include <stdbool.h>

#include "aws/describe.h"
#include "base/buf.h"
#include "commands.h"
#include "github/app.h"
#include "github_app.h"
#include "scaler.h"

enum finding_result {
        FINDING_OK,
        FINDING_FAILED,
        FINDING_SKIPPED,
};

struct finding {
        enum finding_result result;
        struct buf text;
        const char *advice; /* what to do; a literal, or NULL */
};

/* Each of these adds to the text. A failed finding stays failed, and tells only failures. */
void finding_say(struct finding *finding, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
void finding_fail(struct finding *finding, const char *advice, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void finding_skip(struct finding *finding, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

struct doctor {
        struct scaler scaler;
        const char *config_reference; /* of --config, or NULL */
        const char *prefix;           /* of --prefix, or NULL */

        /* What the checks have found so far; NULL or empty: nothing. */
        struct aws *aws;
        const struct config *config;
        struct github *github;
        struct github_app app; /* has a name once GitHub has accepted it */
        struct github_installations installations;
        struct ec2_template *templates; /* one for each spec; has no id if it does not exist */
        struct ec2_images images;
        struct ec2_subnets subnets;
};

/* Whether there is what a check needs; if not, FINDING is skipped and says so. */
bool doctor_has_aws(const struct doctor *doctor, struct finding *finding); /* and config */
bool doctor_has_app(const struct doctor *doctor, struct finding *finding);

/* What to do about a secret that is missing. */
#define SETUP_ADVICE "`scaler setup` stores it"

/* doctor_config.c */
void doctor_check_aws(struct doctor *doctor, struct finding *finding);
void doctor_check_config(struct doctor *doctor, struct finding *finding);
void doctor_check_webhook_secret(struct doctor *doctor, struct finding *finding);
void doctor_check_github_secret(struct doctor *doctor, struct finding *finding);

/* doctor_github.c */
#define DOCTOR_SCOPES_MAX 5
/* Where the configuration registers runners, as far as it names them: how many. */
size_t doctor_scopes(
        const struct config *config, char scopes[static DOCTOR_SCOPES_MAX][GITHUB_SCOPE_SIZE]);
void doctor_check_app(struct doctor *doctor, struct finding *finding);
void doctor_check_permissions(struct doctor *doctor, struct finding *finding);
void doctor_check_installations(struct doctor *doctor, struct finding *finding);
/* Says SCOPE, or why the token may not administer its runners. */
void doctor_try_token(struct doctor *doctor, const char *scope, struct finding *finding);
void doctor_check_token(struct doctor *doctor, struct finding *finding);
void doctor_check_hook(struct doctor *doctor, struct finding *finding);
void doctor_check_deliveries(struct doctor *doctor, struct finding *finding);

/* doctor_apps.c */
void doctor_check_additional_apps(struct doctor *doctor, struct finding *finding);
void doctor_check_enterprise(struct doctor *doctor, struct finding *finding);

/* doctor_machine.c */
void doctor_check_templates(struct doctor *doctor, struct finding *finding);
void doctor_check_images(struct doctor *doctor, struct finding *finding);
/* The first spec that has the launch template of the one at INDEX, in the same version. */
size_t doctor_same_template(const struct config *config, size_t index);
/* The image of that spec's launch template; NULL if it was not found. */
const struct ec2_image *doctor_image(const struct doctor *doctor, size_t index);
void doctor_check_profile(struct doctor *doctor, struct finding *finding);
void doctor_check_subnets(struct doctor *doctor, struct finding *finding);

/* doctor_fleet.c */
void doctor_check_fleets(struct doctor *doctor, struct finding *finding);

/* doctor_runner.c */
void doctor_check_runner(struct doctor *doctor, struct finding *finding);

/* doctor_encryption.c */
void doctor_check_encryption(struct doctor *doctor, struct finding *finding);

/* doctor_hand_over.c */
void doctor_check_hand_over(struct doctor *doctor, struct finding *finding);

/* doctor_capacity.c */
void doctor_check_types(struct doctor *doctor, struct finding *finding);
void doctor_check_quota(struct doctor *doctor, struct finding *finding);
