/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The webhooks that lead to us, by the names of github/hooks.h: the App's, or, where a personal
 * token is used, those of the configured repositories and organizations.
 */

#include "github/hooks.h"
#include "sweep.h"

/* So many repositories and organizations in a sweep, each with two calls at least. */
#define SWEEP_HOOKS_MAX 20

struct sweep_hooks {
        char *names[SWEEP_HOOKS_MAX]; /* owned */
        size_t count;
        size_t rounds; /* so many sweeps until each repository has been looked at */
};

/* What could not be found is said once, and is no failure of the sweep. */
void sweep_find_hooks(struct sweep *sweep, struct github *github, struct sweep_hooks *ret);
void sweep_hooks_release(struct sweep_hooks *hooks);
