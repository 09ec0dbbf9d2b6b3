/* SPDX-License-Identifier: MIT */

/*
 * Finds a job's spec again.
 */

#include "respec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct config_spec *find(
        const struct config *config, const struct job *job, const char **type)
{
        *type = job->instance_type;
        return config_rematch(
                config, job->spec, (const char *const *)job->labels, job->n_labels, type);
}

/* The spec may be a new one, which whoever sent the job has read of already. */
static const struct config_spec *find_again(
        struct scaler *scaler, const struct job *job, const char **type)
{
        const struct config *config;
        struct err err;

        (void)scaler_config_again(scaler); /* once in an event: it may have been for another job */
        return scaler_config(scaler, &config, &err) == 0 ? find(config, job, type) : NULL;
}

const struct config_spec *job_respec(
        struct scaler *scaler, const struct config *config, struct job *job, struct err *err)
{
        const char *type;
        const struct config_spec *spec = find(config, job, &type);

        if (!spec || !type)
                spec = find_again(scaler, job, &type);
        if (!spec || !type) {
                err_set(err, -ENOENT, "its spec \"%s\" is not in the configuration any more",
                        job->spec ? job->spec : "");
                return NULL;
        }
        if (!job->spec || strcmp(job->spec, spec->name) != 0) {
                free(job->spec);
                job->spec = mem_string(spec->name);
        }
        if (type != job->instance_type) {
                free(job->instance_type);
                job->instance_type = mem_string(type);
        }
        return spec;
}
