/* SPDX-License-Identifier: MIT */

/*
 * runner-agent: one GitHub Actions job on this EC2 instance, from the boot to the shutdown. systemd
 * starts it (runner-agent.service); life.c is where its stages are put in order.
 */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "container.h"

static const char usage[] =
        "Usage: runner-agent [--config FILE] [--no-shutdown]\n"
        "\n"
        "Runs one GitHub Actions job on this EC2 instance: reads its hand-over from SSM, starts\n"
        "the runner, reports to EventBridge, cleans up, and shuts the machine down.\n"
        "\n"
        "  --config FILE   configuration, instead of " AGENT_CONFIG_FILE "\n"
        "  --no-shutdown   do everything but `shutdown -h now`, for trying it by hand\n"
        "  --help          this text\n"
        "  --version       the version\n"
        "\n"
        "Exit codes: 0 a job ran, or the machine was interrupted; 1 no job ran, or something\n"
        "failed; 2 wrong arguments or configuration, or not on EC2 (nothing is shut down then).\n";

struct options {
        const char *config;
        bool no_shutdown;
        int exit_code; /* -1: go on */
};

static void parse_options(int argc, char **argv, struct options *options)
{
        static const struct option table[] = {
                {"config", required_argument, NULL, 'c'},
                {"no-shutdown", no_argument, NULL, 'n'},
                {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'v'},
                {0},
        };
        int c;

        *options = (struct options){.exit_code = -1};
        while ((c = getopt_long(argc, argv, "h", table, NULL)) != -1) {
                if (c == 'c') {
                        options->config = optarg;
                } else if (c == 'n') {
                        options->no_shutdown = true;
                } else if (c == 'h') {
                        options->exit_code = fputs(usage, stdout) < 0;
                        return;
                } else if (c == 'v') {
                        options->exit_code = puts("runner-agent " VERSION) < 0;
                        return;
                } else {
                        options->exit_code = LIFE_EXIT_NO_EC2; /* getopt_long has said why */
                        return;
                }
        }
        if (optind == argc)
                return;
        fprintf(stderr, "runner-agent: unexpected argument \"%s\"; see --help\n", argv[optind]);
        options->exit_code = LIFE_EXIT_NO_EC2;
}

static int load_config(const char *file, struct agent_config *ret)
{
        _cleanup_buf_ struct buf faults = BUF_INIT(64UL * 1024);
        struct agent_config config;
        int r = agent_config_load(file, &config, &faults);
        char *rest = faults.data;
        char *line;

        if (r >= 0) {
                agent_config_release(ret);
                *ret = config;
                return 0;
        }
        while ((line = strsep(&rest, "\n")) && *line)
                fprintf(stderr, "runner-agent: %s: %s\n", file ? file : AGENT_CONFIG_FILE, line);
        return r;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        (void)source;
        life_signal(userdata, (int)info->ssi_signo);
        return 0;
}

static int add_signals(struct agent *agent)
{
        static const int numbers[] = {SIGTERM, SIGINT};
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD); /* for sd_event_add_child() */
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                sigaddset(&mask, numbers[i]);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                int r = sd_event_add_signal(agent_event(agent), NULL, numbers[i], on_signal, agent);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int run(int argc, char **argv)
{
        _cleanup_(agent_release) struct agent agent;
        struct options options;
        int r;

        agent_init(&agent);
        parse_options(argc, argv, &options);
        if (options.exit_code >= 0)
                return options.exit_code;
        if (load_config(options.config, &agent.config) < 0)
                return LIFE_EXIT_NO_EC2;
        agent.version = VERSION;
        agent.shuts_down = !options.no_shutdown;
        r = add_signals(&agent);
        if (r >= 0)
                r = sd_event_set_watchdog(agent_event(&agent), true);
        if (r < 0) {
                fprintf(stderr, "runner-agent: the event loop: %s\n", strerror(-r));
                return LIFE_EXIT_FAILED;
        }
        life_start(&agent);
        r = sd_event_loop(agent.event);
        return r < 0 ? LIFE_EXIT_FAILED : r;
}

int main(int argc, char **argv)
{
        return run(argc, argv);
}
