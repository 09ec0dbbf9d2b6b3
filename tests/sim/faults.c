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
        bool outage;
        bool by_default; /* off: the scaler is known not to survive it yet */
} table[N_FAULTS] = {
        [FAULT_DELIVERY] = {"delivery", false, true},
        [FAULT_DOUBLE] = {"double", false, true},
        [FAULT_CANCEL] = {"cancel", false, true},
        [FAULT_CAPACITY] = {"capacity", false, true},
        [FAULT_THROTTLE] = {"throttle", false, true},
        [FAULT_ERROR] = {"error", false, true},
        [FAULT_LOST] = {"lost", false, true},
        [FAULT_KILL] = {"kill", false, true},
        [FAULT_LATE] = {"late", false, true},
        [FAULT_DIE] = {"die", false, true},
        [FAULT_HANG] = {"hang", false, true},
        [FAULT_SPOT] = {"spot", false, true},
        [FAULT_DROPPED] = {"dropped", false, true},
        [FAULT_LIES] = {"lies", false, true},
        [FAULT_THEFT] = {"theft", false, true},
        [FAULT_SLOW] = {"slow", false, true},
        [FAULT_LIMIT] = {"limit", false, true},
        [FAULT_REFUSE] = {"refuse", false, true},
        [FAULT_GITHUB] = {"github", true, true},
        [FAULT_SSM] = {"ssm", true, true},
        [FAULT_SQS] = {"sqs", true, true},
        [FAULT_EC2] = {"ec2", true, true},
        [FAULT_EVENTS] = {"events", true, true},
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

/* Each seed has its own few, so that some seeds show one fault alone. */
void faults_draw(struct world *world, uint32_t enabled)
{
        unsigned share = world_random(world, 4); /* 0: none of them, 3: most */

        world->faults_until_ms = FAULTS_LAST_MS;
        for (size_t i = 0; i < N_FAULTS; i++) {
                bool on = world_chance(world, 8 + 22 * share);
                int64_t from = world_between(world, 0, HOUR);
                int64_t lasts = world_between(world, 2 * MINUTE, HOUR);

                if (table[i].outage) {
                        on = on && world_chance(world, 40);
                        world->outages[i] = (struct outage){from, from + lasts};
                }
                if (!(enabled & UINT32_C(1) << i) || (share == 0 && i % 7 != world->seed % 7))
                        continue;
                world->faults |= (uint32_t)on << i;
                if (on)
                        world_tell(world, "fault: %s", table[i].name);
        }
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
