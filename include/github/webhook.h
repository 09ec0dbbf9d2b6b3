/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The signature of a webhook delivery.
 * https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether SIGNATURE (the value of X-Hub-Signature-256, "sha256=" and 64 hexadecimal digits, or
 * NULL) is the HMAC of BODY with any of SECRETS: one secret a line, so that a new one can be set
 * before the old one is retired. Compared in constant time. Empty lines never match.
 */
bool webhook_signature_valid(
        const char *secrets, const char *signature, const void *body, size_t size);
