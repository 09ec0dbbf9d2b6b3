/* SPDX-License-Identifier: MIT */

/*
 * AWS Lambda: each function with its containers, cold and warm. An invocation runs the handler's
 * own code in a fiber, and may be killed before or after any of its calls, or when its time is
 * over.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "handler.h"
#include "world.h"

struct function {
        const char *name;
        int64_t timeout_ms;
        const char *receives; /* MAX_RECEIVE_COUNT, or NULL */
        int (*handle)(struct scaler *scaler, const struct lambda_event *event, struct buf *answer,
                struct err *err);
        batch_handler handle_batch;
};

/* As scaler/template.yaml and scaler/main.c say. */
static const struct function functions[] = {
        {"webhook", 10 * SECOND, NULL, .handle = webhook_handle},
        {"queued", 60 * SECOND, "4", .handle_batch = queued_handle},
        {"register", 60 * SECOND, "1000", .handle_batch = register_handle},
        {"in_progress", 30 * SECOND, "30", .handle_batch = in_progress_handle},
        {"completed", 30 * SECOND, "30", .handle_batch = completed_handle},
        {"instance", 30 * SECOND, "30", .handle_batch = instance_handle},
        {"admit", 30 * SECOND, "1000", .handle_batch = admit_handle},
        {"watch", 30 * SECOND, "30", .handle_batch = watch_handle},
        {"recover", 120 * SECOND, NULL, .handle = recover_handle},
        {"dead_letter", 30 * SECOND, NULL, .handle_batch = dead_letter_handle},
        {"notify", 30 * SECOND, NULL, .handle_batch = notify_handle},
};

struct sandbox {
        struct clock clock; /* the world's, and ahead of it once its process was killed */
        struct world *world;
        const struct function *function;
        struct scaler scaler;
        struct invocation *current;
        bool busy;
};

struct lambda {
        struct sandbox **sandboxes;
        size_t n;
        unsigned invocations;
        bool in_s3; /* the hand-overs of new machines */
};

/* One invocation, from its event to its answer. */
struct run {
        struct invocation invocation; /* first: wire.c sees it */
        struct sandbox *sandbox;
        char *event;
        struct buf answer;
        int result;
        invoked done;
        void *userdata;
};

#define CONFIG                                                                                  \
        "{\"prefix\":\"" PREFIX                                                                 \
        "\",\"hand_over\":\"%s\"%s,\"github\":{\"app_id\":12345%s,\"installations\":[4711],"    \
        "\"repositories\":[\"octo-org/*\"]},\"specs\":["                                        \
        "{\"name\":\"linux\",\"labels\":[\"self-hosted\",\"linux\",\"x64\"],"                   \
        "\"instance_type\":\"m7i.large\",\"launch_template\":\"scale-agent\","                  \
        "\"subnets\":[\"subnet-0a1b2c3d\",\"subnet-0a1b2c3e\"],\"on_demand_fallback\":true%s}," \
        "{\"name\":\"small\",\"labels\":[\"self-hosted\",\"small\"],\"instance_type\":\"t3."    \
        "large\","                                                                              \
        "\"launch_template\":\"scale-agent\",\"subnets\":[\"subnet-0a1b2c3d\"],"                \
        "\"terminate_on_completed\":true,\"idle_limit_seconds\":120}]}"

/* http_set_random() has no place for a world. */
static struct world *random_world;

static uint32_t random_below(uint32_t below)
{
        return world_random(random_world, below);
}

static const char *private_key(void)
{
        static char pem[4096];

        if (!pem[0]) {
                EVP_PKEY *key = EVP_RSA_gen(2048);
                BIO *bio = BIO_new(BIO_s_mem());
                int size;

                PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
                size = BIO_read(bio, pem, sizeof(pem) - 1);
                pem[size > 0 ? size : 0] = '\0';
                BIO_free(bio);
                EVP_PKEY_free(key);
        }
        return pem;
}

static const struct {
        const char *name;
        const char *value;
} environment[] = {
        {"AWS_REGION", REGION},
        {"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"},
        {"AWS_SECRET_ACCESS_KEY", "sim-aws-secret"},
        {"AWS_SESSION_TOKEN", NULL},
        {"AWS_ENDPOINT_URL", NULL},
        {"HAND_OVERS", "s3://" BUCKET "/" INSTANCE_ARNS},
        {"SCALE_AGENT_CONFIG", "ssm:" PREFIX "/config"},
        {"GITHUB_WEBHOOK_SECRET", "ssm:" PREFIX "/github/webhook-secret"},
        {"GITHUB_PRIVATE_KEY", "ssm:" PREFIX "/github/private-key"},
        {"GITHUB_TOKEN", "ssm:" PREFIX "/github/token"},
        {"GITHUB_APP_KEYS", "ssm:" PREFIX "/github/apps"},
        {"GITHUB_API_URL", API_URL},
        {"SLACK_WEBHOOK_URLS", "ssm:" PREFIX "/notify/slack-webhook-urls"},
        {"TEAMS_WEBHOOK_URLS", NULL},
        {"LOG_LEVEL", NULL},
};

