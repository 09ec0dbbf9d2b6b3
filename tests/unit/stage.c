/* SPDX-License-Identifier: MIT */

/*
 * See stage.h.
 */

#include "stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/json.h"
#include "config_text.h"
#include "fake_aws.h"
#include "unit.h"

static const char config[] =
        "{'prefix':'/p','github':{'installations':[4711],'repositories':['o/*']},"
        "'specs':["
        "{'name':'linux','labels':['self-hosted','linux','x64'],'launch_template':'runner',"
        "'instance_type':'m7i.large','instance_types':['m7i.2xlarge'],'shared_labels':true,"
        "'subnets':['subnet-0000000a','subnet-0000000b'],'tags':{'team':'ci'}},"
        "{'name':'fallback','labels':['self-hosted','small'],'launch_template':'runner',"
        "'instance_type':'t3.2xlarge','subnets':['subnet-0000000a'],'on_demand_fallback':true},"
        "{'name':'organization','labels':['self-hosted','org'],'launch_template':'runner',"
        "'instance_type':'m7g.large','subnets':['subnet-0000000a'],"
        "'organization':'o','runner_group_id':7,'terminate_on_completed':true}]}";

static const struct {
        const char *name;
        const char *value;
} environment[] = {
        {"QUEUED_QUEUE_URL", "https://sqs.test/queued.fifo"},
        {"IN_PROGRESS_QUEUE_URL", "https://sqs.test/in_progress"},
        {"COMPLETED_QUEUE_URL", "https://sqs.test/completed"},
        {"REGISTER_QUEUE_URL", "https://sqs.test/register.fifo"},
        {"PACED_QUEUE_URL", "https://sqs.test/paced.fifo"},
        {"PARKED_QUEUE_URL", "https://sqs.test/parked"},
        {"LIMITED_QUEUE_URL", "https://sqs.test/limited.fifo"},
        {"WATCH_QUEUE_URL", "https://sqs.test/watch"},
        {"NOTIFY_QUEUE_URL", "https://sqs.test/notify.fifo"},
        {"DEAD_LETTER_QUEUE_URL", "https://sqs.test/dead"},
        {"KEPT_QUEUE_URL", "https://sqs.test/kept"},
        {"MAX_RECEIVE_COUNT", "4"},
        {"LOG_LEVEL", NULL},
        {"SCALE_AGENT_CONFIG", NULL},
        {"GITHUB_API_URL", NULL},
        {"GITHUB_PRIVATE_KEY", NULL},
        {"GITHUB_TOKEN", NULL},
        {"HAND_OVERS", NULL},
};

int stage_set_up(void **state)
{
        struct stage *stage = mem_alloc(sizeof(*stage));
        struct scaler *scaler = &stage->scaler;

        for (size_t i = 0; i < ARRAY_SIZE(environment); i++) {
                if (environment[i].value)
                        setenv(environment[i].name, environment[i].value, 1);
                else
                        unsetenv(environment[i].name);
        }
        stage->script = script_new();
        script_serve(stage->script, "POST", STAGE_SQS, "{\"QueueUrl\":\"https://sqs.test/watch\"",
                200, "{\"Successful\":[]}");
        script_serve(stage->script, "POST", STAGE_SQS,
                "{\"QueueUrl\":\"https://sqs.test/register.fifo\"", 200,
                "{\"Successful\":[],\"Attributes\":{\"ApproximateNumberOfMessages\":\"0\","
                "\"ApproximateNumberOfMessagesNotVisible\":\"0\","
                "\"ApproximateNumberOfMessagesDelayed\":\"0\"}}");
        script_serve(stage->script, "POST", STAGE_SSM, "\"Path\":\"/p/breakers\"", 200,
                "{\"Parameters\":[]}");
        script_serve(stage->script, "POST", STAGE_SSM, "{\"Name\":\"/p/breakers/_limit.", 200,
                "{\"Version\":1}");
        script_serve(stage->script, "POST", STAGE_SSM, "\"Name\":\"/p/ticket-key\"", 200,
                "{\"Parameter\":{\"Value\":\"" STAGE_TICKET_KEY "\"}}");
        script_serve(stage->script, "POST", STAGE_EC2, "Name=tag%3Ascale-agent%3Aspec", 200,
                "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>");
        stage->answer = (struct buf)BUF_INIT(LAMBDA_ANSWER_MAX);
        scaler_init(scaler);
        scaler->clock = script_clock(stage->script);
        scaler->http = script_http(stage->script);
        scaler->log_fd = memfd_create("log", MFD_CLOEXEC);
        log_json_sink_init(&scaler->sink, scaler->log_fd, scaler->clock);
        scaler->aws = fake_aws_new();
        scaler->github = mem_alloc(sizeof(struct github));
        github_init_token(scaler->github, scaler->clock, STAGE_GITHUB, "token-of-github");
        scaler->config = config_of(config);
        scaler->config_read_ms = clock_monotonic_ms(scaler->clock);
        buf_add_string(&scaler->ticket_keys, STAGE_TICKET_KEY);
        scaler->ticket_keys_read_ms = scaler->config_read_ms;
        scaler_begin_event(scaler, 0);
        *state = stage;
        return 0;
}

