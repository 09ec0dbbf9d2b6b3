/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Settings that a function reads with one call: the configuration, and the secrets that its
 * environment refers to. Whoever asks for the first of them has all of them read, once in a
 * process. Each value is given out once; whoever wants it again, since it may have been replaced,
 * reads it for himself (reference.h).
 */

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "aws/aws.h"
#include "base/buf.h"
#include "base/err.h"
#include "http/http_call.h"

struct references {
        bool is_read;
        cJSON *values; /* of parameters by their names, not given out yet; secret; owned */
};

/* The call that reads them, or NULL where it is not needed: REFERENCE is none of them, or the only
 * one in SSM, or they were read before. */
struct http_call *references_read(
        const struct references *references, const char *reference, struct aws *aws);
/* 0, or negative. If SSM refuses, which is for good, they are not read together any more. */
int references_read_answer(
        struct references *references, const struct http_call *call, struct err *err);

/* Whether the value of REFERENCE was read with others: then it is in RET, which is emptied first.
 */
bool references_take(struct references *references, const char *reference, struct buf *ret);

/* Wipes what was not given out. */
void references_forget(struct references *references);
