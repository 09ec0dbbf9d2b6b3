/* SPDX-License-Identifier: MIT */

/*
 * What EventBridge delivers: agents' reports and EC2's own events. The whole handler runs, on a
 * network that refuses every call; a record that fails says why.
 */

#include <fcntl.h>

#include "fuzz.h"
#include "handler.h"

/* -- a network of refusals -- */

static struct http_call *under_way;

static void start(struct http_transport *transport, struct http *http, struct http_call *call)
{
        (void)transport;
        (void)http;
        under_way = call;
}

static void cancel(struct http_transport *transport, struct http_call *call)
{
        (void)transport;
        (void)call;
        under_way = NULL;
}

static int fd(struct http_transport *transport)
{
        (void)transport;
        return -1;
}

static int64_t timeout_ms(struct http_transport *transport)
{
        (void)transport;
        return 0;
}

static void dispatch(struct http_transport *transport, struct http *http)
{
        struct http_call *call = MEM_STEAL(under_way);

        (void)transport;
        if (!call)
                return;
        call->status = 400;
        buf_add_string(&call->answer, "{\"__type\":\"AccessDeniedException\"}");
        http_tried(http, call, 0);
}

static void wait_for_nothing(struct http_transport *transport, int64_t ms)
{
        (void)transport;
        (void)ms;
}

static void release(struct http_transport *transport)
{
        (void)transport;
}

static struct http_transport refusals = {
        .start = start,
        .cancel = cancel,
        .fd = fd,
        .timeout_ms = timeout_ms,
        .dispatch = dispatch,
        .wait = wait_for_nothing,
        .free = release,
};

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
        setenv("PARKED_QUEUE_URL", "https://sqs.test/parked", 1);
        scaler_init(&scaler);
        scaler.log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        log_json_sink_init(&scaler.sink, scaler.log_fd, scaler.clock);
        scaler.http = http_new(&refusals, scaler.clock);
        scaler.aws = mem_alloc(sizeof(*scaler.aws));
        scaler.aws->region = mem_string("eu-central-1");
        CHECK(config_parse(config, strlen(config), &scaler.config, NULL, &err) == 0);
        return &scaler;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct scaler *scaler;
        char *body = mem_alloc(size + 1);
        struct record record = {.message_id = "m", .body = body};
        struct batch batch = {.records = &record, .n_records = 1};

        if (!scaler)
                scaler = make_scaler();
        memcpy(body, data, size);
        scaler_begin_event(scaler, 0);
        scaler->config_borrowed = true; /* so that it is not read again */
        instance_handle(scaler, &batch);
        if (record.result < 0)
                check_err(&record.err);
        free(body);
        return 0;
}
