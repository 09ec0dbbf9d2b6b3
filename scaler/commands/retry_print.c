/* SPDX-License-Identifier: MIT */

/*
 * What `scaler retry` prints: a line for each letter and their number, or one JSON object.
 */

#include "retry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

/* -- a letter -- */

const char *retry_source(const struct sqs_received *letter)
{
        const char *colon = letter->source ? strrchr(letter->source, ':') : NULL;

        return colon ? colon + 1 : NULL;
}

static int64_t age_seconds(const struct retry *retry, const struct sqs_received *letter)
{
        int64_t age_ms = clock_wall_ms(retry->scaler->clock) - letter->sent_ms;

        return age_ms > 0 ? age_ms / MSEC_PER_SEC : 0;
}

/* "3 h": in the largest unit of which it has one. */
static void print_age(int64_t seconds)
{
        static const struct {
                int64_t seconds;
                const char *name;
        } units[] = {{24 * 3600, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
        size_t i = 0;

        while (i + 1 < ARRAY_SIZE(units) && seconds < units[i].seconds)
                i++;
        printf(", kept for %" PRId64 " %s", seconds / units[i].seconds, units[i].name);
}

void retry_print_letter(
        const struct retry *retry, const struct sqs_received *letter, const struct job *job)
{
        const char *queue = retry_source(letter);

        if (!retry->lists)
                printf("%s ", retry->dry_run ? "would move" : "moved");
        if (job->id)
                printf("job %" PRId64 " of %s", job->id, job->repository);
        else
                printf("message %s", letter->id);
        printf(" %s %s", retry->lists ? "from" : "to", queue ? queue : "an unknown queue");
        if (letter->sent_ms)
                print_age(age_seconds(retry, letter));
        printf("%s%s\n", letter->cause ? ": " : "", letter->cause ? letter->cause : "");
        (void)fflush(stdout);
}

void retry_add_letter(const struct retry *retry, const struct sqs_received *letter,
        const struct job *job, const char *fault)
{
        cJSON *item = cJSON_CreateObject();
        char kept[CLOCK_TEXT_SIZE];

        json_add_string(item, "id", letter->id);
        json_add_string(item, "queue", retry_source(letter));
        if (job->id) {
                json_add_integer(item, "job", job->id);
                json_add_string(item, "name", job->name);
                json_add_string(item, "repository", job->repository);
        }
        if (letter->sent_ms) {
                json_add_string(item, "kept_at", clock_format(letter->sent_ms, kept));
                json_add_integer(item, "age_seconds", age_seconds(retry, letter));
        }
        json_add_string(item, "cause", letter->cause);
        json_add_string(item, "error", fault);
        cJSON_AddItemToArray(retry->letters, item);
}

/* -- all of them -- */

static void print_json(struct retry *retry)
{
        _cleanup_json_ cJSON *answer = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;

        if (retry->lists) {
                json_add_integer(answer, "kept", retry->n_done);
        } else {
                json_add_boolean(answer, "dry_run", retry->dry_run);
                json_add_integer(answer, "moved", retry->n_done);
                json_add_integer(answer, "stay", retry->n_stay);
        }
        cJSON_AddItemToObject(answer, "letters", MEM_STEAL(retry->letters));
        text = json_print(answer);
        (void)puts(text);
}

void retry_print_totals(struct retry *retry)
{
        if (retry->letters)
                print_json(retry);
        else if (retry->lists)
                printf("%u kept%s\n", retry->n_done,
                        retry->n_done ? "; --job ID or --all moves them back" : "");
        else
                printf("%u %s, %u stay\n", retry->n_done,
                        retry->dry_run ? "would be moved" : "moved", retry->n_stay);
}
