/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tickets: what the scaler signs of a launch, so that it can believe it when it comes back in an
 * agent's report. A ticket proves what was launched, never what ran. The agent keeps it as one
 * opaque string:
 *
 *      1.KEYID.{JSON}.HMAC-SHA256      in hexadecimal, of all bytes before its dot
 *
 * Keys are a text of at most two lines, as in the parameter PREFIX/ticket-key:
 *
 *      KEY             signs, and is believed
 *      KEY UNTIL       the one before it, believed until then: epoch seconds. Without them it is
 * not
 */

#include <stdbool.h>
#include <stdint.h>

#include "exchange/handover.h"

#define TICKET_KEY_SIZE 64 /* the least characters of a key */
#define TICKET_MAX 4096    /* the most of a ticket that is read */

struct ticket {
        char *prefix; /* owned, as all strings here */
        char *account;
        char *region;
        char *instance;
        char *type; /* of the instance */
        char *spec;
        char *scope;
        int64_t runner_id;
        int64_t expires_ms;      /* epoch */
        struct handover_job job; /* with its place on the ladder, and the name of its launch */
        struct handover_times times;
};

void ticket_release(struct ticket *ticket);

/* Whether KEYS has a key to sign with. Pure. */
bool ticket_has_key(const char *keys);

/* Signs with the first of KEYS; the caller frees. NULL without one. */
char *ticket_print(const struct ticket *ticket, const char *keys);

/* Why a ticket is not believed. */
enum ticket_refusal {
        TICKET_ABSENT = 1,
        TICKET_MALFORMED,
        TICKET_UNKNOWN_KEY, /* none of KEYS, which may be older than the ticket */
        TICKET_FORGED,      /* the signature is of something else */
        TICKET_EXPIRED,
        TICKET_FOREIGN, /* of another prefix, account or region */
};

const char *ticket_refusal_name(enum ticket_refusal refusal);

/* Where we are; all of it must be known. */
struct ticket_place {
        const char *prefix;
        const char *account;
        const char *region;
};

/* Reads TEXT (may be NULL): 0 if it can be believed at NOW_MS in PLACE, else why not (RET is
 * untouched then). Pure. */
int ticket_check(const char *text, const char *keys, const struct ticket_place *place,
        int64_t now_ms, struct ticket *ret);
