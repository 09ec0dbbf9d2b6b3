/* SPDX-License-Identifier: MIT */

/*
 * What became of a webhook's events, by GitHub's list, and which are to be delivered again.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "recover/attempts.h"
#include "unit.h"

#define NOW_MS (1000 * 3600 * MSEC_PER_SEC)

struct entry {
        const char *guid;
        int status;
        int seconds; /* ago */
        bool is_redelivery;
};

static struct github_delivery delivery_of(const struct entry *entry)
{
        struct github_delivery delivery = {
                .id = 100000 - entry->seconds,
                .event = "workflow_job",
                .status_code = entry->status,
                .at_ms = NOW_MS - entry->seconds * MSEC_PER_SEC,
                .is_redelivery = entry->is_redelivery,
        };

        snprintf(delivery.guid, sizeof(delivery.guid), "%s", entry->guid);
        return delivery;
}

static void note(struct events *events, const struct entry *entries, size_t n)
{
        *events = (struct events){.trouble_ms = NOW_MS};
        for (size_t i = 0; i < n; i++) {
                struct github_delivery delivery = delivery_of(&entries[i]);

                events_note(events, &delivery);
        }
}

/* The GUIDs of what is due. */
static const char *due(const struct events *events)
{
        static char text[256];

        text[0] = '\0';
        for (size_t i = 0; i < events->count; i++)
                if (event_is_due(events, &events->items[i], NOW_MS))
                        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
                                events->items[i].guid);
        return text;
}

#define assert_due(entries, text)                            \
        do {                                                 \
                struct events events;                        \
                                                             \
                note(&events, entries, ARRAY_SIZE(entries)); \
                assert_string_equal(due(&events), text);     \
                events_release(&events);                     \
        } while (0)

/* Lambda's 403 says that its URL is not open to the public, and 404 is of another service. */
static void only_an_answer_of_ours_settles_an_event(void **state)
{
        static const struct {
                int status;
                bool is_due;
        } rows[] = {
                {0, true},
                {100, true},
                {200, false},
                {202, false},
                {299, false},
                {301, true},
                {400, false},
                {402, true},
                {403, true},
                {404, true},
                {405, false},
                {408, true},
                {410, true},
                {413, false},
                {421, true},
                {422, false},
                {423, true},
                {429, true},
                {500, true},
                {502, true},
                {503, true},
                {504, true},
                {-1, true},
                {99999, true},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct entry entries[] = {{"a", rows[i].status, 100, false}};

                assert_due(entries, rows[i].is_due ? "a " : "");
        }
}

/* A secret that nobody has mended: one event shows when that is done. */
static void of_refused_signatures_one_is_tried(void **state)
{
        static const struct entry entries[] = {
                {"young", 401, 30, false}, {"new", 401, 200, false}, {"old", 401, 300, false}};
        static const struct entry quiet[] = {{"new", 401, 200, false}, {"old", 401, 300, false}};
        static const struct entry before[] = {
                {"new", 401, 200, false}, {"old", 401, 300, false}, {"fine", 202, 400, false}};

        (void)state;
        assert_due(entries, "");
        assert_due(quiet, "new ");
        assert_due(before, "new ");
}

static void once_one_is_taken_all_refused_ones_are_due(void **state)
{
        static const struct entry entries[] = {{"fine", 202, 100, false}, {"new", 401, 200, false},
                {"old", 401, 300, false}, {"malformed", 400, 400, false}};
        static const struct entry tried[] = {{"new", 202, 100, true}, {"new", 401, 200, false},
                {"old", 401, 300, false}, {"oldest", 401, 400, false}};

        (void)state;
        assert_due(entries, "new old ");
        assert_due(tried, "old oldest ");
}

/* Each needs a delivery that was taken after its own last attempt: no loop of those that stay
 * refused. */
static void what_is_refused_again_waits_for_the_next_sign(void **state)
{
        static const struct entry entries[] = {{"b", 401, 100, true}, {"a", 401, 101, true},
                {"fine", 202, 200, false}, {"b", 401, 300, false}, {"a", 401, 400, false}};

        (void)state;
        assert_due(entries, "");
}

/* It is no matter of the secret then. */
static void the_newest_attempt_says_whether_it_was_refused(void **state)
{
        static const struct entry lost[] = {
                {"a", 503, 1000, true}, {"b", 401, 1100, false}, {"a", 401, 1200, false}};
        static const struct entry refused[] = {
                {"b", 401, 1000, false}, {"a", 401, 1100, true}, {"a", 503, 1200, false}};

        (void)state;
        assert_due(lost, "a b ");
        assert_due(refused, "b ");
}

/* A ping, too, has the secret's signature. */
static void any_event_shows_that_the_secret_was_mended(void **state)
{
        static const struct entry refused[] = {{"new", 401, 200, false}, {"old", 401, 300, false}};
        struct github_delivery ping = delivery_of(&(struct entry){"ping", 200, 100, false});
        struct events events = {.trouble_ms = NOW_MS};

        (void)state;
        snprintf(ping.event, sizeof(ping.event), "ping");
        events_note(&events, &ping);
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                struct github_delivery delivery = delivery_of(&refused[i]);

                events_note(&events, &delivery);
        }
        assert_string_equal(due(&events), "new old ");
        assert_false(events_are_unsigned(&events));
        events_release(&events);
}

