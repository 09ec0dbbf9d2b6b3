/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler retry`: lists the kept letters, or sends those that are asked for back to the
 * queues that they came from. Each is deleted from the kept queue after it was sent, so an
 * interruption moves a letter twice at worst. What it prints is in retry_print.c.
 */

#include "retry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "commands.h"
#include "queue/send.h"

enum { OPTION_ALL, OPTION_JOB, OPTION_DRY_RUN, OPTION_QUEUE, OPTION_JSON, N_OPTIONS };

/* -- moving -- */

static int find_destination(struct retry *retry, const char *name, struct err *err)
{
        _cleanup_(http_call_freep) struct http_call *call = NULL;
        char *url;
        int r;

        if (retry->destination_name && strcmp(retry->destination_name, name) == 0)
                return 0;
        call = scaler_call(retry->scaler, sqs_get_queue_url(retry->kept.aws, name));
        r = sqs_get_queue_url_answer(call, &url, err);
        if (r < 0)
                return err_prefix(err, r, "queue %s", name);
        free(retry->destination_name);
        free(retry->destination_url);
        retry->destination_name = mem_string(name);
        retry->destination_url = url;
        return 0;
}

/* The message group of a letter that does not name one, since an older scaler kept it. Groups are
 * those that the scaler itself uses: the job in queued.fifo, since no two processes may hold a job;
 * the installation in paced.fifo and register.fifo, since one process keeps its budgets. */
static int64_t group_of(const struct job *job)
{
        return job->action == JOB_LAUNCHED || job->action == JOB_PACED ? job->installation
                                                                       : job->id;
}

/* The body to send: the kept one. A job to launch counts one more send (job->sends), so that EC2
 * does not take its next fleet for the one that failed. The caller frees. */
static char *print_body(const struct sqs_received *letter, const struct job *job)
{
        struct job again = *job;

        if (job->id == 0 || job->action != JOB_QUEUED)
                return mem_string(letter->body);
        again.sends++;
        return job_print(&again);
}

static int send_back(struct retry *retry, const struct sqs_received *letter, const struct job *job,
        const char *name, struct err *err)
{
        size_t size = strlen(name);
        bool fifo = size > 5 && strcmp(name + size - 5, ".fifo") == 0;
        _cleanup_free_ char *body = print_body(letter, job);
        struct sqs_message message = {.body = body};
        char group[24];
        int r = find_destination(retry, name, err);

        if (r < 0)
                return r;
        snprintf(group, sizeof(group), "%" PRId64, group_of(job));
        if (fifo) {
                message.group = letter->group ? letter->group : job->id ? group : letter->id;
                message.deduplication_id = letter->id;
        }
        message.queue_url = retry->destination_url;
        return queue_send_message(retry->scaler, &message, err);
}

static int move_letter(struct retry *retry, const struct sqs_received *letter,
        const struct job *job, struct err *err)
{
        const char *name = retry_source(letter);
        int r;

        if (!name)
                return err_set(
                        err, -EBADMSG, "it has no attribute `source`, so its queue is not known");
        if (retry->dry_run)
                return 0;
        r = send_back(retry, letter, job, name, err);
        return r < 0 ? r : kept_letters_delete(&retry->kept, letter, err);
}

static int handle_letter(const struct sqs_received *letter, void *userdata)
{
        _cleanup_(job_release) struct job job = {0};
        struct retry *retry = userdata;
        struct err err;
        int r = 0;

        /* Not every letter is a job's. */
        (void)job_parse(letter->body, strlen(letter->body), &job, NULL);
        if (retry->job && job.id != retry->job)
                return 0;
        if (!retry->lists)
                r = move_letter(retry, letter, &job, &err);
        if (r < 0)
                fprintf(stderr, "scaler: letter %s stays: %s\n", letter->id, err.text);
        if (retry->letters)
                retry_add_letter(retry, letter, &job, r < 0 ? err.text : NULL);
        else if (r == 0)
                retry_print_letter(retry, letter, &job);
        *(r < 0 ? &retry->n_stay : &retry->n_done) += 1;
        return r == 0 && !retry->lists && !retry->dry_run;
}

/* -- the command -- */

static int no_letter(int64_t job)
{
        fprintf(stderr, "scaler: there is no kept letter of job %" PRId64 "\n", job);
        return -ENOENT;
}

static int run(struct retry *retry)
{
        struct kept_letters *kept = &retry->kept;
        struct err err;
        int r = kept->queue_url ? 0 : queue_url("KEPT_QUEUE_URL", &kept->queue_url, &err);

        if (r == 0)
                r = scaler_aws(retry->scaler, &kept->aws, &err);
        if (r == 0)
                r = kept_letters_each(kept, handle_letter, retry, &err);
        free(retry->destination_name);
        free(retry->destination_url);
        if (r < 0)
                fprintf(stderr, "scaler: %s%s\n",
                        r == -EINTR ? "" : "kept letters cannot be read: ", err.text);
        else if (retry->job && retry->n_done + retry->n_stay == 0)
                r = no_letter(retry->job);
        if (r >= 0 || r == -EINTR || retry->letters)
                retry_print_totals(retry);
        return r < 0 || retry->n_stay > 0;
}

/* Reads which letters are meant: CLI_GO_ON, or the exit code. */
static int read_choice(struct retry *retry, const char *const *values)
{
        const char *job = values[OPTION_JOB];
        char *end = NULL;

        retry->lists = !values[OPTION_ALL] && !job;
        retry->dry_run = values[OPTION_DRY_RUN];
        if (job && values[OPTION_ALL])
                return cli_wrong(&retry_command, "--all and --job exclude each other");
        if (retry->lists && retry->dry_run)
                return cli_wrong(&retry_command, "--dry-run: of what? Add --all or --job ID");
        if (!job)
                return CLI_GO_ON;
        errno = 0;
        retry->job = strtoll(job, &end, 10);
        if (errno || *end || retry->job <= 0)
                return cli_wrong(&retry_command, "--job: \"%s\" is not the number of a job", job);
        return CLI_GO_ON;
}

static int retry_main(int argc, char *argv[])
{
        const char *values[N_OPTIONS] = {0};
        _cleanup_(scaler_release) struct scaler scaler = {0};
        struct retry retry = {.scaler = &scaler, .kept.scaler = &scaler};
        int code = cli_parse(&retry_command, argc, argv, values, NULL);

        scaler_init(&scaler);
        if (code == CLI_GO_ON)
                code = read_choice(&retry, values);
        if (code != CLI_GO_ON)
                return code;
        retry.kept.queue_url = values[OPTION_QUEUE];
        if (values[OPTION_JSON])
                retry.letters = cJSON_CreateArray();
        return run(&retry);
}

static const struct cli_option options[] = {
        [OPTION_ALL] = {"all", NULL, "move all kept letters", false},
        [OPTION_JOB] = {"job", "ID", "move the letters of this job", false},
        [OPTION_DRY_RUN] = {"dry-run", NULL, "say what would be moved, and move nothing", false},
        [OPTION_QUEUE] = {"queue", "URL", "the queue of kept letters (default: KEPT_QUEUE_URL)",
                false},
        [OPTION_JSON] = {"json", NULL, "print one JSON object at the end", false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {0, "done"},
        {1, "a letter could not be moved, the job has none, the letters could not be read, "
            "or a signal came"},
        {2, "wrong usage"},
        {0},
};

const struct cli retry_command = {
        .program = "scaler",
        .name = "retry",
        .brief = "list what failed for good, and try it again",
        .text = "Lists the kept letters, one a line: job, queue, age, cause. With --all or --job "
                "moves them back to the queues that they came from. "
                "Needs AWS_REGION and credentials in the environment.",
        .options = options,
        .exits = exits,
        .main = retry_main,
};
