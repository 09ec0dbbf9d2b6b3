/* SPDX-License-Identifier: MIT */

/*
 * Launching: the first offer that has capacity is used, no job gets two machines, and people are
 * told where EC2 refuses.
 */

#include <errno.h>
#include <stdlib.h>

#include "job/offer.h"
#include "queued_stage.h"

/* -- the ladder -- */

static void every_subnet_is_tried_before_the_next_rung(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 500, "InsufficientInstanceCapacity");
        expect_refusal(stage, QUEUED_OFFER("m7i.large", "b"), 500, "InsufficientInstanceCapacity");
        expect_refusal(stage, QUEUED_OFFER("m7a.large", "a"), 400, "Unsupported");
        expect_refusal(
                stage, QUEUED_OFFER("m7a.large", "b"), 400, "InsufficientFreeAddressesInSubnet");
        expect_launch(stage, QUEUED_OFFER("m7i.xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"Failovers\":4");

        /* Offers without capacity are not tried again at once; a full subnet says nothing about
         * capacity. */
        expect_launch(stage, QUEUED_OFFER("m7a.large", "b"), 2, 2);
        expect_registration(stage, 2);
        assert_string_equal(queued_one(stage, queued_job(2, "linux")), STAGE_NONE_FAILED);
        script_sleep(stage->script, 4 * 60000);
        expect_launch(stage, QUEUED_OFFER("m7i.large", "a"), 3, 3);
        expect_registration(stage, 3);
        assert_string_equal(queued_one(stage, queued_job(3, "linux")), STAGE_NONE_FAILED);
}

/* Each rung in each subnet, on spot; then the same on demand, where the spec allows it. */
static void the_offers_of_a_spec_are_its_rungs_in_its_subnets(void **state)
{
        struct stage *stage = *state;
        struct config_spec *spec = &stage->scaler.config->specs[0];
        struct offers offers;

        for (int fallback = 0; fallback < 2; fallback++) {
                spec->on_demand_fallback = fallback;
                offers_init(&offers, spec, "c8g.24xlarge");
                assert_int_equal(offers.n_rungs, 2);
                assert_int_equal(offers_on_demand(&offers), 4);
                assert_int_equal(offers_count(&offers), fallback ? 8 : 4);
                for (size_t i = 0; i < offers_count(&offers); i++) {
                        struct offer offer = offer_at(&offers, i);

                        assert_string_equal(
                                offer.type, i % 4 < 2 ? "c8g.24xlarge" : "c8g.48xlarge");
                        assert_string_equal(
                                offer.subnet, i % 2 ? "subnet-0000000b" : "subnet-0000000a");
                        assert_int_equal(offer.spot, i < 4);
                }
        }
        free(spec->rerun);
        spec->rerun = mem_string(CONFIG_RERUN_ON_DEMAND);
        assert_int_equal(offers_begin(&offers, 1, 1), 1);
        assert_int_equal(offers_begin(&offers, 2, 1), 4);
        assert_int_equal(offers_begin(&offers, 2, 6), 6); /* a relaunch goes on from there */
        assert_int_equal(offers_after_type(&offers, 0), 2);
        assert_int_equal(offers_after_type(&offers, 3), 4);
        assert_int_equal(offers_after_type(&offers, 7), 8);
}

static void an_offer_without_capacity_is_left_for_two_minutes(void **state)
{
        struct stage *stage = *state;
        struct offers offers;
        struct offer first;

        offers_init(&offers, &stage->scaler.config->specs[0], "c8g.24xlarge");
        first = offer_at(&offers, 0);
        offer_note_empty(&stage->scaler, &first);
        first = offer_at(&offers, 2);
        offer_note_empty(&stage->scaler, &first);
        assert_int_equal(offers_skip_empty(&offers, &stage->scaler, 0), 1);
        assert_int_equal(offers_skip_empty(&offers, &stage->scaler, 2), 3);
        first = offer_at(&offers, 1);
        offer_note_no_subnet(&stage->scaler, &first); /* nor has any other type */
        assert_int_equal(offers_skip_empty(&offers, &stage->scaler, 0), 4);
        script_sleep(stage->script, 119000);
        assert_int_equal(offers_skip_empty(&offers, &stage->scaler, 0), 4);
        script_sleep(stage->script, 1000);
        assert_int_equal(offers_skip_empty(&offers, &stage->scaler, 0), 0);
}

