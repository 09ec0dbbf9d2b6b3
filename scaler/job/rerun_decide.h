/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether a run that has ended is run again for the jobs that it lost with their machines. Pure.
 *
 *      lost        real failures   what follows
 *      none        any             nothing: the jobs ended all the same
 *      some        none            all failed jobs are run again
 *      one         some            that job is run again
 *      several     some            people decide: each re-run of one job is an attempt of its own
 *
 * A job is lost with EC2's evidence; collateral when it was cancelled after a lost one and no step
 * of it failed; any other that did not succeed is a real failure.
 */

#include <stdint.h>

#include "config/config.h"
#include "github/runs.h"

/* What EC2 says of a job's machine. */
enum rerun_evidence {
        RERUN_EVIDENCE_NONE,
        RERUN_EVIDENCE_LOST,      /* it took that back */
        RERUN_EVIDENCE_FORGOTTEN, /* it was one of ours, perhaps; EC2 does not know it any more */
};

enum rerun_class {
        RERUN_SUCCEEDED, /* or was skipped */
        RERUN_LOST,
        RERUN_COLLATERAL,
        RERUN_REAL, /* failed by itself, or is not to be run again */
        RERUN_KEPT, /* lost, but not to be run again */
};

enum rerun_verdict {
        RERUN_NOTHING,
        RERUN_ALL_FAILED,
        RERUN_ONE,
        RERUN_PEOPLE, /* several lost, and real failures */
        RERUN_NEVER,  /* only jobs that are not to be run again */
        RERUN_LIMIT,  /* its attempt is beyond max_reruns */
};

struct rerun_decision {
        enum rerun_verdict verdict;
        int64_t job; /* of RERUN_ONE */
        size_t n_lost;
        size_t n_forgotten; /* of the real failures: those of which EC2 may have forgotten the loss
                             */
};

/* EVIDENCE and RET_CLASSES have as many elements as JOBS, which are those of the run's ATTEMPT. */
struct rerun_decision rerun_decide(const struct config *config, const struct github_run_jobs *jobs,
        const enum rerun_evidence *evidence, int64_t attempt, enum rerun_class *ret_classes);

/* Whether JOB did not succeed. */
bool rerun_is_failed(const struct github_run_job *job);

/* Whether OTHER is a newer run of the workflow and branch of RUN: to run RUN again could cancel it,
 * and would bring back what is old. Runs of pull requests and others have different references,
 * even where their branches have one name. */
bool rerun_is_superseded(const struct github_run *run, const struct github_run *other);
