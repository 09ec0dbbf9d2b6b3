/* SPDX-License-Identifier: MIT */

/*
 * Chooses the App that registers a runner.
 */

#include "registrars.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app_installation.h"
#include "pace.h"

/* How long a registrar is passed over after a final refusal; shorter where its token or key was
 * refused. */
#define PASSED_OVER_MS (10 * 60 * MSEC_PER_SEC)
#define KEY_PASSED_OVER_MS (60 * MSEC_PER_SEC)

void registrars_init(struct registrars *registrars, struct scaler *scaler,
        const struct config *config, struct token_requests *first)
{
        *registrars = (struct registrars){
                .scaler = scaler,
                .first = first,
                .apps = mem_alloc((config->n_additional_apps + 1) * sizeof(*registrars->apps)),
        };
        for (size_t i = 0; i < config->n_additional_apps; i++) {
                struct additional_registrar *additional = &registrars->apps[registrars->n_apps];
                struct err err;

                if (scaler_additional_app(
                            scaler, config->additional_apps[i], &additional->app, &err) < 0)
                        continue;
                token_requests_init_app(&additional->tokens, scaler, additional->app);
                registrars->n_apps++;
        }
}

void registrars_release(struct registrars *registrars)
{
        for (size_t i = 0; i < registrars->n_apps; i++)
                token_requests_release(&registrars->apps[i].tokens);
        free(registrars->apps);
        *registrars = (struct registrars){0};
}

/* -- installations -- */

static bool is_first_of_its_kind(const char *const *scopes, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (strcasecmp(scopes[i], scopes[index]) == 0)
                        return false;
        return true;
}

void registrars_look_up(struct registrars *registrars, const char *const *scopes, size_t n_scopes)
{
        for (size_t i = 0; i < n_scopes; i++)
                for (size_t j = 0; is_first_of_its_kind(scopes, i) && j < registrars->n_apps; j++)
                        app_installation_look_up(
                                registrars->scaler, registrars->apps[j].app, scopes[i]);
        if (registrars->n_apps > 0)
                http_finish(scaler_http(registrars->scaler));
}

/* -- choosing -- */

size_t registrars_of(struct registrars *registrars, const char *scope, int64_t installation,
        struct registrar *ret)
{
        bool is_enterprise = github_is_enterprise(scope);
        size_t n = 0;

        ret[n++] = (struct registrar){
                .tokens = registrars->first,
                .installation = installation,
                .budget = is_enterprise ? PACE_OF_ENTERPRISE : installation,
        };
        for (size_t i = 0; !is_enterprise && i < registrars->n_apps && n < REGISTRARS_MAX; i++) {
                struct additional_registrar *additional = &registrars->apps[i];
                const struct app_installation *found =
                        app_installation_find(registrars->scaler, additional->app, scope);

                if (found && found->id > 0)
                        ret[n++] = (struct registrar){
                                .tokens = &additional->tokens,
                                .installation = found->id,
                                .budget = found->id,
                        };
        }
        return n;
}

static char *passed_over_key(int64_t budget, const char *scope)
{
        return mem_format("%lld %s", (long long)budget, scope);
}

/* Until when (monotonic) it is left alone at SCOPE; 0: it is not. */
static int64_t passed_over_until(
        struct registrars *registrars, const struct registrar *registrar, const char *scope)
{
        _cleanup_free_ char *key = passed_over_key(registrar->budget, scope);

        return recent_until(&registrars->scaler->passed_over, key,
                clock_monotonic_ms(registrars->scaler->clock));
}

static bool is_tried(const struct registrar *registrar, const int64_t *tried, size_t n_tried)
{
        for (size_t i = 0; i < n_tried; i++)
                if (tried[i] == registrar->budget)
                        return true;
        return false;
}

/* Until its budget is full again: how much of it is spent. */
static int64_t spent_ms(struct scaler *scaler, const struct registrar *registrar)
{
        const struct budget *budget = pace_of_github(scaler, registrar->budget);

        return budget_wait(budget, clock_monotonic_ms(scaler->clock), budget->points);
}

/* Whether A registers rather than B. */
static bool goes_first(struct scaler *scaler, const struct registrar *a, int64_t a_wait,
        const struct registrar *b, int64_t b_wait)
{
        int64_t a_left = pace_hour_left(scaler, a->budget);
        int64_t b_left = pace_hour_left(scaler, b->budget);

        if (a_wait != b_wait)
                return a_wait < b_wait;
        if (a_left != b_left)
                return a_left > b_left;
        return spent_ms(scaler, a) < spent_ms(scaler, b);
}

int64_t registrars_wait_for_refused(
        struct registrars *registrars, const char *scope, int64_t installation)
{
        struct registrar all[REGISTRARS_MAX];
        size_t n = registrars_of(registrars, scope, installation, all);
        int64_t first_ms = 0;

        for (size_t i = 0; i < n; i++) {
                int64_t until_ms = passed_over_until(registrars, &all[i], scope);

                if (until_ms > 0 && (first_ms == 0 || until_ms < first_ms))
                        first_ms = until_ms;
        }
        return first_ms > 0 ? first_ms - clock_monotonic_ms(registrars->scaler->clock) : 0;
}

