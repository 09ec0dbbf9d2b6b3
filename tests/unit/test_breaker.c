/* SPDX-License-Identifier: MIT */

/*
 * Circuit breakers: what stops a spec, what lets it go on, and who may try one machine meanwhile.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "job/breaker.h"
#include "queued_stage.h"

#define NOW INT64_C(1767323045000) /* 2026-01-02T03:04:05Z */
#define MINUTE INT64_C(60000)
#define DAY (24 * 60 * MINUTE)

/* -- which machines are bad -- */

/* A machine that was launched AGE minutes ago. */
static struct ec2_instance machine(int age, const char *state, const char *reason, const char *tag)
{
        struct ec2_instance machine = {.launched_ms = NOW - age * MINUTE};

        snprintf(machine.id, sizeof(machine.id), "i-000000%02d", age);
        snprintf(machine.state, sizeof(machine.state), "%s", state);
        snprintf(machine.state_reason, sizeof(machine.state_reason), "%s", reason);
        if (tag) {
                machine.tags = mem_alloc(sizeof(*machine.tags));
                machine.n_tags = 1;
                snprintf(machine.tags->key, sizeof(machine.tags->key), "%s", tag);
        }
        return machine;
}

#define OFF machine(1, "terminated", "Client.InstanceInitiatedShutdown", NULL)

static size_t count(const struct ec2_instance *given, size_t n)
{
        struct ec2_instances machines = {mem_alloc((n + 1) * sizeof(*given)), n, NULL};
        size_t bad;

        for (size_t i = 0; i < n; i++)
                machines.items[i] = given[i];
        bad = breaker_count_bad(&machines, NOW);
        ec2_instances_release(&machines);
        return bad;
}

