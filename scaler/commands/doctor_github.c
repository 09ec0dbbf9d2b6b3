/* SPDX-License-Identifier: MIT */

/*
 * Doctor: what GitHub says of the App and its installations, or of the personal token.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "doctor.h"

static struct http_call *ask(struct doctor *doctor, github_question question, struct err *err)
{
        return ask_github(&doctor->scaler, doctor->github, question, err);
}

/* -- the App -- */

void doctor_check_app(struct doctor *doctor, struct finding *finding)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct err err;

        if (doctor->config && !doctor->config->app_id)
                finding_skip(finding, "a personal token is used, no App");
        else if (!doctor->github)
                finding_skip(finding, "there is no private key to ask with");
        if (finding->result == FINDING_SKIPPED)
                return;
        call = ask(doctor, github_get_app, &err);
        if (!call || github_get_app_answer(call, &doctor->app, &err) < 0)
                finding_fail(finding,
                        "compare github.app_id with the App's settings at GitHub; "
                        "`scaler setup` stores its private key",
                        "App %s: %s", doctor->config->app_id, err.text);
        else
                finding_say(finding, "GitHub accepts App %s, %s of %s", doctor->config->app_id,
                        doctor->app.name, doctor->app.owner);
}

void doctor_check_permissions(struct doctor *doctor, struct finding *finding)
{
        _cleanup_buf_ struct buf names = BUF_INIT(512);
        unsigned needs = grants_wanted(doctor->config);
        unsigned missing = needs & ~doctor->app.grants;

        if (!doctor_has_app(doctor, finding))
                return;
        github_name_grants(missing ? missing : needs, &names);
        if (missing)
                finding_fail(finding,
                        grants_needed(doctor->config) & ~doctor->app.grants ? GRANTS_ADVICE
                                                                            : WANTED_ADVICE,
                        "the App lacks %s", buf_string(&names));
        else
                finding_say(finding, "%s", buf_string(&names));
}

/* -- installations -- */

static void judge_installation(const struct doctor *doctor,
        const struct github_installation *installation, struct finding *finding)
{
        _cleanup_buf_ struct buf names = BUF_INIT(512);
        unsigned missing =
                grants_wanted(doctor->config) & doctor->app.grants & ~installation->grants;

        if (!config_allows_installation(doctor->config, installation->id))
                return;
        github_name_grants(missing, &names);
        if (installation->suspended)
                finding_fail(finding, "GitHub, the account's settings: GitHub Apps, unsuspend",
                        "%s (%" PRId64 ") is suspended", installation->account, installation->id);
        else if (missing)
                finding_fail(finding,
                        "an owner of the account accepts the new permissions: "
                        "settings, GitHub Apps",
                        "%s (%" PRId64 ") lacks %s", installation->account, installation->id,
                        buf_string(&names));
        else
                finding_say(finding, "%s (%" PRId64 ")", installation->account, installation->id);
}

static bool is_installed(
        const struct github_installations *installations, const char *account, size_t size)
{
        for (size_t i = 0; i < installations->count; i++)
                if (strlen(installations->items[i].account) == size &&
                        strncasecmp(installations->items[i].account, account, size) == 0)
                        return true;
        return false;
}

static bool has_id(const struct github_installations *installations, int64_t id)
{
        for (size_t i = 0; i < installations->count; i++)
                if (installations->items[i].id == id)
                        return true;
        return false;
}

/* Fails for what the configuration names and INSTALLATIONS lacks. */
static void judge_missing(const struct config *config,
        const struct github_installations *installations, struct finding *finding)
{
        for (size_t i = 0; i < config->n_installations; i++)
                if (!has_id(installations, config->installations[i]))
                        finding_fail(finding,
                                "compare github.installations "
                                "with the URLs of the installations at GitHub",
                                "there is no installation %" PRId64, config->installations[i]);
        for (size_t i = 0; i < config->n_repositories; i++) {
                const char *name = config->repositories[i];
                size_t size = strcspn(name, "/");

                if (!is_installed(installations, name, size))
                        finding_fail(finding, "GitHub, the App's settings: Install App",
                                "the App is not installed for %.*s (%s)", (int)size, name, name);
        }
}

void doctor_check_installations(struct doctor *doctor, struct finding *finding)
{
        struct github_installations *installations = &doctor->installations;
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        struct err err;

        if (!doctor_has_app(doctor, finding))
                return;
        call = ask(doctor, github_list_installations, &err);
        if (!call || github_list_installations_answer(call, installations, &err) < 0) {
                finding_fail(finding, NULL, "%s", err.text);
                return;
        }
        for (size_t i = 0; i < installations->count; i++)
                judge_installation(doctor, &installations->items[i], finding);
        if (installations->count < 100)
                judge_missing(doctor->config, installations, finding);
}

/* -- a personal token -- */

size_t doctor_scopes(
        const struct config *config, char scopes[static DOCTOR_SCOPES_MAX][GITHUB_SCOPE_SIZE])
{
        size_t count = 0;

        for (size_t i = 0; i < config->n_specs && count < DOCTOR_SCOPES_MAX; i++)
                if (config->specs[i].organization)
                        snprintf(scopes[count++], GITHUB_SCOPE_SIZE, "orgs/%s",
                                config->specs[i].organization);
                else if (config->specs[i].enterprise)
                        snprintf(scopes[count++], GITHUB_SCOPE_SIZE, "enterprises/%s",
                                config->specs[i].enterprise);
        for (size_t i = 0; i < config->n_repositories && count < DOCTOR_SCOPES_MAX; i++)
                if (!strchr(config->repositories[i], '*'))
                        snprintf(scopes[count++], GITHUB_SCOPE_SIZE, "repos/%s",
                                config->repositories[i]);
        return count;
}

/* Looks for a runner that does not exist: GitHub refuses that without the permission. */
void doctor_try_token(struct doctor *doctor, const char *scope, struct finding *finding)
{
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                &doctor->scaler, github_find_runner(doctor->github, 0, scope, "scaler-doctor"));
        struct github_runner runner;
        struct err err;

        if (github_find_runner_answer(call, "scaler-doctor", &runner, &err) < 0)
                finding_fail(finding, NULL, "%s", err.text);
        else
                finding_say(finding, "%s", scope);
}

void doctor_check_token(struct doctor *doctor, struct finding *finding)
{
        const struct config *config = doctor->config;
        char scopes[DOCTOR_SCOPES_MAX][GITHUB_SCOPE_SIZE];
        size_t n_scopes;

        if (config && config->app_id)
                finding_skip(finding, "an App is used");
        else if (!config || !doctor->github)
                finding_skip(finding, "there is no token to ask with");
        if (!config || finding->result == FINDING_SKIPPED)
                return;
        n_scopes = doctor_scopes(config, scopes);
        for (size_t i = 0; i < n_scopes; i++)
                doctor_try_token(doctor, scopes[i], finding);
        if (n_scopes == 0)
                finding_skip(finding, "the configuration names no repository to try it on");
}
