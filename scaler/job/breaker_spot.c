/* SPDX-License-Identifier: MIT */

/*
 * Leaves spot alone for a while when EC2 takes machine after machine of a spec back. The losses are
 * kept with the breaker, since EC2's own record of them has no time.
 */

#include "breaker.h"

#include <stdio.h>
#include <string.h>

#include "queue/tell_people.h"

/* Another process stored its loss between our reading and storing. */
#define TRIES_MAX 3

/* Adds a loss, without those that are older than the spec's window. False: it is there already. */
static bool add_loss(struct breaker *breaker, const struct config_spec *spec, const char *instance,
        int64_t now_ms)
{
        size_t n = 0;

        for (size_t i = 0; i < breaker->n_losses; i++) {
                if (strcmp(breaker->losses[i].instance, instance) == 0)
                        return false;
                if (now_ms - breaker->losses[i].at_ms < spec->spot_window_seconds * MSEC_PER_SEC)
                        breaker->losses[n++] = breaker->losses[i];
        }
        if (n == BREAKER_LOSSES_MAX) {
                n--;
                memmove(breaker->losses, breaker->losses + 1, n * sizeof(breaker->losses[0]));
        }
        snprintf(breaker->losses[n].instance, EC2_ID_SIZE, "%s", instance);
        breaker->losses[n].at_ms = now_ms;
        breaker->n_losses = n + 1;
        return true;
}

static void tell_on_demand(struct scaler *scaler, const struct config_spec *spec)
{
        const struct metric metric = {"SpotAvoided", METRIC_COUNT, 1};
        struct notification notification = {
                .severity = NOTIFICATION_WARNING,
                .text = "EC2 took several of its machines back within a few minutes. For half an "
                        "hour its machines are launched on demand.",
        };
        char title[160];
        struct err err;

        scaler_emit_metrics(scaler, spec->name, &metric, 1, NULL, 0);
        snprintf(title, sizeof(title), "Spec %s: launches are on demand", spec->name);
        notification.title = title;
        notification.key = title;
        notification_fact(&notification, "Spec", spec->name);
        (void)tell_people(scaler, &notification, &err); /* logs a failure */
}

int breaker_note_loss(struct scaler *scaler, const struct config_spec *spec, const char *instance,
        struct err *err)
{
        int64_t now = clock_wall_ms(scaler->clock);
        int r = BREAKER_OVERTAKEN;

        if (!spec->on_demand_fallback)
                return 0; /* there is no other market */
        for (unsigned i = 0; i < TRIES_MAX && r == BREAKER_OVERTAKEN; i++) {
                struct breaker breaker = breaker_read(scaler, spec->name, true);
                bool opens;

                if (breaker.on_demand_until_ms > now || !add_loss(&breaker, spec, instance, now))
                        return 0;
                opens = breaker.n_losses >= (size_t)spec->spot_losses_max;
                if (opens)
                        breaker.on_demand_until_ms = now + BREAKER_ON_DEMAND_MS;
                r = breaker_store(scaler, spec->name, &breaker, err);
                if (r == 0 && opens)
                        tell_on_demand(scaler, spec);
        }
        return r < 0 ? r : 0;
}
