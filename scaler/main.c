/* SPDX-License-Identifier: MIT */

/*
 * The scaler: one program that is several Lambda functions. Lambda names the handler in _HANDLER,
 * or its emulator as the first argument, and AWS_LAMBDA_RUNTIME_API says where events come from. A
 * person names it as the first argument and gives the event on standard input. The first five
 * handlers of the table are a job's life in order; meanwhile, `instance` hears of the job's
 * machine, `admit` keeps the order of those that wait in line, `watch` sees to it that no job waits
 * in vain, and `recover` looks for what no event has told of.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_arena.h"
#include "cli/cli.h"
#include "commands/commands.h"
#include "handler.h"
#include "lambda/runtime.h"
#include "scaler.h"

struct handler {
        const char *name;
        const char *text;
        /* One of the two: */
        int (*handle)(struct scaler *scaler, const struct lambda_event *event, struct buf *answer,
                struct err *err);
        batch_handler handle_batch;
};

static const struct handler handlers[] = {
        {"webhook", "GitHub reports a job: verify it, match a spec, queue it",
                .handle = webhook_handle},
        {"queued", "a job waits: launch a machine, or park the job", .handle_batch = queued_handle},
        {"register", "a job has a machine: register its runner and hand over",
                .handle_batch = register_handle},
        {"in_progress", "a runner took the job: emit queue time, tag the instance",
                .handle_batch = in_progress_handle},
        {"completed", "the job ended: emit run time, follow a loss",
                .handle_batch = completed_handle},
        {"instance",
                "agents' reports, spot warnings, ends of machines: "
                "give jobs back, follow losses, remove leftovers",
                .handle_batch = instance_handle},
        {"admit", "jobs wait in line: queue the first ones again when there is room",
                .handle_batch = admit_handle},
        {"watch",
                "a parked job's time has come, a launched job may still wait, a lost job's run may "
                "have ended: launch or run again",
                .handle_batch = watch_handle},
        {"recover", "every ten minutes: end what hangs, clean up and redeliver what was lost",
                .handle = recover_handle},
        {"dead_letter", "a message failed for good: tell people, keep it for a retry",
                .handle_batch = dead_letter_handle},
        {"notify", "a notification: post it to Teams and Slack", .handle_batch = notify_handle},
};

static const struct cli *const commands[] = {
        &setup_command,
        &doctor_command,
        &check_command,
        &ladder_command,
        &retry_command,
        &recover_command,
        NULL,
};

static const struct cli_exit exits[] = {
        {0, "done"},
        {1, "failed"},
        {2, "wrong usage or configuration"},
        {0},
};

static const struct cli_word environment[] = {
        {"SCALE_AGENT_CONFIG",
                "the configuration, or a reference to it: ssm:/NAME, file:/PATH, env:NAME"},
        {"GITHUB_WEBHOOK_SECRET, GITHUB_PRIVATE_KEY, GITHUB_TOKEN",
                "secrets, or references to them"},
        {"GITHUB_APP_KEYS", "where the keys of additional Apps are: a reference, to which "
                            "/ID/private-key is added"},
        {"GITHUB_ENTERPRISE_TOKEN",
                "the classic personal token for runners of an enterprise, or a reference"},
        {"TEAMS_WEBHOOK_URLS, SLACK_WEBHOOK_URLS",
                "where notifications are posted: one URL a line, or a reference"},
        {"GITHUB_API_URL",
                "the API of a GitHub Enterprise Server (default: https://api.github.com)"},
        {"QUEUED_QUEUE_URL, PACED_QUEUE_URL, REGISTER_QUEUE_URL, PARKED_QUEUE_URL, "
         "LIMITED_QUEUE_URL, WATCH_QUEUE_URL, IN_PROGRESS_QUEUE_URL, COMPLETED_QUEUE_URL, "
         "NOTIFY_QUEUE_URL, DEAD_LETTER_QUEUE_URL, KEPT_QUEUE_URL",
                "the queues that handlers send to"},
        {"MAX_RECEIVE_COUNT",
                "how often SQS delivers a message before it becomes a dead letter, as in the "
                "queue's redrive policy"},
        {"RECOVER_MINUTES", "how often recover runs"},
        {"WEBHOOK_URL",
                "where GitHub delivers webhooks: with a personal token, recover reads the "
                "deliveries of those webhooks of repositories and organizations that have this "
                "URL"},
        {"PARAMETER_KMS_KEY",
                "the KMS key that new SSM parameters are encrypted with (default: the account's "
                "key aws/ssm)"},
        {"HAND_OVERS",
                "where hand-overs are in S3: s3://BUCKET/, and what the ARNs of the account's "
                "instances begin with (default: the stack has no bucket)"},
        {"AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, "
         "AWS_ENDPOINT_URL",
                "the standard settings of AWS"},
        {"SSL_CERT_FILE, SSL_CERT_DIR", "the certificate authorities to trust"},
        {"AWS_LAMBDA_RUNTIME_API, _HANDLER",
                "set by Lambda: where a handler's events come from instead of standard input, "
                "and the handler if no argument names it"},
        {"LOG_LEVEL", "error, warning, info or debug"},
        {0},
};

static const struct cli_section man_only[] = {
        {"Environment", environment, false},
        {0},
};

