/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent's settings, which are part of the machine image: one JSON document of which
 * every member may be left out. What differs from job to job comes with the hand-over instead.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define AGENT_SETTINGS_FILE "/etc/runner-agent/config.json"

struct agent_settings {
        char *prefix;    /* "/scale-agent"; owned, as all strings here */
        char **command;  /* the runner's program and arguments, ending with NULL */
        char *directory; /* where it starts */
        char *path;      /* its PATH */
        char *socket;    /* where the starter starts it for the agent */
        int64_t identify_limit_seconds;
        int64_t parameter_limit_seconds;
        int64_t idle_limit_seconds; /* unless the hand-over says otherwise, as the next */
        int64_t job_limit_seconds;
        int64_t stop_grace_seconds;
        int64_t spot_poll_seconds;
};

/* The defaults. */
void agent_settings_init(struct agent_settings *settings);
void agent_settings_release(struct agent_settings *settings);

/*
 * Reads a document over the defaults. Returns 0, or -EINVAL with a line "PATH: what is allowed, and
 * what was found" for each fault in FAULTS; RET is untouched then. Pure.
 */
int agent_settings_parse(
        const char *text, size_t size, struct agent_settings *ret, struct buf *faults);

/*
 * Reads FILE; NULL: AGENT_SETTINGS_FILE, which may be absent. Returns 0, -EINVAL as above, or
 * another negative errno with its reason in FAULTS.
 */
int agent_settings_load(const char *file, struct agent_settings *ret, struct buf *faults);