static void each_machine_counts_for_what_it_shows(void **state)
{
        const struct {
                struct ec2_instance machine;
                size_t bad;
        } rows[] = {
                {OFF, 1},
                {machine(1, "terminated", "Client.InternalError", NULL), 1},
                {machine(1, "terminated", "Server.InternalError", NULL), 1},
                {machine(1, "shutting-down", "Client.InstanceInitiatedShutdown", NULL), 1},
                {machine(16, "running", "", NULL), 1},
                {machine(14, "running", "", NULL), 0}, /* still boots, or listens */
                {machine(1, "terminated", "Client.InstanceInitiatedShutdown",
                         "scale-agent:job-url"),
                        0},
                {machine(1, "terminated", "Client.InstanceInitiatedShutdown", "scale-agent:idle"),
                        0},
                {machine(16, "running", "", "scale-agent:job-url"), 0},
                {machine(1, "terminated", "Server.SpotInstanceTermination", NULL), 0},
                {machine(1, "terminated", "Client.UserInitiatedShutdown", NULL), 0}, /* by us */
                {machine(1, "terminated", "", NULL), 0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(count(&rows[i].machine, 1), rows[i].bad);
        assert_int_equal(count(NULL, 0), 0);
}

static void only_the_newest_in_a_row_count(void **state)
{
        const struct ec2_instance machines[] = {
                machine(10, "terminated", "Client.InstanceInitiatedShutdown", NULL),
                machine(9, "terminated", "Client.InstanceInitiatedShutdown", NULL),
                machine(8, "terminated", "Client.InstanceInitiatedShutdown", NULL),
                machine(3, "terminated", "Client.InstanceInitiatedShutdown", NULL),
                machine(5, "terminated", "Client.InstanceInitiatedShutdown", "scale-agent:job-url"),
                machine(1, "running", "", NULL),
                machine(4, "terminated", "Client.InstanceInitiatedShutdown", NULL),
                machine(2, "terminated", "Server.SpotInstanceTermination", NULL),
        };

        (void)state;
        assert_int_equal(count(machines, ARRAY_SIZE(machines)), 2);
}

/* -- the document -- */

static void what_is_stored_is_read(void **state)
{
        const struct breaker breaker = {
                .stopped_since_ms = NOW,
                .stopped_until_ms = NOW + MINUTE,
                .on_demand_until_ms = NOW + 2 * MINUTE,
                .losses = {{"i-00000001", NOW - MINUTE}, {"i-00000002", NOW}},
                .n_losses = 2,
        };
        _cleanup_free_ char *text = breaker_print(&breaker);
        _cleanup_free_ char *closed = breaker_print(&(struct breaker){0});
        struct breaker found;

        (void)state;
        assert_string_equal(closed, "{\"version\":1}");
        breaker_parse(text, &found);
        assert_memory_equal(&found, &breaker, sizeof(found));
        breaker_parse("{", &found);
        assert_int_equal(found.stopped_since_ms, 0);
        breaker_parse("{\"losses\":{\"x\":1,\"i-00000001\":\"x\",\"i-00000002\":1e300,"
                      "\"i-00000003\":-1,\"i-00000004\":0.5}}",
                &found);
        assert_int_equal(found.n_losses, 0);
}

/* -- stopping -- */

#define SPEC                                                                                 \
        "Filter.1.Name=tag%3Ascale-agent%3Aspec&Filter.1.Value.1=linux&Filter.2.Name=tag%3A" \
        "scale-agent%3Aprefix&Filter.2.Value.1=%2Fp"
#define READ "\"Path\":\"/p/breakers\""
#define STORE "{\"Name\":\"/p/breakers/linux\",\"Type\":\"String\",\"Overwrite\":true"

static void expect_machines(struct stage *stage, unsigned n_bad)
{
        _cleanup_buf_ struct buf xml = BUF_INIT(64UL * 1024);

        buf_add_string(&xml, "<DescribeInstancesResponse><reservationSet><item><instancesSet>");
        for (unsigned i = 0; i < n_bad; i++)
                buf_add_format(&xml,
                        "<item><instanceId>i-0000000%u</instanceId>"
                        "<launchTime>2026-01-02T03:0%u:00.000Z</launchTime>"
                        "<instanceState><name>terminated</name></instanceState>"
                        "<stateReason><code>Client.InstanceInitiatedShutdown</code></stateReason>"
                        "</item>",
                        i, i % 4);
        buf_add_string(&xml, "</instancesSet></item></reservationSet></DescribeInstancesResponse>");
        script_expect(stage->script, "POST", STAGE_EC2, SPEC, 200, buf_string(&xml));
}

/* The breaker of `linux` is stored in VERSION. */
static void expect_breaker(struct stage *stage, const struct breaker *breaker, int version)
{
        _cleanup_json_ cJSON *json = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(json, "Parameters");
        cJSON *item = cJSON_CreateObject();
        _cleanup_free_ char *value = breaker_print(breaker);
        _cleanup_free_ char *text = NULL;

        cJSON_AddItemToArray(list, item);
        json_add_string(item, "Name", "/p/breakers/linux");
        json_add_string(item, "Value", value);
        json_add_integer(item, "Version", version);
        text = json_print(json);
        script_expect(stage->script, "POST", STAGE_SSM, READ, 200, text);
}

static void expect_stored(struct stage *stage, int version)
{
        _cleanup_free_ char *answer = mem_format("{\"Version\":%d}", version);

        script_expect(stage->script, "POST", STAGE_SSM, STORE, 200, answer);
}

static int note_dead(struct stage *stage)
{
        struct err err;

        return breaker_note_dead(&stage->scaler, stage->scaler.aws,
                config_spec_by_name(stage->scaler.config, "linux"), &err);
}

static void five_bad_machines_stop_a_spec(void **state)
{
        struct stage *stage = *state;

        expect_machines(stage, 4);
        assert_int_equal(note_dead(stage), 0);
        assert_int_equal(script_requests(stage->script), 1);
        expect_machines(stage, 5);
        expect_stored(stage, 1);
        stage_expect_sent(stage, "\\\"title\\\":\\\"Spec linux: launches are stopped");
        assert_int_equal(note_dead(stage), 0);
        assert_logged(stage, "\"SpecStopped\":1");
}

/* As many as a large spec has within the hour in which EC2 shows those that have ended. */
static void machines_are_counted_on_all_pages(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, "MaxResults=400", 200,
                "<DescribeInstancesResponse><reservationSet/><nextToken>more</nextToken>"
                "</DescribeInstancesResponse>");
        script_expect(stage->script, "POST", STAGE_EC2, "NextToken=more", 200,
                "<DescribeInstancesResponse><reservationSet/><nextToken>last</nextToken>"
                "</DescribeInstancesResponse>");
        expect_machines(stage, 5);
        expect_stored(stage, 1);
        stage_expect_sent(stage, "Spec linux: launches are stopped");
        assert_int_equal(note_dead(stage), 0);
}

static void a_spec_that_is_stopped_is_not_stopped_again(void **state)
{
        struct stage *stage = *state;

        expect_breaker(
                stage, &(struct breaker){.stopped_since_ms = NOW - 1, .stopped_until_ms = NOW}, 3);
        assert_int_equal(note_dead(stage), 0);
}

static enum breaker_verdict ask(struct stage *stage, int64_t *ret_until_ms)
{
        return breaker_ask(&stage->scaler, "linux", ret_until_ms);
}

/* It is read again before the turn to try one machine is taken. */
static void expect_due(struct stage *stage, const struct breaker *due, int version)
{
        stage->scaler.breakers_read_ms = 0;
        expect_breaker(stage, due, version);
        expect_breaker(stage, due, version);
}

static void what_is_stopped_waits_and_then_one_process_tries(void **state)
{
        const struct breaker waits = {
                .stopped_since_ms = NOW - MINUTE, .stopped_until_ms = NOW + MINUTE};
        const struct breaker due = {.stopped_since_ms = NOW - MINUTE, .stopped_until_ms = NOW - 1};
        struct stage *stage = *state;
        int64_t until_ms;

        assert_int_equal(ask(stage, &until_ms), BREAKER_GO);
        stage->scaler.breakers_read_ms = 0;
        expect_breaker(stage, &waits, 7);
        assert_int_equal(ask(stage, &until_ms), BREAKER_STOP);
        assert_true(until_ms == NOW + MINUTE);
        assert_int_equal(ask(stage, &until_ms), BREAKER_STOP); /* remembered */

        expect_due(stage, &due, 7);
        expect_stored(stage, 8);
        assert_int_equal(ask(stage, &until_ms), BREAKER_PROBE);
        assert_true(until_ms >= NOW + BREAKER_PROBE_MS);

        expect_due(stage, &due, 7);
        expect_stored(stage, 9); /* another process was first */
        assert_int_equal(ask(stage, &until_ms), BREAKER_STOP);

        expect_due(stage, &due, 9);
        script_expect(stage->script, "POST", STAGE_SSM, STORE, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(ask(stage, &until_ms), BREAKER_STOP);
}

/* This process has read it up to a minute ago. Meanwhile a machine has worked, another process has
 * taken the turn, or a person has deleted the parameter. */
static void what_is_no_longer_stopped_is_not_stopped_again(void **state)
{
        static const struct {
                struct breaker now;
                enum breaker_verdict verdict;
        } rows[] = {
                {{.on_demand_until_ms = NOW + MINUTE}, BREAKER_GO},
                {{.stopped_since_ms = NOW - MINUTE, .stopped_until_ms = NOW + MINUTE},
                        BREAKER_STOP},
        };
        const struct breaker due = {.stopped_since_ms = NOW - MINUTE, .stopped_until_ms = NOW - 1};
        struct stage *stage = *state;
        int64_t until_ms;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                stage->scaler.breakers_read_ms = 0;
                expect_breaker(stage, &due, 7);
                expect_breaker(stage, &rows[i].now, 8);
                assert_int_equal(ask(stage, &until_ms), rows[i].verdict);
        }
}

/* What a person wrote, or a process whose clock was wrong, must not last for ever. */
static void a_breaker_of_the_future_ends(void **state)
{
        const struct breaker later = {
                .stopped_since_ms = NOW + 365 * DAY,
                .stopped_until_ms = NOW + 366 * DAY,
                .on_demand_until_ms = NOW + 366 * DAY,
                .losses = {{"i-00000001", NOW + DAY}, {"i-00000002", NOW}},
                .n_losses = 2,
        };
        struct stage *stage = *state;
        struct breaker found;
        int64_t until_ms;
        struct err err;

        expect_breaker(stage, &later, 7);
        found = breaker_read(&stage->scaler, "linux", false);
        assert_true(found.on_demand_until_ms == 0);
        assert_int_equal(found.n_losses, 1);
        assert_string_equal(found.losses[0].instance, "i-00000002");
        expect_due(stage, &later, 7);
        expect_stored(stage, 8);
        assert_int_equal(ask(stage, &until_ms), BREAKER_PROBE);
        expect_due(stage, &later, 8);
        expect_stored(stage, 9);
        stage_expect_sent(stage, "Spec linux: launches go on");
        assert_int_equal(breaker_note_work(&stage->scaler, "linux", NOW - DAY, &err), 0);
}

static void a_job_that_ran_lets_its_spec_go_on(void **state)
{
        const struct breaker stopped = {
                .stopped_since_ms = NOW - MINUTE,
                .stopped_until_ms = NOW + MINUTE,
                .on_demand_until_ms = NOW + MINUTE,
        };
        struct breaker lost = stopped;
        struct stage *stage = *state;
        struct err err;

        lost.losses[lost.n_losses++] = (__typeof__(lost.losses[0])){"i-00000001", NOW};
        expect_breaker(stage, &stopped, 7);
        /* It was launched before. */
        assert_int_equal(breaker_note_work(&stage->scaler, "linux", NOW - 2 * MINUTE, &err), 0);
        expect_breaker(stage, &lost, 8); /* meanwhile EC2 took a machine back */
        script_expect(stage->script, "POST", STAGE_SSM, "i-00000001", 200, "{\"Version\":9}");
        stage_expect_sent(stage, "\\\"title\\\":\\\"Spec linux: launches go on");
        assert_int_equal(breaker_note_work(&stage->scaler, "linux", NOW - MINUTE, &err), 0);
        assert_logged(stage, "spec goes on");
        assert_int_equal(breaker_note_work(&stage->scaler, "linux", NOW, &err), 0);
}

static void breakers_that_cannot_be_read_stop_nothing(void **state)
{
        struct stage *stage = *state;
        int64_t until_ms;

        script_expect(stage->script, "POST", STAGE_SSM, READ, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(ask(stage, &until_ms), BREAKER_GO);
        assert_logged(stage, "circuit breakers cannot be read");
}

/* Without the configuration, the prefix below which breakers are stored is not known. */
static void without_a_configuration_nothing_is_stored(void **state)
{
        struct stage *stage = *state;
        const struct breaker breaker = {.stopped_since_ms = NOW};
        int64_t until_ms;
        struct err err;

        config_free(MEM_STEAL(stage->scaler.config));
        setenv("SCALE_AGENT_CONFIG", "{}", 1);
        assert_true(breaker_store(&stage->scaler, "linux", &breaker, &err) < 0);
        assert_contains(err.text, "SCALE_AGENT_CONFIG");
        assert_int_equal(ask(stage, &until_ms), BREAKER_GO);
        assert_int_equal(script_requests(stage->script), 0);
}

/* -- in queued -- */

static void jobs_of_a_stopped_spec_are_parked(void **state)
{
        const struct breaker waits = {
                .stopped_since_ms = NOW - MINUTE, .stopped_until_ms = NOW + 5 * MINUTE};
        struct stage *stage = *state;

        expect_breaker(stage, &waits, 7);
        stage_expect_sent(stage, "\"DelaySeconds\":300");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"reason\":\"launches are stopped\"");
}

/* The others of its batch wait for what becomes of it. */
static void one_machine_is_tried(void **state)
{
        const struct breaker due = {.stopped_since_ms = NOW - MINUTE, .stopped_until_ms = NOW - 1};
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL},
                {"c", queued_job(3, "linux"), 0, NULL},
        };

        expect_due(stage, &due, 7);
        expect_stored(stage, 8);
        expect_launch(stage, "&MinCount=1&MaxCount=1&", 1, 1);
        expect_registration(stage, 1);
        stage_expect_sent(stage, "\"DelaySeconds\":900");
        stage_expect_sent(stage, "\"DelaySeconds\":900");
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
}