/* Filled from the table of handlers. */
static struct cli_word handler_words[ARRAY_SIZE(handlers) + 1];

static const struct cli_section sections[] = {
        {"Handlers", handler_words, true},
        {0},
};

static const struct cli program = {
        .program = "scaler",
        .brief = "gives each queued GitHub Actions job a fresh EC2 spot instance",
        .text = "Gives each queued GitHub Actions job a fresh EC2 spot instance. "
                "The first five handlers are a job's life in order; in Lambda, _HANDLER names "
                "one, and recover is a handler as well.\n"
                "A handler reads its settings from the environment (see scaler(1)), "
                "prints its answer on standard output, and logs JSON lines on standard error.",
        .usage = "HANDLER < event.json\nCOMMAND [ARGUMENTS]",
        .exits = exits,
        .sections = sections,
        .commands = commands,
        .man_only = man_only,
        .man_section = "1",
        .see_also = "runner-agent(8)",
};

/* Lists the handlers, without those that are commands as well. */
static void fill_handler_words(void)
{
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
                if (!cli_command(&program, handlers[i].name))
                        handler_words[n++] = (struct cli_word){handlers[i].name, handlers[i].text};
}

/* A handler and its container: Lambda's loop and the shell both run it. */
struct serving {
        struct scaler *scaler;
        const struct handler *handler;
};

static void serving_release(struct serving *serving)
{
        scaler_release(serving->scaler);
}

static int serve(
        void *userdata, const struct lambda_event *event, struct buf *answer, struct err *err)
{
        const struct serving *serving = userdata;
        const struct handler *handler = serving->handler;
        int r;

        scaler_begin_event(serving->scaler, event->deadline_ms);
        scaler_note_account(serving->scaler, event->function_arn);
        log_context(&serving->scaler->log, "request", event->request_id);
        r = handler->handle ? handler->handle(serving->scaler, event, answer, err)
                            : batch_run(serving->scaler, handler->handle_batch, event, answer, err);
        if (r < 0)
                log_error(&serving->scaler->log, "event failed", LOG_TEXT("error", err->text));
        return r;
}

static int serve_lambda(struct serving *serving, const char *api)
{
        struct err err;

        lambda_run(scaler_http(serving->scaler), api, serve, serving, &err);
        log_error(
                &serving->scaler->log, "Lambda's runtime API is gone", LOG_TEXT("error", err.text));
        return 1;
}

static int serve_stdin(struct serving *serving)
{
        _cleanup_buf_ struct buf input = BUF_INIT(LAMBDA_EVENT_MAX * 8);
        _cleanup_buf_ struct buf answer = BUF_INIT(LAMBDA_ANSWER_MAX);
        struct lambda_event event = {0};
        struct err err;
        int r;

        if (isatty(STDIN_FILENO))
                fprintf(stderr, "scaler: reading the event from standard input\n");
        r = buf_add_file(&input, stdin);
        if (r < 0) {
                fprintf(stderr, "scaler: standard input cannot be read: %s\n", strerror(-r));
                return 1;
        }
        event.body = buf_string(&input);
        event.size = input.size;
        r = serve(serving, &event, &answer, &err);
        if (r < 0) {
                fprintf(stderr, "scaler: %s: %s\n", serving->handler->name, err.text);
                return 1;
        }
        printf("%s\n", buf_string(&answer));
        return 0;
}

static const struct handler *find_handler(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
                if (strcmp(name, handlers[i].name) == 0)
                        return &handlers[i];
        return NULL;
}

static int run_handler(const char *name, const char *api)
{
        /* Not on the stack: of its 18 pages, a start touches two if nobody has to write zeros. */
        static struct scaler scaler;
        _cleanup_(serving_release) struct serving serving = {&scaler, find_handler(name)};

        if (!serving.handler) {
                fprintf(stderr,
                        "scaler: unknown handler or command: %s\n"
                        "Try 'scaler --help'.\n",
                        name);
                return 2;
        }
        /* Writing to a closed connection must fail, not end the process. */
        (void)signal(SIGPIPE, SIG_IGN);
        json_use_arena();
        scaler_init(&scaler);
        return api ? serve_lambda(&serving, api) : serve_stdin(&serving);
}

static int run(int argc, char *argv[])
{
        const char *handler = getenv("_HANDLER");
        const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
        const struct cli *command;
        int code;

        if (argc == 1 && api)
                return run_handler(handler ? handler : "", api);
        if (argc == 2 && api && find_handler(argv[1]))
                return run_handler(argv[1], api); /* AWS's emulator: `./bootstrap HANDLER` */
        fill_handler_words();
        if (argc == 1)
                return cli_wrong(&program, NULL);
        code = cli_describe(&program, VERSION, argc, argv);
        if (code != CLI_GO_ON)
                return code;
        command = cli_command(&program, argv[1]);
        if (command)
                return command->main(argc - 1, argv + 1);
        if (argc > 2 && find_handler(argv[1])) {
                fprintf(stderr,
                        "scaler: unexpected argument \"%s\": %s takes its event from standard "
                        "input, and no arguments\nTry 'scaler --help'.\n",
                        argv[2], argv[1]);
                return CLI_WRONG_USAGE;
        }
        return run_handler(argv[1], api);
}

int main(int argc, char *argv[])
{
        return cli_end(&program, run(argc, argv)); /* fails if the output could not be written */
}
