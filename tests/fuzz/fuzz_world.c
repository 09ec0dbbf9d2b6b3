/* SPDX-License-Identifier: MIT */

/*
 * Whole handlers in a plausible world: a warm process gets up to three batches, and each byte of
 * the input decides one thing of a message, of the configuration or of an answer (world.h). What
 * users rely on holds whatever they decide:
 *
 *      no job is lost         a message that does not come again has another in its place, or its
 *                             job needs nothing more, as GitHub or EC2 said
 *      no launch too many     one machine a job, of the spec's types and subnets, within limits of
 *                             machines, none for jobs that have ended or are a fork's
 *      nothing is forgotten   each machine that was launched is sent on, ended, or its job's
 * message comes again no harm                no machine ends that has a job, or is another stack's
 *      no secret              in a log, message, tag, answer or URL
 *
 * world_ec2.c and the others check each call, this file what became of the batch.
 */

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handler.h"
#include "network.h"
#include "world.h"

#define EVENTS_MAX 4
/* So often GitHub did not know a job that it has been deleted. */
#define MISSING_FOR_LONG 40

static const char *const variables[][2] = {
        {"AWS_REGION", "eu-central-1"},
        {"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"},
        {"AWS_SECRET_ACCESS_KEY", WORLD_AWS_MARK},
        {"SCALE_AGENT_CONFIG", "ssm:/p/config"},
        {"GITHUB_API_URL", WORLD_API},
        {"GITHUB_TOKEN", "ssm:/p/github/token"},
        {"GITHUB_PRIVATE_KEY", "ssm:/p/github/private-key"},
        {"GITHUB_APP_KEYS", "ssm:/p/github/apps"},
        {"GITHUB_ENTERPRISE_TOKEN", "ssm:/p/github/enterprise-token"},
        {"GITHUB_WEBHOOK_SECRET", "ssm:/p/webhook-secret"},
        {"TICKET_KEY", "ssm:/p/ticket-key"},
        {"TEAMS_WEBHOOK_URLS", "ssm:/p/teams"},
        {"SLACK_WEBHOOK_URLS", "ssm:/p/slack"},
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
        {"MAX_RECEIVE_COUNT", "6"},
        {"WORLD_TEAMS", "https://channel.test/" WORLD_CHANNEL_MARK "\n"},
};

static const struct {
        const char *name;
        batch_handler batch;
        int (*event)(struct scaler *scaler, const struct lambda_event *event, struct buf *answer,
                struct err *err);
} functions[WORLD_HANDLERS] = {
        {"queued", queued_handle, NULL},
        {"register", register_handle, NULL},
        {"watch", watch_handle, NULL},
        {"instance", instance_handle, NULL},
        {"in_progress", in_progress_handle, NULL},
        {"completed", completed_handle, NULL},
        {"dead_letter", dead_letter_handle, NULL},
        {"notify", notify_handle, NULL},
        {"recover", NULL, recover_handle},
        {"webhook", NULL, webhook_handle},
};

