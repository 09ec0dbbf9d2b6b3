/* SPDX-License-Identifier: MIT */

/*
 * What a configuration needs of its GitHub App, and calls as that App.
 */

#include "github_app.h"

unsigned grants_needed(const struct config *config)
{
        unsigned needs = GITHUB_MAY_READ_ACTIONS | GITHUB_HEARS_JOBS;

        for (size_t i = 0; config && i < config->n_specs; i++)
                needs |= config->specs[i].enterprise     ? 0
                         : config->specs[i].organization ? GITHUB_MAY_RUN_ORGANIZATION
                                                         : GITHUB_MAY_ADMINISTER;
        return needs;
}

unsigned grants_to_register(const struct config *config)
{
        return grants_needed(config) & (GITHUB_MAY_RUN_ORGANIZATION | GITHUB_MAY_ADMINISTER);
}

unsigned grants_wanted(const struct config *config)
{
        bool reruns = !config;

        for (size_t i = 0; config && i < config->n_specs; i++)
                reruns = reruns || config_spec_reruns(&config->specs[i]);
        if (!reruns)
                return grants_needed(config);
        return (grants_needed(config) & ~(unsigned)GITHUB_MAY_READ_ACTIONS) | GITHUB_MAY_RERUN;
}

bool github_hook_delivers(const struct github_app *app, const struct github_hook *hook)
{
        return hook->url[0] && (app->grants & GITHUB_HEARS_JOBS);
}

struct http_call *ask_github(
        struct scaler *scaler, struct github *github, github_question question, struct err *err)
{
        struct http_call *call;

        if (question(github, &call, err) < 0)
                return NULL;
        scaler_call(scaler, call);
        return call;
}
