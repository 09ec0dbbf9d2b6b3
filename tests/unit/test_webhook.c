/* SPDX-License-Identifier: MIT */

/*
 * Webhook deliveries: only what GitHub signed is believed, a job goes to the queue of its action,
 * and every answer says why.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/json.h"
#include "stage.h"

#define JOB(action, status, labels)                                                            \
        "{\"action\":\"" action "\",\"repository\":{\"full_name\":\"o/r\"},\"installation\":"  \
        "{\"id\":4711},\"workflow_job\":{\"id\":11,\"run_id\":2,\"run_attempt\":3,\"labels\":" \
        "[" labels "],\"status\":\"" status "\"}}"
/* Of the function. */
#define TIMEOUT_MS 10000
#define LINUX "\"self-hosted\",\"Linux\""
#define QUEUED JOB("queued", "queued", LINUX)

static const char huge_id[] =
        "{\"action\":\"queued\",\"repository\":{\"full_name\":\"o/r\"},\"workflow_job\":{"
        "\"id\":99999999999999999999,\"run_id\":2,\"labels\":[]}}";

static int set_up(void **state)
{
        setenv("GITHUB_WEBHOOK_SECRET", "current\nprevious", 1);
        return stage_set_up(state);
}

static char *signature_of(const char *body, const char *secret)
{
        unsigned char digest[32];
        char *text = mem_alloc(72);
        size_t n = (size_t)sprintf(text, "sha256=");

        assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body,
                strlen(body), digest, NULL));
        for (size_t i = 0; i < sizeof(digest); i++)
                n += (size_t)sprintf(text + n, "%02x", digest[i]);
        return text;
}

/* Delivers EVENT and returns the HTTP status of the answer. */
static int deliver_event(struct stage *stage, const cJSON *event)
{
        _cleanup_free_ char *text = json_print(event);
        const struct lambda_event lambda_event = {.body = text, .size = strlen(text)};
        _cleanup_json_ cJSON *answer = NULL;
        struct err err;
        int64_t status;

        buf_clear(&stage->answer);
        scaler_begin_event(&stage->scaler, clock_wall_ms(stage->scaler.clock) + TIMEOUT_MS);
        assert_int_equal(webhook_handle(&stage->scaler, &lambda_event, &stage->answer, &err), 0);
        assert_int_equal(
                json_parse(buf_string(&stage->answer), stage->answer.size, "answer", &answer, &err),
                0);
        assert_int_equal(json_need_integer(answer, "statusCode", &status, &err), 0);
        assert_string_equal(json_string(answer, "headers.content-type"), "application/json");
        return (int)status;
}

static int deliver_by(struct stage *stage, const char *event_name, const char *body,
        const char *signature, const char *app, const char *type)
{
        _cleanup_json_ cJSON *event = cJSON_CreateObject();
        cJSON *headers = json_add_object(event, "headers");

        json_add_string(json_add_object(json_add_object(event, "requestContext"), "http"), "method",
                "POST");
        json_add_string(headers, "x-github-event", event_name);
        json_add_string(headers, "x-github-delivery", "d-1");
        json_add_string(headers, "x-hub-signature-256", signature);
        json_add_string(headers, "content-type", "application/json");
        json_add_string(headers, "x-github-hook-installation-target-id", app);
        json_add_string(headers, "x-github-hook-installation-target-type", type);
        json_add_string(event, "body", body);
        return deliver_event(stage, event);
}

static int deliver_as(
        struct stage *stage, const char *event_name, const char *body, const char *signature)
{
        return deliver_by(stage, event_name, body, signature, "12345", "integration");
}

static int deliver(struct stage *stage, const char *body, const char *secret)
{
        _cleanup_free_ char *signature = signature_of(body, secret);

        return deliver_as(stage, "workflow_job", body, signature);
}

static void assert_answer(struct stage *stage, const char *text)
{
        assert_contains(buf_string(&stage->answer), text);
}

/* -- other Apps -- */

