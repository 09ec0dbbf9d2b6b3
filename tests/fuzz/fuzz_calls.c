/* SPDX-License-Identifier: MIT */

/*
 * Whatever AWS and GitHub answer: a handler runs over a fixed batch, and the input is what its
 * calls get. The input's first line names the handler; the rest are answers, parted by lines "--".
 * An answer's first line has a letter for the service and the status: "E200", "S400"; 000 is none
 * at all. Each call takes the next answer of its service, and then what a healthy, empty world
 * says.
 *
 * Whatever it is, the handler ends after a bounded number of calls, calls nobody but these
 * services, launches the spec's types only, ends what an EC2 instance id names, logs no secret, and
 * says why a record failed.
 */

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handler.h"
#include "network.h"

#define TOKEN "ghs-9f1c6e0a7d"
#define SECRET_KEY "wJalrXUtnFEMI5d0c"
#define TICKET_KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CALLS_MAX 2000
#define PARTING "\n--\n"

static const char config[] =
        "{\"prefix\":\"/p\",\"github\":{\"installations\":[4711],\"repositories\":[\"o/*\"]},"
        "\"specs\":[{\"name\":\"linux\",\"labels\":[\"linux\"],\"instance_type\":\"m7i.large\","
        "\"on_demand_fallback\":true,\"launch_template\":\"runner\",\"subnets\":"
        "[\"subnet-0000000a\",\"subnet-0000000b\"]},"
        "{\"name\":\"ended\",\"labels\":[\"ended\"],\"instance_type\":\"m7i.large\",\"rerun\":"
        "\"default\",\"organization\":\"o\",\"terminate_on_completed\":true,\"launch_template\":"
        "\"runner\",\"subnets\":[\"subnet-0000000a\"]}]}";

static const char *const variables[][2] = {
        {"QUEUED_QUEUE_URL", "https://sqs.test/queued.fifo"},
        {"IN_PROGRESS_QUEUE_URL", "https://sqs.test/in_progress"},
        {"COMPLETED_QUEUE_URL", "https://sqs.test/completed"},
        {"REGISTER_QUEUE_URL", "https://sqs.test/register.fifo"},
        {"PARKED_QUEUE_URL", "https://sqs.test/parked"},
        {"WATCH_QUEUE_URL", "https://sqs.test/watch"},
        {"NOTIFY_QUEUE_URL", "https://sqs.test/notify.fifo"},
        {"DEAD_LETTER_QUEUE_URL", "https://sqs.test/dead"},
        {"KEPT_QUEUE_URL", "https://sqs.test/kept"},
        {"MAX_RECEIVE_COUNT", "4"},
};

/* -- the batches -- */

#define JOB(action, id, more)                                                                 \
        "{\"action\":\"" action "\",\"id\":" id ",\"run_id\":2,\"attempt\":1,\"repository\":" \
        "\"o/r\",\"name\":\"build\",\"url\":\"https://github.test/o/r/actions/runs/2/job/" id \
        "\",\"labels\":[\"linux\"],\"spec\":\"linux\",\"installation\":4711,"                 \
        "\"instance_type\":\"m7i.large\"" more "}"
#define LAUNCHED                                                                        \
        ",\"machine_type\":\"m7i.large\",\"account\":\"123456789012\",\"launched_ms\":" \
        "1767323044500,\"webhook_ms\":1767323044000,\"instance\":\"i-0000000"
#define WATCHED ",\"launched_ms\":1767322800000,\"instance\":\"i-0000000"
#define RAN \
        ",\"started_ms\":1000,\"completed_ms\":61000,\"runner_id\":23,\"runner_name\":\"i-0000000"
#define EC2(type, more)                                                        \
        "{\"source\":\"aws.ec2\",\"detail-type\":\"EC2 " type "\",\"detail\":" \
        "{\"instance-id\":\"i-00000001\"," more "}}"

