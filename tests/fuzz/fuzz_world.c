/* SPDX-License-Identifier: MIT */

/*
 * Whole handlers in a plausible world: a warm process of each function gets some events, of which
 * one may follow from the last, and each byte of the input decides one thing of a message, of the
 * configuration or of an answer (world.h). What users rely on holds whatever they decide:
 * world_launches.c and the others check each call, world_judge.c what became of each event.
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
        {"WORLD_CIRCLE", "env:WORLD_CIRCLE"},
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
        {"admit", admit_handle, NULL},
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
        off_t size = lseek(scaler->log_fd, 0, SEEK_END);
        _cleanup_free_ char *log = NULL;

        if (getenv("STORY"))
                return; /* it is shown, and cannot be read */
        log = mem_alloc((size_t)size + 1);
        CHECK(pread(scaler->log_fd, log, (size_t)size, 0) == size);
        CHECK(!world_has_secret(log));
}

static void close_scaler(struct scaler *scaler)
{
        check_log(scaler);
        close(scaler->log_fd);
        scaler_release(scaler);
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
        world.has_refused = false;
        world.event++;
}

/* What the LAST event has led to, or the same once more, or something else. */
static char *make_event(const char *last, size_t *handler)
{
        static const unsigned sizes[] = {1, 3, 10, 2, 12};
        char *text = NULL;

        begin_event();
        if (last && world_choose(4) == 1)
                text = world_make_again(last);
        else if (world.n_sent > 0)
                text = world_make_next_event(handler);
        if (!text)
                text = world_make_event(&world_handlers[*handler], world_one_of(sizes));
        world_forget_messages();
        return text;
}

/* Each function is a process of its own. */
static void run_event(struct scaler *scalers, char **last, size_t *ret_handler)
{
        static struct world before;
        _cleanup_buf_ struct buf answer = BUF_INIT(LAMBDA_ANSWER_MAX);
        char *text = make_event(*last, ret_handler);
        size_t handler = *ret_handler;
        struct scaler *scaler = &scalers[handler];
        const struct lambda_event event = {.body = text, .size = strlen(text)};
        _cleanup_json_ cJSON *parsed = cJSON_Parse(text);
        struct world_judged judged = {functions[handler].name, parsed, NULL, &before};
        struct err err = {0};
        int r;

        free(*last);
        *last = text;
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
        world_judge(&judged);
        cJSON_Delete(judged.answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const references[] = {"ssm:/p/teams", "env:WORLD_TEAMS",
                "file:/dev/null", "file:/nonexistent", "ssm:/p/none", "env:WORLD_NONE", "ssm:x",
                "env:WORLD_CIRCLE", "file:/dev/zero"};
        static const int pauses[] = {0, 60, 180, 600, 1800, 7200};
        static char *key;
        struct scaler scalers[WORLD_HANDLERS] = {0};
        _cleanup_free_ char *config = NULL;
        _cleanup_free_ char *last = NULL;
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
                run_event(scalers, &last, &handler);
                network_now_ms += world_one_of(pauses) * MSEC_PER_SEC;
        }
        for (size_t i = 0; i < WORLD_HANDLERS; i++)
                if (scalers[i].clock)
                        close_scaler(&scalers[i]);
        world_forget_messages();
        return 0;
}
