/* SPDX-License-Identifier: MIT */

/*
 * What this machine does when no job comes: idle.c says when to report, and when the runner can be
 * stopped without harm to a job.
 */

#include <systemd/sd-daemon.h>

#include "life.h"

static void on_report(void *userdata, const char *reason)
{
        struct life *life = userdata;

        reporter_send(&life->reporter, REPORT_IDLE, reason);
}

static void on_ask_worker(void *userdata)
{
        struct life *life = userdata;

        run_ask_worker(&life->run);
}

static void on_over(void *userdata, const char *reason)
{
        struct life *life = userdata;

        life_stop(life, REPORT_FAILED, reason,
                life->agent->settings.stop_grace_seconds * MSEC_PER_SEC);
}

void life_idle(void *userdata)
{
        static const struct idle_events events = {on_report, on_ask_worker, on_over};
        struct life *life = userdata;

        sd_notify(0, "STATUS=No job came, waiting to be deregistered");
        log_info(agent_log(life->agent), "no job came, the runner can be deregistered");
        idle_start(&life->idle, &events, life);
}

void life_worker(void *userdata, bool lives)
{
        struct life *life = userdata;

        idle_worker(&life->idle, lives);
}

/* A report of it that comes late would deregister a runner that works. */
void life_no_longer_idle(struct life *life)
{
        idle_release(&life->idle);
        reporter_forget(&life->reporter, REPORT_IDLE);
}

void life_explain_idle(const struct life *life, struct err *why)
{
        if (life->idle.events)
                err_prefix(why, 0, "no job within %lld s",
                        (long long)agent_idle_limit_seconds(life->agent));
}
