/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What processes tell each other: texts in the parameters PREFIX/breakers/NAME, which every
 * function reads at most once a minute. The names of specs are for circuit breakers (breaker.h);
 * others begin as no spec's name does (github_limit.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/ssm.h"
#include "base/err.h"
#include "scaler.h"

/* The text NAME as it was up to a minute ago; AGAIN: as it is. NULL where there is none, or it
 * cannot be read, which is logged. Valid until the next call. */
const struct ssm_text *shared_text(struct scaler *scaler, const char *name, bool again);

/* Lists the texts whose names begin with BEGINNING, as shared_text() has them: returns the rest of
 * the next name and advances *INDEX, which begins at 0; NULL: there is no other. Valid until the
 * next call. */
const char *shared_next_name(struct scaler *scaler, const char *beginning, size_t *index);

/* Stores TEXT in place of what is there: 0 with its version, or negative. */
int shared_store(struct scaler *scaler, const char *name, const char *text, int64_t *ret_version,
        struct err *err);
