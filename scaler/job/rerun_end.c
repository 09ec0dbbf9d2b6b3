/* SPDX-License-Identifier: MIT */

/*
 * How the way of a lost job ends: with a line in the log, with a notification, or with its message
 * sent again.
 */

#include <stdio.h>

#include "loss.h"
#include "queue/tell_people.h"
#include "rerun_steps.h"

/* GitHub runs nothing again after that.
 * https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs */
#define RUN_AGE_MAX_MS (INT64_C(30) * 24 * 3600 * MSEC_PER_SEC)

int rerun_end_quietly(struct rerun *rerun, const char *why)
{
        log_info(&rerun->scaler->log, why, LOG_NUMBER("run", rerun->job->run_id),
                LOG_NUMBER("attempt", rerun->job->attempt), LOG_NUMBER("job", rerun->job->id),
                LOG_TEXT("repository", rerun->job->repository));
        return WAY_ENDS;
}

/* The names of the lost jobs, with commas. */
static void name_lost(const struct rerun *rerun, struct buf *names)
{
        for (size_t i = 0; i < rerun->jobs.count; i++)
                if (rerun->classes &&
                        (rerun->classes[i] == RERUN_LOST || rerun->classes[i] == RERUN_KEPT))
                        buf_add_format(names, "%s%s", names->size > 0 ? ", " : "",
                                rerun->jobs.items[i].name);
}

int rerun_tell(struct rerun *rerun, const char *reason, struct err *err)
{
        _cleanup_buf_ struct buf names = BUF_INIT(600);
        struct notification notification = {
                .severity = reason ? NOTIFICATION_WARNING : NOTIFICATION_INFO,
                .text = reason ? "EC2 took the machines of these jobs back. Look at the run, and "
                                 "run there again what should be."
                               : "EC2 took the machines of these jobs back. The run has a new "
                                 "attempt.",
                .url = rerun->run.url[0] ? rerun->run.url : rerun->job->url,
        };
        char title[200];
        char key[200];
        int r;

        name_lost(rerun, &names);
        snprintf(title, sizeof(title), "Lost jobs of %s #%lld are %s",
                rerun->run.name[0] ? rerun->run.name : "run",
                (long long)(rerun->run.number ? rerun->run.number : rerun->job->run_id),
                reason ? "not run again" : "run again");
        snprintf(key, sizeof(key), "rerun %s %lld %lld", rerun->job->repository,
                (long long)rerun->job->run_id, (long long)rerun->job->attempt);
        notification.title = title;
        notification.key = key;
        notification_fact(&notification, "Reason", reason);
        notification_fact(&notification, "Jobs", buf_string(&names));
        notification_fact(&notification, "Repository", rerun->job->repository);
        notification_fact(&notification, "Spec", rerun->job->spec);
        notification_fact(&notification, "Instance", rerun->job->instance);
        r = tell_people(rerun->scaler, &notification, err);
        return r < 0 ? r : rerun_end_quietly(rerun, reason ? reason : "lost jobs are run again");
}

int rerun_look_again(struct rerun *rerun, const char *why, struct err *err)
{
        int r;

        if (clock_wall_ms(rerun->scaler->clock) - rerun->job->lost_ms > RUN_AGE_MAX_MS)
                return rerun_tell(
                        rerun, "their run lasts for longer than GitHub runs jobs again", err);
        r = loss_follow_again(rerun->scaler, rerun->job, err);
        return r < 0 ? r : rerun_end_quietly(rerun, why);
}

int rerun_end_by_setback(struct rerun *rerun, const struct setback *setback, struct err *err)
{
        return setback->passing ? rerun_look_again(rerun, setback->err.text, err)
                                : rerun_tell(rerun, setback->err.text, err);
}

int rerun_judge(struct rerun *rerun, const struct http_call *call, int r, struct err *err)
{
        int64_t installation = rerun->job->installation;
        struct setback setback;

        token_note_result(rerun->scaler, rerun->github, installation, r);
        if (r >= 0)
                return r;
        setback = setback_by_github(rerun->scaler, installation, call, r, err);
        return rerun_end_by_setback(rerun, &setback, err);
}
