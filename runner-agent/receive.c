/* SPDX-License-Identifier: MIT */

/*
 * Asks for the hand-over and reads it. Its content is secret: it stays in the agent's memory until
 * the runner has it.
 */

#include "receive.h"

#include <errno.h>
#include <stdlib.h>

#include "aws/answer.h"
#include "base/mem.h"

/* A role's permissions may arrive so late. */
#define REFUSED_MOST_MS (30 * MSEC_PER_SEC)

static int on_time(sd_event_source *source, uint64_t usec, void *userdata);

static void end_receive(struct receive *receive, int result, const struct err *err)
{
        MEM_STEAL(receive->done)(receive->userdata, result, err);
}

static void try_later(struct receive *receive)
{
        struct agent *agent = receive->agent;
        int64_t now = clock_monotonic_ms(agent->clock);
        int64_t most = receive_pace_ms(&receive->pace, now - receive->started_ms);
        int64_t delay = agent_backoff_ms(1, most, most);
        _cleanup_free_ char *name = NULL;
        struct err err;

        if (receive->pace.failures == 1)
                receive->waiting(receive->userdata);
        if (now + delay < receive->deadline_ms) {
                agent_timer(agent, &receive->timer, delay, on_time, receive);
                return;
        }
        name = agent_handover_name(agent);
        err_set(&err, -ETIMEDOUT, "no hand-over in %s within %lld s%s%s", name,
                (long long)agent->settings.parameter_limit_seconds,
                receive->err.text[0] ? ": " : "", receive->err.text);
        end_receive(receive, -ETIMEDOUT, &err);
}

static void read_value(struct receive *receive, const struct buf *value)
{
        struct agent *agent = receive->agent;
        struct err err;
        int r;

        agent->has_parameter = true;
        r = handover_parse(buf_string(value), value->size, &agent->handover, &err);
        if (r < 0) {
                end_receive(receive, r, &err);
                return;
        }
        agent->has_handover = true;
        agent_time(agent, REPORT_TIME_RECEIVED);
        end_receive(receive, 0, NULL);
}

/* Whether the store has refused for so long that it will not do otherwise. */
static bool is_refused(struct receive *receive, int r)
{
        struct agent *agent = receive->agent;
        int64_t now = clock_monotonic_ms(agent->clock);

        if (r != -EACCES || store_hides_absence(agent_store(agent)))
                receive->refused_ms = 0;
        else if (receive->refused_ms == 0)
                receive->refused_ms = now;
        return receive->refused_ms > 0 && now - receive->refused_ms >= REFUSED_MOST_MS;
}

static void on_answer(struct http_call *call, void *userdata)
{
        struct receive *receive = userdata;
        _cleanup_buf_ struct buf value = BUF_INIT(AGENT_HANDOVER_LIMIT);
        struct err err;
        int r = store_get_answer(agent_store(receive->agent), call, &value, &err);
        bool is_throttled = aws_call_is_throttled(call);

        agent_call_drop(receive->agent, &receive->call);
        if (r == 0) {
                read_value(receive, &value);
                return;
        }
        receive_pace_note(&receive->pace, is_throttled);
        if (r < 0) {
                receive->err = err;
                log_debug(agent_log(receive->agent), "hand-over not read",
                        LOG_TEXT("error", err.text));
        }
        if (is_refused(receive, r))
                end_receive(receive, r, &receive->err);
        else
                try_later(receive);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct receive *receive = userdata;

        (void)source;
        (void)usec;
        agent_call_for_handover(receive->agent, &receive->call, on_answer, receive);
        return 0;
}

void receive_start(
        struct receive *receive, void (*waiting)(void *userdata), agent_done done, void *userdata)
{
        const struct agent *agent = receive->agent;

        receive->waiting = waiting;
        receive->done = done;
        receive->userdata = userdata;
        receive->pace.is_s3 = store_is_s3(agent_store(receive->agent));
        receive->started_ms = clock_monotonic_ms(agent->clock);
        receive->deadline_ms =
                receive->started_ms + agent->settings.parameter_limit_seconds * MSEC_PER_SEC;
        on_time(NULL, 0, receive);
}

void receive_release(struct receive *receive)
{
        agent_call_drop(receive->agent, &receive->call);
        agent_timer_stop(&receive->timer);
}
