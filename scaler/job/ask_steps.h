/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the two ways of asking share: one call for a job (ask.c), or for a run (ask_run.c).
 */

#include "ask.h"

/* What GitHub's word for a job's status means. */
enum job_state job_state_of(const char *status);

/* Whether GitHub would refuse: then QUESTION has its setback. */
bool ask_is_used_up(struct question *question);

/* Gives JOB its labels, if it has none. A hand-over names none, so neither does a job that was
 * given back. */
void ask_take_labels(struct job *job, char ***labels, size_t *n_labels);
