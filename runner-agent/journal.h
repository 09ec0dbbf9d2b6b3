/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The journal as a sink for messages: fields become journal fields (SCALE_AGENT_JOB=…), so that
 * `journalctl SCALE_AGENT_JOB=17` finds all that concerns a job.
 */

#include <stdbool.h>

#include "base/log.h"

/* Whether standard error leads to the journal: systemd says so in JOURNAL_STREAM. */
bool journal_is_stderr(void);

/* The field named "identifier" is not one of ours but the journal's SYSLOG_IDENTIFIER. */
struct log_sink *journal_sink(void);

/* The journal's field name for ours, cut at SIZE: "exit_code" is SCALE_AGENT_EXIT_CODE. Pure. */
void journal_field_name(const char *name, char *journal_name, size_t size);
