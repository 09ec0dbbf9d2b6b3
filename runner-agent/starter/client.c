/* SPDX-License-Identifier: MIT */

/*
 * Sends one request, then signals; receives answers.
 */

#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "packet.h"

static void close_fd(const int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static int steal_fd(int *fd)
{
        int stolen = *fd;

        *fd = -1;
        return stolen;
}

static int connect_to(const char *path, struct err *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        _cleanup_(close_fd) int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return err_set(err, -EINVAL, "%s is too long for a socket's path", path);
        memcpy(address.sun_path, path, strlen(path));
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return err_set(
                        err, -errno, "%s: %s (is runner.socket active?)", path, strerror(errno));
        return steal_fd(&fd);
}

int starter_client_ask(const char *socket_path, const char *directory, char *const *arguments,
        char *const *variables, struct starter_client *ret, struct err *err)
{
        _cleanup_buf_ struct buf packet = BUF_INIT(STARTER_REQUEST_MAX);
        _cleanup_(close_fd) int socket = -1;
        _cleanup_(close_fd) int output = -1;
        _cleanup_(close_fd) int output_end = -1;
        int ends[2];
        int r = starter_request_print(directory, arguments, variables, &packet, err);

        if (r < 0)
                return r;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_set(err, -errno, "no pipe for the runner's output: %s", strerror(errno));
        output = ends[0];
        output_end = ends[1]; /* stays blocking: it becomes the runner's */
        if (fcntl(output, F_SETFL, O_NONBLOCK) < 0)
                return err_set(err, -errno,
                        "the runner's output cannot be read without blocking: %s", strerror(errno));
        socket = connect_to(socket_path, err);
        if (socket < 0)
                return socket;
        r = packet_send(socket, packet.data, packet.size, output_end);
        if (r < 0)
                return err_set(
                        err, r, "the request cannot be sent to %s: %s", socket_path, strerror(-r));
        ret->socket = steal_fd(&socket);
        ret->output = steal_fd(&output);
        return 0;
}

void starter_client_signal(int socket, int number)
{
        struct starter_signal message = {.number = (uint32_t)number};

        packet_send(socket, &message, sizeof(message), -1);
}

int starter_client_read(int socket, struct starter_answer *ret, struct err *err)
{
        char bytes[sizeof(*ret) + 1];
        ssize_t n = recv(socket, bytes, sizeof(bytes), 0);
        int r;

        /* A starter that closes with a signal of ours unread resets the connection. The first
         * recv() reports that; its answers come after it. */
        if (n < 0 && errno == ECONNRESET)
                n = recv(socket, bytes, sizeof(bytes), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0)
                return err_set(err, n < 0 ? -errno : -ECONNRESET,
                        "the connection to runner.service ended%s%s "
                        "(see `journalctl -u runner.service`)",
                        n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
        r = starter_answer_parse(bytes, (size_t)n, ret, err);
        return r < 0 ? r : 1;
}
