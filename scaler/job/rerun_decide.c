/* SPDX-License-Identifier: MIT */

/*
 * Classifies the jobs of a run, and counts.
 */

#include "rerun_decide.h"

#include <string.h>

static bool is_one_of(const char *conclusion, const char *const *words)
{
        for (; *words; words++)
                if (strcmp(conclusion, *words) == 0)
                        return true;
        return false;
}

bool rerun_is_failed(const struct github_run_job *job)
{
        static const char *const fine[] = {"", "success", "skipped", "neutral", NULL};

        return !is_one_of(job->conclusion, fine);
}

/* Whom a lost machine can have failed: GitHub calls it a failure, the agent cancels it. */
static bool may_be_lost(const struct github_run_job *job)
{
        static const char *const lost[] = {"failure", "cancelled", NULL};

        return is_one_of(job->conclusion, lost);
}

/* NULL: its runners are others', or its spec is gone. */
static const struct config_spec *spec_of(
        const struct config *config, const struct github_run_job *job)
{
        const char *type;

        return config_match(config, (const char *const *)job->labels, job->n_labels, &type);
}

/* When GitHub saw the first of the lost jobs end; INT64_MAX: none. */
static int64_t first_loss(const struct github_run_jobs *jobs, const enum rerun_evidence *evidence)
{
        int64_t first = INT64_MAX;

        for (size_t i = 0; i < jobs->count; i++)
                if (may_be_lost(&jobs->items[i]) && evidence[i] == RERUN_EVIDENCE_LOST &&
                        jobs->items[i].completed_ms < first)
                        first = jobs->items[i].completed_ms;
        return first;
}

static enum rerun_class class_of(const struct config *config, const struct github_run_job *job,
        enum rerun_evidence evidence, int64_t first_loss_ms)
{
        const struct config_spec *spec = spec_of(config, job);

        if (!rerun_is_failed(job))
                return RERUN_SUCCEEDED;
        if (may_be_lost(job) && evidence == RERUN_EVIDENCE_LOST)
                return spec && config_spec_reruns(spec) ? RERUN_LOST : RERUN_KEPT;
        if (strcmp(job->conclusion, "cancelled") == 0 && !job->has_failed_step &&
                job->completed_ms >= first_loss_ms && (!spec || config_spec_reruns(spec)))
                return RERUN_COLLATERAL;
        return RERUN_REAL;
}

/* Whether each lost job's spec lets an ATTEMPT be followed by another. */
static bool is_within_limits(const struct config *config, const struct github_run_jobs *jobs,
        const enum rerun_class *classes, int64_t attempt)
{
        for (size_t i = 0; i < jobs->count; i++)
                if (classes[i] == RERUN_LOST &&
                        attempt > spec_of(config, &jobs->items[i])->max_reruns)
                        return false;
        return true;
}

struct rerun_decision rerun_decide(const struct config *config, const struct github_run_jobs *jobs,
        const enum rerun_evidence *evidence, int64_t attempt, enum rerun_class *ret_classes)
{
        static const enum rerun_verdict verdicts[3][2] = {
                /* no real failure, some */
                {RERUN_NOTHING, RERUN_NOTHING},
                {RERUN_ALL_FAILED, RERUN_ONE},
                {RERUN_ALL_FAILED, RERUN_PEOPLE},
        };
        struct rerun_decision decision = {0};
        int64_t first_loss_ms = first_loss(jobs, evidence);
        size_t counts[RERUN_KEPT + 1] = {0};
        size_t n_others;

        for (size_t i = 0; i < jobs->count; i++) {
                enum rerun_class class =
                        class_of(config, &jobs->items[i], evidence[i], first_loss_ms);

                ret_classes[i] = class;
                counts[class]++;
                if (class == RERUN_LOST)
                        decision.job = jobs->items[i].id;
                if (class == RERUN_REAL && evidence[i] == RERUN_EVIDENCE_FORGOTTEN)
                        decision.n_forgotten++;
        }
        n_others = counts[RERUN_REAL] + counts[RERUN_KEPT];
        decision.n_lost = counts[RERUN_LOST];
        decision.verdict = verdicts[decision.n_lost < 2 ? decision.n_lost : 2][n_others > 0];
        if (decision.n_lost == 0 && counts[RERUN_KEPT] > 0)
                decision.verdict = RERUN_NEVER;
        else if (decision.n_lost > 0 && !is_within_limits(config, jobs, ret_classes, attempt))
                decision.verdict = RERUN_LIMIT;
        return decision;
}

/* -- newer runs -- */

static bool is_of_pull_request(const struct github_run *run)
{
        return strncmp(run->event, "pull_request", 12) == 0;
}

bool rerun_is_superseded(const struct github_run *run, const struct github_run *other)
{
        return other->workflow == run->workflow && other->number > run->number &&
               other->head_repository == run->head_repository &&
               strcmp(other->branch, run->branch) == 0 &&
               is_of_pull_request(other) == is_of_pull_request(run);
}
