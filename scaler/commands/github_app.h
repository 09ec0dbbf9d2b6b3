/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The GitHub App as `scaler setup` and `scaler doctor` judge it: what the configuration needs of
 * it.
 */

#include "base/err.h"
#include "config/config.h"
#include "github/app.h"
#include "scaler.h"

/* The grants that CONFIG needs. NULL: those that every configuration needs. */
unsigned grants_needed(const struct config *config);

typedef int (*github_question)(struct github *github, struct http_call **ret_call, struct err *err);

/* Makes the call of QUESTION and returns it with its answer, for the caller to free; NULL where it
 * could not be made. */
struct http_call *ask_github(
        struct scaler *scaler, struct github *github, github_question question, struct err *err);

/* What to do about missing grants. */
#define GRANTS_ADVICE                                                                        \
        "GitHub, the App's settings: Permissions & events; then accept the change for each " \
        "installation"
