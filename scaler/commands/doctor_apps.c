/* SPDX-License-Identifier: MIT */

/*
 * Doctor: the Apps that register besides the first one, and the token for enterprises.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "doctor.h"
#include "github/hooks.h"

#define DAY_MS (24 * 3600 * MSEC_PER_SEC)

/* One additional App. */
struct app_check {
        struct doctor *doctor;
        struct finding *finding;
        struct scaler_app *app;
        struct github_app is;
};

static struct http_call *ask(
        const struct app_check *check, github_question question, struct err *err)
{
        return ask_github(&check->doctor->scaler, &check->app->github, question, err);
}

static bool is_accepted(struct app_check *check)
{
        struct err err;
        _cleanup_(http_call_freep) struct http_call *call = ask(check, github_get_app, &err);
        _cleanup_buf_ struct buf names = BUF_INIT(512);
        unsigned missing;

        if (!call || github_get_app_answer(call, &check->is, &err) < 0) {
                finding_fail(check->finding,
                        "compare github.additional_apps with the App's settings at GitHub; "
                        "`scaler setup` stores its private key",
                        "App %" PRId64 ": %s", check->app->id, err.text);
                return false;
        }
        missing = grants_to_register(check->doctor->config) & ~check->is.grants;
        github_name_grants(missing, &names);
        if (missing)
                finding_fail(check->finding, GRANTS_ADVICE, "App %" PRId64 " lacks %s",
                        check->app->id, buf_string(&names));
        if (check->doctor->app.url[0] && strcmp(check->is.url, check->doctor->app.url) == 0)
                finding_fail(check->finding, "name another App in github.additional_apps",
                        "App %" PRId64 " is the first one", check->app->id);
        return true;
}

/* The installation for the owner of REPOSITORY; NULL: there is none. */
static const struct github_installation *find(
        const struct github_installations *installations, const char *repository)
{
        size_t size = strcspn(repository, "/");

        for (size_t i = 0; i < installations->count; i++)
                if (strlen(installations->items[i].account) == size &&
                        strncasecmp(installations->items[i].account, repository, size) == 0)
                        return &installations->items[i];
        return NULL;
}

static void judge_installations(struct app_check *check)
{
        _cleanup_(github_installations_release) struct github_installations installations = {0};
        const struct config *config = check->doctor->config;
        struct err err;
        _cleanup_(http_call_freep) struct http_call *call =
                ask(check, github_list_installations, &err);

        if (!call || github_list_installations_answer(call, &installations, &err) < 0) {
                finding_fail(check->finding, NULL, "App %" PRId64 ": %s", check->app->id, err.text);
                return;
        }
        for (size_t i = 0; i < config->n_repositories && installations.count < 100; i++) {
                const char *repository = config->repositories[i];
                const struct github_installation *found = find(&installations, repository);
                unsigned missing =
                        found ? grants_to_register(config) & check->is.grants & ~found->grants : 0;

                if (!found || found->suspended || missing)
                        finding_fail(check->finding,
                                "GitHub, the additional App's settings: Install App; "
                                "until then the others register there",
                                "App %" PRId64 " is %s for %.*s", check->app->id,
                                !found             ? "not installed"
                                : found->suspended ? "suspended"
                                                   : "not yet allowed what it needs",
                                (int)strcspn(repository, "/"), repository);
        }
}

static int list_newest(struct github *github, struct http_call **ret_call, struct err *err)
{
        return github_list_deliveries(github, GITHUB_APP_HOOK, NULL, ret_call, err);
}

/* Whether it has delivered a job within a day. */
static bool has_delivered(const struct app_check *check)
{
        _cleanup_(github_deliveries_release) struct github_deliveries deliveries = {0};
        _cleanup_(http_call_freep) struct http_call *call = ask(check, list_newest, NULL);
        int64_t since_ms = clock_wall_ms(check->doctor->scaler.clock) - DAY_MS;

        if (!call || github_list_deliveries_answer(call, &deliveries, NULL) < 0)
                return false;
        for (size_t i = 0; i < deliveries.count; i++)
                if (deliveries.items[i].at_ms > since_ms &&
                        strcmp(deliveries.items[i].event, "workflow_job") == 0)
                        return true;
        return false;
}

/* GitHub does not say whether a webhook is active. */
static void judge_hook(struct app_check *check)
{
        _cleanup_(http_call_freep) struct http_call *call = ask(check, github_get_hook, NULL);
        struct github_hook hook = {0};

        if (!call || github_hook_answer(call, &hook, NULL) < 0)
                return; /* it has none */
        if (github_hook_delivers(&check->is, &hook) || has_delivered(check))
                finding_fail(check->finding, INACTIVE_ADVICE,
                        "the webhook of App %" PRId64 " is active, and is subscribed to jobs",
                        check->app->id);
}

static void judge_app(struct doctor *doctor, int64_t id, struct finding *finding)
{
        struct app_check check = {.doctor = doctor, .finding = finding};
        struct err err;

        if (scaler_additional_app(&doctor->scaler, id, &check.app, &err) < 0) {
                finding_fail(finding, SETUP_ADVICE, "App %" PRId64 ": %s", id, err.text);
                return;
        }
        if (!is_accepted(&check))
                return;
        judge_installations(&check);
        judge_hook(&check);
        finding_say(finding, "App %" PRId64 ", %s of %s", id, check.is.name, check.is.owner);
}

void doctor_check_additional_apps(struct doctor *doctor, struct finding *finding)
{
        const struct config *config = doctor->config;

        if (!config || config->n_additional_apps == 0)
                finding_skip(finding, "the configuration names none");
        for (size_t i = 0; config && i < config->n_additional_apps; i++)
                judge_app(doctor, config->additional_apps[i], finding);
}

/* -- an enterprise -- */

static bool was_asked(const struct config *config, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (config->specs[i].enterprise &&
                        strcmp(config->specs[i].enterprise, config->specs[index].enterprise) == 0)
                        return true;
        return false;
}

void doctor_check_enterprise(struct doctor *doctor, struct finding *finding)
{
        const struct config *config = doctor->config;

        if (!config || !config_has_enterprise(config))
                finding_skip(finding, "no spec is of an enterprise");
        else if (!doctor->github)
                finding_skip(finding, "there is nothing to ask GitHub with");
        for (size_t i = 0; finding->result != FINDING_SKIPPED && config && i < config->n_specs;
                i++) {
                _cleanup_free_ char *scope = NULL;

                if (!config->specs[i].enterprise || was_asked(config, i))
                        continue;
                scope = mem_format("enterprises/%s", config->specs[i].enterprise);
                doctor_try_token(doctor, scope, finding);
        }
}
