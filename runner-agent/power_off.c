/* SPDX-License-Identifier: MIT */

/*
 * Starts shutdown, and waits for its exit code.
 */

#include "power_off.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define LIMIT_MS (10 * MSEC_PER_SEC)

static void end_power_off(struct power_off *power_off, int result, const struct err *err)
{
        agent_done done = MEM_STEAL(power_off->done);

        power_off_release(power_off);
        done(power_off->userdata, result, err);
}

static int on_exit_of_shutdown(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        struct power_off *power_off = userdata;
        struct err err;

        (void)source;
        if (info->si_code == CLD_EXITED && info->si_status == 0) {
                end_power_off(power_off, 0, NULL);
                return 0;
        }
        err_set(&err, 0, "shutdown -h now ended with %s %d",
                info->si_code == CLD_EXITED ? "exit code" : "signal", info->si_status);
        end_power_off(power_off, -EIO, &err);
        return 0;
}

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct power_off *power_off = userdata;
        struct err err;

        (void)source;
        (void)usec;
        err_set(&err, -ETIMEDOUT, "shutdown -h now did not end within %lld s",
                (long long)(LIMIT_MS / MSEC_PER_SEC));
        end_power_off(power_off, -ETIMEDOUT, &err);
        return 0;
}

/* Unblocks the signals that the agent blocks for its event loop, and resets SIGPIPE. */
static int spawn_shutdown(pid_t *ret_pid)
{
        char *argv[] = {(char *)"shutdown", (char *)"-h", (char *)"now", NULL};
        posix_spawnattr_t attributes;
        sigset_t none;
        sigset_t standard;
        int r;

        sigemptyset(&none);
        sigemptyset(&standard);
        sigaddset(&standard, SIGPIPE);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &standard);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        r = posix_spawnp(ret_pid, argv[0], NULL, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
        return -r;
}

void power_off_start(struct power_off *power_off, agent_done done, void *userdata)
{
        struct agent *agent = power_off->agent;
        struct err err;
        int r = spawn_shutdown(&power_off->pid);

        power_off->done = done;
        power_off->userdata = userdata;
        if (r >= 0)
                r = sd_event_add_child(agent_event(agent), &power_off->child, power_off->pid,
                        WEXITED, on_exit_of_shutdown, power_off);
        if (r < 0) {
                err_set(&err, r, "shutdown -h now cannot be run: %s", strerror(-r));
                end_power_off(power_off, r, &err);
                return;
        }
        agent_timer(agent, &power_off->limit, LIMIT_MS, on_limit, power_off);
}

void power_off_release(struct power_off *power_off)
{
        power_off->child = sd_event_source_disable_unref(power_off->child);
        agent_timer_stop(&power_off->limit);
}