/* -- spot -- */

static int note_loss(struct stage *stage, const char *spec, const char *instance)
{
        struct err err;

        return breaker_note_loss(
                &stage->scaler, config_spec_by_name(stage->scaler.config, spec), instance, &err);
}

#define STORE_SPOT "{\"Name\":\"/p/breakers/fallback\""

static void expect_spot_breaker(struct stage *stage, const char *losses)
{
        _cleanup_free_ char *text = mem_format(
                "{\"Parameters\":[{\"Name\":\"/p/breakers/fallback\",\"Version\":1,\"Value\":"
                "\"{\\\"version\\\":1,\\\"losses\\\":{%s}}\"}]}",
                losses);

        script_expect(stage->script, "POST", STAGE_SSM, READ, 200, text);
}

static void three_losses_leave_spot_alone(void **state)
{
        struct stage *stage = *state;

        assert_int_equal(note_loss(stage, "linux", "i-00000001"), 0); /* has no other market */
        script_expect(stage->script, "POST", STAGE_SSM, STORE_SPOT, 200, "{\"Version\":1}");
        assert_int_equal(note_loss(stage, "fallback", "i-00000001"), 0);
        assert_sent(stage, "\\\"losses\\\":{\\\"i-00000001\\\":17673230450");

        /* EC2 tells of one twice, and one was long ago. */
        expect_spot_breaker(
                stage, "\\\"i-00000008\\\":1767321000000,\\\"i-00000009\\\":1767323000000");
        assert_int_equal(note_loss(stage, "fallback", "i-00000009"), 0);
        expect_spot_breaker(
                stage, "\\\"i-00000008\\\":1767321000000,\\\"i-00000009\\\":1767323000000");
        script_expect(stage->script, "POST", STAGE_SSM, STORE_SPOT, 200, "{\"Version\":2}");
        assert_int_equal(note_loss(stage, "fallback", "i-00000002"), 0);
        assert_not_sent(stage, "i-00000008");

        expect_spot_breaker(
                stage, "\\\"i-00000008\\\":1767323000000,\\\"i-00000009\\\":1767323000000");
        script_expect(stage->script, "POST", STAGE_SSM, "\\\"on_demand_until_ms\\\":17673248450",
                200, "{\"Version\":2}");
        stage_expect_sent(stage, "\\\"title\\\":\\\"Spec fallback: launches are on demand");
        assert_int_equal(note_loss(stage, "fallback", "i-00000002"), 0);
        assert_sent(stage, "{\\\"name\\\":\\\"Spec\\\",\\\"value\\\":\\\"fallback\\\"}");
        assert_logged(stage, "\"SpotAvoided\":1");
}