#define FIRST_IS(app)                                                                    \
        "{\"prefix\":\"/p\",\"github\":{\"app_id\":" app ",\"repositories\":[\"o/*\"]}," \
        "\"specs\":[{\"name\":\"linux\",\"labels\":[\"self-hosted\",\"linux\"],"         \
        "\"instance_type\":\"m7i.large\",\"launch_template\":\"runner\",\"subnets\":["   \
        "\"subnet-0000000a\"]}]}"

/* It would name an installation that the first App cannot use. The header alone makes no delivery
 * GitHub's. */
static void what_an_additional_app_delivers_is_dropped(void **state)
{
        struct stage *stage = *state;
        struct config *config = stage->scaler.config;
        _cleanup_free_ char *ours = signature_of(QUEUED, "current");
        _cleanup_free_ char *other = signature_of(QUEUED, "secret of its own");

        config->app_id = mem_string("12345");
        config->additional_apps = mem_alloc(2 * sizeof(int64_t));
        config->additional_apps[0] = 7;
        config->n_additional_apps = 1;
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, "7", "integration"), 200);
        assert_answer(stage, "make its webhook inactive");
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, other, "7", "integration"), 200);
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, NULL, "7", "integration"), 200);
        assert_int_equal(
                deliver_by(stage, "workflow_job", QUEUED, other, "12345", "integration"), 401);
        assert_int_equal(
                deliver_by(stage, "workflow_job", QUEUED, other, "70", "integration"), 401);
        stage_expect_sent(stage, "queued.fifo");
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, NULL, "integration"), 202);
        /* That of the first App would be taken for its double. It may be the first one by now. */
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, "70", "integration"), 503);
        setenv("SCALE_AGENT_CONFIG", FIRST_IS("12345"), 1);
        script_sleep(stage->script, 61 * MSEC_PER_SEC);
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, "70", "integration"), 200);
        assert_answer(stage, "names another App as the first one");
        script_sleep(stage->script, 61 * MSEC_PER_SEC);
        setenv("SCALE_AGENT_CONFIG", FIRST_IS("70"), 1);
        stage_expect_sent(stage, "queued.fifo");
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, "70", "integration"), 202);
        /* Of one that is named by its client id nobody knows the other. */
        script_sleep(stage->script, 61 * MSEC_PER_SEC);
        setenv("SCALE_AGENT_CONFIG", FIRST_IS("\"Iv23li0123456789abcd\""), 1);
        stage_expect_sent(stage, "queued.fifo");
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, "71", "integration"), 202);
        /* A repository, of that id. */
        stage_expect_sent(stage, "queued.fifo");
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, "7", "repository"), 202);
        stage_expect_sent(stage, "queued.fifo");
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, "7", NULL), 202);
}

/* Apps may change places: the one that was additional delivers now. */
static void what_the_new_first_app_delivers_is_accepted(void **state)
{
        struct stage *stage = *state;
        struct config *config = stage->scaler.config;
        _cleanup_free_ char *ours = signature_of(QUEUED, "current");

        config->app_id = mem_string("12345");
        config->additional_apps = mem_alloc(sizeof(int64_t));
        config->additional_apps[0] = 7;
        config->n_additional_apps = 1;
        setenv("SCALE_AGENT_CONFIG", FIRST_IS("7,\"additional_apps\":[12345]"), 1);
        script_sleep(stage->script, 61 * MSEC_PER_SEC);
        stage_expect_sent(stage, "queued.fifo");
        assert_int_equal(deliver_by(stage, "workflow_job", QUEUED, ours, "7", "integration"), 202);
}

/* -- accepted -- */

static void a_queued_job_goes_to_its_queue(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "queued.fifo");
        assert_int_equal(deliver(stage, QUEUED, "current"), 202);
        assert_sent(stage, "\"MessageGroupId\":\"11\"");
        assert_sent(stage, "\"MessageDeduplicationId\":\"11-3-0-0\"");
        assert_sent(stage, "\\\"spec\\\":\\\"linux\\\"");
        assert_sent(stage, "\\\"instance_type\\\":\\\"m7i.large\\\"");
        assert_sent(stage, "\\\"webhook_ms\\\":17673230");
        assert_sent(stage, "\\\"delivery\\\":\\\"d-1\\\"");
        assert_logged(stage, "\"job\":\"11\"");
        assert_logged(stage, "\"delivery\":\"d-1\"");
        assert_not_logged(stage, "current");
}