static void a_partial_launch_is_used_and_the_rest_launched(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {{"a", queued_job(1, "linux"), 0, NULL},
                {"b", queued_job(2, "linux"), 0, NULL}, {"c", queued_job(3, "linux"), 0, NULL}};

        expect_launch(stage, "MaxCount=3&", 1, 1);
        expect_launch(stage, "MaxCount=2&", 2, 3);
        for (int i = 1; i <= 3; i++)
                expect_registration(stage, i);
        assert_string_equal(queued_batch(stage, messages, 3), STAGE_NONE_FAILED);
}

/* EC2 gave fewer instances than were asked for: all that the offer had. That the instance of a
 * repeated token has ended changes nothing. */
static void the_rest_comes_from_the_next_offer(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 0, NULL}};

        expect_launch(stage, QUEUED_OFFER("m7i.large", "a"), 1, 1);
        script_expect(stage->script, "POST", STAGE_EC2, QUEUED_OFFER("m7i.large", "b"), 200,
                "<RunInstancesResponse><instancesSet><item><instanceId>i-00000009</instanceId>"
                "<instanceState><name>terminated</name></instanceState></item></instancesSet>"
                "</RunInstancesResponse>");
        expect_launch(stage, QUEUED_OFFER("m7i.large", "b"), 2, 2);
        expect_registration(stage, 1);
        expect_registration(stage, 2);
        assert_string_equal(queued_batch(stage, messages, 2), STAGE_NONE_FAILED);
        assert_logged(stage, "\"instance\":\"i-00000002\",\"job\":2,\"type\":\"m7i.large\","
                             "\"subnet\":\"subnet-0000000b\",\"market\":\"spot\",\"offer\":1}");
}

static void no_job_gets_two_instances(void **state)
{
        struct stage *stage = *state;

        expect_launch(stage, "MaxCount=1&", 1, 2);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* `instance` and `scaler doctor` know our machines by their tags, and people by their own. */
static void a_launch_says_what_it_is_for(void **state)
{
        static const char tags[] =
                "Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=runner+linux&"
                "TagSpecification.1.Tag.2.Key=scale-agent%3Aspec&"
                "TagSpecification.1.Tag.2.Value=linux&"
                "TagSpecification.1.Tag.3.Key=scale-agent%3Ascope&"
                "TagSpecification.1.Tag.3.Value=repos%2Fo%2Fr&"
                "TagSpecification.1.Tag.4.Key=scale-agent%3Ainstallation&"
                "TagSpecification.1.Tag.4.Value=4711&"
                "TagSpecification.1.Tag.5.Key=scale-agent%3Aprefix&"
                "TagSpecification.1.Tag.5.Value=%2Fp&"
                "TagSpecification.1.Tag.6.Key=scale-agent%3Alifetime&"
                "TagSpecification.1.Tag.6.Value=28800&"
                "TagSpecification.1.Tag.7.Key=scale-agent%3Alaunches&"
                "TagSpecification.1.Tag.7.Value=%2F1-1-0%2F2-1-0%2F&"
                "TagSpecification.1.Tag.8.Key=scale-agent%3Arepository&"
                "TagSpecification.1.Tag.8.Value=o%2Fr&"
                "TagSpecification.1.Tag.9.Key=scale-agent%3Atype&"
                "TagSpecification.1.Tag.9.Value=m7i.large&"
                "TagSpecification.1.Tag.10.Key=team&TagSpecification.1.Tag.10.Value=ci&"
                "TagSpecification.2.";
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job_with(1, "linux", ",\"installation\":4711"), 0, NULL},
                {"b", queued_job_with(2, "linux", ",\"installation\":4711"), 0, NULL}};
        struct config_spec *spec = &stage->scaler.config->specs[0];

        free(spec->launch_template_version);
        spec->launch_template_version = mem_string("7");
        unsetenv("NOTIFY_QUEUE_URL");
        expect_refusal(stage, "RunInstances", 403, "UnauthorizedOperation");
        queued_batch(stage, messages, 2);
        assert_sent(stage, tags);
        assert_sent(stage, "&LaunchTemplate.LaunchTemplateName=runner&LaunchTemplate.Version=7&");
}

/* Machines of an organization may be for jobs of several repositories. */
static void a_launch_for_an_organization_names_no_repository(void **state)
{
        struct stage *stage = *state;

        unsetenv("NOTIFY_QUEUE_URL");
        expect_refusal(stage, "RunInstances", 403, "UnauthorizedOperation");
        queued_one(stage, queued_job(1, "organization"));
        assert_sent(stage, "orgs%2Fo");
        assert_not_sent(stage, "scale-agent%3Arepository");
}

