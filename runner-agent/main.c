/* SPDX-License-Identifier: MIT */

/*
 * runner-agent: runs one GitHub Actions job on this EC2 instance, from the boot to the shutdown.
 * systemd starts it (runner-agent.service); life.c puts its stages in order.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "cli/cli.h"
#include "life.h"

enum { CONFIG, NO_SHUTDOWN, N_OPTIONS };

static const struct cli_option options[] = {
        [CONFIG] = {"config", "FILE", "settings, instead of " AGENT_SETTINGS_FILE, false},
        [NO_SHUTDOWN] = {"no-shutdown", NULL,
                "neither shut down nor set a wrong clock, for trying it by hand", false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {0, "a job ran, or the machine was interrupted"},
        {LIFE_EXIT_FAILED, "no job ran, or something failed"},
        {LIFE_EXIT_NO_EC2,
                "wrong usage or settings, or not on EC2 (the unit shuts down, not the agent)"},
        {0},
};

static const struct cli_word files[] = {
        {AGENT_SETTINGS_FILE, "the settings (JSON); all of them are optional"},
        {"/etc/runner-agent/environment",
                "variables for the unit, such as https_proxy and no_proxy; optional"},
        {0},
};

static const struct cli_section man_only[] = {
        {"Files", files, false},
        {0},
};

static const struct cli program = {
        .program = "runner-agent",
        .brief = "runs one GitHub Actions job on this EC2 instance",
        .text = "Runs one GitHub Actions job on this EC2 instance: reads its hand-over from SSM or "
                "S3, "
                "starts the runner, reports to EventBridge, cleans up, and shuts the machine down.",
        .options = options,
        .exits = exits,
        .man_only = man_only,
        .man_section = "8",
        .see_also = "scaler(1)",
};

static int load_settings(const char *file, struct agent_settings *ret)
{
        _cleanup_buf_ struct buf faults = BUF_INIT(64UL * 1024);
        struct agent_settings settings;
        int r = agent_settings_load(file, &settings, &faults);
        char *rest = faults.data;
        char *line;

        if (r >= 0) {
                agent_settings_release(ret);
                *ret = settings;
                return 0;
        }
        while ((line = strsep(&rest, "\n")) && *line)
                fprintf(stderr, "runner-agent: %s: %s\n", file ? file : AGENT_SETTINGS_FILE, line);
        return r;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        (void)source;
        life_signal(userdata, (int)info->ssi_signo);
        return 0;
}

static int add_signals(struct life *life)
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
                int r = sd_event_add_signal(
                        agent_event(life->agent), NULL, numbers[i], on_signal, life);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int run(int argc, char **argv)
{
        _cleanup_(agent_release) struct agent agent = {0};
        _cleanup_(life_release) struct life life = {0};
        const char *values[N_OPTIONS] = {0};
        int code = cli_describe(&program, VERSION, argc, argv);
        int r;

        agent_init(&agent);
        life_init(&life, &agent);
        if (code == CLI_GO_ON)
                code = cli_parse(&program, argc, argv, values, NULL);
        if (code != CLI_GO_ON)
                return code;
        if (load_settings(values[CONFIG], &agent.settings) < 0)
                return LIFE_EXIT_NO_EC2;
        agent.version = VERSION;
        agent.shuts_down = !values[NO_SHUTDOWN];
        r = add_signals(&life);
        if (r >= 0)
                r = sd_event_set_watchdog(agent_event(&agent), true);
        if (r < 0) {
                fprintf(stderr,
                        "runner-agent: the event loop cannot take signals, or the watchdog: %s\n",
                        strerror(-r));
                return LIFE_EXIT_FAILED;
        }
        life_start(&life);
        r = sd_event_loop(agent.event);
        return r < 0 ? LIFE_EXIT_FAILED : r;
}

int main(int argc, char **argv)
{
        return cli_end(&program, run(argc, argv));
}
