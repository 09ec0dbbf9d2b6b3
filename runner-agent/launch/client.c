/* SPDX-License-Identifier: MIT */

/*
 * One request, then waiting: for the answer, or for signals to pass on. What is secret in the
 * environment is forgotten as soon as it was sent, since a job may read what its user runs.
 */

#include "client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"
#include "packet.h"

static int fail(const char *what, const char *why)
{
        fprintf(stderr, "launch: %s: %s\n", what, why);
        return LAUNCH_EXIT_FAILED;
}

static int open_signals(void)
{
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -1;
        return signalfd(-1, &mask, SFD_CLOEXEC);
}

static int connect_to(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd;

        if (strlen(path) >= sizeof(address.sun_path)) {
                errno = ENAMETOOLONG;
                return -1;
        }
        memcpy(address.sun_path, path, strlen(path));
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -1;
        return fd;
}

static void forget_environment(void)
{
        for (char **variable = environ; *variable; variable++)
                explicit_bzero(*variable, strlen(*variable));
}

static int send_request(int socket, char **arguments, struct err *err)
{
        static const int descriptors[PACKET_DESCRIPTORS] = {STDOUT_FILENO, STDERR_FILENO};
        _cleanup_buf_ struct buf packet = BUF_INIT(LAUNCH_REQUEST_MAX);
        _cleanup_free_ char *directory = getcwd(NULL, 0);
        int r;

        if (!directory)
                return err_set(err, -errno, "this folder: %s", strerror(errno));
        r = launch_request_print(directory, arguments, environ, &packet, err);
        if (r < 0)
                return r;
        r = packet_send(socket, packet.data, packet.size, descriptors);
        if (r < 0 && r != -EPIPE) /* then there is an answer why */
                return err_set(err, r, "the request: %s", strerror(-r));
        forget_environment();
        return 0;
}

/* -- the end --------------------------------------------------------------------------------- */

/* As the program was, without a core file of this process. */
static int end_by_signal(int number)
{
        struct rlimit none = {0};
        sigset_t mask;

        setrlimit(RLIMIT_CORE, &none);
        signal(number, SIG_DFL);
        sigemptyset(&mask);
        sigaddset(&mask, number);
        sigprocmask(SIG_UNBLOCK, &mask, NULL);
        raise(number);
        return 128 + number; /* a signal that ends nobody */
}

/* A server that closes before it has read all that was sent (a signal, just now) resets the
 * connection; what it has sent itself comes after that. */
static ssize_t receive(int socket, char *bytes, size_t size)
{
        ssize_t n = recv(socket, bytes, size, 0);

        return n < 0 && errno == ECONNRESET ? recv(socket, bytes, size, 0) : n;
}

static int read_answer(int socket)
{
        struct launch_answer answer;
        char bytes[sizeof(answer) + 1];
        ssize_t n = receive(socket, bytes, sizeof(bytes));
        struct err err;

        if (n <= 0)
                return fail("the connection to runner.service ended",
                        n == 0 ? "did it crash? `journalctl -u runner.service` tells"
                               : strerror(errno));
        if (launch_answer_parse(bytes, (size_t)n, &answer, &err) < 0)
                return fail("runner.service", err.text);
        if (answer.end == LAUNCH_KILLED)
                return end_by_signal(answer.value);
        if (answer.end == LAUNCH_FAILED)
                fprintf(stderr, "launch: %s\n", answer.text);
        return answer.value;
}

/* An answer that is there already, or the connection's end, is seen by poll(). */
static void pass_on(int signals, int socket)
{
        struct signalfd_siginfo info;
        struct launch_signal message;

        if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
                return;
        message.number = info.ssi_signo;
        packet_send(socket, &message, sizeof(message), NULL);
}

static int wait_for_end(int signals, int socket)
{
        struct pollfd polled[] = {
                {.fd = socket, .events = POLLIN},
                {.fd = signals, .events = POLLIN},
        };

        for (;;) {
                if (poll(polled, 2, -1) < 0 && errno != EINTR)
                        return fail("poll", strerror(errno));
                if (polled[0].revents)
                        return read_answer(socket);
                if (polled[1].revents)
                        pass_on(signals, socket);
        }
}

int client_run(const char *socket_path, char **arguments)
{
        int signals = open_signals();
        int socket;
        struct err err;

        if (signals < 0)
                return fail("signals", strerror(errno));
        socket = connect_to(socket_path);
        if (socket < 0) {
                err_set(&err, 0, "%s (is runner.socket active, and this its user?)",
                        strerror(errno));
                return fail(socket_path, err.text);
        }
        if (send_request(socket, arguments, &err) < 0)
                return fail(arguments[0], err.text);
        return wait_for_end(signals, socket);
}
