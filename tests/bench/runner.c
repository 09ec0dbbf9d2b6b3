/* SPDX-License-Identifier: MIT */

/*
 * Stands in for GitHub's runner while the agent is measured: tells the peer that it runs, prints
 * what a runner prints until its job has started, and waits.
 */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

        if (argc != 2 || fd < 0)
                return 1;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
        if (sendto(fd, "runner", strlen("runner"), 0, (struct sockaddr *)&address,
                    sizeof(address)) < 0)
                return 1;
        puts("2026-01-01 00:00:00Z: Listening for Jobs");
        puts("2026-01-01 00:00:00Z: Running job: build");
        fflush(stdout);
        pause();
        return 0;
}
