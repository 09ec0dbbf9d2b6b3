/* SPDX-License-Identifier: MIT */

/*
 * The faults: a table of them, which of them a seed has, and when they strike.
 */

#include <stdio.h>
#include <string.h>

#include "world.h"

/* Faults strike within this time, and never afterwards. */
#define FAULTS_LAST_MS (3 * HOUR)

static const struct {
        const char *name;
        bool by_default; /* off: the scaler is known not to survive it yet */
} table[N_FAULTS] = {
        [FAULT_REDELIVER] = {"redeliver", true},
        [FAULT_DELIVERY] = {"delivery", true},
        [FAULT_REPLAY] = {"replay", true},
        [FAULT_FORGED] = {"forged", true},
        [FAULT_DOUBLE] = {"double", true},
        [FAULT_CANCEL] = {"cancel", true},
        [FAULT_CAPACITY] = {"capacity", true},
        [FAULT_THROTTLE] = {"throttle", true},
        [FAULT_ERROR] = {"error", true},
        [FAULT_LOST] = {"lost", true},
        [FAULT_KILL] = {"kill", true},
        [FAULT_LATE] = {"late", true},
        [FAULT_DIE] = {"die", true},
        [FAULT_IMAGE] = {"image", true},
        [FAULT_HANG] = {"hang", true},
        [FAULT_SPOT] = {"spot", true},
        [FAULT_DROPPED] = {"dropped", true},
        [FAULT_LIES] = {"lies", true},
        [FAULT_THEFT] = {"theft", true},
        [FAULT_SLOW] = {"slow", true},
        [FAULT_LIMIT] = {"limit", true},
        [FAULT_REFUSE] = {"refuse", true},
        [FAULT_SWITCH] = {"switch", true},
        [FAULT_GITHUB] = {"github", true},
        [FAULT_SSM] = {"ssm", true},
        [FAULT_SQS] = {"sqs", true},
        [FAULT_EC2] = {"ec2", true},
        [FAULT_EVENTS] = {"events", true},
        [FAULT_BURST] = {"burst", true},
        [FAULT_UNHEARD] = {"unheard", true},
};

const char *fault_name(enum fault fault)
{
        return table[fault].name;
}

uint32_t faults_default(void)
{
        uint32_t enabled = 0;

        for (size_t i = 0; i < N_FAULTS; i++)
                enabled |= (uint32_t)table[i].by_default << i;
        return enabled;
}

static int find(const char *name, size_t size)
{
        for (int i = 0; i < N_FAULTS; i++)
                if (strlen(table[i].name) == size && memcmp(table[i].name, name, size) == 0)
                        return i;
        return -1;
}

static bool parse_word(const char *word, size_t size, uint32_t *enabled)
{
        char sign = *word == '+' || *word == '-' ? *word : '+';
        int fault;

        if (*word == '+' || *word == '-') {
                word++;
                size--;
        }
        fault = find(word, size);
        if (size == 3 && memcmp(word, "all", 3) == 0)
                *enabled = (UINT32_C(1) << N_FAULTS) - 1;
        else if (fault < 0)
                return false;
        else if (sign == '+')
                *enabled |= UINT32_C(1) << fault;
        else
                *enabled &= ~(UINT32_C(1) << fault);
        return true;
}

bool faults_parse(const char *text, uint32_t *ret_enabled)
{
        uint32_t enabled = *text == '+' || *text == '-' ? faults_default() : 0;

        if (strcmp(text, "none") != 0) {
                while (*text) {
                        size_t size = strcspn(text, ",");

                        if (!parse_word(text, size, &enabled))
                                return false;
                        text += size + (text[size] == ',');
                }
        }
        *ret_enabled = enabled;
        return true;
}

static struct outage draw_outage(struct world *world)
{
        int64_t from = world_between(world, 0, world_chance(world, 50) ? 2 * MINUTE : HOUR);

        return (struct outage){from, from + world_between(world, 2 * MINUTE, HOUR)};
}

static enum fault draw_one(struct world *world, uint32_t enabled)
{
        enum fault fault;

        do
                fault = (enum fault)world_random(world, N_FAULTS);
        while (!(enabled & UINT32_C(1) << fault));
        return fault;
}

#define BIT(fault) (UINT32_C(1) << (fault))

/* Faults that do harm only together, and are hidden by most others. */
static const uint32_t together[] = {
        /* A job comes as its machine idles, and GitHub does not know that. */
        BIT(FAULT_SLOW) | BIT(FAULT_LIES),
        BIT(FAULT_SLOW) | BIT(FAULT_LIES) | BIT(FAULT_CANCEL),
        /* What was launched, or is about to listen, is come upon again. */
        BIT(FAULT_SLOW) | BIT(FAULT_KILL) | BIT(FAULT_LOST),
        BIT(FAULT_SLOW) | BIT(FAULT_KILL) | BIT(FAULT_DELIVERY) | BIT(FAULT_REDELIVER),
};

static uint32_t draw_few_to_most(struct world *world, unsigned share)
{
        uint32_t faults = 0;

        for (size_t i = 0; i < N_FAULTS; i++)
                faults |= (uint32_t)world_chance(world, 5 + 22 * share) << i;
        return faults;
}

/* A fifth of the seeds have one fault alone, another some that belong together, the others have few
 * to most of them. */
void faults_draw(struct world *world, uint32_t enabled)
{
        unsigned share = world_random(world, 5);

        world->faults_until_ms = FAULTS_LAST_MS;
        for (size_t i = 0; i < N_FAULTS; i++)
                world->outages[i] = draw_outage(world);
        world->outages[FAULT_BURST].from_ms = 0;
        if (share == 0)
                world->faults = enabled ? BIT(draw_one(world, enabled)) : 0;
        else if (share == 4)
                world->faults = together[world_random(world, ARRAY_SIZE(together))] & enabled;
        else
                world->faults = draw_few_to_most(world, share) & enabled;
        for (size_t i = 0; i < N_FAULTS; i++)
                if (fault_is_on(world, (enum fault)i))
                        world_tell(world, "fault: %s", table[i].name);
}

bool fault_is_on(const struct world *world, enum fault fault)
{
        return world->faults & UINT32_C(1) << fault;
}

static void strike(struct world *world, enum fault fault)
{
        world->strikes[fault]++;
        world->last_fault_ms = world->now_ms;
}

bool fault_strikes(struct world *world, enum fault fault, unsigned percent)
{
        if (!fault_is_on(world, fault) || world->now_ms > world->faults_until_ms ||
                !world_chance(world, percent))
                return false;
        strike(world, fault);
        return true;
}

bool fault_is_down(struct world *world, enum fault fault)
{
        if (!fault_is_on(world, fault) || world->now_ms < world->outages[fault].from_ms ||
                world->now_ms >= world->outages[fault].until_ms)
                return false;
        strike(world, fault);
        return true;
}