static void each_action_has_its_queue(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "sqs.test/in_progress");
        assert_int_equal(deliver(stage, JOB("in_progress", "in_progress", LINUX), "current"), 202);
        assert_not_sent(stage, "MessageGroupId");
        assert_sent(stage, "\\\"action\\\":\\\"in_progress\\\"");
        stage_expect_sent(stage, "sqs.test/completed");
        assert_int_equal(deliver(stage, JOB("completed", "completed", LINUX), "current"), 202);
}

static void a_named_instance_type_counts(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, "m7i.2xlarge");
        assert_int_equal(
                deliver(stage, JOB("queued", "queued", LINUX ",\"m7i.2xlarge\""), "current"), 202);
}

/* The webhook of a repository or organization names no installation, but an App needs one to
 * register the runner. A personal token does not. */
static void a_delivery_without_an_installation_gets_that_of_the_app(void **state)
{
        struct stage *stage = *state;
        struct config *config = stage->scaler.config;
        char body[sizeof(QUEUED)];

        memcpy(body, QUEUED, sizeof(QUEUED));
        *strstr(body, "installation") = 'x';
        stage_expect_sent(stage, "queued.fifo");
        assert_int_equal(deliver(stage, body, "current"), 202);
        assert_not_sent(stage, "\\\"installation\\\"");
        config->app_id = mem_string("12345");
        stage_expect_sent(stage, "\\\"installation\\\":4711,");
        assert_int_equal(deliver(stage, body, "current"), 202);
        config->installations = mem_resize(config->installations, 2, sizeof(int64_t));
        config->installations[config->n_installations++] = 4711;
        config->installations[0] = 1;
        stage_expect_sent(stage, "\\\"installation\\\":4711,");
        assert_int_equal(deliver(stage, QUEUED, "current"), 202);
}

/* The App's own delivery comes as well, and names one. */
static void a_delivery_without_an_installation_takes_nobody_s_place(void **state)
{
        struct stage *stage = *state;
        struct config *config = stage->scaler.config;
        char body[sizeof(QUEUED)];

        memcpy(body, QUEUED, sizeof(QUEUED));
        *strstr(body, "installation") = 'x';
        config->app_id = mem_string("12345");
        config->n_installations = 0;
        assert_int_equal(deliver(stage, body, "current"), 422);
        assert_answer(stage, "names no installation of the App");
        assert_answer(stage, "remove workflow_job from this one");
        config->installations = mem_resize(config->installations, 2, sizeof(int64_t));
        config->installations[1] = 4712;
        config->n_installations = 2;
        assert_int_equal(deliver(stage, body, "current"), 422);
        assert_int_equal(script_requests(stage->script), 0);
}

static void a_job_s_own_label_matches_any_spec(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(
                stage, "\\\"labels\\\":[\\\"self-hosted\\\",\\\"Linux\\\",\\\"run-2-0\\\"]");
        assert_int_equal(
                deliver(stage, JOB("queued", "queued", LINUX ",\"run-2-0\""), "current"), 202);
        assert_int_equal(
                deliver(stage, JOB("queued", "queued", LINUX ",\"run-2-0\",\"run-3\""), "current"),
                422);
        assert_answer(stage, "more than one label");
        assert_int_equal(
                deliver(stage, JOB("queued", "queued", LINUX ",\"run-2 0\""), "current"), 422);
        assert_answer(stage, "letters, digits");
        /* It is not enough. */
        assert_int_equal(deliver(stage, JOB("queued", "queued", "\"run-2-0\""), "current"), 200);
}

/* -- a changed configuration -- */

