/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A webhook delivery as the function URL passes it on.
 * https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
 * https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
 */

#include <stddef.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/err.h"

/* GitHub's limit for a delivery. */
#define DELIVERY_MAX (25 * 1024 * 1024)

struct delivery {
        cJSON *json;           /* the event; the strings are borrowed from it */
        const char *event;     /* X-GitHub-Event, or NULL */
        const char *id;        /* X-GitHub-Delivery, or NULL */
        const char *signature; /* X-Hub-Signature-256, or NULL */
        const char *type;      /* Content-Type, or NULL */
        const char *app;       /* the App whose webhook it is, from a header that is not signed;
                                  NULL: a repository's or organization's webhook, or unknown */
        const char *body;      /* the raw bytes that were signed, and a NUL */
        size_t body_size;
        struct buf decoded; /* what the body is in, if it came as base64 */
};

void delivery_release(struct delivery *delivery);

/* Reads the function URL's event: 0, or the HTTP status to answer with (400, 405, 413), with the
 * reason in ERR. Pure. */
int delivery_parse(const char *event, size_t size, struct delivery *ret, struct err *err);

/* Reads the JSON in the body, which is all of it or its form field `payload`: 0 or -EBADMSG. Only
 * for deliveries whose signature is valid. Pure. */
int delivery_payload(const struct delivery *delivery, cJSON **ret, struct err *err);
