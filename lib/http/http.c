/* SPDX-License-Identifier: MIT */

/*
 * Makes one try of a call after the other, by the transport, until its deadline; http_retry.h says
 * whether there is another, and when.
 */

#include "http/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "http_retry.h"

struct http {
        struct http_transport *transport;
        const struct clock *clock;
        uint32_t (*random)(uint32_t below);
        struct http_call *calls; /* those that have not ended */
        int epoll_fd;            /* what http_fd() returns; -1 until it is called */
        int timer_fd;
};

static uint32_t system_random(uint32_t below)
{
        uint32_t number = 0;

        if (getrandom(&number, sizeof(number), 0) != sizeof(number))
                number = (uint32_t)time(NULL);
        return below ? number % below : 0;
}

struct http *http_new(struct http_transport *transport, const struct clock *clock)
{
        struct http *http = mem_alloc(sizeof(*http));

        http->transport = transport;
        http->clock = clock;
        http->random = system_random;
        http->epoll_fd = -1;
        http->timer_fd = -1;
        return http;
}

void http_set_random(struct http *http, uint32_t (*random)(uint32_t below))
{
        http->random = random;
}

/* -- the list of calls under way -- */

static void unlink_call(struct http *http, struct http_call *call)
{
        for (struct http_call **link = &http->calls; *link; link = &(*link)->next) {
                if (*link == call) {
                        *link = call->next;
                        call->next = NULL;
                        return;
                }
        }
}

/* Milliseconds until something must be done even if nothing arrives; -1: never. */
static int64_t next_timeout_ms(struct http *http)
{
        int64_t timeout = http->transport->timeout_ms(http->transport);
        int64_t now = clock_monotonic_ms(http->clock);

        for (struct http_call *call = http->calls; call; call = call->next) {
                int64_t left = call->due_ms > now ? call->due_ms - now : 0;

                if (call->state == HTTP_CALL_WAITING && (timeout < 0 || left < timeout))
                        timeout = left;
        }
        return timeout;
}

/* Sets the timer behind http_fd(); does nothing while there is no timer. */
static void arm_timer(struct http *http)
{
        int64_t timeout;
        struct itimerspec timer = {0};

        if (http->timer_fd < 0)
                return;
        timeout = next_timeout_ms(http);
        if (timeout >= 0) {
                timer.it_value.tv_sec = timeout / MSEC_PER_SEC;
                timer.it_value.tv_nsec = (timeout % MSEC_PER_SEC) * 1000000 + 1;
        }
        timerfd_settime(http->timer_fd, 0, &timer, NULL);
}

/* -- one try after the other -- */

int64_t http_call_try_ms(const struct http *http, const struct http_call *call)
{
        int64_t left;

        if (call->deadline_ms == 0)
                return call->try_timeout_ms;
        left = call->deadline_ms - clock_monotonic_ms(http->clock);
        if (left < 1)
                left = 1;
        return call->try_timeout_ms > 0 && call->try_timeout_ms < left ? call->try_timeout_ms
                                                                       : left;
}

static void start_try(struct http *http, struct http_call *call)
{
        call->state = HTTP_CALL_RUNNING;
        call->tries++;
        call->result = 0;
        call->status = 0;
        call->err.text[0] = '\0';
        buf_clear(&call->answer);
        buf_clear(&call->answer_headers);
        http->transport->start(http->transport, http, call);
}

static void end_call(struct http *http, struct http_call *call)
{
        unlink_call(http, call);
        call->state = HTTP_CALL_ENDED;
        call->ended_ms = clock_monotonic_ms(http->clock);
        if (call->done)
                call->done(call, call->userdata);
}

void http_tried(struct http *http, struct http_call *call, int result)
{
        int64_t wait;

        call->result = result;
        if (call->tries >= call->tries_max || !http_is_worth_another(call)) {
                end_call(http, call);
                return;
        }
        wait = http_retry_after_ms(call, clock_wall_ms(http->clock));
        if (wait < 0)
                wait = http->random(http_backoff_ms(call) + 1);
        call->due_ms = clock_monotonic_ms(http->clock) + wait;
        if (call->deadline_ms > 0 && call->due_ms >= call->deadline_ms) {
                end_call(http, call);
                return;
        }
        call->state = HTTP_CALL_WAITING;
}

