/* SPDX-License-Identifier: MIT */

/*
 * Reads and stores breakers, and takes the turn to try one machine: the process whose PutParameter
 * gives the version after the one that it has read was the first.
 */

#include "breaker.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "shared.h"

/* -- the document -- */

char *breaker_print(const struct breaker *breaker)
{
        _cleanup_json_ cJSON *json = cJSON_CreateObject();
        cJSON *losses = NULL;

        json_add_integer(json, "version", 1);
        if (breaker->stopped_since_ms > 0) {
                json_add_integer(json, "stopped_since_ms", breaker->stopped_since_ms);
                json_add_integer(json, "stopped_until_ms", breaker->stopped_until_ms);
        }
        if (breaker->on_demand_until_ms > 0)
                json_add_integer(json, "on_demand_until_ms", breaker->on_demand_until_ms);
        if (breaker->n_losses > 0)
                losses = json_add_object(json, "losses");
        for (size_t i = 0; i < breaker->n_losses; i++)
                json_add_integer(losses, breaker->losses[i].instance, breaker->losses[i].at_ms);
        return json_print(json);
}

static void parse_losses(const cJSON *losses, struct breaker *ret)
{
        const cJSON *loss;

        cJSON_ArrayForEach (loss, losses) {
                int64_t at_ms = json_integer(loss, "", 0);

                if (ret->n_losses == BREAKER_LOSSES_MAX || at_ms <= 0 ||
                        !ec2_is_instance_id(loss->string))
                        continue;
                snprintf(ret->losses[ret->n_losses].instance, EC2_ID_SIZE, "%s", loss->string);
                ret->losses[ret->n_losses++].at_ms = at_ms;
        }
}

void breaker_parse(const char *text, struct breaker *ret)
{
        _cleanup_json_ cJSON *json = NULL;
        struct err err;

        *ret = (struct breaker){0};
        if (json_parse(text, strlen(text), "the breaker", &json, &err) < 0)
                return;
        ret->stopped_since_ms = json_integer(json, "stopped_since_ms", 0);
        ret->stopped_until_ms = json_integer(json, "stopped_until_ms", 0);
        ret->on_demand_until_ms = json_integer(json, "on_demand_until_ms", 0);
        parse_losses(json_get(json, "losses"), ret);
}

/* -- reading and storing -- */

/* Bounds times that we never store and that would last for ever: somebody else wrote them, or a
 * clock was wrong. A spec that is stopped is then tried at once, and goes on with the first machine
 * that works. */
static void bound(struct breaker *breaker, int64_t now_ms)
{
        size_t n = 0;

        if (breaker->stopped_since_ms < 0 || breaker->stopped_since_ms > now_ms + BREAKER_PROBE_MS)
                breaker->stopped_since_ms = 1;
        if (breaker->stopped_until_ms > now_ms + 2 * BREAKER_PROBE_MS)
                breaker->stopped_until_ms = 0;
        if (breaker->on_demand_until_ms > now_ms + 2 * BREAKER_ON_DEMAND_MS)
                breaker->on_demand_until_ms = 0;
        for (size_t i = 0; i < breaker->n_losses; i++)
                if (breaker->losses[i].at_ms <= now_ms + BREAKER_PROBE_MS)
                        breaker->losses[n++] = breaker->losses[i];
        breaker->n_losses = n;
}

struct breaker breaker_read(struct scaler *scaler, const char *spec, bool again)
{
        struct breaker breaker = {0};
        const struct ssm_text *text = shared_text(scaler, spec, again);

        if (!text)
                return breaker;
        breaker_parse(text->value, &breaker);
        breaker.version = text->version;
        bound(&breaker, clock_wall_ms(scaler->clock));
        return breaker;
}

int breaker_store(
        struct scaler *scaler, const char *spec, const struct breaker *breaker, struct err *err)
{
        _cleanup_free_ char *text = breaker_print(breaker);
        int64_t version = 0;
        int r = shared_store(scaler, spec, text, &version, err);

        if (r < 0)
                return err_prefix(err, r, "circuit breaker of spec %s", spec);
        return version == breaker->version + 1 ? 0 : BREAKER_OVERTAKEN;
}

/* -- what follows -- */

static bool is_due(const struct breaker *breaker, int64_t now_ms)
{
        return breaker->stopped_since_ms > 0 && breaker->stopped_until_ms <= now_ms;
}

enum breaker_verdict breaker_ask(struct scaler *scaler, const char *spec, int64_t *ret_until_ms)
{
        struct breaker breaker = breaker_read(scaler, spec, false);
        int64_t now = clock_wall_ms(scaler->clock);
        struct err err;
        int r;

        /* In the last minute a machine may have worked, and this would stop its spec again. */
        if (is_due(&breaker, now))
                breaker = breaker_read(scaler, spec, true);
        *ret_until_ms = breaker.stopped_until_ms;
        if (breaker.stopped_since_ms == 0)
                return BREAKER_GO;
        if (!is_due(&breaker, now))
                return BREAKER_STOP;
        breaker.stopped_until_ms = *ret_until_ms = now + BREAKER_PROBE_MS;
        r = breaker_store(scaler, spec, &breaker, &err);
        if (r < 0)
                log_warning(&scaler->log, "spec stays stopped: no machine can be tried",
                        LOG_TEXT("spec", spec), LOG_TEXT("error", err.text));
        if (r != 0)
                return BREAKER_STOP;
        log_info(&scaler->log, "spec is stopped: one machine is tried", LOG_TEXT("spec", spec));
        return BREAKER_PROBE;
}

bool breaker_is_on_demand(struct scaler *scaler, const struct config_spec *spec)
{
        return spec->on_demand_fallback &&
               breaker_read(scaler, spec->name, false).on_demand_until_ms >
                       clock_wall_ms(scaler->clock);
}
