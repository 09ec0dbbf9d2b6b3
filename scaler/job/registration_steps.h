/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The steps of a registration's way (registration_way.c): the call of each, and what its answer
 * means. For registration_way.c alone.
 */

#include "http/http_call.h"
#include "registration.h"

enum step {
        STEP_LOOK,    /* GetParameter: an earlier try launched the instance */
        STEP_MINT,    /* generate-jitconfig */
        STEP_CHECK,   /* GetParameter: the name is taken at GitHub */
        STEP_FIND,    /* the runner of that name */
        STEP_DELETE,  /* that runner */
        STEP_STORE,   /* PutParameter */
        STEP_COMPARE, /* GetParameter: one is stored already */
        STEP_REPLACE, /* PutParameter, in place of what nobody can read */
        STEP_DISCARD, /* delete the runner that was just registered */
        STEP_DONE,
};

/* What an answer means. */
enum finding {
        IS_DONE,    /* minted, stored, or deleted */
        IS_ABSENT,  /* there is no such parameter or runner */
        IS_PRESENT, /* the parameter: the machine has or had its hand-over */
        IS_GARBLED, /* the parameter: it is no hand-over, so the machine cannot use it either */
        IS_TAKEN,   /* the name, at GitHub; or the parameter is there */
        IS_OFFLINE, /* the runner never came: nobody has its configuration */
        IS_ONLINE,  /* the runner is the machine's, with a job or without */
        IS_BUSY,    /* the runner, as it is to be deleted */
        IS_OURS,    /* the parameter is of the runner that we registered: our own lost answer */
        IS_OTHERS,
};

/* The call of a step, and the reader of its answer: a finding, or negative. */
struct registration_step {
        struct http_call *(*make)(struct registration *registration);
        int (*read)(
                struct registration *registration, const struct http_call *call, struct err *err);
        int points; /* of GitHub's; 0: AWS is called */
};

/* One for each enum step but STEP_DONE. */
extern const struct registration_step registration_steps[];
