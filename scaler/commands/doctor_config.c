/* SPDX-License-Identifier: MIT */

/*
 * Doctor: what the functions read when they start: credentials, configuration, secrets. Unless the
 * environment says otherwise, they are read from where the stack's functions read them.
 */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "doctor.h"

#define PREFIX_DEFAULT "/scale-agent"

void doctor_check_aws(struct doctor *doctor, struct finding *finding)
{
        struct err err;

        if (scaler_aws(&doctor->scaler, &doctor->aws, &err) < 0) {
                doctor->aws = NULL;
                finding_fail(finding,
                        "export AWS_REGION=...; "
                        "eval \"$(aws configure export-credentials --format env)\"",
                        "%s", err.text);
                return;
        }
        finding_say(finding, "region %s", doctor->aws->region);
}

/* -- configuration -- */

/* Turns a path into a file: reference; a reference stays as it is. */
static char *as_reference(const char *name)
{
        static const char *const kinds[] = {"ssm:", "file:", "env:"};

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
                        return mem_string(name);
        return mem_format("file:%s", name);
}

/* Makes VARIABLE refer to the parameter PREFIX/NAME, unless it is set. */
static void set_default(const char *variable, const char *prefix, const char *name)
{
        _cleanup_free_ char *reference = mem_format("ssm:%s/%s", prefix, name);
        const char *present = getenv(variable);

        if (!present || !*present)
                (void)setenv(variable, reference, 1);
}

static void set_secrets(const char *prefix)
{
        set_default("GITHUB_WEBHOOK_SECRET", prefix, "github/webhook-secret");
        set_default("GITHUB_PRIVATE_KEY", prefix, "github/private-key");
        set_default("GITHUB_TOKEN", prefix, "github/token");
        set_default("GITHUB_APP_KEYS", prefix, "github/apps");
        set_default("GITHUB_ENTERPRISE_TOKEN", prefix, "github/enterprise-token");
}

void doctor_check_config(struct doctor *doctor, struct finding *finding)
{
        const char *prefix = doctor->prefix ? doctor->prefix : PREFIX_DEFAULT;
        const struct config *config;
        struct err err;

        if (doctor->config_reference) {
                _cleanup_free_ char *reference = as_reference(doctor->config_reference);

                (void)setenv("SCALE_AGENT_CONFIG", reference, 1);
        }
        set_default("SCALE_AGENT_CONFIG", prefix, "config");
        if (scaler_config(&doctor->scaler, &config, &err) < 0) {
                set_secrets(prefix);
                finding_fail(finding,
                        "`scaler check FILE` lists every fault; "
                        "`scaler setup --config FILE` stores a valid configuration",
                        "%s", err.text);
                return;
        }
        set_secrets(doctor->prefix ? doctor->prefix : config->prefix);
        doctor->config = config;
        finding_say(finding, "%s is valid: %zu spec%s", getenv("SCALE_AGENT_CONFIG"),
                config->n_specs, config->n_specs == 1 ? "" : "s");
        if (doctor->prefix && strcmp(doctor->prefix, config->prefix) != 0)
                finding_fail(finding,
                        "set `prefix` in the configuration to a slash and the prefix of the stack",
                        "its prefix is %s, not %s", config->prefix, doctor->prefix);
}

/* -- secrets -- */

static unsigned count_lines(const char *text)
{
        unsigned count = 0;

        for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
                count += *text != '\n' && *text != '\r';
        return count;
}

/* What people are told of VARIABLE: the reference in it, never a secret in it. */
static const char *place(const char *variable)
{
        const char *reference = getenv(variable);

        if (reference &&
                (strncmp(reference, "ssm:/", 5) == 0 || strncmp(reference, "file:/", 6) == 0))
                return reference;
        return variable;
}

void doctor_check_webhook_secret(struct doctor *doctor, struct finding *finding)
{
        const char *secrets = NULL;
        unsigned count;
        struct err err;

        if (scaler_webhook_secrets(&doctor->scaler, false, &secrets, &err) < 0) {
                finding_fail(finding, SETUP_ADVICE, "%s", err.text);
                return;
        }
        count = count_lines(secrets);
        if (count == 0)
                finding_fail(finding, SETUP_ADVICE, "%s is empty", place("GITHUB_WEBHOOK_SECRET"));
        else
                finding_say(finding, "%s holds %u secret%s", place("GITHUB_WEBHOOK_SECRET"), count,
                        count == 1 ? "" : "s, the newest first");
}

void doctor_check_github_secret(struct doctor *doctor, struct finding *finding)
{
        struct github *github;
        struct err err;
        char *jwt;

        if (!doctor->config) {
                finding_skip(finding, "there is no valid configuration");
                return;
        }
        if (scaler_github(&doctor->scaler, &github, &err) < 0) {
                finding_fail(finding, SETUP_ADVICE, "%s", err.text);
                return;
        }
        if (doctor->config->app_id) {
                if (github_app_jwt(github, &jwt, &err) < 0) {
                        finding_fail(finding, "`scaler setup` stores another one", "%s", err.text);
                        return;
                }
                mem_free_secret(jwt);
        }
        doctor->github = github;
        finding_say(finding,
                doctor->config->app_id ? "%s holds a private key that can sign"
                                       : "%s holds a personal token",
                place(doctor->config->app_id ? "GITHUB_PRIVATE_KEY" : "GITHUB_TOKEN"));
}