#define WINDOWS JOB("queued", "queued", "\"windows\"")
#define NEW_CONFIG                                                                     \
        "{\"Parameters\":[{\"Name\":\"/p/"                                             \
        "config\",\"Value\":\"{\\\"github\\\":{\\\"repositories\\\":[\\\"o/*\\\"]},"   \
        "\\\"specs\\\":[{\\\"name\\\":\\\"new\\\",\\\"labels\\\":[\\\"windows\\\"],"   \
        "\\\"instance_type\\\":\\\"m7i.large\\\",\\\"launch_template\\\":\\\"abc\\\"," \
        "\\\"subnets\\\":[\\\"subnet-1\\\"]}]}\"}]}"

static void expect_config(struct stage *stage, int status, const char *answer)
{
        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        script_expect(stage->script, "POST", STAGE_SSM, "/p/config", status, answer);
}

static void a_job_is_not_refused_for_an_old_configuration(void **state)
{
        struct stage *stage = *state;

        script_sleep(stage->script, 60000);
        expect_config(stage, 200, NEW_CONFIG);
        stage_expect_sent(stage, "\\\"spec\\\":\\\"new\\\"");
        assert_int_equal(deliver(stage, WINDOWS, "current"), 202);
        /* It replaced the old one. */
        assert_int_equal(deliver(stage, QUEUED, "current"), 200);
        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, WINDOWS, "current"), 202);
}

/* Jobs that are never ours, such as those on GitHub's own runners, are delivered all the time. */
static void the_configuration_is_read_at_most_once_a_minute(void **state)
{
        struct stage *stage = *state;
        char body[sizeof(WINDOWS)];

        memcpy(body, WINDOWS, sizeof(WINDOWS));
        *strstr(body, "o/r") = 'x';
        setenv("SCALE_AGENT_CONFIG", "ssm:/p/config", 1);
        assert_int_equal(deliver(stage, WINDOWS, "current"), 200);
        assert_int_equal(deliver(stage, body, "current"), 422);
        assert_int_equal(script_requests(stage->script), 0);
        for (int i = 0; i < 2; i++) {
                script_sleep(stage->script, 60000);
                expect_config(stage, 400, "{\"__type\":\"AccessDeniedException\"}");
                assert_int_equal(deliver(stage, body, "current"), 422);
                assert_int_equal(deliver(stage, body, "current"), 422);
                assert_int_equal(deliver(stage, WINDOWS, "current"), 200);
        }
        assert_logged(stage, "configuration not read again; the old one stays");
        script_sleep(stage->script, 60000);
        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, QUEUED, "current"), 202);
        assert_int_equal(deliver(stage, JOB("waiting", "waiting", LINUX), "current"), 200);
}

/* -- not accepted -- */

static void what_is_not_ours_is_ignored(void **state)
{
        static const struct {
                const char *event;
                const char *body;
                const char *text;
        } rows[] = {
                {"ping", "{\"zen\":\"x\"}", "pong"},
                {"push", "{}", "only workflow_job matters"},
                {"check_run", "{}", "only workflow_job matters"},
                {"workflow_run", "{}", "only workflow_job matters"},
                {"workflow_dispatch", "{}", "only workflow_job matters"},
                {"workflow_job", JOB("waiting", "waiting", LINUX), "ignored"},
                {"workflow_job", JOB("queued", "waiting", LINUX), "approval"},
                {"workflow_job", JOB("queued", "queued", "\"ubuntu-latest\""), "no spec"},
                {"workflow_job", JOB("queued", "queued", LINUX ",\"c7i.large\""), "no spec"},
        };
        struct stage *stage = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *signature = signature_of(rows[i].body, "current");

                assert_int_equal(deliver_as(stage, rows[i].event, rows[i].body, signature), 200);
                assert_answer(stage, rows[i].text);
        }
        assert_int_equal(script_requests(stage->script), 0);
}