int stage_tear_down(void **state)
{
        struct stage *stage = *state;

        close(stage->scaler.log_fd);
        scaler_release(&stage->scaler);
        buf_release(&stage->answer);
        free(stage->log);
        free(stage);
        return 0;
}

/* One for all tests of a program, and a short one: to make it takes long, above all under valgrind.
 * test_github_token.c has one of 2,048 bits. */
static const char *app_key(void)
{
        static char pem[4096];
        EVP_PKEY *key;
        BIO *bio;
        char *data;
        long size;

        if (pem[0])
                return pem;
        key = EVP_RSA_gen(1024);
        bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
        size = BIO_get_mem_data(bio, &data);
        snprintf(pem, sizeof(pem), "%.*s", (int)size, data);
        BIO_free(bio);
        EVP_PKEY_free(key);
        return pem;
}

void stage_become_app(struct stage *stage)
{
        setenv("GITHUB_PRIVATE_KEY", app_key(), 1);
        setenv("GITHUB_API_URL", STAGE_GITHUB, 1);
        stage->scaler.config->app_id = mem_string("12345");
        github_release(stage->scaler.github);
        github_init_app(
                stage->scaler.github, stage->scaler.clock, STAGE_GITHUB, "12345", app_key());
}

int64_t stage_now_ms(const struct stage *stage)
{
        return clock_monotonic_ms(stage->scaler.clock);
}

const char *stage_log(struct stage *stage)
{
        off_t size = lseek(stage->scaler.log_fd, 0, SEEK_END);

        free(stage->log);
        stage->log = mem_alloc((size_t)size + 1);
        assert_int_equal(pread(stage->scaler.log_fd, stage->log, (size_t)size, 0), size);
        return stage->log;
}

void stage_expect_count(struct stage *stage, const char *queue, int visible, int in_flight)
{
        _cleanup_free_ char *body =
                mem_format("{\"QueueUrl\":\"https://sqs.test/%s\",\"AttributeNames\":[", queue);
        _cleanup_free_ char *answer =
                mem_format("{\"Attributes\":{\"ApproximateNumberOfMessages\":\"%d\","
                           "\"ApproximateNumberOfMessagesNotVisible\":\"%d\","
                           "\"ApproximateNumberOfMessagesDelayed\":\"0\"}}",
                        visible, in_flight);

        script_expect(stage->script, "POST", STAGE_SQS, body, 200, answer);
}

void stage_expect_sent(struct stage *stage, const char *text)
{
        script_expect(stage->script, "POST", STAGE_SQS, text, 200, "{\"MessageId\":\"m\"}");
}

static cJSON *event_of(const struct stage_message *messages, size_t n)
{
        cJSON *event = cJSON_CreateObject();
        cJSON *records = cJSON_AddArrayToObject(event, "Records");

        for (size_t i = 0; i < n; i++) {
                cJSON *record = cJSON_CreateObject();
                char count[12];

                snprintf(count, sizeof(count), "%d",
                        messages[i].receive_count ? messages[i].receive_count : 1);
                json_add_string(record, "messageId", messages[i].id);
                json_add_string(record, "body", messages[i].body);
                json_add_string(record, "eventSourceARN", "arn:aws:sqs:eu-central-1:1:source");
                json_add_string(
                        json_add_object(record, "attributes"), "ApproximateReceiveCount", count);
                if (messages[i].attributes)
                        cJSON_AddRawToObject(record, "messageAttributes", messages[i].attributes);
                cJSON_AddItemToArray(records, record);
        }
        return event;
}

const char *stage_batch(
        struct stage *stage, batch_handler handler, const struct stage_message *messages, size_t n)
{
        _cleanup_json_ cJSON *json = event_of(messages, n);
        _cleanup_free_ char *text = json_print(json);
        const struct lambda_event event = {.body = text, .size = strlen(text)};
        struct err err;

        buf_clear(&stage->answer);
        if (batch_run(&stage->scaler, handler, &event, &stage->answer, &err) < 0)
                fail_msg("batch: %s", err.text);
        return buf_string(&stage->answer);
}

const char *stage_one(struct stage *stage, batch_handler handler, const char *body)
{
        return stage_batch(
                stage, handler, &(const struct stage_message){.id = "m1", .body = body}, 1);
}
