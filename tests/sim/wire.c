/* SPDX-License-Identifier: MIT */

/*
 * The transport of the handlers' calls. A call has its effect on the world at one moment and its
 * answer at a later one; between them other handlers go on. Here answers are lost, and handlers are
 * killed: from then on nothing that the handler does has an effect, and it runs to its end in no
 * time. services.c has the effects.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

/* One try of a call. */
struct
try {
        struct try *next;
        struct http_call *call; /* NULL: cancelled */
        enum service service;
        int64_t effect_ms;
        int64_t due_ms;
        bool effected;
        int result;
        struct answer answer;
};

struct wire {
        struct http_transport transport;
        struct invocation **current;
        struct try *tries;
};

/* -- the effect, and kills -- */

static void check_kill(struct invocation *invocation)
{
        if (!invocation->killed && invocation->moment++ == invocation->kill_at) {
                world_tell(invocation->world, "%s#%u IS KILLED", invocation->function,
                        invocation->number);
                invocation->killed = true;
        }
}

static void have_effect(struct wire *wire, struct try *try)
{
        struct invocation *invocation = *wire->current;
        struct world *world = invocation->world;

        try->effected = true;
        /* What a killed process had sent may arrive all the same. */
        if (!try->call || (invocation->killed && world_chance(world, 50)))
                return;
        world->calls[try->service]++;
        rates_call(invocation, try->service, try->call);
        service_serve(world, try->service, try->call, &try->answer);
        world_tell(world, "  %s#%u %s: %d%s%.60s", invocation->function, invocation->number,
                try->call->what, try->answer.status, try->answer.status >= 300 ? " " : "",
                try->answer.status >= 300 ? buf_string(&try->answer.body) : "");
        if (fault_strikes(world, FAULT_LOST, 4)) {
                world_tell(world, "  the answer is lost");
                try->result = world_chance(world, 50) ? -ETIMEDOUT : -ECONNRESET;
        }
        check_kill(invocation);
}

/* -- the transport -- */

static struct wire *wire_of(struct http_transport *transport)
{
        return (struct wire *)transport;
}

static void start(struct http_transport *transport, struct http *http, struct http_call *call)
{
        struct wire *wire = wire_of(transport);
        struct invocation *invocation = *wire->current;
        struct world *world = invocation->world;
        struct try *try = mem_alloc(sizeof(*try));
        int64_t limit = http_call_try_ms(http, call);
        int64_t latency;

        try->call = call;
        try->service = service_of(call);
        try->answer.headers = (struct buf)BUF_INIT(64 * 1024);
        try->answer.body = (struct buf)BUF_INIT(16 * 1024 * 1024);
        try->next = wire->tries;
        wire->tries = try;
        check_kill(invocation);
        latency = service_latency(world, try->service);
        latency = drought_latency(world, buf_string(&call->body), latency);
        if (invocation->killed) {
                try->effected = true;
                latency = 0;
        }
        try->effect_ms = world->now_ms + latency * (int64_t)world_random(world, 100) / 100;
        try->due_ms = world->now_ms + latency;
        if (limit > 0 && try->due_ms > world->now_ms + limit) {
                try->due_ms = world->now_ms + limit;
                try->result = -ETIMEDOUT;
        }
}

static void cancel(struct http_transport *transport, struct http_call *call)
{
        for (struct try *try = wire_of(transport)->tries; try; try = try->next)
                if (try->call == call)
                        try->call = NULL;
}

static int fd(struct http_transport *transport)
{
        (void)transport;
        return -1;
}

static void free_try(struct try *try)
{
        buf_release(&try->answer.headers);
        buf_release(&try->answer.body);
        free(try);
}

/* The next moment at which something happens to a try; -1: never. */
static int64_t timeout_ms(struct http_transport *transport)
{
        struct wire *wire = wire_of(transport);
        int64_t timeout = -1;

        for (struct try *try = wire->tries; try; try = try->next) {
                int64_t at = try->effected ? try->due_ms : try->effect_ms;
                int64_t left = at - (*wire->current)->world->now_ms;

                if (timeout < 0 || left < timeout)
                        timeout = left > 0 ? left : 0;
        }
        return timeout;
}

static void finish(struct wire *wire, struct http *http, struct try *try)
{
        struct http_call *call = try->call;
        int result = (*wire->current)->killed ? -ECANCELED : try->result;

        if (call) {
                call->status = result < 0 ? 0 : try->answer.status;
                if (result < 0)
                        err_set(&call->err, 0, "%s: no answer: simulated", call->what);
                else if (buf_add(&call->answer, buf_string(&try->answer.body),
                                 try->answer.body.size) < 0)
                        result = err_set(&call->err, -E2BIG, "%s: too large", call->what);
                buf_add_string(&call->answer_headers, buf_string(&try->answer.headers));
        }
        free_try(try);
        if (call)
                http_tried(http, call, result);
}

static struct try *take_due(struct wire *wire)
{
        int64_t now = (*wire->current)->world->now_ms;

        for (struct try **link = &wire->tries; *link; link = &(*link)->next) {
                struct try *try = *link;

                if (!(*wire->current)->killed && (!try->effected || try->due_ms > now))
                        continue;
                *link = try->next;
                return try;
        }
        return NULL;
}

static void dispatch(struct http_transport *transport, struct http *http)
{
        struct wire *wire = wire_of(transport);
        struct try *try;

        for (try = wire->tries; try; try = try->next)
                if (!try->effected && (try->effect_ms <= (*wire->current)->world->now_ms ||
                                              (*wire->current)->killed))
                        have_effect(wire, try);
        while ((try = take_due(wire)))
                finish(wire, http, try);
}

static void wake(struct world *world, void *userdata)
{
        (void)world;
        lambda_resume(userdata);
}

static void wait_for(struct http_transport *transport, int64_t timeout)
{
        struct invocation *invocation = *wire_of(transport)->current;
        struct world *world = invocation->world;

        if (invocation->killed) {
                invocation->ahead_ms += timeout > 0 ? timeout : 0;
                return;
        }
        if (timeout < 0) {
                fprintf(stderr, "sim: %s waits for ever\n", invocation->function);
                abort();
        }
        if (world->now_ms + timeout >= invocation->deadline_ms)
                timeout = invocation->deadline_ms - world->now_ms;
        world_after(world, timeout, wake, invocation);
        fiber_wait(invocation->fiber);
        if (world->now_ms >= invocation->deadline_ms) {
                world_tell(
                        world, "%s#%u: its time is over", invocation->function, invocation->number);
                invocation->killed = true;
        }
}

static void free_wire(struct http_transport *transport)
{
        struct wire *wire = wire_of(transport);

        while (wire->tries) {
                struct try *try = wire->tries;

                wire->tries = try->next;
                free_try(try);
        }
        free(wire);
}

struct http_transport *wire_new(struct invocation **current)
{
        struct wire *wire = mem_alloc(sizeof(*wire));

        wire->current = current;
        wire->transport = (struct http_transport){
                .start = start,
                .cancel = cancel,
                .fd = fd,
                .timeout_ms = timeout_ms,
                .dispatch = dispatch,
                .wait = wait_for,
                .free = free_wire,
        };
        return &wire->transport;
}