static void what_is_not_configured_is_refused(void **state)
{
        struct stage *stage = *state;
        char body[sizeof(QUEUED)];

        memcpy(body, QUEUED, sizeof(QUEUED));
        *strstr(body, "o/r") = 'x';
        assert_int_equal(deliver(stage, body, "current"), 422);
        assert_answer(stage, "github.repositories");
        memcpy(body, QUEUED, sizeof(QUEUED));
        *strstr(body, "4711") = '5';
        assert_int_equal(deliver(stage, body, "current"), 422);
        assert_answer(stage, "github.installations");
}

static void what_is_malformed_is_told(void **state)
{
        static const char *const bodies[] = {
                "", "{", "[]", "{}", "{\"action\":\"queued\"}", huge_id};
        struct stage *stage = *state;
        _cleanup_free_ char *signature = signature_of(QUEUED, "current");
        _cleanup_json_ cJSON *get = cJSON_CreateObject();

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
                assert_int_equal(deliver(stage, bodies[i], "current"), 400);
        assert_answer(stage, "workflow_job.id");
        assert_int_equal(deliver_as(stage, NULL, QUEUED, signature), 400);
        assert_answer(stage, "X-GitHub-Event is missing");
        assert_int_equal(deliver_event(stage, get), 405);
}

static void only_github_is_believed(void **state)
{
        static const char *const forged[] = {"", "sha256=", "sha1=0", "sha256=00",
                "sha256=0000000000000000000000000000000000000000000000000000000000000000"};
        struct stage *stage = *state;

        assert_int_equal(deliver_as(stage, "workflow_job", QUEUED, NULL), 401);
        assert_answer(stage, "X-Hub-Signature-256 is missing");
        for (size_t i = 0; i < ARRAY_SIZE(forged); i++)
                assert_int_equal(deliver_as(stage, "workflow_job", QUEUED, forged[i]), 401);
        assert_answer(stage, "does not match");
        /* A forger does not learn which events and bodies are valid. */
        assert_int_equal(deliver_as(stage, "ping", "{", forged[4]), 401);
        assert_int_equal(deliver(stage, QUEUED, ""), 401);
        assert_int_equal(deliver(stage, QUEUED, "current\nprevious"), 401);
}

/* -- secrets -- */

#define SECRET(value) "{\"Parameters\":[{\"Name\":\"/p/secret\",\"Value\":\"" value "\"}]}"

static void expect_secret(struct stage *stage, int status, const char *answer)
{
        script_expect(stage->script, "POST", STAGE_SSM, "/p/secret", status, answer);
}

static void both_secrets_are_good(void **state)
{
        struct stage *stage = *state;

        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, QUEUED, "previous"), 202);
}

static void a_new_secret_is_seen_within_a_minute(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_WEBHOOK_SECRET", "ssm:/p/secret", 1);
        expect_secret(stage, 200, SECRET("old"));
        assert_int_equal(deliver(stage, QUEUED, "new"), 401);
        assert_int_equal(deliver(stage, QUEUED, "new"), 401);
        assert_int_equal(script_requests(stage->script), 1);
        script_sleep(stage->script, 60000);
        expect_secret(stage, 200, SECRET("new\\nold"));
        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, QUEUED, "new"), 202);
        /* Forged deliveries do not make us read the secret each time. */
        for (int i = 0; i < 10; i++)
                assert_int_equal(deliver(stage, QUEUED, "forged"), 401);
        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, QUEUED, "old"), 202);
}

/* Otherwise a forger could get real deliveries refused while SSM is throttled. What may be signed
 * with a new secret is not refused either: GitHub would not send it again. */
static void a_secret_that_cannot_be_read_again_stays(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_WEBHOOK_SECRET", "ssm:/p/secret", 1);
        expect_secret(stage, 200, SECRET("good"));
        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, QUEUED, "good"), 202);
        script_sleep(stage->script, 60000);
        expect_secret(stage, 400, "{\"__type\":\"AccessDeniedException\"}");
        assert_int_equal(deliver(stage, QUEUED, "new"), 503);
        assert_int_equal(deliver(stage, QUEUED, "new"), 503);
        assert_answer(stage, "webhook secret cannot be read");
        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, QUEUED, "good"), 202);
        assert_logged(stage, "could not be read again a moment ago");
        script_sleep(stage->script, 60000);
        expect_secret(stage, 200, SECRET("new"));
        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, QUEUED, "new"), 202);
        assert_int_equal(deliver(stage, QUEUED, "forged"), 401);
}