/* Another process stored its loss meanwhile: it is read, and ours is added. */
static void a_loss_is_not_lost(void **state)
{
        struct stage *stage = *state;

        expect_spot_breaker(stage, "\\\"i-00000008\\\":1767323000000");
        script_expect(stage->script, "POST", STAGE_SSM, STORE_SPOT, 200, "{\"Version\":3}");
        expect_spot_breaker(stage, "\\\"i-00000009\\\":1767323000000");
        script_expect(stage->script, "POST", STAGE_SSM, "i-00000009", 200, "{\"Version\":2}");
        assert_int_equal(note_loss(stage, "fallback", "i-00000002"), 0);
        assert_sent(stage, "i-00000002");
}

/* Others store theirs each time: this one does not count, which costs nothing but patience. */
static void a_loss_that_cannot_be_stored_fails_nothing(void **state)
{
        struct stage *stage = *state;

        script_serve(stage->script, "POST", STAGE_SSM, STORE_SPOT, 200, "{\"Version\":9}");
        assert_int_equal(note_loss(stage, "fallback", "i-00000002"), 0);
}

/* Nobody hears that launches are on demand, since they are not. */
static void on_demand_is_told_once_it_is_stored(void **state)
{
        struct stage *stage = *state;

        expect_spot_breaker(
                stage, "\\\"i-00000008\\\":1767323000000,\\\"i-00000009\\\":1767323000000");
        script_expect(stage->script, "POST", STAGE_SSM, STORE_SPOT, 400,
                "{\"__type\":\"AccessDeniedException\"}");
        assert_true(note_loss(stage, "fallback", "i-00000002") < 0);
        assert_int_equal(script_requests(stage->script), 2);
}

