/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The webhooks that lead to us where a personal token is used: those of the configured repositories
 * and organizations.
 */

#include "github/hooks.h"
#include "sweep.h"

/* So many repositories and organizations in a sweep, each with two calls at least. */
#define SWEEP_SCOPES_MAX 20

/* What a person has to do is said so often by a process. */
#define OWN_HOOKS_SAID_MS (24 * 3600 * MSEC_PER_SEC)

/* Notes that nobody reads the deliveries of SCOPE, and WHY; logs it once. No failure of the sweep:
 * what is missing may be meant so, as where a person delivers again by hand, or an organization's
 * webhook serves all of its repositories. */
void sweep_note_unread(struct sweep *sweep, const char *scope, const char *why);

/* The repositories and organizations of which this sweep reads. */
struct sweep_scopes {
        const char *url; /* of our webhooks */
        size_t first;    /* of the configured ones, which are a ring */
        size_t count;
        size_t rounds; /* so many sweeps until each has been looked at */
};

/* None where WEBHOOK_URL is not set, which is said once. Borrows from SWEEP and the environment. */
void sweep_find_scopes(struct sweep *sweep, struct sweep_scopes *ret);

/* The webhook of scope I that leads to us: 0, and its name, for the caller to free. Negative where
 * there is none, or the token does not reach it, which is said once and is no failure of the sweep
 * (-ENOENT, -EACCES); or where GitHub does not tell, which is one. */
int sweep_own_hook(struct sweep *sweep, struct github *github, const struct sweep_scopes *scopes,
        size_t i, char **ret);
