/* SPDX-License-Identifier: MIT */

/*
 * The list of what happens when, the numbers from the seed, and the story. Nothing here waits:
 * virtual time goes on from one event to the next.
 */

#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define START_MS INT64_C(1767323045000) /* 2026-01-02T03:04:05Z */
#define LOG_LINE_SHOWN 400

static const struct world *world_of(const struct clock *clock)
{
        return (const struct world *)((const char *)clock - offsetof(struct world, clock));
}

static int64_t wall_ms(const struct clock *clock)
{
        return world_wall_ms(world_of(clock));
}

static int64_t monotonic_ms(const struct clock *clock)
{
        return 1000 + world_of(clock)->now_ms;
}

int64_t world_wall_ms(const struct world *world)
{
        return START_MS + world->now_ms;
}

/* -- numbers -- */

/* splitmix64, https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_number(struct world *world)
{
        uint64_t z = (world->random += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

uint32_t world_random(struct world *world, uint32_t below)
{
        return below ? (uint32_t)(next_number(world) % below) : 0;
}

int64_t world_between(struct world *world, int64_t least, int64_t most)
{
        return least + (int64_t)(next_number(world) % (uint64_t)(most - least + 1));
}

bool world_chance(struct world *world, unsigned percent)
{
        return world_random(world, 100) < percent;
}

/* -- events -- */

static bool comes_before(const struct event *a, const struct event *b)
{
        return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

static void swap_events(struct event *a, struct event *b)
{
        struct event other = *a;

        *a = *b;
        *b = other;
}

void world_after(struct world *world, int64_t delay_ms,
        void (*run)(struct world *world, void *userdata), void *userdata)
{
        size_t i = world->n_events++;

        if (world->n_events > world->events_capacity) {
                world->events_capacity = world->events_capacity ? 2 * world->events_capacity : 256;
                world->events =
                        mem_resize(world->events, world->events_capacity, sizeof(*world->events));
        }
        world->events[i] = (struct event){
                .at_ms = world->now_ms + (delay_ms > 0 ? delay_ms : 0),
                .order = world->next_order++,
                .run = run,
                .userdata = userdata,
        };
        for (; i > 0 && comes_before(&world->events[i], &world->events[(i - 1) / 2]);
                i = (i - 1) / 2)
                swap_events(&world->events[i], &world->events[(i - 1) / 2]);
}

static struct event take_event(struct world *world)
{
        struct event first = world->events[0];
        size_t i = 0;

        world->events[0] = world->events[--world->n_events];
        for (;;) {
                size_t least = i;

                for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < world->n_events;
                        child++)
                        if (comes_before(&world->events[child], &world->events[least]))
                                least = child;
                if (least == i)
                        return first;
                swap_events(&world->events[i], &world->events[least]);
                i = least;
        }
}

void world_run(struct world *world, int64_t until_ms)
{
        while (world->n_events > 0 && world->events[0].at_ms <= until_ms) {
                struct event event = take_event(world);

                world->now_ms = event.at_ms;
                event.run(world, event.userdata);
        }
        world->now_ms = until_ms;
}

/* -- the story -- */

void world_tell(struct world *world, const char *format, ...)
{
        int64_t seconds = world->now_ms / SECOND;
        va_list arguments;

        if (!world->tells)
                return;
        printf("%02lld:%02lld:%02lld.%03lld ", (long long)(seconds / 3600),
                (long long)(seconds / 60 % 60), (long long)(seconds % 60),
                (long long)(world->now_ms % SECOND));
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        putchar('\n');
}

void world_tell_log(struct world *world, const char *who)
{
        char line[64 * 1024];
        ssize_t size;

        if (!world->tells)
                return;
        while ((size = pread(world->log_fd, line, sizeof(line) - 1, world->log_shown)) > 0) {
                char *end;

                line[size] = '\0';
                end = strchr(line, '\n');
                if (!end)
                        return;
                *end = '\0';
                world->log_shown += end - line + 1;
                if (!strstr(line, "\"_aws\""))
                        world_tell(world, "    %s says %.*s", who, LOG_LINE_SHOWN, line);
        }
}

void world_violate(struct world *world, const char *format, ...)
{
        char text[sizeof(world->violation)];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        world_tell(world, "VIOLATION %s", text);
        if (world->violations++ == 0)
                memcpy(world->violation, text, sizeof(text));
}

/* -- all of it -- */

void world_init(struct world *world, uint64_t seed, bool tells, uint32_t faults)
{
        *world = (struct world){
                .seed = seed,
                .random = seed * UINT64_C(0x2545f4914f6cdd1d),
                .tells = tells,
                .clock = {wall_ms, monotonic_ms},
                .next_id = 100,
                .log_fd = memfd_create("log", MFD_CLOEXEC),
        };
        sqs_init(world);
        limited_draw(world);
        lambda_init(world);
        faults_draw(world, faults);
        events_start_clock(world);
}

void world_release(struct world *world)
{
        lambda_release(world);
        sqs_release(world);
        ssm_release(world);
        machines_release(world);
        fleets_release(world);
        github_world_release(world);
        deliveries_release(world);
        free(world->events);
        close(world->log_fd);
}