static const struct {
        const char *name;
        batch_handler handle;
        const char *bodies[3];
} handlers[] = {
        {"queued", queued_handle,
                {JOB("queued", "1", ""), JOB("queued", "2", ",\"sends\":3,\"launch\":1"),
                        JOB("queued", "3", ",\"relaunches\":2")}},
        {"register", register_handle,
                {JOB("launched", "1", LAUNCHED "1\""), JOB("launched", "2", LAUNCHED "2\""),
                        JOB("launched", "3", LAUNCHED "3\",\"sends\":2")}},
        {"in_progress", in_progress_handle,
                {JOB("in_progress", "1", RAN "1\""), JOB("in_progress", "2", RAN "2\""), NULL}},
        {"completed", completed_handle,
                {JOB("completed", "1", RAN "1\""),
                        "{\"action\":\"completed\",\"id\":2,\"run_id\":2,\"repository\":\"o/r\","
                        "\"labels\":[],\"spec\":\"ended\",\"runner_id\":23,\"runner_name\":"
                        "\"i-00000002\"}",
                        NULL}},
        {"instance", instance_handle,
                {EC2("Instance State-change Notification", "\"state\":\"terminated\""),
                        EC2("Spot Instance Interruption Warning",
                                "\"instance-action\":\"terminate\""),
                        NULL}},
        {"watch", watch_handle,
                {JOB("watched", "1", WATCHED "1\""),
                        JOB("watched", "2", WATCHED "2\",\"watches\":1"), JOB("queued", "3", "")}},
        {"admit", admit_handle, {JOB("paced", "1", ",\"stale\":1"), JOB("limited", "2", ""), NULL}},
        {"lost", watch_handle,
                {JOB("lost", "1", WATCHED "1\",\"lost_ms\":1767322900000"),
                        JOB("lost", "2", WATCHED "2\",\"lost_ms\":1767322900000,\"asked\":1"),
                        NULL}},
        {"dead_letter", dead_letter_handle, {JOB("queued", "1", ""), "{}", NULL}},
        {"notify", notify_handle, {"{\"severity\":\"error\",\"title\":\"t\",\"text\":\"x\"}"}},
        {"recover", NULL, {NULL}},
};

/* -- the answers -- */

static char *answers; /* what is left of the input */

/* Takes the next answer for SERVICE out of the input; NULL: there is none. */
static char *take_answer(char service)
{
        for (char *answer = answers; answer; answer = strstr(answer, PARTING)) {
                if (strncmp(answer, PARTING, strlen(PARTING)) == 0)
                        answer += strlen(PARTING);
                if (*answer != service)
                        continue;
                *answer = '-'; /* it is used up */
                return answer + 1;
        }
        return NULL;
}

/* Launches have answers of their own. */
static char service_of(const struct http_call *call)
{
        const char *url = buf_string(&call->url);

        static const struct {
                const char *part;
                char service;
        } services[] = {
                {"https://ec2.eu-central-1.amazonaws.com/", 'E'},
                {"https://ssm.eu-central-1.amazonaws.com/", 'S'},
                {"https://sqs.eu-central-1.amazonaws.com/", 'Q'},
                {"https://b.s3.eu-central-1.amazonaws.com/", 'B'},
                {"https://github.test/", 'G'},
                {"https://teams.test/", 'T'},
        };

        for (size_t i = 0; i < ARRAY_SIZE(services); i++)
                if (strncmp(url, services[i].part, strlen(services[i].part)) == 0)
                        return strstr(buf_string(&call->body), "Action=RunInstances")
                                       ? 'R'
                                       : services[i].service;
        CHECK(!"a call to somebody else");
        return 0;
}

