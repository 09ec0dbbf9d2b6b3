/* SPDX-License-Identifier: MIT */

/*
 * Exit codes of Runner.Listener (Constants.Runner.ReturnCode). An exit code does not prove that a
 * job ran: a runner that was told to end exits with 0 as well.
 */

#include "runner_exit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exchange/report.h"

/* A runner that updates itself exits first; a script of its own then replaces its files, and leaves
 * this file for whoever starts it again. */
#define UPDATE_FILE "update.finished"

/* An ephemeral runner ends with 0 when the broker no longer knows its job or its registration
 * (https://github.com/actions/runner/pull/4540, …/pull/4551). Registrations that idled for two to
 * six minutes were seen to go (https://github.com/actions/runner/issues/4726). */
#define GONE                                                                                 \
        "GitHub no longer has its job, or removed its registration (seen after 2 to 6 idle " \
        "minutes), or it was told to end"

#define UPDATING "it kept updating itself: build a new image with the current runner"

static const struct {
        int code;
        enum runner_exit_next next;
        const char *text;
} exits[] = {
        {0, RUNNER_EXIT_FINAL, GONE},
        {1, RUNNER_EXIT_FINAL, "it gave up"},
        {2, RUNNER_EXIT_RESTART, "it could not work with GitHub, several times in a row"},
        {3, RUNNER_EXIT_UPDATE, UPDATING},
        {4, RUNNER_EXIT_UPDATE, UPDATING},
        {5, RUNNER_EXIT_FINAL, "another runner already has a session with its registration"},
        {REPORT_EXIT_VERSION_REFUSED, RUNNER_EXIT_FINAL,
                "GitHub no longer accepts its version: build a new image with the current runner"},
};

enum runner_exit_next runner_exit_next(int64_t code)
{
        for (size_t i = 0; i < ARRAY_SIZE(exits); i++)
                if (exits[i].code == code)
                        return exits[i].next;
        return RUNNER_EXIT_FINAL;
}

/* The file of an earlier update does not count. The agent cannot remove it, since its sandbox lets
 * it write nowhere. */
bool runner_exit_is_updated(const char *directory, int64_t since_ms)
{
        _cleanup_free_ char *file = mem_format("%s/%s", directory, UPDATE_FILE);
        struct stat status;

        if (stat(file, &status) < 0)
                return false;
        return status.st_mtim.tv_sec * MSEC_PER_SEC + status.st_mtim.tv_nsec / 1000000 >= since_ms;
}

static const char *text_of(int64_t code)
{
        for (size_t i = 0; i < ARRAY_SIZE(exits); i++)
                if (exits[i].code == code)
                        return exits[i].text;
        return "an unknown exit code: is runner.command the runner's listener?";
}

void runner_exit_explain(
        int64_t code, int signal, bool had_job, const char *last_line, struct err *ret)
{
        const char *said = last_line[0] ? "; it said last: " : "";
        const char *name = signal ? sigabbrev_np(signal) : NULL;
        char how[64];

        if (signal)
                snprintf(how, sizeof(how), "killed by %s%s", name ? "SIG" : "a signal",
                        name ? name : "");
        else
                snprintf(how, sizeof(how), "exit code %lld", (long long)code);
        if (had_job)
                err_set(ret, 0, "the runner ended in the middle of its job (%s)%s%s", how, said,
                        last_line);
        else if (signal)
                err_set(ret, 0, "the runner ended without a job (%s)%s%s", how, said, last_line);
        else
                err_set(ret, 0, "the runner ended without a job (%s): %s%s%s", how, text_of(code),
                        said, last_line);
}