/* EC2 takes fifty. */
static void tags_that_are_too_many_are_left_out(void **state)
{
        struct stage *stage = *state;
        struct config_spec *spec = &stage->scaler.config->specs[0];

        for (size_t i = spec->n_tags; i < 50; i++) {
                spec->tags = mem_resize(spec->tags, i + 1, sizeof(*spec->tags));
                spec->tags[i] = (struct config_tag){
                        .key = mem_format("key%zu", i), .value = mem_string("x")};
                spec->n_tags = i + 1;
        }
        unsetenv("NOTIFY_QUEUE_URL");
        expect_refusal(stage, "RunInstances", 403, "UnauthorizedOperation");
        queued_one(stage, queued_job(1, "linux"));
        assert_sent(stage, "TagSpecification.1.Tag.50.Key=key40&");
        assert_not_sent(stage, "TagSpecification.1.Tag.51.");
}

static void on_demand_is_the_last_resort(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("t3.2xlarge", "a"), 500, "InsufficientInstanceCapacity");
        expect_refusal(
                stage, QUEUED_OFFER("t3a.2xlarge", "a"), 500, "InsufficientInstanceCapacity");
        expect_launch(stage, QUEUED_OFFER("t3.2xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"market\":\"on-demand\"");
}

#define SECOND_ATTEMPT                                                                         \
        "{\"action\":\"queued\",\"id\":%d,\"run_id\":2,\"attempt\":%d,\"repository\":\"o/r\"," \
        "\"labels\":[\"linux\"],\"spec\":\"fallback\",\"instance_type\":\"t3.2xlarge\","       \
        "\"webhook_ms\":1767323044000}"

/* Where the spec says so: the job was lost with a spot instance, or a person runs it again. */
static void further_attempts_of_a_run_may_begin_on_demand(void **state)
{
        struct stage *stage = *state;
        struct config_spec *spec = &stage->scaler.config->specs[1];

        for (int i = 1; i <= 3; i++) {
                _cleanup_free_ char *body = mem_format(SECOND_ATTEMPT, i, i == 2 ? 1 : 2);

                free(spec->rerun);
                spec->rerun = mem_string(i == 3 ? CONFIG_RERUN_DEFAULT : CONFIG_RERUN_ON_DEMAND);
                expect_launch(
                        stage, i == 1 ? QUEUED_OFFER("t3.2xlarge", "a") : "MarketType=spot", i, i);
                expect_registration(stage, i);
                assert_string_equal(queued_one(stage, body), STAGE_NONE_FAILED);
        }
        assert_logged(stage, "\"market\":\"on-demand\"");
}

static void a_quota_leaves_only_the_other_market(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("t3.2xlarge", "a"), 400, "MaxSpotInstanceCountExceeded");
        expect_launch(stage, QUEUED_OFFER("t3.2xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);

        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 400, "VcpuLimitExceeded");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "quota reached");
        assert_string_equal(queued_one(stage, queued_job(2, "linux")), STAGE_NONE_FAILED);

        expect_refusal(stage, "MarketType=spot", 400, "MaxSpotInstanceCountExceeded");
        expect_refusal(stage, QUEUED_OFFER("t3.2xlarge", "a"), 400, "VcpuLimitExceeded");
        stage_expect_sent(stage, "sqs.test/parked");
        stage_expect_sent(stage, "quota reached");
        assert_string_equal(queued_one(stage, queued_job(3, "fallback")), STAGE_NONE_FAILED);
}

static void a_refused_launch_fails_and_is_told_once(void **state)
{
        struct stage *stage = *state;
        const struct stage_message messages[] = {
                {"a", queued_job(1, "linux"), 0, NULL}, {"b", queued_job(2, "linux"), 0, NULL}};

        expect_refusal(stage, "MaxCount=2", 403, "UnauthorizedOperation");
        stage_expect_sent(stage, "Jobs of spec linux wait: refused");
        assert_string_equal(queued_batch(stage, messages, 2),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"a\"},{\"itemIdentifier\":\"b\"}]}");
        assert_logged(stage, "allow ec2:RunInstances");
        assert_logged(stage, "\"EC2 refused the launch\",\"code\":\"UnauthorizedOperation\"");
}

