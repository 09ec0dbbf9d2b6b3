/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Registrars: as whom a runner can be registered. That is the App that delivers, each additional
 * App that is installed where the runner is to be, or the token for an enterprise. All of them get
 * the same: a runner belongs to its repository or organization, whichever App has registered it
 * (github.h).
 *
 * Each App has budgets of its own, one for each account. They are kept by the process that has the
 * message group of the delivering App's installation (launched.h). That is one process for the
 * additional Apps, too: an account has one installation of each App, so jobs of one account are one
 * group, and no other group spends what its installations have left.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "scaler.h"
#include "setback.h"
#include "token_requests.h"

struct registrar {
        struct token_requests *tokens; /* and its GitHub */
        int64_t installation;
        int64_t budget; /* whose it is: see pace.h */
};

/* More than a configuration can have, with the one that delivers. */
#define REGISTRARS_MAX 16

struct registrars {
        struct scaler *scaler;
        struct token_requests *first; /* borrowed: of the App that delivers */
        struct additional_registrar {
                struct scaler_app *app;
                struct token_requests tokens;
        } * apps; /* owned */
        size_t n_apps;
};

/* Opens the additional Apps. One that cannot be opened is left out, which is logged. */
void registrars_init(struct registrars *registrars, struct scaler *scaler,
        const struct config *config, struct token_requests *first);
void registrars_release(struct registrars *registrars);

/* Asks GitHub, at the same time and as far as it is not known, which installations of the
 * additional Apps reach each of SCOPES. An answer is kept for ten minutes, so that an App that was
 * removed, or installed, is noticed. */
void registrars_look_up(struct registrars *registrars, const char *const *scopes, size_t n_scopes);

/* The registrars that can register at SCOPE, the delivering App's INSTALLATION first. RET has room
 * for REGISTRARS_MAX. */
size_t registrars_of(struct registrars *registrars, const char *scope, int64_t installation,
        struct registrar *ret);

/*
 * Chooses who registers now. Of the registrars that need not wait: the one with most calls of the
 * hour left, or, where that is equal or unknown, the one that has spent less of its minute. Where
 * all must wait: the one that must wait least.
 *
 * Passed over are registrars whose budgets are among TRIED, and those that GitHub refused for SCOPE
 * a moment ago, unless it refused all. A refused one is waited for where it is tried again before
 * the others can register. *ret_wait is in milliseconds. False: none is left to try.
 */
bool registrars_choose(struct registrars *registrars, const char *scope, int64_t installation,
        const int64_t *tried, size_t n_tried, struct registrar *ret, int64_t *ret_wait);

/* Milliseconds until a registrar that GitHub refused for SCOPE is tried again; 0: it refused
 * none. */
int64_t registrars_wait_for_refused(
        struct registrars *registrars, const char *scope, int64_t installation);

/* Until when (wall clock) GitHub's limits let no registrar register at SCOPE; 0: one can. A
 * registrar that was refused for another reason ends that time when it is tried again. An App that
 * can register elsewhere in the same account counts as well, since all jobs of the account are one
 * message group. */
int64_t registrars_limited_until(
        struct registrars *registrars, const char *scope, int64_t installation);

/* Whether another App may try what GitHub refused with SETBACK to the App that has BUDGET.
 * Remembers the refusal: a limit closes the budget; after anything else, that App is not asked for
 * SCOPE for a while. */
bool registrars_pass_over(struct registrars *registrars, const char *scope, int64_t budget,
        const struct setback *setback);
