/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * References: how a setting names a secret or document that is kept elsewhere.
 *
 *      ssm:/scale-agent/config       the decrypted value of an SSM parameter
 *      file:/etc/scale-agent.json    a file
 *      env:NAME                      an environment variable, which may hold a reference again
 *      anything else                 the value itself
 *
 * A line break at the end of a parameter or file is not part of the value.
 */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct aws;
struct http;

/* Positive result: what the reference names does not exist. */
#define REFERENCE_ABSENT 1

/* No reference resolves to more than this many bytes. */
#define REFERENCE_LIMIT ((size_t)1024 * 1024)

/*
 * Resolves REFERENCE into RET, which is emptied first. AWS may be NULL: an ssm: reference is an
 * error then. SSM has LIMIT_MS to answer (0: as long as its calls usually have). Returns 0,
 * REFERENCE_ABSENT (no such parameter, file or variable; ERR says which, for callers that need it),
 * or a negative errno.
 */
int reference_resolve(const char *reference, struct http *http, int64_t limit_ms, struct aws *aws,
        struct buf *ret, struct err *err);

/* Stores TEXT, which is the value of a parameter, in RET as reference_resolve() does: 0, or -EFBIG.
 */
int reference_keep(const char *text, struct buf *ret);
