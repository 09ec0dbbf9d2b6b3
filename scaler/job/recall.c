/* SPDX-License-Identifier: MIT */

/*
 * Recalls jobs: one call to EC2 for all of them and, at the same time, one to GitHub for each job,
 * or for each run that has several.
 */

#include "recall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch_name.h"

/* Less, since launching takes a moment. */
#define KNOWN_MS (4 * 60 * MSEC_PER_SEC)

bool job_is_fresh(const struct scaler *scaler, const struct job *job, int64_t receives)
{
        int64_t since_ms = job->queued_ms > 0 ? job->queued_ms : job->webhook_ms;

        return job->launch == 0 && job->stale == 0 && receives <= 1 &&
               clock_wall_ms(scaler->clock) - since_ms < JOB_FRESH_MS;
}

/* GitHub said a moment ago that it waits: see paced.c. */
static bool was_asked(const struct scaler *scaler, const struct job *job)
{
        return clock_wall_ms(scaler->clock) - job->asked_ms < JOB_FRESH_MS;
}

/* Since when an answer about JOB's run suffices, although another job asked for it: only for jobs
 * of a burst. */
static int64_t known_since(const struct scaler *scaler, const struct job *job)
{
        return job->paced ? clock_wall_ms(scaler->clock) - KNOWN_MS : 0;
}

/* -- what was launched -- */

struct search {
        const struct config *config;
        struct ec2_instances found;
        struct setback setback;
};

static void on_found(struct http_call *answered, void *userdata)
{
        _cleanup_(http_call_freep) struct http_call *call = answered;
        struct search *search = userdata;
        struct err err;
        int r = ec2_describe_instances_answer(call, &search->found, &err);

        if (r < 0)
                search->setback = setback_by_aws(call, r, &err);
        else
                launch_number_fleets(&search->found);
}

static void search_start(struct search *search, struct scaler *scaler, struct aws *aws,
        const struct recall *recalls, size_t n_recalls)
{
        char **patterns = mem_alloc(n_recalls * sizeof(char *));
        struct http_call *call;

        for (size_t i = 0; i < n_recalls; i++) {
                char name[LAUNCH_NAME_SIZE];

                launch_name(recalls[i].job, name);
                patterns[i] = launch_name_pattern(name);
        }
        call = ec2_find_instances(
                aws, "tag:" LAUNCH_NAMES_TAG, (const char *const *)patterns, n_recalls);
        for (size_t i = 0; i < n_recalls; i++)
                free(patterns[i]);
        free(patterns);
        call->done = on_found;
        call->userdata = search;
        scaler_start(scaler, call);
}

/* A launched job's message names its machine. Of a fleet, that says more than the order of ids: EC2
 * takes the tags of those that have ended, and then the others are counted differently. What was
 * launched since then is of another fleet: that machine had ended, and the message came again. */
static bool is_of(const struct ec2_instance *instance, const struct job *job, const char *name)
{
        const char *names = ec2_instance_tag(instance, LAUNCH_NAMES_TAG);

        if (job->instance && names && names[0] != '/' && instance->launched_ms <= job->launched_ms)
                return strcmp(job->instance, instance->id) == 0;
        return launch_name_owns(name, instance);
}

/* The instance that was launched for JOB, or NULL; one that lives before one that has ended. */
static const struct ec2_instance *instance_of(const struct search *search, const struct job *job)
{
        const struct ec2_instance *ended = NULL;
        char name[LAUNCH_NAME_SIZE];

        launch_name(job, name);
        for (size_t i = 0; search->found.items && i < search->found.count; i++) {
                const struct ec2_instance *instance = &search->found.items[i];

                if (!launch_is_ours(search->config, instance) || !is_of(instance, job, name))
                        continue;
                if (ec2_instance_lives(instance))
                        return instance;
                ended = instance;
        }
        return ended;
}

/* -- the verdict -- */

static enum recall_verdict judge_machine(struct recall *recall, const struct search *search)
{
        const struct ec2_instance *instance = instance_of(search, recall->job);
        const char *bucket;

        if (search->setback.result < 0) {
                recall->setback = search->setback;
                return RECALL_WAIT;
        }
        if (!instance)
                return RECALL_LAUNCH;
        bucket = ec2_instance_tag(instance, STORE_TAG);
        snprintf(recall->bucket, sizeof(recall->bucket), "%s", bucket ? bucket : "");
        recall->instance = *instance;
        recall->instance.tags = NULL;
        recall->instance.n_tags = 0;
        return ec2_instance_lives(instance) && !ec2_instance_tag(instance, JOB_TAG)
                       ? RECALL_ADOPT
                       : RECALL_RELAUNCH;
}

static enum recall_verdict judge(
        struct recall *recall, const struct question *question, const struct search *search)
{
        recall->state = question->state;
        switch (question->state) {
        case JOB_STATE_QUEUED:
                return judge_machine(recall, search);
        case JOB_STATE_RUNS:
        case JOB_STATE_ENDED:
                return RECALL_DROP;
        case JOB_STATE_HELD:
        case JOB_STATE_UNKNOWN:
        default:
                recall->setback = question->setback;
                return RECALL_WAIT;
        }
}

void recall_jobs(struct scaler *scaler, const struct config *config, struct aws *aws,
        struct token_requests *tokens, struct recall *recalls, size_t n_recalls)
{
        _cleanup_free_ struct question *questions = mem_alloc(n_recalls * sizeof(*questions));
        _cleanup_free_ struct question **all = mem_alloc(n_recalls * sizeof(*all));
        struct search search = {.config = config};
        size_t n_asked = 0;

        if (n_recalls == 0)
                return;
        search_start(&search, scaler, aws, recalls, n_recalls);
        for (size_t i = 0; i < n_recalls; i++) {
                questions[i] = (struct question){
                        .scaler = scaler,
                        .tokens = tokens,
                        .job = recalls[i].job,
                        .known_since_ms = known_since(scaler, recalls[i].job),
                };
                if (was_asked(scaler, recalls[i].job))
                        questions[i].state = JOB_STATE_QUEUED;
                else
                        all[n_asked++] = &questions[i];
        }
        ask_start_all(all, n_asked);
        http_finish(scaler_http(scaler));
        for (size_t i = 0; i < n_recalls; i++)
                recalls[i].verdict = judge(&recalls[i], &questions[i], &search);
        ec2_instances_release(&search.found);
}

void recall_machines(struct scaler *scaler, const struct config *config, struct aws *aws,
        struct recall *recalls, size_t n_recalls)
{
        struct search search = {.config = config};

        if (n_recalls == 0)
                return;
        search_start(&search, scaler, aws, recalls, n_recalls);
        http_finish(scaler_http(scaler));
        for (size_t i = 0; i < n_recalls; i++)
                recalls[i].verdict = judge_machine(&recalls[i], &search);
        ec2_instances_release(&search.found);
}
