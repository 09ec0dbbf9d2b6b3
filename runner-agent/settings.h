/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The agent's settings: one JSON document in the machine image, of which every member may be left
 * out. What differs from job to job comes with the hand-over instead.
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
        char *socket;    /* the starter's */
        int64_t identify_limit_seconds;
        int64_t parameter_limit_seconds;
        int64_t idle_limit_seconds; /* the hand-over's comes first, if it has one */
        int64_t job_limit_seconds;  /* likewise */
        int64_t idle_poll_seconds;  /* how often an idle machine looks for its parameter, at most */
        int64_t idle_grace_seconds; /* between the end of the parameter and that of the runner */
        int64_t stop_grace_seconds;
        int64_t spot_poll_seconds;
};

/* Sets the defaults. */
void agent_settings_init(struct agent_settings *settings);
void agent_settings_release(struct agent_settings *settings);

/*
 * Reads a document over the defaults. Returns 0, or -EINVAL with one line in FAULTS for each fault:
 * "PATH: what is allowed, and what was found". RET is untouched then. Pure.
 */
int agent_settings_parse(
        const char *text, size_t size, struct agent_settings *ret, struct buf *faults);

/*
 * Reads FILE, or for NULL AGENT_SETTINGS_FILE, which may be absent. Returns 0, -EINVAL as above, or
 * another negative errno with the reason in FAULTS.
 */
int agent_settings_load(const char *file, struct agent_settings *ret, struct buf *faults);