static void answer_by_default(struct http_call *call, char service)
{
        static const char *const by_default[][3] = {
                {"E", "200",
                        "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>"},
                {"R", "500",
                        "<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code></Error>"
                        "</Errors></Response>"},
                {"S", "400", "{\"__type\":\"ParameterNotFound\"}"},
                {"Q", "200",
                        "{\"MessageId\":\"m\",\"Successful\":[],\"Failed\":[],\"Attributes\":{"
                        "\"ApproximateNumberOfMessages\":\"0\","
                        "\"ApproximateNumberOfMessagesNotVisible\":\"0\","
                        "\"ApproximateNumberOfMessagesDelayed\":\"0\"}}"},
                {"B", "404", "<Error><Code>NoSuchKey</Code></Error>"},
                {"G", "404", "{\"message\":\"Not Found\"}"},
                {"T", "202", ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(by_default); i++) {
                if (by_default[i][0][0] != service)
                        continue;
                call->status = atoi(by_default[i][1]);
                buf_add_string(&call->answer, by_default[i][2]);
        }
}

/* What is launched is of the spec, and what ends is an instance. */
static void check_call(const struct http_call *call)
{
        const char *form = buf_string(&call->body);
        const char *type =
                strstr(form, "Action=RunInstances") ? strstr(form, "&InstanceType=") : NULL;
        const char *id =
                strstr(form, "Action=TerminateInstances") ? strstr(form, "&InstanceId.1=") : NULL;

        CHECK(network_calls < CALLS_MAX);
        CHECK(!type || strncmp(type, "&InstanceType=m7", strlen("&InstanceType=m7")) == 0);
        CHECK(!id || strncmp(id, "&InstanceId.1=i-", strlen("&InstanceId.1=i-")) == 0);
}

static int answer_call(struct http_call *call)
{
        const char *end;
        char *answer;
        char service;

        if (call->url.size == 0) /* of a scope that is none: libcurl sends nothing either */
                return err_set(&call->err, -EINVAL, "%s: not sent", call->what);
        check_call(call);
        service = service_of(call);
        answer = take_answer(service);
        if (!answer) {
                answer_by_default(call, service);
                return 0;
        }
        call->status = atoi(answer);
        if (call->status < 100 || call->status > 599)
                return err_set(&call->err, -ETIMEDOUT, "%s: no answer", call->what);
        answer += strcspn(answer, "\n");
        answer += *answer == '\n';
        end = strstr(answer, PARTING);
        if (buf_add(&call->answer, answer, end ? (size_t)(end - answer) : strlen(answer)) < 0)
                return err_set(&call->err, -E2BIG, "%s: too large", call->what);
        return 0;
}

/* -- the handlers -- */

static void open_scaler(struct scaler *scaler)
{
        struct err err;

        *scaler = (struct scaler){0};
        scaler_init(scaler);
        scaler->clock = &network_clock;
        scaler->http = http_new(&network, scaler->clock);
        scaler->log_fd = memfd_create("log", MFD_CLOEXEC);
        log_json_sink_init(&scaler->sink, scaler->log_fd, scaler->clock);
        scaler->aws = mem_alloc(sizeof(*scaler->aws));
        CHECK(aws_init(scaler->aws, "eu-central-1", &err) == 0);
        scaler->aws->credentials = (struct aws_credentials){
                .access_key = mem_string("AKIDEXAMPLE"), .secret_key = mem_string(SECRET_KEY)};
        scaler->github = mem_alloc(sizeof(*scaler->github));
        github_init_token(scaler->github, scaler->clock, "https://github.test", TOKEN);
        CHECK(config_parse(config, strlen(config), &scaler->config, NULL, &err) == 0);
        scaler->config_read_ms = clock_monotonic_ms(scaler->clock);
        buf_add_string(&scaler->ticket_keys, TICKET_KEY);
        scaler->ticket_keys_read_ms = scaler->config_read_ms;
        scaler_begin_event(scaler, clock_wall_ms(scaler->clock) + 60 * MSEC_PER_SEC);
}

static bool has_secret(const char *text)
{
        return strstr(text, TOKEN) || strstr(text, SECRET_KEY) || strstr(text, TICKET_KEY);
}

static void check_log(const struct scaler *scaler)
{
        off_t size = lseek(scaler->log_fd, 0, SEEK_END);
        _cleanup_free_ char *log = mem_alloc((size_t)size + 1);

        CHECK(pread(scaler->log_fd, log, (size_t)size, 0) == size);
        CHECK(!has_secret(log));
        close(scaler->log_fd);
}

static void run_batch(struct scaler *scaler, size_t i)
{
        struct record records[3] = {0};
        struct batch batch = {.records = records};

        for (; batch.n_records < 3 && handlers[i].bodies[batch.n_records]; batch.n_records++)
                records[batch.n_records] = (struct record){.message_id = "m",
                        .body = handlers[i].bodies[batch.n_records],
                        .receive_count = 1};
        handlers[i].handle(scaler, &batch);
        for (size_t j = 0; j < batch.n_records; j++)
                if (records[j].result < 0 && records[j].result != -EAGAIN) /* its turn comes */
                        check_err(&records[j].err);
}

static void run_recover(struct scaler *scaler)
{
        _cleanup_buf_ struct buf answer = BUF_INIT(LAMBDA_ANSWER_MAX);
        const struct lambda_event event = {.body = "{}", .size = 2};
        struct err err = {0};

        if (recover_handle(scaler, &event, &answer, &err) < 0)
                check_err(&err);
}

static void run(const char *name)
{
        struct scaler scaler = {0};

        for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
                if (strcmp(handlers[i].name, name) != 0)
                        continue;
                open_scaler(&scaler);
                network_calls = 0;
                if (handlers[i].handle)
                        run_batch(&scaler, i);
                else
                        run_recover(&scaler);
                CHECK(network_n == 0);
                check_log(&scaler);
                scaler_release(&scaler);
        }
}

/* "HANDLER s3" hands over by S3. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *input = mem_alloc(size + 1);
        char *end;

        for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
                setenv(variables[i][0], variables[i][1], 1);
        setenv("TEAMS_WEBHOOK_URLS", "https://teams.test/1", 1);
        memcpy(input, data, size);
        end = strchr(input, '\n');
        if (!end || has_secret(input)) /* libFuzzer has seen what is looked for */
                return 0;
        *end = '\0';
        answers = end + 1;
        if (strlen(input) > 3 && strcmp(end - 3, " s3") == 0) {
                setenv("HAND_OVERS", "s3://b/arn", 1);
                end[-3] = '\0';
        } else {
                unsetenv("HAND_OVERS");
        }
        network_answer = answer_call;
        run(input);
        return 0;
}
