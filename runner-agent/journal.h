/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The journal as a sink for log messages. Their fields become journal fields (SCALE_AGENT_JOB=…),
 * so that `journalctl SCALE_AGENT_JOB=17` finds everything about a job.
 */

#include <stdbool.h>

#include "base/log.h"

/* Whether standard error leads to the journal, according to JOURNAL_STREAM (systemd.exec(5)). */
bool journal_is_stderr(void);

/* A field named "identifier" becomes the journal's own SYSLOG_IDENTIFIER. */
struct log_sink *journal_sink(void);

/* The journal's name of a field, cut at SIZE: SCALE_AGENT_EXIT_CODE for "exit_code". Pure. */
void journal_field_name(const char *name, char *journal_name, size_t size);