/* A key of an App, made once. */
static char *make_key(void)
{
        EVP_PKEY *key = EVP_RSA_gen(1024);
        BIO *bio = BIO_new(BIO_s_mem());
        const char *data = NULL;
        char *text;
        long size;

        CHECK(key && bio);
        CHECK(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
        size = BIO_get_mem_data(bio, &data);
        text = mem_format("%.*s", (int)size, data);
        BIO_free(bio);
        EVP_PKEY_free(key);
        return text;
}

static void open_scaler(struct scaler *scaler)
{
        scaler_init(scaler);
        scaler->clock = &network_clock;
        scaler->http = http_new(&network, scaler->clock);
        scaler->log_fd = getenv("STORY") ? dup(STDERR_FILENO) : memfd_create("log", MFD_CLOEXEC);
        log_json_sink_init(&scaler->sink, scaler->log_fd, scaler->clock);
        if (world_choose(2) == 0)
                scaler_note_account(scaler,
                        "arn:aws:lambda:eu-central-1:" WORLD_ACCOUNT ":function:scale-agent-x");
}

static void check_log(const struct scaler *scaler)
{
        off_t size = getenv("STORY") ? 0 : lseek(scaler->log_fd, 0, SEEK_END);
        _cleanup_free_ char *log = mem_alloc((size_t)size + 1);

        CHECK(pread(scaler->log_fd, log, (size_t)size, 0) == size);
        CHECK(!world_has_secret(log));
}

static void close_scaler(struct scaler *scaler)
{
        check_log(scaler);
        close(scaler->log_fd);
        scaler_release(scaler);
}

/* -- what became of the batch -- */

/* An event that is judged: what the handler answered. */
struct judged {
        const char *name;
        const cJSON *event;
        cJSON *answer;
        const struct world *before;
};

/* The job of the message of that NUMBER, where it says none. */
static int64_t job_of(int64_t number, const cJSON *message)
{
        int64_t id = json_integer(message, "id", number);

        return id >= 1 && id <= WORLD_JOBS ? id : 0;
}

/* Whether the message of that number is delivered again. */
static bool comes_again(const struct judged *judged, int64_t number)
{
        const cJSON *failure;
        char id[8];

        snprintf(id, sizeof(id), "m%d", (int)number);
        cJSON_ArrayForEach (failure, json_get(judged->answer, "batchItemFailures")) {
                if (strcmp(json_string(failure, "itemIdentifier"), id) == 0)
                        return true;
        }
        return false;
}

/* Whether the repository of the job is among those of the configuration. */
static bool is_configured(const cJSON *message)
{
        const char *repository = json_string(message, "repository");

        return repository && (strncmp(repository, "o/", 2) == 0 || world.has_other);
}

/* Whether a message of that job is delivered again. */
static bool job_comes_again(const struct judged *judged, int64_t id)
{
        const cJSON *record;
        int64_t number = 0;

        cJSON_ArrayForEach (record, json_get(judged->event, "Records")) {
                _cleanup_json_ cJSON *message = cJSON_Parse(json_string(record, "body"));

                number++;
                if (job_of(number, message) == id && comes_again(judged, number))
                        return true;
        }
        return false;
}

static bool is_settled(const struct judged *judged, int64_t number, const cJSON *message)
{
        int64_t id = job_of(number, message);
        const struct world_job *job = &world.jobs[id];
        const char *action = json_string(message, "action");
        bool is_lost = action && strcmp(action, "lost") == 0;

        if (job->is_sent || comes_again(judged, number) || job_comes_again(judged, id))
                return true;
        if (!message)
                return world.n_dead > 0;
        if (is_lost)
                return world.n_rerun > 0 || world.n_told > 0 || !job->is_failed ||
                       world.has_other_attempt || !is_configured(message);
        if (job->is_unknown && json_integer(message, "missing", 0) >= MISSING_FOR_LONG)
                return true;
        return job->is_over || job->was_over ||
               (job->is_fork && strcmp(judged->name, "queued") == 0);
}

/* Of the functions where a message is a job's promise. */
static void check_promises(const struct judged *judged)
{
        static const char *const names[] = {"queued", "register", "watch"};
        const cJSON *record;
        int64_t id = 0;
        bool is_concerned = false;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                is_concerned |= strcmp(names[i], judged->name) == 0;
        cJSON_ArrayForEach (record, json_get(judged->event, "Records")) {
                const char *body = json_string(record, "body");
                _cleanup_json_ cJSON *message = cJSON_Parse(body);

                id++;
                if (is_concerned && !is_settled(judged, id, message)) {
                        fprintf(stderr, "%s: job %d is lost: %s\n", judged->name, (int)id, body);
                        abort();
                }
        }
}

/* A hand-over is stored before its watch promises anything. But of a fleet, one machine may be
 * taken for another, which the watch finds out. */
static void check_watches(const struct judged *judged)
{
        const cJSON *record;

        if (strcmp(judged->name, "register") != 0 || world.has_fleet)
                return;
        cJSON_ArrayForEach (record, json_get(judged->event, "Records")) {
                _cleanup_json_ cJSON *message = cJSON_Parse(json_string(record, "body"));
                const char *instance = json_string(message, "instance");
                const struct world_job *job = &world.jobs[job_of(0, message)];
                const struct world_machine *machine = instance ? world_machine(instance) : NULL;

                if (!job->is_followed || job->is_stored || job->is_over || job->was_over ||
                        !machine || world_has_handover(instance) || machine->has_job ||
                        machine->has_runner)
                        continue;
                fprintf(stderr, "machine %s is followed, and knows nothing\n", instance);
                abort();
        }
}

/* One of the jobs that MACHINE was launched for comes again, or is a letter to be retried. */
static bool is_called_again(const struct judged *judged, const struct world_machine *machine)
{
        for (const char *at = strchr(machine->launches, '/'); at && at[1];
                at = strchr(at + 1, '/')) {
                int id = 0;

                if (sscanf(at, "/%d-", &id) == 1 && id <= WORLD_JOBS &&
                        (job_comes_again(judged, id) || world.jobs[id].is_dead))
                        return true;
        }
        return false;
}

static void check_machines(const struct judged *judged)
{
        unsigned n_records = (unsigned)cJSON_GetArraySize(json_get(judged->event, "Records"));
        unsigned n_launched = 0;

        for (size_t i = judged->before->n_machines; i < world.n_machines; i++)
                n_launched += world.machines[i].is_launched && !world.machines[i].was_dead;
        CHECK(n_launched <= n_records);
        if (world.is_limited && world.is_counted && n_launched > 0)
                CHECK(n_launched + world.n_living <= 3);
        for (size_t i = judged->before->n_machines; i < world.n_machines; i++) {
                const struct world_machine *machine = &world.machines[i];

                if (!machine->is_launched || machine->is_sent || machine->is_ended ||
                        machine->was_dead || is_called_again(judged, machine))
                        continue;
                fprintf(stderr, "%s: machine %s is forgotten\n", judged->name, machine->id);
                abort();
        }
}

/* A machine that ended before its job began, with its hand-over: the job is given back, or people
 * are told. */
static void check_ended(const struct judged *judged)
{
        const cJSON *record;
        int64_t id = 0;

        if (strcmp(judged->name, "instance") != 0)
                return;
        cJSON_ArrayForEach (record, json_get(judged->event, "Records")) {
                _cleanup_json_ cJSON *event = cJSON_Parse(json_string(record, "body"));
                const char *state = json_string(event, "detail.state");
                const struct world_machine *machine;
                const char *instance = json_string(event, "detail.instance-id");

                id++;
                if (!state || strcmp(state, "terminated") != 0 || !instance ||
                        comes_again(judged, id) || !world.jobs[id].is_read)
                        continue;
                machine = world_machine(instance);
                CHECK(!machine || machine->has_job || machine->is_foreign ||
                        world.jobs[id].is_sent || world.n_told > 0 || world.n_dead > 0);
        }
}

/* What people are to see is seen, and letters are kept. */
static void check_people(const struct judged *judged)
{
        unsigned n_done = 0;
        unsigned n_records = (unsigned)cJSON_GetArraySize(json_get(judged->event, "Records"));

        for (unsigned i = 1; i <= n_records; i++)
                n_done += !comes_again(judged, i);
        if (strcmp(judged->name, "dead_letter") == 0)
                CHECK(world.n_kept - judged->before->n_kept + world.n_dead >= n_done);
}

/* What GitHub is told has come to a queue. */
static void check_delivery(const struct judged *judged)
{
        int64_t status = json_integer(judged->answer, "statusCode", 0);

        if (strcmp(judged->name, "webhook") != 0)
                return;
        CHECK(status >= 200 && status < 600);
        CHECK(status != 202 || world.jobs[1].is_sent);
        CHECK(status == 202 || !world.jobs[1].is_sent);
}

static void judge(struct judged *judged)
{
        check_promises(judged);
        check_watches(judged);
        check_machines(judged);
        check_ended(judged);
        check_people(judged);
        check_delivery(judged);
}

/* -- running it -- */

/* What the world knows of the batch's jobs stays; what was done for the last one does not. */
static void begin_event(void)
{
        for (size_t i = 0; i <= WORLD_JOBS; i++)
                world.jobs[i] = (struct world_job){.state = world.jobs[i].state,
                        .was_over = world.jobs[i].was_over || world.jobs[i].is_over,
                        .is_fork = world.jobs[i].is_fork};
        world.n_told = world.n_rerun = world.n_dead = 0;
        world.has_other_attempt = world.is_counted = world.has_fleet = false;
}

/* What the last event has led to, or something else. */
static char *make_event(size_t *handler)
{
        static const unsigned sizes[] = {1, 3, 10, 2, 12};
        char *text = NULL;

        begin_event();
        if (world.n_sent > 0)
                text = world_make_next_event(handler);
        if (!text)
                text = world_make_event(&world_handlers[*handler], world_one_of(sizes));
        world_forget_messages();
        return text;
}

/* Each function is a process of its own. */
static void run_event(struct scaler *scalers, size_t *ret_handler)
{
        static struct world before;
        _cleanup_buf_ struct buf answer = BUF_INIT(LAMBDA_ANSWER_MAX);
        _cleanup_free_ char *text = make_event(ret_handler);
        size_t handler = *ret_handler;
        struct scaler *scaler = &scalers[handler];
        const struct lambda_event event = {.body = text, .size = strlen(text)};
        _cleanup_json_ cJSON *parsed = cJSON_Parse(text);
        struct judged judged = {functions[handler].name, parsed, NULL, &before};
        struct err err = {0};
        int r;

        if (getenv("STORY"))
                fprintf(stderr, "-- %s: %s\n", functions[handler].name, text);
        before = world;
        if (!scaler->clock)
                open_scaler(scaler);
        scaler_begin_event(scaler,
                clock_wall_ms(scaler->clock) + (world_choose(8) == 1 ? 8 : 60) * MSEC_PER_SEC);
        r = functions[handler].batch
                    ? batch_run(scaler, functions[handler].batch, &event, &answer, &err)
                    : functions[handler].event(scaler, &event, &answer, &err);
        CHECK(network_n == 0);
        CHECK(!world_has_secret(buf_string(&answer)) && !world_has_secret(err.text));
        if (r < 0) {
                check_err(&err);
                return;
        }
        judged.answer = cJSON_Parse(buf_string(&answer));
        CHECK(judged.answer);
        judge(&judged);
        cJSON_Delete(judged.answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const references[] = {"ssm:/p/teams", "env:WORLD_TEAMS",
                "file:/dev/null", "file:/nonexistent", "ssm:/p/none", "env:WORLD_NONE", "ssm:x"};
        static const int pauses[] = {0, 60, 180, 600, 1800, 7200};
        static char *key;
        struct scaler scalers[WORLD_HANDLERS] = {0};
        _cleanup_free_ char *config = NULL;
        size_t handler;
        unsigned n_events;

        if (!key) {
                key = make_key();
                for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
                        setenv(variables[i][0], variables[i][1], 1);
        }
        world_begin(data, size);
        network_now_ms = 0;
        network_answer = world_answer;
        handler = world_choose(WORLD_HANDLERS);
        n_events = 1 + world_choose(EVENTS_MAX);
        config = world_make_config();
        world.config = config;
        world.has_strangers = functions[handler].batch == instance_handle;
        world.app_key = world_choose(16) == 1 ? "nonsense" : key;
        world_store_handovers();
        if (world_choose(4) == 1)
                unsetenv("HAND_OVERS");
        else
                setenv("HAND_OVERS",
                        "s3://" WORLD_BUCKET "/arn:aws:ec2:eu-central-1:" WORLD_ACCOUNT ":instance",
                        1);
        setenv("TEAMS_WEBHOOK_URLS", world_one_of(references), 1);
        for (unsigned i = 0; i < n_events; i++) {
                run_event(scalers, &handler);
                network_now_ms += world_one_of(pauses) * MSEC_PER_SEC;
        }
        for (size_t i = 0; i < WORLD_HANDLERS; i++)
                if (scalers[i].clock)
                        close_scaler(&scalers[i]);
        world_forget_messages();
        return 0;
}
