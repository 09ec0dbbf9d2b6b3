/* SPDX-License-Identifier: MIT */

/*
 * Writes the notifications about machines.
 */

#include "notifications.h"

#include <stdio.h>

#include "queue/tell_people.h"

#define JOB_LOST "GitHub marks the job as failed after some minutes; it can be run again there."
#define JOB_FOLLOWED                                                             \
        "GitHub marks the job as failed after some minutes. When its whole run " \
        "has ended, the job is run again, or you are told why it is not."

/* What becomes of a job that has not started. */
static const char *next_step(bool given_back)
{
        return given_back ? "Its job is given another machine."
                          : "If no other runner takes its job, the job still waits on GitHub, "
                            "and more machines are tried for it, later each time. Fix the cause.";
}

int tell_agent_failed(
        struct scaler *scaler, const struct report *report, bool given_back, struct err *err)
{
        bool started = report->times[REPORT_TIME_JOB_STARTED] > 0;
        struct notification notification = {
                .severity = NOTIFICATION_ERROR,
                .text = started ? "The machine powers itself off. " JOB_LOST
                                : next_step(given_back),
                .url = report->job.url,
        };
        char title[160];
        char key[64];

        snprintf(title, sizeof(title), "Runner %s failed", report->instance_id);
        snprintf(key, sizeof(key), "failed %s", report->instance_id);
        notification.title = title;
        notification.key = key;
        notification_fact(&notification, "Reason", report->reason);
        notification_fact(&notification, "Job", report->job.name);
        notification_fact(&notification, "Repository", report->job.repository);
        notification_fact(&notification, "Spec", report->spec);
        notification_fact(&notification, "Instance type", report->instance_type);
        notification_fact(&notification, "Zone", report->zone);
        return tell_people(scaler, &notification, err);
}

int tell_no_job_came(struct scaler *scaler, const struct report *report, struct err *err)
{
        struct notification notification = {
                .severity = NOTIFICATION_INFO,
                .text = "This is normal after a job was cancelled. If the job still waits on "
                        "GitHub, "
                        "compare its labels and runner group with those of the spec.",
                .url = report->job.url,
        };
        char title[160];
        char key[160];

        snprintf(title, sizeof(title), "No job came to a runner of spec %s",
                report->spec ? report->spec : "(unknown)");
        snprintf(key, sizeof(key), "idle %s", report->spec ? report->spec : "");
        notification.title = title;
        notification.key = key;
        notification_fact(&notification, "Launched for", report->job.name);
        notification_fact(&notification, "Repository", report->job.repository);
        notification_fact(&notification, "Instance", report->instance_id);
        return tell_people(scaler, &notification, err);
}

int tell_job_lost(struct scaler *scaler, const struct ec2_instance *instance, const char *how,
        bool followed, struct err *err)
{
        struct notification notification = {
                .severity = NOTIFICATION_WARNING,
                .text = followed ? JOB_FOLLOWED : JOB_LOST,
                .url = ec2_instance_tag(instance, "scale-agent:job-url"),
        };
        char title[160];
        char key[64];

        snprintf(title, sizeof(title), "Job lost: %s", how);
        snprintf(key, sizeof(key), "lost %s", instance->id);
        notification.title = title;
        notification.key = key;
        notification_fact(&notification, "Job", ec2_instance_tag(instance, "scale-agent:job-url"));
        notification_fact(
                &notification, "Runners of", ec2_instance_tag(instance, "scale-agent:scope"));
        notification_fact(&notification, "Spec", ec2_instance_tag(instance, "scale-agent:spec"));
        notification_fact(&notification, "Instance", instance->id);
        notification_fact(&notification, "Instance type", instance->type);
        notification_fact(&notification, "Zone", instance->zone);
        return tell_people(scaler, &notification, err);
}

int tell_machine_ended_early(struct scaler *scaler, const char *instance,
        const struct handover *handover, bool given_back, struct err *err)
{
        struct notification notification = {
                .severity = given_back ? NOTIFICATION_WARNING : NOTIFICATION_ERROR,
                .text = next_step(given_back),
                .url = handover->job.url,
        };
        char title[160];
        char key[64];

        snprintf(title, sizeof(title), "Machine %s ended before a job started on it", instance);
        snprintf(key, sizeof(key), "ended early %s", instance);
        notification.title = title;
        notification.key = key;
        notification_fact(&notification, "Job", handover->job.name);
        notification_fact(&notification, "Repository", handover->job.repository);
        notification_fact(&notification, "Spec", handover->spec);
        notification_fact(&notification, "Look at",
                "the image; the instance's console output; "
                "whether EC2 took the spot instance back");
        return tell_people(scaler, &notification, err);
}
