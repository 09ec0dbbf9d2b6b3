/* SPDX-License-Identifier: MIT */

/*
 * What EventBridge delivers: agents' reports and EC2's own events. The whole handler runs, on a
 * network that refuses every call but SQS's; a record that fails says why. A report that nobody
 * signed makes no call at all; and whatever else a report with a ticket says, it launches what the
 * ticket says, and shows people the ticket's link.
 */

#include <fcntl.h>
#include <stdio.h>

#include "handler.h"
#include "network.h"
#include "sign.h"

#define ACCOUNT "123456789012"
#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LINK "https://github.test/1"

static const char ticket_content[] =
        "{\"prefix\":\"/scale-agent\",\"account\":\"" ACCOUNT "\",\"region\":\"eu-central-1\","
        "\"instance\":\"i-00000001\",\"type\":\"m7a.large\",\"spec\":\"linux\","
        "\"scope\":\"repos/o/r\",\"repository\":\"o/r\",\"first_type\":\"m7i.large\","
        "\"name\":\"build\",\"url\":\"" LINK "\",\"runner\":23,\"expires\":9000000000000000,"
        "\"job\":1,\"run\":2,\"attempt\":1,\"installation\":4711,\"launch\":3,\"relaunches\":1,"
        "\"offer\":0,\"queued\":500,\"webhook\":1000,\"launched\":2000,\"handed_over\":2500}";

/* -- a network of refusals -- */

/* What `instance` sends because of the ticket. */
static void check_message(const struct http_call *call)
{
        _cleanup_json_ cJSON *request = cJSON_Parse(call->body.data);
        const char *queue = json_string(request, "QueueUrl");
        _cleanup_json_ cJSON *message = cJSON_Parse(json_string(request, "MessageBody"));
        const char *url = json_string(message, "url");

        if (!queue || strstr(queue, "dead"))
                return;
        CHECK(!url || strcmp(url, LINK) == 0);
        if (strstr(queue, "notify"))
                return;
        CHECK(json_integer(message, "id", 0) == 1 && json_integer(message, "run_id", 0) == 2);
        CHECK(json_integer(message, "installation", 0) == 4711);
        CHECK(json_integer(message, "launch", 0) == 4);
        CHECK(json_integer(message, "relaunches", 0) == 2);
        CHECK(strcmp(json_string(message, "repository"), "o/r") == 0);
        CHECK(strcmp(json_string(message, "spec"), "linux") == 0);
        CHECK(strcmp(json_string(message, "instance_type"), "m7i.large") == 0);
}

static int refuse(struct http_call *call)
{
        if (strstr(buf_string(&call->url), "sqs")) {
                check_message(call);
                call->status = 200;
                buf_add_string(&call->answer, "{\"MessageId\":\"m\"}");
        } else {
                call->status = 400;
                buf_add_string(&call->answer, "{\"__type\":\"AccessDeniedException\"}");
        }
        return 0;
}

/* -- the handler -- */

static const char config[] =
        "{\"github\":{\"repositories\":[\"o/*\"]},\"specs\":[{\"name\":\"linux\",\"labels\":"
        "[\"linux\"],\"instance_type\":\"m7i.large\",\"launch_template\":\"runner\",\"subnets\":"
        "[\"subnet-0000000a\"]}]}";

static struct scaler *make_scaler(void)
{
        static struct scaler scaler;
        struct err err;

        setenv("NOTIFY_QUEUE_URL", "https://sqs.test/notify.fifo", 1);
        setenv("PACED_QUEUE_URL", "https://sqs.test/paced", 1);
        setenv("PARKED_QUEUE_URL", "https://sqs.test/parked", 1);
        setenv("QUEUED_QUEUE_URL", "https://sqs.test/queued.fifo", 1);
        scaler_init(&scaler);
        scaler.clock = &network_clock;
        scaler.log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        log_json_sink_init(&scaler.sink, scaler.log_fd, scaler.clock);
        scaler.http = http_new(&network, scaler.clock);
        network_answer = refuse;
        scaler.aws = mem_alloc(sizeof(*scaler.aws));
        scaler.aws->region = mem_string("eu-central-1");
        CHECK(config_parse(config, strlen(config), &scaler.config, NULL, &err) == 0);
        buf_add_string(&scaler.ticket_keys, KEY);
        return &scaler;
}

static void handle(struct scaler *scaler, char *body)
{
        struct record record = {.message_id = "m", .body = body};
        struct batch batch = {.records = &record, .n_records = 1};

        scaler_begin_event(scaler, 0);
        scaler->config_borrowed = true; /* so that it is not read again */
        scaler->ticket_keys_read_ms = clock_monotonic_ms(scaler->clock); /* nor are these */
        scaler->reported = (struct recent){0};
        network_calls = 0;
        instance_handle(scaler, &batch);
        if (record.result < 0)
                check_err(&record.err);
}

static bool is_report(const cJSON *event)
{
        const char *source = json_string(event, "source");
        const char *type = json_string(event, "detail-type");

        return source && type && strcmp(source, "scale-agent.runner") == 0 &&
               strcmp(type, "Runner Report") == 0;
}

/* The report that whoever has a ticket can make of EVENT. */
static void handle_with_ticket(struct scaler *scaler, cJSON *event)
{
        _cleanup_free_ char *ticket = sign_ticket(KEY, ticket_content);
        cJSON *detail = cJSON_GetObjectItemCaseSensitive(event, "detail");
        _cleanup_free_ char *body = NULL;

        if (!cJSON_IsObject(detail))
                return;
        cJSON_DeleteItemFromObjectCaseSensitive(detail, "ticket");
        json_add_string(detail, "ticket", ticket);
        while (cJSON_HasObjectItem(event, "account"))
                cJSON_DeleteItemFromObject(event, "account");
        json_add_string(event, "account", ACCOUNT);
        body = json_print(event);
        handle(scaler, body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct scaler *scaler;
        _cleanup_free_ char *body = mem_alloc(size + 1);
        _cleanup_json_ cJSON *event = NULL;

        if (!scaler)
                scaler = make_scaler();
        memcpy(body, data, size);
        handle(scaler, body);
        if (json_parse(body, strlen(body), "the event", &event, NULL) < 0 || !is_report(event))
                return 0;
        CHECK(network_calls == 0);
        handle_with_ticket(scaler, event);
        return 0;
}
