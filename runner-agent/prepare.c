/* SPDX-License-Identifier: MIT */

/*
 * Each of these is done once in a process, at its first use; and what is read for it comes from a
 * volume that EC2 fills from a snapshot block by block, so that the first look at each costs
 * milliseconds. The agent starts before the network: all of it is there when the network is.
 */

#include "prepare.h"

#include <netdb.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

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

/* nsswitch.conf and what it names, hosts, resolv.conf. */
static void find_a_name(void)
{
        struct addrinfo *found = NULL;

        if (getaddrinfo("localhost", NULL, NULL, &found) == 0)
                freeaddrinfo(found);
}

void prepare(void)
{
        load_code();
        tzset(); /* asked for by every function that knows dates */
        find_a_name();
        http_tls_prepare();
}