void http_start_later(struct http *http, struct http_call *call, int64_t delay_ms)
{
        call->answer.limit = call->answer_limit;
        call->started_ms = clock_monotonic_ms(http->clock) + delay_ms;
        call->deadline_ms = call->timeout_ms > 0 ? call->started_ms + call->timeout_ms : 0;
        call->due_ms = call->started_ms;
        call->tries = 0;
        call->next = http->calls;
        http->calls = call;
        if (delay_ms > 0)
                call->state = HTTP_CALL_WAITING;
        else
                start_try(http, call);
        arm_timer(http);
}

void http_start(struct http *http, struct http_call *call)
{
        http_start_later(http, call, 0);
}

void http_cancel(struct http *http, struct http_call *call)
{
        if (call->state == HTTP_CALL_RUNNING)
                http->transport->cancel(http->transport, call);
        if (call->state != HTTP_CALL_RUNNING && call->state != HTTP_CALL_WAITING)
                return;
        unlink_call(http, call);
        call->state = HTTP_CALL_ENDED;
        call->result = err_set(&call->err, -ECANCELED, "%s: cancelled", call->what);
        arm_timer(http);
}

static struct http_call *due_call(struct http *http)
{
        int64_t now = clock_monotonic_ms(http->clock);

        for (struct http_call *call = http->calls; call; call = call->next)
                if (call->state == HTTP_CALL_WAITING && call->due_ms <= now)
                        return call;
        return NULL;
}

void http_dispatch(struct http *http)
{
        struct http_call *call;
        uint64_t expirations;

        if (http->timer_fd >= 0 && read(http->timer_fd, &expirations, sizeof(expirations)) < 0 &&
                errno != EAGAIN)
                return;
        http->transport->dispatch(http->transport, http);
        while ((call = due_call(http)))
                start_try(http, call);
        arm_timer(http);
}

static void wait_and_dispatch(struct http *http)
{
        http->transport->wait(http->transport, next_timeout_ms(http));
        http_dispatch(http);
}

void http_await(struct http *http, struct http_call *call)
{
        while (call->state == HTTP_CALL_WAITING || call->state == HTTP_CALL_RUNNING)
                wait_and_dispatch(http);
}

struct http_call *http_perform(struct http *http, struct http_call *call)
{
        http_start(http, call);
        http_await(http, call);
        return call;
}

void http_finish(struct http *http)
{
        while (http->calls)
                wait_and_dispatch(http);
}

void http_sleep(struct http *http, int64_t ms)
{
        int64_t until = clock_monotonic_ms(http->clock) + ms;
        int64_t left = ms;

        while (left > 0) {
                int64_t timeout = next_timeout_ms(http);

                http->transport->wait(
                        http->transport, timeout < 0 || left < timeout ? left : timeout);
                http_dispatch(http);
                left = until - clock_monotonic_ms(http->clock);
        }
}

/* -- event loops -- */

int http_fd(struct http *http)
{
        struct epoll_event readable = {.events = EPOLLIN};

        if (http->epoll_fd >= 0)
                return http->epoll_fd;
        http->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        http->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        if (http->epoll_fd < 0 || http->timer_fd < 0 ||
                epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, http->timer_fd, &readable) < 0 ||
                epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, http->transport->fd(http->transport),
                        &readable) < 0)
                return -errno;
        arm_timer(http);
        return http->epoll_fd;
}

void http_free(struct http *http)
{
        if (!http)
                return;
        while (http->calls)
                http_cancel(http, http->calls);
        http->transport->free(http->transport);
        if (http->timer_fd >= 0)
                close(http->timer_fd);
        if (http->epoll_fd >= 0)
                close(http->epoll_fd);
        free(http);
}