static char *member(const char *name, unsigned value)
{
        return value > 0 ? mem_format(",\"%s\":%u", name, value) : mem_string("");
}

void lambda_configure(struct world *world)
{
        _cleanup_free_ char *all = member("max_machines", world->most_machines);
        _cleanup_free_ char *each =
                member("max_machines_per_repository", world->most_of_repository);
        _cleanup_free_ char *both = mem_format("%s%s", all, each);
        _cleanup_free_ char *most = member("max_machines", world->most_of_spec);
        _cleanup_free_ char *spec = mem_format("%s%s", most,
                !fleet_is_on(world)    ? ""
                : world->seed % 5 == 0 ? ",\"allocation\":\"capacity-optimized-prioritized\""
                                       : ",\"allocation\":\"price-capacity-optimized\"");
        _cleanup_free_ char *text = mem_format(CONFIG, world->lambda->in_s3 ? "s3" : "ssm", both,
                apps_has_second(world) ? ",\"additional_apps\":[2]" : "", spec);

        ssm_set(world, PREFIX "/config", text);
}

static void on_switch(struct world *world, void *userdata)
{
        bool *in_s3 = &world->lambda->in_s3;

        if (!fault_strikes(world, FAULT_SWITCH, 100))
                return;
        *in_s3 = !*in_s3;
        world_tell(world, "hand-overs of new machines are in %s", *in_s3 ? "S3" : "SSM");
        lambda_configure(world);
        world_after(world, world_between(world, MINUTE, 30 * MINUTE), on_switch, userdata);
}

void lambda_init(struct world *world)
{
        world->lambda = mem_alloc(sizeof(*world->lambda));
        random_world = world;
        for (size_t i = 0; i < ARRAY_SIZE(environment); i++) {
                if (environment[i].value)
                        setenv(environment[i].name, environment[i].value, 1);
                else
                        unsetenv(environment[i].name);
        }
        world->lambda->in_s3 = s3_has_handovers(world);
        lambda_configure(world);
        world_after(world, MINUTE, on_switch, NULL);
        ssm_set(world, PREFIX "/github/webhook-secret", HOOK_SECRET);
        ssm_set(world, PREFIX "/github/private-key", private_key());
        if (apps_has_second(world))
                ssm_set(world, PREFIX "/github/apps/2/private-key", private_key());
        ssm_set(world, PREFIX "/notify/slack-webhook-urls", "https://slack.test/hook");
}

static const struct sandbox *sandbox_of(const struct clock *clock)
{
        return (const struct sandbox *)((const char *)clock - offsetof(struct sandbox, clock));
}

static int64_t ahead_ms(const struct sandbox *sandbox)
{
        return sandbox->current ? sandbox->current->ahead_ms : 0;
}

static int64_t wall_ms(const struct clock *clock)
{
        const struct sandbox *sandbox = sandbox_of(clock);

        return clock_wall_ms(&sandbox->world->clock) + ahead_ms(sandbox);
}

static int64_t monotonic_ms(const struct clock *clock)
{
        const struct sandbox *sandbox = sandbox_of(clock);

        return clock_monotonic_ms(&sandbox->world->clock) + ahead_ms(sandbox);
}

static void free_sandbox(struct world *world, struct sandbox *sandbox)
{
        struct lambda *lambda = world->lambda;

        for (size_t i = 0; i < lambda->n; i++)
                if (lambda->sandboxes[i] == sandbox)
                        lambda->sandboxes[i] = lambda->sandboxes[--lambda->n];
        scaler_release(&sandbox->scaler);
        free(sandbox);
}

void lambda_release(struct world *world)
{
        struct lambda *lambda = world->lambda;

        while (lambda->n > 0)
                free_sandbox(world, lambda->sandboxes[0]);
        free(lambda->sandboxes);
        free(MEM_STEAL(world->lambda));
}

bool lambda_is_busy(const struct world *world)
{
        for (size_t i = 0; i < world->lambda->n; i++)
                if (world->lambda->sandboxes[i]->busy)
                        return true;
        return false;
}

