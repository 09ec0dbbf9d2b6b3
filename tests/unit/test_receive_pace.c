/* SPDX-License-Identifier: MIT */

/*
 * How soon a hand-over is seen, and how often that is asked for, by machines that keep the pace of
 * receive_pace.c: simulated, in milliseconds that nobody waits for.
 */

#include <string.h>

#include "base/mem.h"
#include "receive_pace.h"
#include "unit.h"

#define MACHINES 100
#define LATENCY_MS 20
#define SECONDS 200

struct machine {
        struct receive_pace pace;
        int64_t next_ms; /* its next question */
        int64_t there_ms;
        int64_t seen_ms;
};

struct world {
        struct machine machines[MACHINES];
        unsigned asked[SECONDS];
        double tokens; /* of SSM: 40 a second, and no more at once */
        int64_t filled_ms;
        uint32_t seed;
};

static uint32_t random_below(struct world *world, uint32_t below)
{
        world->seed = world->seed * 1664525U + 1013904223U;
        return (world->seed >> 8) % below;
}

static bool is_throttled(struct world *world, int64_t now_ms)
{
        if (world->machines[0].pace.is_s3)
                return false;
        world->tokens += (double)(now_ms - world->filled_ms) * 40 / 1000;
        world->filled_ms = now_ms;
        if (world->tokens > 40)
                world->tokens = 40;
        if (world->tokens < 1)
                return true;
        world->tokens--;
        return false;
}

static void ask(struct world *world, struct machine *machine, int64_t now_ms)
{
        bool throttled = is_throttled(world, now_ms);
        uint32_t most;

        world->asked[now_ms / 1000]++;
        if (!throttled && machine->there_ms <= now_ms) {
                machine->seen_ms = now_ms + LATENCY_MS;
                return;
        }
        receive_pace_note(&machine->pace, throttled);
        most = (uint32_t)receive_pace_ms(&machine->pace, now_ms);
        machine->next_ms = now_ms + LATENCY_MS + most / 2 + random_below(world, most / 2 + 1);
}

/* When one of the first N machines asks next; INT64_MAX if each has its hand-over. */
static int64_t next_question_ms(const struct world *world, unsigned n)
{
        int64_t next_ms = INT64_MAX;

        for (unsigned i = 0; i < n; i++)
                if (world->machines[i].seen_ms == 0 && world->machines[i].next_ms < next_ms)
                        next_ms = world->machines[i].next_ms;
        return next_ms;
}

/* N machines ask from the first second on; the first one's hand-over is there after FIRST_MS, and
 * each of the others' EACH_MS later. Returns how much later it is seen, on average. */
static double average_delay(struct world *world, unsigned n, int64_t first_ms, int64_t each_ms)
{
        double sum = 0;

        for (unsigned i = 0; i < n; i++) {
                world->machines[i].there_ms = first_ms + i * each_ms;
                world->machines[i].next_ms = random_below(world, 1000);
        }
        for (int64_t now; (now = next_question_ms(world, n)) < SECONDS * 1000;)
                for (unsigned i = 0; i < n; i++)
                        if (world->machines[i].seen_ms == 0 && world->machines[i].next_ms == now)
                                ask(world, &world->machines[i], now);
        for (unsigned i = 0; i < n; i++) {
                assert_true(world->machines[i].seen_ms > 0);
                sum += (double)(world->machines[i].seen_ms - world->machines[i].there_ms);
        }
        return sum / n;
}

static struct world *new_world(bool is_s3)
{
        struct world *world = mem_alloc(sizeof(*world));

        world->tokens = 40;
        for (unsigned i = 0; i < MACHINES; i++)
                world->machines[i].pace.is_s3 = is_s3;
        return world;
}

static double asked_a_second(const struct world *world, unsigned from, unsigned until)
{
        double sum = 0;

        for (unsigned i = from; i < until; i++)
                sum += world->asked[i];
        return sum / (until - from);
}

/* As it mostly is: register is a few seconds late, and few wait. */
static void a_late_handover_is_seen_at_once(void **state)
{
        (void)state;
        for (unsigned n = 1; n <= 10; n += 9) {
                for (int64_t late_ms = 1000; late_ms <= 4000; late_ms += 100) {
                        _cleanup_free_ struct world *world = new_world(false);

                        world->seed = (uint32_t)late_ms;
                        assert_in_range(average_delay(world, n, late_ms, 100), 0, 520);
                }
        }
}

static void on_average_it_is_seen_within_300_ms(void **state)
{
        double sum = 0;
        unsigned n = 0;

        (void)state;
        for (int64_t late_ms = 1000; late_ms < 5000; late_ms += 7, n++) {
                _cleanup_free_ struct world *world = new_world(false);

                world->seed = (uint32_t)late_ms;
                sum += average_delay(world, 10, late_ms, 50);
        }
        assert_in_range(sum / n, 0, 300);
}

/* In a burst, when SSM stores three a second: what is asked beyond 40 a second is refused, and
 * takes answers from the functions. */
static void a_hundred_share_what_ssm_answers(void **state)
{
        _cleanup_free_ struct world *world = new_world(false);
        double delay = average_delay(world, MACHINES, 5000, 333);

        (void)state;
        assert_in_range(delay, 0, 2500);
        assert_in_range(asked_a_second(world, 3, 13), 30, 50);
}

/* GitHub is away for minutes. */
static void who_has_waited_for_long_leaves_ssm_to_others(void **state)
{
        _cleanup_free_ struct world *world = new_world(false);

        (void)state;
        average_delay(world, MACHINES, 120000, 100);
        assert_in_range(asked_a_second(world, 30, 60), 0, 40);
        assert_in_range(asked_a_second(world, 60, 120), 0, 20);
}

static void s3_is_asked_by_all_of_a_hundred(void **state)
{
        _cleanup_free_ struct world *world = new_world(true);

        (void)state;
        assert_in_range(average_delay(world, MACHINES, 5000, 333), 0, 300);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_late_handover_is_seen_at_once),
                cmocka_unit_test(on_average_it_is_seen_within_300_ms),
                cmocka_unit_test(a_hundred_share_what_ssm_answers),
                cmocka_unit_test(who_has_waited_for_long_leaves_ssm_to_others),
                cmocka_unit_test(s3_is_asked_by_all_of_a_hundred),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
