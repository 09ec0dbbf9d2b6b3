/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The GitHub App, for `scaler setup` and `scaler doctor`: which grants it needs, and how GitHub is
 * asked about it.
 */

#include "base/err.h"
#include "config/config.h"
#include "github/app.h"
#include "scaler.h"

/* The grants that CONFIG needs; NULL: those that every configuration needs. */
unsigned grants_needed(const struct config *config);

/* The grants that an additional App needs, which only registers runners. */
unsigned grants_to_register(const struct config *config);

/* What CONFIG needs and what it can do without: to run jobs again that were lost with their spot
 * instances, unless its specs say never. */
unsigned grants_wanted(const struct config *config);

/* A function that makes such a call: github_get_app(), github_get_hook(), … */
typedef int (*github_question)(struct github *github, struct http_call **ret_call, struct err *err);

/* Makes and performs the call of QUESTION, and returns it for its answer to be read and for the
 * caller to free. NULL: it could not be made, see ERR. */
struct http_call *ask_github(
        struct scaler *scaler, struct github *github, github_question question, struct err *err);

/* Whether HOOK of APP delivers jobs, as far as GitHub shows it: not whether it is active. */
bool github_hook_delivers(const struct github_app *app, const struct github_hook *hook);

/* What to do about the webhook of an additional App, */
#define INACTIVE_ADVICE                                                      \
        "GitHub, the additional App's settings: Webhook, not active; or "    \
        "Permissions & events, without Workflow jobs: only the first App's " \
        "deliveries matter"
/* about missing grants, and about those that are only wanted. */
#define GRANTS_ADVICE                                        \
        "GitHub, the App's settings: Permissions & events; " \
        "then accept the change for each installation"
#define WANTED_ADVICE                                                                       \
        "without it, jobs that are lost with their spot instance are not run again: grant " \
        "it (Permissions & events) and accept the change for each installation, "           \
        "or set \"rerun\": \"never\" in each spec"