/* EC2 may have launched it. What it launched shows within five minutes. */
static void an_ec2_that_does_not_answer_is_asked_again_later(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 6; i++)
                script_expect_failure(stage->script, "POST", STAGE_EC2, -ETIMEDOUT);
        stage_expect_sent(stage, "\"DelaySeconds\":300}");
        stage_expect_sent(stage, "Jobs of spec linux wait: no answer");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
        assert_logged(stage, "\"message\":\"waiting\",\"job\":1,");
        assert_not_logged(stage, "EC2 refused");
}

/* All tries together leave enough of the twenty seconds for the hand-over. */
static void an_ec2_that_is_slow_to_refuse_is_asked_again_later(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, NULL, 503, "RequestLimitExceeded");
        script_latency(stage->script, 15000);
        stage_expect_sent(stage, "\"DelaySeconds\":10}");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void an_answer_that_cannot_be_read_may_have_launched(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_EC2, NULL, 200, "<RunInstancesResponse>");
        stage_expect_sent(stage, "\"DelaySeconds\":300}");
        stage_expect_sent(stage, "Jobs of spec linux wait: no answer");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* An internal error of EC2's, unlike throttling, may have launched something. */
static void an_internal_error_may_have_launched(void **state)
{
        struct stage *stage = *state;

        for (int i = 0; i < 6; i++)
                expect_refusal(stage, NULL, 500, "InternalError");
        stage_expect_sent(stage, "\"DelaySeconds\":300}");
        stage_expect_sent(stage, "Jobs of spec linux wait: no answer");
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* The other subnet serves the jobs, and a person takes this one out of the configuration. */
static void a_subnet_that_is_gone_is_skipped_and_told(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 400, "InvalidSubnetID.NotFound");
        stage_expect_sent(stage, "Spec linux: there is no subnet subnet-0000000a");
        expect_refusal(stage, QUEUED_OFFER("m7i.large", "b"), 500, "InsufficientInstanceCapacity");
        expect_launch(stage, QUEUED_OFFER("m7a.large", "b"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

static void a_type_that_cannot_be_launched_so_is_skipped_everywhere(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("m7i.large", "a"), 400, "UnsupportedOperation");
        expect_launch(stage, QUEUED_OFFER("m7a.large", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "linux")), STAGE_NONE_FAILED);
}

/* Only when all offers were refused is the job given up. */
static void a_code_that_nobody_knows_moves_on(void **state)
{
        struct stage *stage = *state;

        expect_refusal(stage, QUEUED_OFFER("t3.2xlarge", "a"), 400, "SomethingNew");
        expect_launch(stage, QUEUED_OFFER("t3a.2xlarge", "a"), 1, 1);
        expect_registration(stage, 1);
        assert_string_equal(queued_one(stage, queued_job(1, "fallback")), STAGE_NONE_FAILED);
        for (int i = 0; i < 4; i++)
                expect_refusal(stage, NULL, 400, "SomethingNew");
        stage_expect_sent(stage, "Jobs of spec fallback wait: refused");
        assert_string_equal(queued_one(stage, queued_job(2, "fallback")), STAGE_FAILED("m1"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, stage_set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(every_subnet_is_tried_before_the_next_rung),
                TEST(the_offers_of_a_spec_are_its_rungs_in_its_subnets),
                TEST(an_offer_without_capacity_is_left_for_two_minutes),
                TEST(a_partial_launch_is_used_and_the_rest_launched),
                TEST(the_rest_comes_from_the_next_offer),
                TEST(no_job_gets_two_instances),
                TEST(a_launch_says_what_it_is_for),
                TEST(a_launch_for_an_organization_names_no_repository),
                TEST(tags_that_are_too_many_are_left_out),
                TEST(on_demand_is_the_last_resort),
                TEST(further_attempts_of_a_run_may_begin_on_demand),
                TEST(a_quota_leaves_only_the_other_market),
                TEST(a_refused_launch_fails_and_is_told_once),
                TEST(an_ec2_that_does_not_answer_is_asked_again_later),
                TEST(an_ec2_that_is_slow_to_refuse_is_asked_again_later),
                TEST(an_answer_that_cannot_be_read_may_have_launched),
                TEST(an_internal_error_may_have_launched),
                TEST(a_subnet_that_is_gone_is_skipped_and_told),
                TEST(a_type_that_cannot_be_launched_so_is_skipped_everywhere),
                TEST(a_code_that_nobody_knows_moves_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
