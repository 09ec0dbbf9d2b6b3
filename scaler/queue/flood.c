/* SPDX-License-Identifier: MIT */

/*
 * Counts notices, group by group, in a table of the process.
 */

#include "flood.h"

#include <string.h>

#include "base/mem.h"

#define QUARTER_MS (15 * 60 * MSEC_PER_SEC)
/* Between two batches of a line that is counted to its end. */
#define NEXT_BATCH_SECONDS 1
/* Groups of specs and reasons; the one that was shown first makes room. */
#define FLOODS_MAX 200

static struct flood *find(const struct scaler *scaler, const char *group)
{
        char digest[DIGEST_HEX_SIZE];

        digest_sha256_hex(group, strlen(group), digest);
        for (size_t i = 0; i < scaler->n_floods; i++)
                if (strcmp(scaler->floods[i].digest, digest) == 0)
                        return &scaler->floods[i];
        return NULL;
}

static struct flood *make(struct scaler *scaler, const char *group)
{
        struct flood *flood;

        if (scaler->n_floods == FLOODS_MAX)
                memmove(scaler->floods, scaler->floods + 1,
                        --scaler->n_floods * sizeof(*scaler->floods));
        scaler->floods = mem_resize(scaler->floods, scaler->n_floods + 1, sizeof(*scaler->floods));
        flood = &scaler->floods[scaler->n_floods++];
        *flood = (struct flood){0};
        digest_sha256_hex(group, strlen(group), flood->digest);
        return flood;
}

enum flood_step flood_take(
        struct scaler *scaler, const char *group, bool is_last, bool is_alone, int64_t *ret_seconds)
{
        struct flood *flood = find(scaler, group);
        int64_t left_ms = flood ? flood->until_ms - clock_monotonic_ms(scaler->clock) : 0;

        if (!flood || (left_ms <= 0 && (is_alone || !flood->keeps)))
                return FLOOD_SHOW;
        if (!is_last) {
                flood->counted++;
                return FLOOD_COUNT;
        }
        flood->keeps = true;
        *ret_seconds =
                left_ms > 0 ? (left_ms + MSEC_PER_SEC - 1) / MSEC_PER_SEC : NEXT_BATCH_SECONDS;
        return FLOOD_KEEP;
}

int64_t flood_counted(const struct scaler *scaler, const char *group)
{
        const struct flood *flood = find(scaler, group);

        return flood ? flood->counted : 0;
}

void flood_note_shown(struct scaler *scaler, const char *group)
{
        struct flood *flood = find(scaler, group);

        if (!flood)
                flood = make(scaler, group);
        flood->until_ms = clock_monotonic_ms(scaler->clock) + QUARTER_MS;
        flood->counted = 0;
        flood->keeps = false;
}
