/* SPDX-License-Identifier: MIT */

/*
 * See fake_starter.h.
 */

#include "fake_starter.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

void fake_starter_init(struct fake_starter *starter, struct agent *agent)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        *starter = (struct fake_starter){.socket = -1, .output = -1};
        snprintf(starter->directory, sizeof(starter->directory), "/tmp/starter-XXXXXX");
        assert_non_null(mkdtemp(starter->directory));
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", starter->directory);
        starter->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(starter->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(starter->listener, 8), 0);
        free(agent->settings.socket);
        agent->settings.socket = strdup(address.sun_path);
        free(agent->settings.directory);
        agent->settings.directory = strdup(starter->directory);
}

void fake_starter_hang_up(struct fake_starter *starter)
{
        if (starter->socket >= 0)
                close(starter->socket);
        if (starter->output >= 0)
                close(starter->output);
        starter->socket = starter->output = -1;
}

void fake_starter_release(struct fake_starter *starter)
{
        static const char *const files[] = {"socket", "update.finished"};

        fake_starter_hang_up(starter);
        close(starter->listener);
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                char path[128];

                snprintf(path, sizeof(path), "%s/%s", starter->directory, files[i]);
                unlink(path);
        }
        rmdir(starter->directory);
}

bool fake_starter_take(struct fake_starter *starter)
{
        struct iovec bytes = {starter->request, sizeof(starter->request)};
        char control[CMSG_SPACE(sizeof(int))];
        struct msghdr message = {
                .msg_iov = &bytes,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = sizeof(control),
        };
        int socket = accept4(starter->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        ssize_t n;

        if (socket < 0)
                return false;
        fake_starter_hang_up(starter);
        starter->socket = socket;
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        assert_true(n > 0);
        starter->request_size = (size_t)n;
        assert_non_null(CMSG_FIRSTHDR(&message));
        memcpy(&starter->output, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
        return true;
}

bool fake_starter_was_given(const struct fake_starter *starter, const char *text)
{
        /* With the NUL that ends it, and without the length before it. */
        return memmem(starter->request, starter->request_size, text, strlen(text)) != NULL;
}

void fake_starter_answer(struct fake_starter *starter, int event, int value, const char *text)
{
        struct {
                uint32_t event;
                int32_t value;
                char text[480];
        } answer = {.event = (uint32_t)event, .value = value};

        snprintf(answer.text, sizeof(answer.text), "%s", text);
        assert_int_equal(
                send(starter->socket, &answer, sizeof(answer), MSG_NOSIGNAL), sizeof(answer));
}

void fake_starter_print(struct fake_starter *starter, const char *line)
{
        assert_true(dprintf(starter->output, "%s\n", line) > 0);
}

int fake_starter_signal(struct fake_starter *starter)
{
        uint32_t number;
        ssize_t n = recv(starter->socket, &number, sizeof(number), 0);

        if (n == 0)
                return -2;
        return n == sizeof(number) ? (int)number : -1;
}