/* Anybody can send one. */
static void an_unsigned_delivery_makes_nobody_read_the_secret_again(void **state)
{
        struct stage *stage = *state;

        setenv("GITHUB_WEBHOOK_SECRET", "ssm:/p/secret", 1);
        expect_secret(stage, 200, SECRET("good"));
        stage_expect_sent(stage, NULL);
        assert_int_equal(deliver(stage, QUEUED, "good"), 202);
        script_sleep(stage->script, 60000);
        assert_int_equal(deliver_as(stage, "workflow_job", QUEUED, NULL), 401);
        assert_int_equal(script_requests(stage->script), 2);
}

/* -- our own failures -- */

static void our_own_failures_are_answered_with_503(void **state)
{
        struct stage *stage = *state;

        script_expect(stage->script, "POST", STAGE_SQS, NULL, 400,
                "{\"__type\":\"QueueDoesNotExist\",\"message\":\"gone\"}");
        assert_int_equal(deliver(stage, QUEUED, "current"), 503);
        assert_answer(stage, "deliver this again");
        assert_logged(stage, "QueueDoesNotExist");
        assert_logged(stage, "\"level\":\"error\",\"message\":\"delivery\",\"job\":");
        unsetenv("QUEUED_QUEUE_URL");
        assert_int_equal(deliver(stage, QUEUED, "current"), 503);
        assert_logged(stage, "QUEUED_QUEUE_URL");
        config_free(MEM_STEAL(stage->scaler.config));
        setenv("SCALE_AGENT_CONFIG", "{}", 1);
        assert_int_equal(deliver(stage, QUEUED, "current"), 503);
        assert_answer(stage, "configuration cannot be read");
        buf_release(&stage->scaler.webhook_secrets);
        unsetenv("GITHUB_WEBHOOK_SECRET");
        assert_int_equal(deliver(stage, QUEUED, "current"), 503);
        assert_answer(stage, "webhook secret cannot be read");
}

/* GitHub waits for 10 s, and so does Lambda. */
static void a_queue_that_does_not_answer_is_told_in_time(void **state)
{
        struct stage *stage = *state;
        int64_t begin_ms = stage_now_ms(stage);

        script_expect_silence(stage->script, "POST", STAGE_SQS);
        script_expect_silence(stage->script, "POST", STAGE_SQS);
        assert_int_equal(deliver(stage, QUEUED, "current"), 503);
        assert_answer(stage, "deliver this again");
        assert_true(stage_now_ms(stage) - begin_ms <= 8000);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, stage_tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(what_an_additional_app_delivers_is_dropped),
                TEST(what_the_new_first_app_delivers_is_accepted),
                TEST(a_queued_job_goes_to_its_queue),
                TEST(each_action_has_its_queue),
                TEST(a_named_instance_type_counts),
                TEST(a_delivery_without_an_installation_gets_that_of_the_app),
                TEST(a_delivery_without_an_installation_takes_nobody_s_place),
                TEST(a_job_s_own_label_matches_any_spec),
                TEST(a_job_is_not_refused_for_an_old_configuration),
                TEST(the_configuration_is_read_at_most_once_a_minute),
                TEST(what_is_not_ours_is_ignored),
                TEST(what_is_not_configured_is_refused),
                TEST(what_is_malformed_is_told),
                TEST(only_github_is_believed),
                TEST(both_secrets_are_good),
                TEST(a_new_secret_is_seen_within_a_minute),
                TEST(a_secret_that_cannot_be_read_again_stays),
                TEST(an_unsigned_delivery_makes_nobody_read_the_secret_again),
                TEST(our_own_failures_are_answered_with_503),
                TEST(a_queue_that_does_not_answer_is_told_in_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