static struct sandbox *new_sandbox(struct world *world, const struct function *function)
{
        struct lambda *lambda = world->lambda;
        struct sandbox *sandbox = mem_alloc(sizeof(*sandbox));
        struct scaler *scaler = &sandbox->scaler;

        sandbox->clock = (struct clock){wall_ms, monotonic_ms};
        sandbox->world = world;
        sandbox->function = function;
        scaler_init(scaler);
        scaler->clock = &sandbox->clock;
        scaler->log_fd = world->log_fd;
        log_json_sink_init(&scaler->sink, world->log_fd, scaler->clock);
        scaler->http = http_new(wire_new(&sandbox->current), scaler->clock);
        http_set_random(scaler->http, random_below);
        lambda->sandboxes = mem_resize(lambda->sandboxes, lambda->n + 1, sizeof(sandbox));
        lambda->sandboxes[lambda->n++] = sandbox;
        return sandbox;
}

static struct sandbox *take_sandbox(struct world *world, const struct function *function)
{
        struct lambda *lambda = world->lambda;

        for (size_t i = 0; i < lambda->n; i++)
                if (lambda->sandboxes[i]->function == function && !lambda->sandboxes[i]->busy &&
                        (world->is_burst || !world_chance(world, 10)))
                        return lambda->sandboxes[i];
        return new_sandbox(world, function);
}

/* In the fiber. */
static void run_handler(void *userdata)
{
        struct run *run = userdata;
        const struct function *function = run->sandbox->function;
        struct scaler *scaler = &run->sandbox->scaler;
        struct world *world = run->invocation.world;
        const struct lambda_event event = {
                .body = run->event,
                .size = strlen(run->event),
                .deadline_ms = world_wall_ms(world) + function->timeout_ms,
        };
        struct err err;

        scaler_begin_event(scaler, event.deadline_ms);
        scaler_note_account(scaler, "arn:aws:lambda:" REGION ":" ACCOUNT ":function:x");
        run->result = function->handle ? function->handle(scaler, &event, &run->answer, &err)
                                       : batch_run(scaler, function->handle_batch, &event,
                                                 &run->answer, &err);
}

static void end_run(struct world *world, struct run *run)
{
        bool good = run->result == 0 && !run->invocation.killed;

        world_tell(world, "%s#%u %s: %s", run->invocation.function, run->invocation.number,
                good                     ? "answers"
                : run->invocation.killed ? "was killed"
                                         : "fails",
                good ? buf_string(&run->answer) : "");
        run->sandbox->current = NULL;
        run->sandbox->busy = false;
        if (run->invocation.killed)
                free_sandbox(world, run->sandbox);
        run->done(world, run->userdata, good ? buf_string(&run->answer) : NULL);
        fiber_free(run->invocation.fiber);
        buf_release(&run->answer);
        free(run->event);
        free(run);
}

void lambda_resume(struct invocation *invocation)
{
        struct run *run = (struct run *)invocation;
        struct world *world = invocation->world;
        char who[64];
        bool ended;

        if (run->sandbox->function->receives)
                setenv("MAX_RECEIVE_COUNT", run->sandbox->function->receives, 1);
        else
                unsetenv("MAX_RECEIVE_COUNT");
        ended = fiber_resume(invocation->fiber);
        snprintf(who, sizeof(who), "%s#%u", invocation->function, invocation->number);
        world_tell_log(world, who);
        if (ended)
                end_run(world, run);
}

static void begin_run(struct world *world, void *userdata)
{
        struct run *run = userdata;

        (void)world;
        lambda_resume(&run->invocation);
}

void lambda_invoke(
        struct world *world, const char *function, const char *event, invoked done, void *userdata)
{
        struct run *run = mem_alloc(sizeof(*run));
        size_t i = 0;

        while (strcmp(functions[i].name, function) != 0)
                i++;
        run->sandbox = take_sandbox(world, &functions[i]);
        run->sandbox->busy = true;
        run->sandbox->current = &run->invocation;
        run->event = mem_string(event);
        run->answer = (struct buf)BUF_INIT(LAMBDA_ANSWER_MAX);
        run->done = done;
        run->userdata = userdata;
        run->invocation = (struct invocation){
                .world = world,
                .function = functions[i].name,
                .number = ++world->lambda->invocations,
                .deadline_ms = world->now_ms + functions[i].timeout_ms,
                .kill_at = -1,
                .fiber = fiber_new(run_handler, run),
        };
        rates_deliver(&run->invocation, event);
        if (fault_strikes(world, FAULT_KILL, 6))
                run->invocation.kill_at = (int)world_random(world, 24);
        world_tell(world, "%s#%u begins", function, run->invocation.number);
        world_after(world, world_between(world, 5, 250), begin_run, run);
}
