/* SPDX-License-Identifier: MIT */

/*
 * A table in which each job has one place, which the next one that has the same place takes over:
 * what is forgotten is asked for once more.
 */

#include "known_jobs.h"

#include <stdlib.h>

#define PLACES 16384

struct known_job {
        int64_t id;
        int64_t noted_ms; /* wall clock */
        enum job_state state;
};

void known_jobs_note(struct scaler *scaler, int64_t id, enum job_state state)
{
        if (!scaler->known_jobs)
                scaler->known_jobs = mem_alloc(PLACES * sizeof(*scaler->known_jobs));
        scaler->known_jobs[(uint64_t)id % PLACES] =
                (struct known_job){id, clock_wall_ms(scaler->clock), state};
}

enum job_state known_job(const struct scaler *scaler, int64_t id, int64_t *ret_ms)
{
        const struct known_job *known =
                scaler->known_jobs ? &scaler->known_jobs[(uint64_t)id % PLACES] : NULL;

        if (!known || known->id != id)
                return JOB_STATE_UNKNOWN;
        *ret_ms = known->noted_ms;
        return known->state;
}