static void it_is_known_whether_signatures_are_refused(void **state)
{
        static const struct entry now[] = {{"b", 401, 100, false}, {"a", 202, 200, false}};
        static const struct entry before[] = {{"b", 202, 100, false}, {"a", 401, 200, false}};
        static const struct entry down[] = {{"b", 503, 100, false}, {"a", 401, 200, false}};
        static const struct entry mended[] = {{"a", 202, 100, true}, {"a", 401, 200, false}};
        struct events events;

        (void)state;
        note(&events, now, 2);
        assert_true(events_are_unsigned(&events));
        events_release(&events);
        note(&events, before, 2);
        assert_false(events_are_unsigned(&events));
        events_release(&events);
        note(&events, down, 2);
        assert_true(events_are_unsigned(&events));
        events_release(&events);
        note(&events, mended, 2);
        assert_false(events_are_unsigned(&events));
        events_release(&events);
}

/* How far back the list has to be read. */
static void trouble_is_what_may_leave_something_to_do(void **state)
{
        static const struct {
                struct entry entries[2];
                int seconds; /* of the oldest trouble; 0: none */
        } rows[] = {
                {{{"b", 202, 100, false}, {"a", 503, 200, false}}, 200},
                {{{"b", 202, 100, false}, {"a", 202, 200, false}}, 0},
                {{{"b", 202, 100, false}, {"a", 422, 200, false}}, 0},
                /* A sweep has worked an outage off, and may not have come to its end. */
                {{{"b", 202, 100, false}, {"a", 202, 200, true}}, 200},
                {{{"b", 202, 100, false}, {"a", 401, 200, false}}, 200},
                /* Nothing behind these is due. */
                {{{"b", 401, 100, false}, {"a", 401, 200, true}}, 0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct events events;

                note(&events, rows[i].entries, 2);
                assert_int_equal(NOW_MS - events.trouble_ms, rows[i].seconds * MSEC_PER_SEC);
                assert_int_equal(NOW_MS - events.oldest_ms, 200 * MSEC_PER_SEC);
                events_release(&events);
        }
}

/* Some have names before ours in the alphabet, others after. */
static void only_jobs_are_delivered_again(void **state)
{
        static const char *const names[] = {"ping", "workflow_run", "workflow_job_2", ""};
        struct events events = {.trouble_ms = NOW_MS};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct github_delivery other = delivery_of(&(struct entry){"a", 503, 100, false});

                snprintf(other.event, sizeof(other.event), "%s", names[i]);
                events_note(&events, &other);
        }
        assert_int_equal(events.count, 0);
        assert_int_equal(events.trouble_ms, NOW_MS);
        events_release(&events);
}

/* About a day. */
static void an_event_is_tried_so_often(void **state)
{
        (void)state;
        for (int n = 71; n <= 73; n++) {
                struct entry entries[73];
                struct events events;

                for (int i = 0; i < n; i++)
                        entries[i] = (struct entry){"a", 401, 1000 + i, true};
                note(&events, entries, (size_t)n);
                assert_string_equal(due(&events), n < 72 ? "a " : "");
                events_release(&events);
        }
}

static void what_nobody_could_deliver_again_is_left_out(void **state)
{
        const struct entry entry = {"a", 0, 100, false};
        struct github_delivery nameless = delivery_of(&entry);
        struct github_delivery timeless = delivery_of(&entry);
        struct github_delivery guidless = delivery_of(&entry);
        struct events events = {.trouble_ms = NOW_MS};

        (void)state;
        nameless.id = 0;
        timeless.at_ms = 0;
        guidless.guid[0] = '\0';
        events_note(&events, &nameless);
        events_note(&events, &timeless);
        events_note(&events, &guidless);
        assert_int_equal(events.count, 0);
        assert_int_equal(events.trouble_ms, NOW_MS);
        assert_int_equal(events.oldest_ms, 0);
        events_release(&events);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_an_answer_of_ours_settles_an_event),
                cmocka_unit_test(of_refused_signatures_one_is_tried),
                cmocka_unit_test(once_one_is_taken_all_refused_ones_are_due),
                cmocka_unit_test(what_is_refused_again_waits_for_the_next_sign),
                cmocka_unit_test(the_newest_attempt_says_whether_it_was_refused),
                cmocka_unit_test(any_event_shows_that_the_secret_was_mended),
                cmocka_unit_test(it_is_known_whether_signatures_are_refused),
                cmocka_unit_test(trouble_is_what_may_leave_something_to_do),
                cmocka_unit_test(only_jobs_are_delivered_again),
                cmocka_unit_test(an_event_is_tried_so_often),
                cmocka_unit_test(what_nobody_could_deliver_again_is_left_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
