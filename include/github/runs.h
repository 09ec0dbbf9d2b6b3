/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Workflow runs: what became of a run's jobs, and running them again. Each call needs the token of
 * its installation to be kept, with the permission actions:read; running again needs actions:write.
 * https://docs.github.com/en/rest/actions/workflow-runs
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "github.h"

struct github_run {
        int64_t id;
        int64_t number; /* among the runs of its workflow */
        int64_t attempt;
        int64_t workflow;
        int64_t repository;
        int64_t head_repository; /* where its branch is: a fork has branches of the same names;
                                    0: deleted */
        char status[24];         /* "completed", "in_progress", "queued", "waiting", … */
        char event[48];          /* "push", "pull_request", … */
        char branch[256];        /* "" where it has none */
        char name[128];          /* of the workflow */
        char url[512];           /* for people */
};

/* GITHUB_NOT_FOUND: deleted, alone or with its repository. */
struct http_call *github_get_run(
        struct github *github, int64_t installation, const char *repository, int64_t id);
int github_get_run_answer(const struct http_call *call, struct github_run *ret, struct err *err);

struct github_runs {
        struct github_run *items; /* newest first; owned */
        size_t count;
};

/* The newest runs of WORKFLOW on the branch of RUN; all branches where it has none. */
struct http_call *github_list_runs_like(struct github *github, int64_t installation,
        const char *repository, const struct github_run *run);
int github_list_runs_answer(const struct http_call *call, struct github_runs *ret, struct err *err);
void github_runs_release(struct github_runs *runs);

struct github_run_job {
        int64_t id;
        int64_t completed_ms; /* 0: not yet */
        char status[24];      /* as that of struct github_job */
        char conclusion[24]; /* "success", "failure", "cancelled", "skipped", …; "" before its end
                              */
        char runner[64];     /* the name of its runner; "" */
        char name[128];
        bool has_failed_step;
        char **labels; /* its runs-on; owned */
        size_t n_labels;
};

struct github_run_jobs {
        struct github_run_job *items; /* owned */
        size_t count;
        int64_t total; /* of all pages */
};

#define GITHUB_JOBS_PER_PAGE 100

/* The jobs of one attempt, from page 1 on. Those that it did not run again are among them. */
struct http_call *github_list_run_jobs(struct github *github, int64_t installation,
        const char *repository, const struct github_run *run, unsigned page);
/* Adds the jobs of the page to JOBS. */
int github_list_run_jobs_answer(
        const struct http_call *call, struct github_run_jobs *jobs, struct err *err);
void github_run_jobs_release(struct github_run_jobs *jobs);

/* Further positive results. */
#define GITHUB_RUN_ACTIVE 4    /* 403: it is not complete, so nothing of it can be run again */
#define GITHUB_NO_PERMISSION 5 /* 403: the App or token lacks actions:write */

/* Runs all failed and cancelled jobs of RUN again, or job ID and what depends on it, as the next
 * attempt. Tried once: GitHub does it as often as it is asked, whenever a run is complete. */
struct http_call *github_rerun_failed_jobs(
        struct github *github, int64_t installation, const char *repository, int64_t run);
struct http_call *github_rerun_job(
        struct github *github, int64_t installation, const char *repository, int64_t id);
/* 0, GITHUB_RUN_ACTIVE, GITHUB_NO_PERMISSION, GITHUB_NOT_FOUND, or negative. */
int github_rerun_answer(const struct http_call *call, struct err *err);
