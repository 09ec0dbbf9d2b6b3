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
 * NULL) is the HMAC of BODY with any of SECRETS. There is one secret on each line, so that a new
 * one can be set before the old one is retired; empty lines never match. Compares in constant time.
 */
bool webhook_signature_valid(
        const char *secrets, const char *signature, const void *body, size_t size);
