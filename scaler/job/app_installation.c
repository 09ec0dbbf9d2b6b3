/* SPDX-License-Identifier: MIT */

/*
 * Asks GitHub where additional Apps are installed, and keeps what it said.
 */

#include "app_installation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* How long an answer about an installation is kept, */
#define INSTALLATION_KEPT_MS (10 * 60 * MSEC_PER_SEC)
/* and how long nobody asks again where there was none. */
#define UNANSWERED_KEPT_MS (60 * MSEC_PER_SEC)
/* The time limit of a look-up, during which jobs wait that the first App could register. */
#define LOOK_UP_MS (5 * MSEC_PER_SEC)
/* Kept answers; a further one takes the place of the oldest. */
#define INSTALLATIONS_MAX 512

static struct app_installation *find_kept(
        struct scaler *scaler, const struct scaler_app *app, const char *scope)
{
        int64_t now_ms = clock_monotonic_ms(scaler->clock);

        for (size_t i = 0; i < scaler->n_app_installations; i++) {
                struct app_installation *found = &scaler->app_installations[i];

                if (found->app == app && found->until_ms > now_ms &&
                        strcasecmp(found->scope, scope) == 0)
                        return found;
        }
        return NULL;
}

const struct app_installation *app_installation_find(
        struct scaler *scaler, const struct scaler_app *app, const char *scope)
{
        return find_kept(scaler, app, scope);
}

/* A new place, or that of the answer which is kept least longer. */
static struct app_installation *place_for(struct scaler *scaler)
{
        struct app_installation *oldest = scaler->app_installations;

        if (scaler->n_app_installations < INSTALLATIONS_MAX) {
                scaler->app_installations = mem_resize(scaler->app_installations,
                        scaler->n_app_installations + 1, sizeof(*scaler->app_installations));
                return &scaler->app_installations[scaler->n_app_installations++];
        }
        for (size_t i = 1; i < scaler->n_app_installations; i++)
                if (scaler->app_installations[i].until_ms < oldest->until_ms)
                        oldest = &scaler->app_installations[i];
        return oldest;
}

static void keep_installation(struct scaler *scaler, const struct scaler_app *app,
        const char *scope, int64_t id, int64_t kept_ms)
{
        struct app_installation *place = place_for(scaler);

        *place = (struct app_installation){
                .app = app,
                .id = id,
                .until_ms = clock_monotonic_ms(scaler->clock) + kept_ms,
        };
        (void)snprintf(place->scope, sizeof(place->scope), "%s", scope);
}

struct look_up {
        struct scaler *scaler;
        struct scaler_app *app;
        const char *scope;
};

static void on_installation(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        _cleanup_free_ struct look_up *look_up = userdata;
        struct github_found_installation found = {0};
        struct err err = {0};
        int r = github_find_installation_answer(call, &found, &err);

        if (r == -EKEYREJECTED)
                look_up->app->refused = true;
        if (r == GITHUB_NOT_FOUND)
                err_set(&err, 0, "it is not installed for this scope");
        else if (r == 0 && found.suspended)
                err_set(&err, 0, "its installation is suspended");
        if (r != 0 || found.suspended)
                log_warning(&look_up->scaler->log,
                        "an additional App cannot register runners for this scope",
                        LOG_NUMBER("app", look_up->app->id), LOG_TEXT("scope", look_up->scope),
                        LOG_TEXT("error", err.text));
        keep_installation(look_up->scaler, look_up->app, look_up->scope,
                r == 0 && !found.suspended ? found.id : 0,
                r < 0 ? UNANSWERED_KEPT_MS : INSTALLATION_KEPT_MS);
}

void app_installation_look_up(struct scaler *scaler, struct scaler_app *app, const char *scope)
{
        struct app_installation *kept = find_kept(scaler, app, scope);
        struct look_up *look_up;
        struct http_call *call;
        struct err err;

        if (kept && !kept->is_doubted)
                return;
        if (kept)
                kept->until_ms = 0;
        if (github_find_installation(&app->github, scope, &call, &err) < 0)
                return;
        look_up = mem_alloc(sizeof(*look_up));
        *look_up = (struct look_up){.scaler = scaler, .app = app, .scope = scope};
        call->done = on_installation;
        call->userdata = look_up;
        call->timeout_ms = LOOK_UP_MS;
        scaler_start(scaler, call);
}

void app_installation_doubt(struct scaler *scaler, int64_t id)
{
        for (size_t i = 0; i < scaler->n_app_installations; i++)
                if (scaler->app_installations[i].id == id)
                        scaler->app_installations[i].is_doubted = true;
}
