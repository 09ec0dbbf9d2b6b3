/* SPDX-License-Identifier: MIT */

/*
 * Asking for the hand-over, and reading it. What was read is secret: it stays in this machine's
 * memory until the runner has it.
 */

#include "receive.h"

#include <errno.h>
#include <stdlib.h>

#include "agent.h"
#include "aws/ssm.h"
#include "base/mem.h"

#define RETRY_FIRST_MS 100
#define RETRY_MOST_MS 2000

/* The parameter's value in JSON, each byte escaped at the worst, and what is around it. */
#define ANSWER_LIMIT (8UL * SSM_ADVANCED_MAX)

static int on_time(sd_event_source *source, uint64_t usec, void *userdata);

static void end_receive(struct agent *agent, int result, const struct err *err)
{
        MEM_STEAL(agent->receive.done)(agent, result, err);
}

static void try_later(struct agent *agent)
{
        struct receive *receive = &agent->receive;
        int64_t delay = agent_backoff_ms(++receive->failures, RETRY_FIRST_MS, RETRY_MOST_MS);
        _cleanup_free_ char *name = NULL;
        struct err err;

        if (receive->failures == 1)
                receive->waiting(agent);
        if (clock_monotonic_ms(agent->clock) + delay < receive->deadline_ms) {
                agent_timer(agent, &receive->timer, delay, on_time);
                return;
        }
        name = handover_parameter(agent->settings.prefix, agent->identity.instance_id);
        err_set(&err, -ETIMEDOUT, "no hand-over in parameter %s within %lld s%s%s", name,
                (long long)agent->settings.parameter_limit_seconds,
                receive->err.text[0] ? ": " : "", receive->err.text);
        end_receive(agent, -ETIMEDOUT, &err);
}

static void read_value(struct agent *agent, const struct buf *value)
{
        struct err err;
        int r;

        agent->receive.was_seen = true;
        r = handover_parse(buf_string(value), value->size, &agent->handover, &err);
        if (r < 0) {
                end_receive(agent, r, &err);
                return;
        }
        agent->has_handover = true;
        agent_time(agent, REPORT_TIME_RECEIVED);
        end_receive(agent, 0, NULL);
}

static void on_answer(struct http_call *call, void *userdata)
{
        struct agent *agent = userdata;
        struct receive *receive = &agent->receive;
        _cleanup_buf_ struct buf value = BUF_INIT(ANSWER_LIMIT);
        struct err err;
        int r = ssm_get_parameter_answer(call, &value, &err);

        agent_call_drop(agent, &receive->call);
        if (r == 0) {
                read_value(agent, &value);
                return;
        }
        if (r < 0) {
                receive->err = err;
                log_debug(agent_log(agent), "hand-over not read", LOG_TEXT("error", err.text));
        }
        try_later(agent);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct agent *agent = userdata;
        _cleanup_free_ char *name =
                handover_parameter(agent->settings.prefix, agent->identity.instance_id);
        struct http_call *call = ssm_get_parameter(agent_aws(agent), name);

        (void)source;
        (void)usec;
        call->tries_max = 1;
        call->answer_limit = ANSWER_LIMIT;
        agent_call(agent, &agent->receive.call, call, on_answer);
        return 0;
}

void receive_start(struct agent *agent, void (*waiting)(struct agent *agent), agent_done done)
{
        agent->receive.waiting = waiting;
        agent->receive.done = done;
        agent->receive.deadline_ms = clock_monotonic_ms(agent->clock) +
                                     agent->settings.parameter_limit_seconds * MSEC_PER_SEC;
        on_time(NULL, 0, agent);
}

void receive_release(struct agent *agent)
{
        agent_call_drop(agent, &agent->receive.call);
        agent_timer_stop(&agent->receive.timer);
}
