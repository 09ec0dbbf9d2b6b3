/* SPDX-License-Identifier: MIT */

/*
 * How a burst goes: what waits in which queue, what was launched, handed over and run so far, and
 * the calls to GitHub of each part of it.
 */

#include <stdio.h>
#include <stdlib.h>

#include "world.h"

static const char *const queues[] = {
        "queued.fifo", "paced.fifo", "register.fifo", "parked", "watch"};

static unsigned before[GITHUB_KINDS + 1];

static void print_head(void)
{
        printf("%6s", "s");
        for (size_t i = 0; i < ARRAY_SIZE(queues); i++)
                printf("  %-16.16s", queues[i]);
        printf(" %8s %7s %6s %6s %6s |", "launched", "stored", "ran", "idle", "vain");
        for (size_t i = 0; i < GITHUB_KINDS; i++)
                printf(" %6s", limits_kind(i));
        printf(" %7s\n%6s", "refused", "");
        for (size_t i = 0; i < ARRAY_SIZE(queues); i++)
                printf("  %-16s", "there+hid+delay");
        printf("\n");
}

static void print_queue(struct world *world, const char *name)
{
        const struct queue *queue = sqs_queue(world, name);
        unsigned hidden = 0;
        unsigned delayed = 0;
        unsigned there = 0;
        char text[40];

        for (size_t i = 0; i < queue->n_messages; i++) {
                const struct message *message = queue->messages[i];

                if (message->deleted)
                        continue;
                there += message->visible_ms <= world->now_ms;
                hidden += message->visible_ms > world->now_ms && message->receives > 0;
                delayed += message->visible_ms > world->now_ms && message->receives == 0;
        }
        snprintf(text, sizeof(text), "%u+%u+%u", there, hidden, delayed);
        printf("  %-16s", text);
}

static void print_machines(const struct world *world)
{
        unsigned ran = 0;
        unsigned idle = 0;
        unsigned vain = 0;

        for (size_t i = 0; i < world->n_machines; i++) {
                const struct machine *machine = world->machines[i];

                ran += machine->started_ms > 0;
                idle += machine->started_ms == 0 && machine->stage == MACHINE_LISTENING;
                vain += machine->started_ms == 0 && machine->stage >= MACHINE_ENDING;
        }
        printf(" %8u %7u %6u %6u %6u |", world->ran_instances, world->stored, ran, idle, vain);
}

static void print_part(struct world *world, void *userdata)
{
        const struct limits *limits = &world->limits;

        (void)userdata;
        printf("%6lld", (long long)(world->now_ms / SECOND));
        for (size_t i = 0; i < ARRAY_SIZE(queues); i++)
                print_queue(world, queues[i]);
        print_machines(world);
        for (size_t i = 0; i < GITHUB_KINDS; i++) {
                printf(" %6u", limits->kinds[i] - before[i]);
                before[i] = limits->kinds[i];
        }
        printf(" %7u\n", limits->refused - before[GITHUB_KINDS]);
        before[GITHUB_KINDS] = limits->refused;
        (void)fflush(stdout);
        world_after(world, world->course_ms, print_part, NULL);
}

void course_start(struct world *world, int64_t part_ms)
{
        for (size_t i = 0; i < ARRAY_SIZE(before); i++)
                before[i] = 0;
        world->course_ms = part_ms;
        print_head();
        world_after(world, part_ms, print_part, NULL);
}
