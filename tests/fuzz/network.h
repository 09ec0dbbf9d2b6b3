/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A network in memory for targets that run a whole handler. The target answers each call, one
 * after the other; time only passes when somebody waits, and a little with each call.
 */

#include "base/clock.h"
#include "fuzz.h"
#include "http/http.h"

/* Set by the target: fills the status and the answer of CALL. 0, or negative: there is none. */
static int (*network_answer)(struct http_call *call);
/* Calls since the target set it to 0. */
static unsigned network_calls;

static struct http_call *network_under_way[64];
static size_t network_n;
static int64_t network_now_ms;

static int64_t network_wall_ms(const struct clock *clock)
{
        (void)clock;
        return INT64_C(1767323045000) + network_now_ms; /* 2026-01-02T03:04:05Z */
}

static int64_t network_monotonic_ms(const struct clock *clock)
{
        (void)clock;
        return 1000 + network_now_ms;
}

static const struct clock network_clock = {network_wall_ms, network_monotonic_ms};

static void network_start(
        struct http_transport *transport, struct http *http, struct http_call *call)
{
        (void)transport;
        (void)http;
        CHECK(network_n < ARRAY_SIZE(network_under_way));
        network_under_way[network_n++] = call;
        network_calls++;
}

static void network_forget(size_t i)
{
        memmove(network_under_way + i, network_under_way + i + 1,
                (--network_n - i) * sizeof(network_under_way[0]));
}

static void network_cancel(struct http_transport *transport, struct http_call *call)
{
        (void)transport;
        for (size_t i = 0; i < network_n; i++)
                if (network_under_way[i] == call)
                        network_forget(i--);
}

static int network_fd(struct http_transport *transport)
{
        (void)transport;
        return -1;
}

static int64_t network_timeout_ms(struct http_transport *transport)
{
        (void)transport;
        return network_n > 0 ? 0 : -1;
}

static void network_dispatch(struct http_transport *transport, struct http *http)
{
        (void)transport;
        while (network_n > 0) {
                struct http_call *call = network_under_way[0];

                network_forget(0);
                network_now_ms++;
                http_tried(http, call, network_answer(call));
        }
}

static void network_wait(struct http_transport *transport, int64_t ms)
{
        (void)transport;
        CHECK(ms >= 0);
        network_now_ms += ms;
}

static void network_free(struct http_transport *transport)
{
        (void)transport;
}

static struct http_transport network = {
        .start = network_start,
        .cancel = network_cancel,
        .fd = network_fd,
        .timeout_ms = network_timeout_ms,
        .dispatch = network_dispatch,
        .wait = network_wait,
        .free = network_free,
};
