/* SPDX-License-Identifier: MIT */

/*
 * Sends launched jobs to register.fifo, and reads them there. The deduplication id is that of the
 * message in queued.fifo by which the job was launched (forward.c): a process that died between
 * sending and settling sends it once more, and SQS drops the second.
 */

#include "launched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward.h"

void launched_job(struct job *job, const struct ec2_instance *instance, const char *bucket,
        bool adopted, int64_t launched_ms)
{
        free(job->instance);
        free(job->machine_type);
        free(job->account);
        free(job->bucket);
        free(MEM_STEAL(job->left_out)); /* the next launch asks for everything again */
        job->action = JOB_LAUNCHED;
        job->instance = mem_string(instance->id);
        job->machine_type = mem_string(instance->type);
        job->account = mem_string(instance->account);
        job->bucket = mem_string(bucket);
        job->adopted = adopted;
        job->launched_ms = launched_ms;
}

int launched_send(struct scaler *scaler, struct job *const *jobs, size_t n_jobs, struct err *err)
{
        int r = jobs_send(scaler, "REGISTER_QUEUE_URL", jobs, n_jobs, GROUP_OF_REGISTRAR, err);

        return r < 0 ? err_prefix(err, r, "launched jobs could not be sent on") : 0;
}

/* Moves to LAUNCHED what only messages of launched jobs contain: the machine, and whether it was
 * adopted. */
static void take_machine(struct launched *launched, struct job *job)
{
        struct ec2_instance *machine = &launched->machine;

        *machine = (struct ec2_instance){0};
        snprintf(machine->id, sizeof(machine->id), "%s", job->instance);
        if (job->machine_type)
                snprintf(machine->type, sizeof(machine->type), "%s", job->machine_type);
        if (job->account)
                snprintf(machine->account, sizeof(machine->account), "%s", job->account);
        launched->adopted = job->adopted != 0;
        free(MEM_STEAL(job->machine_type));
        free(MEM_STEAL(job->account));
        job->adopted = 0;
}

int launched_parse(const char *text, size_t size, struct launched *ret, struct err *err)
{
        struct job job = {0};
        int r = job_parse(text, size, &job, err);

        if (r < 0)
                return r;
        if (job.action != JOB_LAUNCHED || !ec2_is_instance_id(job.instance)) {
                r = err_set(err, -EBADMSG,
                        "job %lld: the message must have the action \"launched\" and an instance "
                        "id",
                        (long long)job.id);
                job_release(&job);
                return r;
        }
        take_machine(ret, &job);
        ret->job = job;
        return 0;
}
