/* SPDX-License-Identifier: MIT */

/*
 * Stores and reads GitHub's limits.
 */

#include "github_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "pace.h"
#include "setback.h"
#include "shared.h"

/* Functions that launch learn of a limit up to a minute late, so that a shorter one would be over
 * by then. */
#define LONG_MS (3 * 60 * MSEC_PER_SEC)
/* How long after its end a limit counts as near, */
#define NEAR_MS (15 * 60 * MSEC_PER_SEC)
/* and how much of that is left when it is renewed. */
#define RENEWED_MS (10 * 60 * MSEC_PER_SEC)
/* GitHub rounds when its limits end. */
#define ROUNDING_MS (10 * MSEC_PER_SEC)
/* When to try again to store a limit. */
#define RETRY_MS (60 * MSEC_PER_SEC)

#define NAME_SIZE 32

struct limit {
        int64_t apps;     /* how many Apps there were, all of them limited */
        int64_t until_ms; /* wall clock; 0: a short limit, which pauses nothing */
        int64_t near_until_ms;
};

/* An enterprise has one token. */
static int64_t apps_of(struct scaler *scaler, int64_t registrar)
{
        return registrar == PACE_OF_ENTERPRISE ? 1 : pace_apps(scaler);
}

#define BEGINNING "_limit."
#define ENTERPRISE "enterprise"

static void write_name(int64_t registrar, char name[static NAME_SIZE])
{
        if (registrar == PACE_OF_ENTERPRISE)
                snprintf(name, NAME_SIZE, BEGINNING ENTERPRISE);
        else
                snprintf(name, NAME_SIZE, BEGINNING "%lld", (long long)registrar);
}

/* The registrar of a name, of which REST is what follows its beginning. */
static int64_t read_name(const char *rest)
{
        return strcmp(rest, ENTERPRISE) == 0 ? PACE_OF_ENTERPRISE : strtoll(rest, NULL, 10);
}

/* -- storing -- */

static char *print(const struct limit *limit)
{
        _cleanup_json_ cJSON *json = cJSON_CreateObject();

        json_add_integer(json, "version", 1);
        json_add_integer(json, "apps", limit->apps);
        if (limit->until_ms > 0)
                json_add_integer(json, "until_ms", limit->until_ms);
        json_add_integer(json, "near_until_ms", limit->near_until_ms);
        return json_print(json);
}

/* What this process has stored of REGISTRAR; all 0: nothing, or long ago. */
static struct stored_limit *find_stored(struct scaler *scaler, int64_t registrar)
{
        struct stored_limit *found;

        for (size_t i = 0; i < scaler->n_stored_limits; i++)
                if (scaler->stored_limits[i].registrar == registrar)
                        return &scaler->stored_limits[i];
        scaler->stored_limits = mem_resize(
                scaler->stored_limits, scaler->n_stored_limits + 1, sizeof(*scaler->stored_limits));
        found = &scaler->stored_limits[scaler->n_stored_limits++];
        *found = (struct stored_limit){.registrar = registrar};
        return found;
}

/* A limit that lasts stays, whatever shorter one is met meanwhile. */
static bool is_known(const struct stored_limit *stored, const struct limit *limit, int64_t now_ms)
{
        if (stored->failed_ms > 0 && now_ms - stored->failed_ms < RETRY_MS)
                return true;
        if (stored->apps != limit->apps)
                return false;
        if (limit->until_ms > 0)
                return stored->until_ms + ROUNDING_MS >= limit->until_ms;
        return stored->until_ms > now_ms || stored->near_until_ms >= now_ms + RENEWED_MS;
}

void github_limit_note(struct scaler *scaler, int64_t registrar, int64_t until_ms)
{
        int64_t now_ms = clock_wall_ms(scaler->clock);
        struct stored_limit *stored = find_stored(scaler, registrar);
        const struct limit limit = {
                .apps = apps_of(scaler, registrar),
                .until_ms = until_ms - now_ms >= LONG_MS ? until_ms : 0,
                .near_until_ms = until_ms + NEAR_MS,
        };
        _cleanup_free_ char *text = NULL;
        char name[NAME_SIZE];
        int64_t version;
        struct err err;

        if (is_known(stored, &limit, now_ms))
                return;
        write_name(registrar, name);
        text = print(&limit);
        if (shared_store(scaler, name, text, &version, &err) < 0) {
                stored->failed_ms = now_ms;
                log_warning(&scaler->log,
                        "GitHub's limit could not be stored: launches go on meanwhile",
                        LOG_TEXT("error", err.text));
                return;
        }
        stored->failed_ms = 0;
        stored->apps = limit.apps;
        stored->until_ms = limit.until_ms;
        stored->near_until_ms = limit.near_until_ms;
        log_info(&scaler->log, "GitHub's limit is met: launches follow it",
                LOG_TEXT("registrar", name), LOG_NUMBER("until_ms", until_ms));
}

/* -- reading -- */

/* Reads the stored limit of REGISTRAR. One that lasts longer than GitHub's limits do is ignored:
 * somebody else stored it, or a clock was wrong. So is one from before an App was added, since that
 * App can register. */
static struct limit read_limit(struct scaler *scaler, int64_t registrar)
{
        int64_t now_ms = clock_wall_ms(scaler->clock);
        _cleanup_json_ cJSON *json = NULL;
        const struct ssm_text *text;
        struct limit limit;
        char name[NAME_SIZE];
        struct err err;

        write_name(registrar, name);
        text = shared_text(scaler, name, false);
        if (!text || json_parse(text->value, strlen(text->value), "the limit", &json, &err) < 0)
                return (struct limit){0};
        limit.until_ms = json_integer(json, "until_ms", 0);
        limit.near_until_ms = json_integer(json, "near_until_ms", 0);
        limit.apps = json_integer(json, "apps", 1);
        if (limit.until_ms > now_ms + SETBACK_MAX_MS || limit.apps < apps_of(scaler, registrar))
                limit.until_ms = 0;
        if (limit.near_until_ms > now_ms + SETBACK_MAX_MS + NEAR_MS)
                limit.near_until_ms = 0;
        return limit;
}

int64_t github_limit_pause_until(struct scaler *scaler, int64_t registrar)
{
        int64_t until_ms = read_limit(scaler, registrar).until_ms - PACE_BOOT_MS;

        return until_ms > clock_wall_ms(scaler->clock) ? until_ms : 0;
}

bool github_limit_is_near(struct scaler *scaler, int64_t registrar)
{
        return read_limit(scaler, registrar).near_until_ms > clock_wall_ms(scaler->clock);
}

size_t github_limits_that_pause(struct scaler *scaler)
{
        const char *rest;
        size_t index = 0;
        size_t n = 0;

        while ((rest = shared_next_name(scaler, BEGINNING, &index)))
                n += github_limit_pause_until(scaler, read_name(rest)) > 0;
        return n;
}
