/* SPDX-License-Identifier: MIT */

/*
 * Finds a job's spec again.
 */

#include "respec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct config_spec *job_respec(const struct config *config, struct job *job, struct err *err)
{
        const char *type = job->instance_type;
        const struct config_spec *spec = config_rematch(
                config, job->spec, (const char *const *)job->labels, job->n_labels, &type);

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
