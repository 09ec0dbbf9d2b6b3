/* SPDX-License-Identifier: MIT */

/*
 * Watched jobs of which GitHub refuses to tell, as of a suspended installation or a renamed
 * repository: they are watched on, since a person can mend that, but not for ever.
 */

#include <stdio.h>

#include "queue/tell_people.h"
#include "watch_jobs.h"
#include "watch_look.h"

/* GitHub cancels a job that has waited for a day in its queue, some only after two.
 * https://docs.github.com/en/actions/reference/limits */
#define WAITS_MAX_MS (48 * 3600 * MSEC_PER_SEC)

/* People are told after so many watches, which is a quarter of an hour. */
#define WATCHES_TOLD 3

bool watch_is_over(const struct scaler *scaler, const struct job *job)
{
        return job->launched_ms > 0 &&
               clock_wall_ms(scaler->clock) - job->launched_ms > WAITS_MAX_MS;
}

static bool is_refused(const struct look *look)
{
        return look->question.setback.result != 0 && !look->question.setback.passing;
}

bool look_is_over_unheard(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;

        if (!is_refused(look) || !watch_is_over(looks->scaler, job))
                return false;
        log_warning(&looks->scaler->log, "job is followed no longer: GitHub does not tell of it",
                LOG_NUMBER("job", job->id), LOG_TEXT("repository", job->repository),
                LOG_TEXT("error", look->question.setback.err.text));
        return true;
}

void look_tell_refused(const struct looks *looks, const struct look *look)
{
        const struct job *job = &look->watched->job;
        struct notification notification = {
                .severity = NOTIFICATION_ERROR,
                .url = job->url,
                .text = "Whether they still wait is not known, so none of them gets another "
                        "machine. Look whether the App is still installed there, whether it has "
                        "the permission \"Actions: read\", and whether the repository was "
                        "renamed. Once GitHub tells, the jobs that wait go on.",
        };
        char title[200];
        struct err err;

        if (!is_refused(look) || job->watches != WATCHES_TOLD)
                return;
        snprintf(title, sizeof(title), "GitHub does not tell of jobs of %s", job->repository);
        notification.title = title;
        notification.key = title;
        notification_fact(&notification, "First of them", job->name);
        notification_fact(&notification, "Spec", job->spec);
        notification_fact(&notification, "Said last", look->question.setback.err.text);
        (void)tell_people(looks->scaler, &notification, &err); /* logs a failure */
}
