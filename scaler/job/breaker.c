/* SPDX-License-Identifier: MIT */

/*
 * Reads and stores breakers, and takes the turn to try one machine: the process whose PutParameter
 * gives the version after the one that it has read was the first.
 */

#include "breaker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ssm.h"
#include "base/json.h"

#define KEPT_MS (60 * MSEC_PER_SEC)
#define PAGES_MAX 10

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

static int read_all(struct scaler *scaler, struct aws *aws, const char *prefix, struct err *err)
{
        _cleanup_free_ char *path = mem_format("%s/breakers", prefix);
        unsigned pages = 0;
        int r;

        ssm_texts_release(&scaler->breakers);
        do {
                _cleanup_(http_call_freep) struct http_call *call =
                        scaler_call(scaler, ssm_get_texts(aws, path, scaler->breakers.next_page));

                r = ssm_get_texts_answer(call, &scaler->breakers, err);
        } while (r == 0 && scaler->breakers.next_page && ++pages < PAGES_MAX);
        return r;
}

static char *name_of(const char *prefix, const char *spec)
{
        return mem_format("%s/breakers/%s", prefix, spec);
}

static int refresh(struct scaler *scaler, bool again, const char **ret_prefix, struct err *err)
{
        int64_t now = clock_monotonic_ms(scaler->clock);
        const struct config *config;
        struct aws *aws;
        int r = scaler_config(scaler, &config, err);

        if (r < 0)
                return r;
        *ret_prefix = config->prefix;
        if (!again && scaler->breakers_read_ms > 0 && now - scaler->breakers_read_ms < KEPT_MS)
                return 0;
        scaler->breakers_read_ms = now; /* one that fails is not tried for each job */
        r = scaler_aws(scaler, &aws, err);
        return r == 0 ? read_all(scaler, aws, config->prefix, err) : r;
}

/* What we never store, since it would last for ever: somebody else wrote it, or a clock was wrong.
 * A spec that is stopped is then tried now, and any machine that works lets it go on. */
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
        _cleanup_free_ char *name = NULL;
        const char *prefix = NULL;
        struct err err;

        if (refresh(scaler, again, &prefix, &err) < 0)
                log_warning(&scaler->log, "circuit breakers cannot be read, and stop nothing",
                        LOG_TEXT("error", err.text));
        if (!prefix)
                return breaker;
        name = name_of(prefix, spec);
        for (size_t i = 0; i < scaler->breakers.count; i++) {
                if (strcmp(scaler->breakers.items[i].name, name) != 0)
                        continue;
                breaker_parse(scaler->breakers.items[i].value, &breaker);
                breaker.version = scaler->breakers.items[i].version;
                bound(&breaker, clock_wall_ms(scaler->clock));
        }
        return breaker;
}

int breaker_store(
        struct scaler *scaler, const char *spec, const struct breaker *breaker, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_free_ char *text = breaker_print(breaker);
        _cleanup_free_ char *name = NULL;
        const struct config *config;
        struct aws *aws = NULL;
        int64_t version = 0;
        int r = scaler_config(scaler, &config, err);

        if (r == 0)
                r = scaler_aws(scaler, &aws, err);
        if (r < 0)
                return r;
        name = name_of(config->prefix, spec);
        call = scaler_call(scaler, ssm_put_text(aws, name, text));
        r = ssm_put_text_answer(call, &version, err);
        scaler->breakers_read_ms = 0; /* what we have read is of the past */
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
                log_warning(&scaler->log, "no machine can be tried of a spec that is stopped",
                        LOG_TEXT("spec", spec), LOG_TEXT("error", err.text));
        if (r != 0)
                return BREAKER_STOP;
        log_info(&scaler->log, "one machine is tried of a spec that is stopped",
                LOG_TEXT("spec", spec));
        return BREAKER_PROBE;
}

bool breaker_is_on_demand(struct scaler *scaler, const struct config_spec *spec)
{
        return spec->on_demand_fallback &&
               breaker_read(scaler, spec->name, false).on_demand_until_ms >
                       clock_wall_ms(scaler->clock);
}
