/* SPDX-License-Identifier: MIT */

/*
 * The scaler: one program, several Lambda functions. Lambda names the handler in _HANDLER; a person
 * names it as the first argument and gives the event on standard input. The table below is the life
 * of a job.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "container.h"
#include "handler.h"
#include "ladder.h"
#include "lambda/runtime.h"
#include "retry.h"

struct handler {
        const char *name;
        const char *text;
        /* One of these: */
        int (*handle)(struct scaler *scaler, const struct lambda_event *event, struct buf *answer,
                struct err *err);
        batch_handler handle_batch;
};

static const struct handler handlers[] = {
        {"webhook", "GitHub's delivery: verified, matched, queued by action", webhook_handle, NULL},
        {"queued", "a queued job: instance launched, runner's configuration stored", NULL,
                queued_handle},
        {"in_progress", "a runner took a job: queue time, the instance's tag", NULL,
                in_progress_handle},
        {"completed", "a job ended: run time, second line of cleaning up", NULL, completed_handle},
        {"instance", "agents' reports, spot warnings, ended machines", NULL, instance_handle},
        {"dead_letter", "what could not be done is told, and kept for another try", NULL,
                dead_letter_handle},
        {"notify", "notifications go to Teams and Slack", NULL, notify_handle},
};

struct command {
        const char *name;
        const char *text;
        int (*main)(int argc, char *argv[]);
};

static const struct command commands[] = {
        {"check", "FILE: report every fault of a configuration", check_main},
        {"ladder", "TYPE: print the failover order from an instance type", ladder_main},
        {"retry", "--dead-letters: try again what was given up", retry_main},
};

static void print_usage(FILE *file)
{
        fprintf(file, "Usage: scaler HANDLER < event.json\n"
                      "       scaler COMMAND [ARGUMENTS]\n"
                      "Gives each queued GitHub Actions job a fresh EC2 spot instance.\n"
                      "\n"
                      "Handlers, in the order of a job's life (in Lambda, _HANDLER names one):\n");
        for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
                fprintf(file, "  %-14s%s\n", handlers[i].name, handlers[i].text);
        fprintf(file, "\nCommands:\n");
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                fprintf(file, "  %-14s%s\n", commands[i].name, commands[i].text);
        fprintf(file, "\n"
                      "  --help        this text\n"
                      "  --version     print the version\n"
                      "\n"
                      "A handler reads its settings from the environment (see README.md), prints\n"
                      "its answer on standard output, and logs JSON lines on standard error.\n"
                      "Exit status: 0 done, 1 failed, 2 wrong usage or configuration.\n");
}

/* A handler in its container: what the Lambda loop and the shell both run. */
struct serving {
        struct scaler *scaler;
        const struct handler *handler;
};

static int serve(
        void *userdata, const struct lambda_event *event, struct buf *answer, struct err *err)
{
        const struct serving *serving = userdata;
        const struct handler *handler = serving->handler;
        int r;

        scaler_begin_event(serving->scaler, event->deadline_ms);
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

static int read_stdin(struct buf *event)
{
        char bytes[65536];
        size_t n;

        while ((n = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
                if (buf_add(event, bytes, n) < 0)
                        return -EFBIG;
        return ferror(stdin) ? -EIO : 0;
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
        r = read_stdin(&input);
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

static int run_handler(const char *name, const char *api)
{
        _cleanup_(scaler_release) struct scaler scaler;
        struct serving serving = {.scaler = &scaler};

        for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
                if (strcmp(name, handlers[i].name) == 0)
                        serving.handler = &handlers[i];
        if (!serving.handler) {
                fprintf(stderr,
                        "scaler: unknown handler or command: %s\n"
                        "Try 'scaler --help'.\n",
                        name);
                return 2;
        }
        /* A connection that its server closed must fail, not end the process. */
        (void)signal(SIGPIPE, SIG_IGN);
        scaler_init(&scaler);
        return api ? serve_lambda(&serving, api) : serve_stdin(&serving);
}

static int run(int argc, char *argv[])
{
        const char *handler = getenv("_HANDLER");
        const char *api = getenv("AWS_LAMBDA_RUNTIME_API");

        if (argc == 1 && api)
                return run_handler(handler ? handler : "", api);
        if (argc == 1) {
                print_usage(stderr);
                return 2;
        }
        if (strcmp(argv[1], "--help") == 0) {
                print_usage(stdout);
                return 0;
        }
        if (strcmp(argv[1], "--version") == 0) {
                printf("scaler %s\n", VERSION);
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                if (strcmp(argv[1], commands[i].name) == 0)
                        return commands[i].main(argc - 1, argv + 1);
        if (argc > 2) {
                fprintf(stderr, "scaler: a handler takes its event from standard input, not from "
                                "arguments\nTry 'scaler --help'.\n");
                return 2;
        }
        return run_handler(argv[1], NULL);
}

int main(int argc, char *argv[])
{
        int code = run(argc, argv);

        /* An answer that nobody can read is none. */
        if (code == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
                perror("scaler: standard output");
                return 1;
        }
        return code;
}
