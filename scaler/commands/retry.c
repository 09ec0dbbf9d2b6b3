/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler retry`: sends each kept letter back to the queue that it came from, and then
 * deletes it from the kept queue, so an interruption moves a letter twice at worst.
 */

#include "commands.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "job/job.h"
#include "queue/send.h"
#include "scaler.h"

/* SQS hides a received letter for this long. The letters that stay are made visible again at the
 * end, for the real run that follows a dry one. */
#define HIDDEN_SECONDS 60

enum { OPTION_DEAD_LETTERS, OPTION_DRY_RUN, OPTION_QUEUE, OPTION_JSON, N_OPTIONS };

struct retry {
        struct scaler *scaler;
        struct aws *aws;
        const char *queue_url;
        bool dry_run;
        char *destination_name; /* the queue that was looked up last, and its URL */
        char *destination_url;
        char **receipts; /* of the letters that stay */
        size_t n_receipts;
        unsigned n_moved;
        unsigned n_stay;
        cJSON *letters; /* of --json: what became of each; else NULL */
};

static void print_letter(
        const struct retry *retry, const struct sqs_received *letter, const char *queue)
{
        _cleanup_(job_release) struct job job = {0};

        printf("%s %s to %s", retry->dry_run ? "would move" : "moved", letter->id, queue);
        if (job_parse(letter->body, strlen(letter->body), &job, NULL) == 0)
                printf(": job %lld of %s", (long long)job.id, job.repository);
        printf("%s%s\n", letter->cause ? "; cause: " : "", letter->cause ? letter->cause : "");
}

/* FAULT: why the letter stays; NULL: it went to QUEUE. */
static void add_letter(const struct retry *retry, const struct sqs_received *letter,
        const char *queue, const char *fault)
{
        _cleanup_(job_release) struct job job = {0};
        cJSON *item = cJSON_CreateObject();

        json_add_string(item, "id", letter->id);
        json_add_string(item, "queue", queue);
        if (job_parse(letter->body, strlen(letter->body), &job, NULL) == 0) {
                json_add_integer(item, "job", job.id);
                json_add_string(item, "repository", job.repository);
        }
        json_add_string(item, "cause", letter->cause);
        json_add_string(item, "error", fault);
        cJSON_AddItemToArray(retry->letters, item);
}

static void print_outcome(const struct retry *retry, const struct sqs_received *letter,
        const char *queue, const char *fault)
{
        if (retry->letters)
                add_letter(retry, letter, queue, fault);
        else if (!fault)
                print_letter(retry, letter, queue);
        if (fault)
                fprintf(stderr, "scaler: letter %s stays: %s\n", letter->id, fault);
}

/* The queue that LETTER came from, or NULL. */
static const char *source_name(const struct sqs_received *letter)
{
        const char *colon = letter->source ? strrchr(letter->source, ':') : NULL;

        return colon ? colon + 1 : NULL;
}

static int find_destination(struct retry *retry, const char *name, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        char *url;
        int r;

        if (retry->destination_name && strcmp(retry->destination_name, name) == 0)
                return 0;
        call = scaler_call(retry->scaler, sqs_get_queue_url(retry->aws, name));
        r = sqs_get_queue_url_answer(call, &url, err);
        if (r < 0)
                return err_prefix(err, r, "queue %s", name);
        free(retry->destination_name);
        free(retry->destination_url);
        retry->destination_name = mem_string(name);
        retry->destination_url = url;
        return 0;
}

static int send_back(
        struct retry *retry, const struct sqs_received *letter, const char *name, struct err *err)
{
        size_t size = strlen(name);
        bool fifo = size > 5 && strcmp(name + size - 5, ".fifo") == 0;
        struct sqs_message message = {
                .body = letter->body,
                .group = fifo ? letter->id : NULL,
                .deduplication_id = fifo ? letter->id : NULL,
        };
        int r = find_destination(retry, name, err);

        if (r < 0)
                return r;
        message.queue_url = retry->destination_url;
        return queue_send_message(retry->scaler, &message, err);
}

static int delete_kept(struct retry *retry, const struct sqs_received *letter, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = scaler_call(
                retry->scaler, sqs_delete_message(retry->aws, retry->queue_url, letter->receipt));

        return sqs_delete_message_answer(call, err);
}

static int move_letter(struct retry *retry, const struct sqs_received *letter, struct err *err)
{
        const char *name = source_name(letter);
        int r = 0;

        if (!name)
                return err_set(
                        err, -EBADMSG, "it has no attribute `source`, so its queue is not known");
        if (!retry->dry_run)
                r = send_back(retry, letter, name, err);
        if (r == 0 && !retry->dry_run)
                r = delete_kept(retry, letter, err);
        return r;
}

/* Remembers a letter that stays. */
static void keep_receipt(struct retry *retry, const struct sqs_received *letter)
{
        retry->receipts = mem_resize(retry->receipts, retry->n_receipts + 1, sizeof(char *));
        retry->receipts[retry->n_receipts++] = mem_string(letter->receipt);
}

/* Makes the letters that stay visible again. */
static void unhide(struct retry *retry)
{
        struct err err;
        int r = 0;

        for (size_t i = 0; i < retry->n_receipts; i++) {
                _cleanup_(http_call_freep) struct http_call *call =
                        sqs_hide_message(retry->aws, retry->queue_url, retry->receipts[i], 0);

                if (r == 0)
                        r = sqs_hide_message_answer(scaler_call(retry->scaler, call), &err);
                free(retry->receipts[i]);
        }
        free(retry->receipts);
        if (r < 0)
                fprintf(stderr, "scaler: the letters that stay are hidden for %d seconds: %s\n",
                        HIDDEN_SECONDS, err.text);
}

/* Moves up to ten letters; positive if there were any. */
static int move_some(struct retry *retry, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        _cleanup_(sqs_received_list_release) struct sqs_received_list letters = {0};
        int r;

        call = scaler_call(
                retry->scaler, sqs_receive_messages(retry->aws, retry->queue_url, HIDDEN_SECONDS));
        r = sqs_receive_messages_answer(call, &letters, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < letters.count; i++) {
                const struct sqs_received *letter = &letters.items[i];

                r = move_letter(retry, letter, err);
                print_outcome(retry, letter, source_name(letter), r < 0 ? err->text : NULL);
                *(r < 0 ? &retry->n_stay : &retry->n_moved) += 1;
                if (r < 0 || retry->dry_run)
                        keep_receipt(retry, letter);
        }
        return letters.count > 0;
}

static void print_totals(struct retry *retry)
{
        _cleanup_json_ cJSON *answer = NULL;
        _cleanup_free_ char *text = NULL;

        if (!retry->letters) {
                printf("%u %s, %u stay\n", retry->n_moved,
                        retry->dry_run ? "would be moved" : "moved", retry->n_stay);
                return;
        }
        answer = cJSON_CreateObject();
        json_add_boolean(answer, "dry_run", retry->dry_run);
        json_add_integer(answer, "moved", retry->n_moved);
        json_add_integer(answer, "stay", retry->n_stay);
        cJSON_AddItemToObject(answer, "letters", MEM_STEAL(retry->letters));
        text = json_print(answer);
        (void)puts(text);
}

static int run(struct retry *retry)
{
        struct err err;
        int r = retry->queue_url ? 0 : queue_url("KEPT_QUEUE_URL", &retry->queue_url, &err);

        if (r == 0)
                r = scaler_aws(retry->scaler, &retry->aws, &err);
        if (r == 0)
                do
                        r = move_some(retry, &err);
                while (r > 0);
        unhide(retry);
        free(retry->destination_name);
        free(retry->destination_url);
        if (r < 0)
                fprintf(stderr, "scaler: kept dead letters cannot be read: %s\n", err.text);
        if (r >= 0 || retry->letters)
                print_totals(retry);
        return r < 0 || retry->n_stay > 0;
}

static int retry_main(int argc, char *argv[])
{
        const char *values[N_OPTIONS] = {0};
        _cleanup_(scaler_release) struct scaler scaler = {0};
        struct retry retry = {.scaler = &scaler};
        int code = cli_parse(&retry_command, argc, argv, values, NULL);

        scaler_init(&scaler);
        if (code != CLI_GO_ON)
                return code;
        retry.queue_url = values[OPTION_QUEUE];
        retry.dry_run = values[OPTION_DRY_RUN];
        if (values[OPTION_JSON])
                retry.letters = cJSON_CreateArray();
        return run(&retry);
}

static const struct cli_option options[] = {
        [OPTION_DEAD_LETTERS] = {"dead-letters", NULL, "all kept dead letters; must be given",
                true},
        [OPTION_DRY_RUN] = {"dry-run", NULL, "say what would be moved, and move nothing", false},
        [OPTION_QUEUE] = {"queue", "URL", "the queue of kept letters (default: KEPT_QUEUE_URL)",
                false},
        [OPTION_JSON] = {"json", NULL, "print one JSON object at the end", false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {0, "done"},
        {1, "a letter could not be moved, or the letters could not be read"},
        {2, "wrong usage"},
        {0},
};

const struct cli retry_command = {
        .program = "scaler",
        .name = "retry",
        .brief = "try again what failed for good",
        .text = "Moves kept dead letters back to the queues that they came from. "
                "Needs AWS_REGION and credentials in the environment.",
        .options = options,
        .exits = exits,
        .main = retry_main,
};