static void launches_are_on_demand_for_a_while(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SSM, READ, 200,
                "{\"Parameters\":[{\"Name\":\"/p/breakers/fallback\",\"Version\":1,\"Value\":"
                "\"{\\\"on_demand_until_ms\\\":1767323999000}\"}]}");
        expect_launch(stage, QUEUED_OFFER("t3.2xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"market\":\"on-demand\"");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_set_up, stage_tear_down)
                cmocka_unit_test(each_machine_counts_for_what_it_shows),
                cmocka_unit_test(only_the_newest_in_a_row_count),
                cmocka_unit_test(what_is_stored_is_read),
                TEST(five_bad_machines_stop_a_spec),
                TEST(machines_are_counted_on_all_pages),
                TEST(a_spec_that_is_stopped_is_not_stopped_again),
                TEST(what_is_stopped_waits_and_then_one_process_tries),
                TEST(what_is_no_longer_stopped_is_not_stopped_again),
                TEST(a_breaker_of_the_future_ends),
                TEST(a_job_that_ran_lets_its_spec_go_on),
                TEST(breakers_that_cannot_be_read_stop_nothing),
                TEST(without_a_configuration_nothing_is_stored),
                TEST(jobs_of_a_stopped_spec_are_parked),
                TEST(one_machine_is_tried),
                TEST(three_losses_leave_spot_alone),
                TEST(a_loss_is_not_lost),
                TEST(on_demand_is_told_once_it_is_stored),
                TEST(a_loss_that_cannot_be_stored_fails_nothing),
                TEST(launches_are_on_demand_for_a_while),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