bool registrars_choose(struct registrars *registrars, const char *scope, int64_t installation,
        const int64_t *tried, size_t n_tried, struct registrar *ret, int64_t *ret_wait)
{
        struct scaler *scaler = registrars->scaler;
        struct registrar all[REGISTRARS_MAX];
        size_t n = registrars_of(registrars, scope, installation, all);
        int64_t now_ms = clock_monotonic_ms(scaler->clock);
        const struct registrar *chosen = NULL;
        int64_t refused_wait = registrars_wait_for_refused(registrars, scope, installation);
        int64_t chosen_wait = 0;

        for (size_t i = 0; i < n; i++) {
                int64_t wait = budget_wait(
                        pace_of_github(scaler, all[i].budget), now_ms, PACE_POINTS_POST);

                if (passed_over_until(registrars, &all[i], scope) > 0 ||
                        is_tried(&all[i], tried, n_tried) ||
                        (chosen && !goes_first(scaler, &all[i], wait, chosen, chosen_wait)))
                        continue;
                chosen = &all[i];
                chosen_wait = wait;
        }
        if (!chosen && n_tried == 0) {
                chosen = &all[0];
                chosen_wait = budget_wait(
                        pace_of_github(scaler, all[0].budget), now_ms, PACE_POINTS_POST);
                refused_wait = 0;
        }
        if (!chosen)
                return false;
        *ret = *chosen;
        *ret_wait = refused_wait > 0 && refused_wait < chosen_wait ? refused_wait : chosen_wait;
        return true;
}

/* -- limits -- */

/* Whether SCOPE and OTHER are of one account. */
static bool are_of_one_account(const char *scope, const char *other)
{
        const char *owner = strchr(scope, '/') + 1;
        const char *other_owner = strchr(other, '/') + 1;
        size_t length = strcspn(owner, "/");

        return length == strcspn(other_owner, "/") && strncasecmp(owner, other_owner, length) == 0;
}

/* Monotonic; 0: it is not. */
static int64_t closed_until(struct scaler *scaler, int64_t budget)
{
        int64_t closed_ms = pace_of_github(scaler, budget)->closed_ms;

        return closed_ms > clock_monotonic_ms(scaler->clock) ? closed_ms : 0;
}

/* Whether an App can register where it is INSTALLED, as far as is known. */
static bool can_register(struct registrars *registrars, const struct app_installation *installed)
{
        const struct registrar registrar = {.budget = installed->id};

        return installed->id > 0 && !installed->is_doubted &&
               installed->until_ms > clock_monotonic_ms(registrars->scaler->clock) &&
               closed_until(registrars->scaler, installed->id) == 0 &&
               passed_over_until(registrars, &registrar, installed->scope) == 0;
}

static bool one_goes_on_elsewhere(struct registrars *registrars, const char *scope)
{
        const struct scaler *scaler = registrars->scaler;

        for (size_t i = 0; i < scaler->n_app_installations; i++) {
                const struct app_installation *installed = &scaler->app_installations[i];

                if (are_of_one_account(scope, installed->scope) &&
                        can_register(registrars, installed))
                        return true;
        }
        return false;
}

int64_t registrars_limited_until(
        struct registrars *registrars, const char *scope, int64_t installation)
{
        struct scaler *scaler = registrars->scaler;
        struct registrar all[REGISTRARS_MAX];
        size_t n = registrars_of(registrars, scope, installation, all);
        int64_t first_ms = 0;
        bool is_limited = false;

        for (size_t i = 0; i < n; i++) {
                int64_t closed_ms = closed_until(scaler, all[i].budget);
                int64_t until_ms = passed_over_until(registrars, &all[i], scope);

                if (until_ms == 0 && closed_ms == 0)
                        return 0;
                is_limited = is_limited || closed_ms > 0;
                if (until_ms == 0)
                        until_ms = closed_ms;
                if (first_ms == 0 || until_ms < first_ms)
                        first_ms = until_ms;
        }
        if (!is_limited ||
                (!github_is_enterprise(scope) && one_goes_on_elsewhere(registrars, scope)))
                return 0;
        return clock_wall_ms(scaler->clock) + first_ms - clock_monotonic_ms(scaler->clock);
}

/* -- passing over -- */

bool registrars_pass_over(struct registrars *registrars, const char *scope, int64_t budget,
        const struct setback *setback)
{
        struct scaler *scaler = registrars->scaler;
        _cleanup_free_ char *key = passed_over_key(budget, scope);

        if (registrars->n_apps == 0 || !setback->by_github || !setback->of_caller ||
                github_is_enterprise(scope))
                return false;
        log_warning(&scaler->log, "an App is passed over", LOG_NUMBER("installation", budget),
                LOG_TEXT("scope", scope), LOG_TEXT("error", setback->err.text));
        if (setback->is_limit)
                return true; /* its budget is closed already */
        recent_note(&scaler->passed_over, key,
                clock_monotonic_ms(scaler->clock) +
                        (setback->passing ? KEY_PASSED_OVER_MS : PASSED_OVER_MS));
        app_installation_doubt(scaler, budget);
        return true;
}
