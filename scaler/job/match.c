/* SPDX-License-Identifier: MIT */

/*
 * The checks of a delivered job, in order.
 */

#include "match.h"

#include <errno.h>
#include <string.h>

/* A job that an environment has yet to approve is "waiting", and delivered again once it is. */
static int check_action(const struct config *config, const struct job *job, struct err *err)
{
        (void)config;
        if (job->action == JOB_OTHER)
                err_set(err, 0, "ignored: only queued, in_progress and completed matter");
        else if (job->held && strcmp(job->held, "waiting") == 0)
                err_set(err, 0, "ignored: the job waits for its environment's approval");
        else if (job->held)
                err_set(err, 0, "ignored: the job's status is \"%s\", not \"queued\"", job->held);
        else
                return 0;
        return 200;
}

static int check_repository(const struct config *config, const struct job *job, struct err *err)
{
        if (config_allows_repository(config, job->repository))
                return 0;
        err_set(err, 0, "this repository is not in github.repositories of the configuration");
        return 422;
}

/* The webhook of a repository or organization names no installation. One that is configured alone
 * must be meant. Among several, a wrong guess would take the place of the App's own delivery: the
 * queue drops whatever comes second. */
static int64_t installation_of(const struct config *config, const struct job *job)
{
        if (job->installation == 0 && config->app_id && config->n_installations == 1)
                return config->installations[0];
        return job->installation;
}

static int check_installation(const struct config *config, const struct job *job, struct err *err)
{
        int64_t installation = installation_of(config, job);

        if (installation == 0 && config->app_id) {
                err_set(err, 0,
                        "this delivery names no installation of the App, so it comes from the "
                        "webhook of a repository or organization. The App's own webhook is enough: "
                        "remove workflow_job from this one. If the App has none, name its only "
                        "installation in github.installations of the configuration");
                return 422;
        }
        if (installation == 0 || config_allows_installation(config, installation))
                return 0;
        err_set(err, 0, "this installation is not in github.installations of the configuration");
        return 422;
}

static const struct config_spec *find_spec(
        const struct config *config, const struct job *job, const char **ret_type)
{
        return config_match(config, (const char *const *)job->labels, job->n_labels, ret_type);
}

static int check_spec(const struct config *config, const struct job *job, struct err *err)
{
        const char *type;

        if (find_spec(config, job, &type))
                return 0;
        err_set(err, 0,
                job->n_labels > 0 ? "ignored: no spec has all of the job's labels"
                                  : "ignored: the job has no labels, and no spec is unlabelled");
        return 200;
}

/* Asked last: the labels of a job that is not for us are not our concern. */
static int check_run_label(const struct config *config, const struct job *job, struct err *err)
{
        const char *label;

        (void)config;
        return config_run_label((const char *const *)job->labels, job->n_labels, &label, err) < 0
                       ? 422
                       : 0;
}

/* Each returns the status of the answer, or 0 to go on. */
static const struct {
        int (*check)(const struct config *config, const struct job *job, struct err *err);
        bool may_change;
} checks[] = {
        {check_action, false},
        {check_repository, true},
        {check_installation, true},
        {check_spec, true},
        {check_run_label, false},
};

struct mismatch match_job(const struct config *config, struct job *job)
{
        struct mismatch mismatch = {0};
        const struct config_spec *spec;
        const char *type;

        for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
                mismatch.status = checks[i].check(config, job, &mismatch.err);
                mismatch.may_change = checks[i].may_change;
                if (mismatch.status != 0)
                        return mismatch;
        }
        spec = find_spec(config, job, &type);
        job->installation = installation_of(config, job);
        job->spec = mem_string(spec->name);
        job->instance_type = mem_string(type);
        return mismatch;
}
