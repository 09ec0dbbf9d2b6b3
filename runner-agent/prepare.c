/* SPDX-License-Identifier: MIT */

/*
 * Each of these is done once in a process, at its first use; and what is read for it comes from a
 * volume that EC2 fills from a snapshot block by block, so that the first look at each costs
 * milliseconds. The agent starts before the network: all of it is there when the network is.
 */

#include "prepare.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "rehearse.h"

/* Of this machine itself, where nobody listens ("discard"). */
#define NOBODY "https://localhost:9/"

/* The linker's: where this program's code begins and ends. */
extern const char __executable_start;
extern const char etext;

static void load_code(void)
{
#ifdef MADV_POPULATE_READ /* Linux 5.14 */
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        uintptr_t begin = (uintptr_t)&__executable_start & ~(page - 1);

        madvise((void *)begin, (uintptr_t)&etext - begin, MADV_POPULATE_READ);
#endif
}

/* Where it cannot be read, its start says why. */
static void load_runner(const char *program)
{
        int fd = open(program, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return;
        posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
        close(fd);
}

static void on_nobody(struct http_call *call, void *userdata)
{
        struct agent *agent = userdata;

        (void)call;
        agent_call_drop(agent, &agent->prepare.call);
}

void prepare_start(struct agent *agent)
{
        struct http_call *question;
        struct err err;

        load_code();
        load_runner(agent->settings.command[0]);
        tzset(); /* asked for by every function that knows dates */
        http_tls_prepare();
        if (rehearse(NOBODY, &question, &err) < 0) {
                log_debug(agent_log(agent), "not rehearsed", LOG_TEXT("error", err.text));
                return;
        }
        /* libcurl's thread for names, the files that say where names are, and a connection. */
        agent_call(agent, &agent->prepare.call, question, on_nobody);
}

void prepare_release(struct agent *agent)
{
        agent_call_drop(agent, &agent->prepare.call);
}
