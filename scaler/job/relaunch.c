/* SPDX-License-Identifier: MIT */

/*
 * Makes the next launch of a launch.
 */

#include "relaunch.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "forward.h"
#include "offer.h"
#include "paced.h"
#include "park.h"
#include "queue/tell_people.h"

static const char *const reason_names[] = {
        [RELAUNCH_ENDED] = "its machine ended",
        [RELAUNCH_TAKEN] = "another job took its machine",
        [RELAUNCH_IN_VAIN] = "its runner listened in vain",
};

/* Seconds before the launch that follows so many machines that ended, or listened in vain. */
static const int64_t pauses[] = {0, 0, 30, 120, 300, 900};
#define PAUSE_AFTER_MAX 3600

/* For a job whose spec is no longer in the configuration. */
#define MAX_RELAUNCHES_DEFAULT 5

static int64_t max_relaunches(const struct config_spec *spec)
{
        return spec ? spec->max_relaunches : MAX_RELAUNCHES_DEFAULT;
}

/* GitHub may assign late, or never: as where the runner group is closed to the job's repository.
 * One whose tags EC2 took before anybody looked may have worked for another job, so that is no
 * reason to wait for an hour. */
static int64_t pause_seconds(const struct config_spec *spec, const struct job *job)
{
        int64_t last = (int64_t)ARRAY_SIZE(pauses) - 1;
        int64_t n = job->relaunches > job->in_vain ? job->relaunches : job->in_vain;

        if (job->relaunches > max_relaunches(spec))
                return PAUSE_AFTER_MAX;
        return pauses[n < last ? n : last];
}

/* The last ones are on demand, where the spec allows that: spot may be what fails. */
static int64_t next_offer(const struct config_spec *spec, const struct job *job)
{
        struct offers offers;

        if (!spec || !job->instance_type)
                return 0;
        offers_init(&offers, spec, job->instance_type);
        if (job->relaunches >= spec->max_relaunches && spec->on_demand_fallback)
                return (int64_t)offers_on_demand(&offers);
        return (job->offer + 1) % (int64_t)offers_count(&offers);
}

static void become_next_launch(
        const struct config_spec *spec, struct job *job, enum relaunch_reason reason)
{
        job->launch++;
        job->relaunches += reason == RELAUNCH_ENDED;
        job->in_vain += reason == RELAUNCH_IN_VAIN;
        job->offer = next_offer(spec, job);
        job->sends = 0;
        job->tries = 0;
        job->waits = 0;
        job->watches = 0;
        job->burst_ends_ms = 0;
        job->stale = 1;
        job->asked_ms = 0;
        job->paced = 0;
        job->runner_id = 0;
        free(MEM_STEAL(job->left_out));
        free(MEM_STEAL(job->instance));
        free(MEM_STEAL(job->bucket));
}

static void log_relaunch(struct scaler *scaler, const struct job *job, enum relaunch_reason reason)
{
        log_info(&scaler->log, "relaunch", LOG_NUMBER("job", job->id),
                LOG_TEXT("repository", job->repository), LOG_TEXT("spec", job->spec),
                LOG_TEXT("reason", reason_names[reason]), LOG_NUMBER("launch", job->launch),
                LOG_NUMBER("relaunches", job->relaunches));
}

static void tell_machines_end(struct scaler *scaler, const struct job *job)
{
        struct notification notification = {
                .severity = NOTIFICATION_ERROR,
                .url = job->url,
                .text = "One after the other, machines that were launched for this job ended "
                        "without having run it. Another is tried, later each time, and then every "
                        "hour, as long as the job waits. "
                        "Look at the image, the network of the subnets, and the console output of "
                        "such an instance.",
        };
        char title[160];
        char machines[24];
        struct err err;

        snprintf(title, sizeof(title), "Machines for job %lld of %s do not run it",
                (long long)job->id, job->repository);
        snprintf(machines, sizeof(machines), "%lld", (long long)job->relaunches);
        notification.title = title;
        notification.key = title;
        notification_fact(&notification, "Job", job->name);
        notification_fact(&notification, "Spec", job->spec);
        notification_fact(&notification, "Machines that ended", machines);
        (void)tell_people(scaler, &notification, &err); /* logs a failure */
}

int relaunch_job(
        struct scaler *scaler, struct job *job, enum relaunch_reason reason, struct err *err)
{
        const struct config_spec *spec;
        const struct config *config;
        int64_t pause;
        int r = scaler_config(scaler, &config, err);

        if (r < 0)
                return r;
        spec = job->spec ? config_spec_by_name(config, job->spec) : NULL;
        become_next_launch(spec, job, reason);
        log_relaunch(scaler, job, reason);
        if (reason == RELAUNCH_ENDED && job->relaunches >= max_relaunches(spec))
                tell_machines_end(scaler, job);
        pause = pause_seconds(spec, job);
        if (pause == 0)
                return forward_job(scaler, job, err);
        return park_job(scaler, job,
                &(const struct parking){
                        .reason = PARK_PAUSE,
                        .until_ms = clock_wall_ms(scaler->clock) + pause * MSEC_PER_SEC,
                },
                err);
}

int relaunch_in_line(struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err)
{
        const struct config *config;
        int r = scaler_config(scaler, &config, err);

        for (size_t i = 0; r == 0 && i < n_jobs; i++) {
                const char *spec = jobs[i]->spec;

                become_next_launch(
                        spec ? config_spec_by_name(config, spec) : NULL, jobs[i], RELAUNCH_TAKEN);
                log_relaunch(scaler, jobs[i], RELAUNCH_TAKEN);
        }
        return r < 0 ? r : paced_send(scaler, jobs, n_jobs, err);
}
