/* SPDX-License-Identifier: MIT */

/*
 * runner.service: waits as the runner's user, outside of the agent's sandbox, and serves one
 * connection after the other: a request, then signals for the program until that has ended.
 *
 * When the connection ends first, the program is killed with its whole process group, so that no
 * runner outlives its agent. When the program ends first, what it left in its group goes on (a
 * runner that updates itself leaves a script). When the server is told to end, it waits for the
 * program: systemd tells the agent at the same time, which stops the program.
 */

#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "message.h"
#include "packet.h"
#include "start.h"
#include "worker.h"

/* sd_listen_fds(3): the first descriptor that systemd passes. */
#define LISTEN_FD 3

/* The agent sends its request as soon as it has connected. */
#define REQUEST_LIMIT_MS 5000

struct serve {
        int listener;
        int signals; /* SIGCHLD, and those that end the server */
        bool is_ending;
        char *bytes; /* room for a request */

        /* These three are about the present connection. */
        int connection;
        pid_t pid;    /* the program, also its group; 0: none */
        bool is_gone; /* the agent has closed it */
};

/* -- answers -- */

static void answer(const struct serve *serve, enum starter_event event, int value, const char *text)
{
        struct starter_answer answer = {.event = event, .value = value};

        /* A longer text is cut. */
        snprintf(answer.text, sizeof(answer.text), "%.*s", (int)sizeof(answer.text) - 1, text);
        packet_send(serve->connection, &answer, sizeof(answer), -1);
}

static void refuse(const struct serve *serve, const struct err *err)
{
        fprintf(stderr, "starter: refused: %s\n", err->text);
        answer(serve, STARTER_FAILED, 0, err->text);
}

/* -- while the program runs -- */

static void on_packet(struct serve *serve)
{
        char bytes[sizeof(struct starter_signal) + 1];
        ssize_t n = recv(serve->connection, bytes, sizeof(bytes), 0);
        int number;

        if (n < 0 && errno == EINTR)
                return;
        if (n > 0 && starter_signal_parse(bytes, (size_t)n, &number) == 0) {
                if (number == STARTER_ASK_WORKER) {
                        answer(serve, STARTER_WORKER, worker_lives(serve->pid), "");
                        return;
                }
                kill(number == SIGKILL ? -serve->pid : serve->pid, number);
                return;
        }
        fprintf(stderr, "starter: the agent %s, the program is killed\n",
                n > 0 ? "sent what is no signal" : "has gone");
        serve->is_gone = true;
        kill(-serve->pid, SIGKILL);
}

static void on_signal(struct serve *serve)
{
        struct signalfd_siginfo info;
        int status;

        if (read(serve->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
                return;
        if (info.ssi_signo != SIGCHLD) {
                serve->is_ending = true;
                return;
        }
        if (serve->pid == 0 || waitpid(serve->pid, &status, WNOHANG) != serve->pid)
                return;
        serve->pid = 0;
        if (WIFSIGNALED(status))
                answer(serve, STARTER_KILLED, WTERMSIG(status), "");
        else
                answer(serve, STARTER_EXITED, WEXITSTATUS(status), "");
}

static void follow_program(struct serve *serve)
{
        while (serve->pid > 0) {
                struct pollfd polled[] = {
                        {.fd = serve->signals, .events = POLLIN},
                        {.fd = serve->is_gone ? -1 : serve->connection, .events = POLLIN},
                };

                if (poll(polled, 2, -1) < 0)
                        continue;
                if (polled[0].revents)
                        on_signal(serve);
                else if (polled[1].revents)
                        on_packet(serve);
        }
}

/* -- one connection -- */

static int check_peer(const struct serve *serve, struct err *err)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(serve->connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return err_set(err, -errno, "the user that asks cannot be identified: %s",
                        strerror(errno));
        if (peer.uid != 0 && peer.uid != geteuid())
                return err_set(
                        err, -EACCES, "user %u may not start programs here", (unsigned)peer.uid);
        return 0;
}

/* Receives the request; returns its size. */
static ssize_t receive(const struct serve *serve, int *ret_output, struct err *err)
{
        struct pollfd polled = {.fd = serve->connection, .events = POLLIN};
        ssize_t n;

        if (poll(&polled, 1, REQUEST_LIMIT_MS) == 0)
                return err_set(err, -ETIMEDOUT, "no request within %d s", REQUEST_LIMIT_MS / 1000);
        n = packet_receive(serve->connection, serve->bytes, STARTER_REQUEST_MAX, ret_output);
        if (n == 0)
                return err_set(err, -ECONNRESET, "the connection was closed before a request came");
        if (n == -EMSGSIZE)
                return err_set(err, -EMSGSIZE, "the request is larger than %lu KiB",
                        STARTER_REQUEST_MAX / 1024);
        if (n == -EBADMSG)
                return err_set(err, -EBADMSG,
                        "the request must carry exactly one descriptor, for the output");
        if (n < 0)
                return err_set(
                        err, (int)n, "the request cannot be received: %s", strerror((int)-n));
        return n;
}

static void start(struct serve *serve, size_t size, int output)
{
        struct starter_request request;
        struct err err;
        int r = starter_request_parse(serve->bytes, size, &request, &err);

        if (r >= 0)
                r = start_program(&request, output, &serve->pid, &err);
        if (r < 0)
                refuse(serve, &err);
        else
                answer(serve, STARTER_STARTED, serve->pid, "");
}

static void serve_connection(struct serve *serve)
{
        int output = -1;
        struct err err;
        ssize_t n = check_peer(serve, &err);

        if (n == 0)
                n = receive(serve, &output, &err);
        if (n < 0) {
                refuse(serve, &err);
                return;
        }
        start(serve, (size_t)n, output);
        explicit_bzero(serve->bytes, (size_t)n);
        close(output);
        follow_program(serve);
}

/* -- the server -- */

static int take_listener(struct err *err)
{
        const char *pid = getenv("LISTEN_PID");
        const char *n = getenv("LISTEN_FDS");
        int listens = 0;
        int type = 0;
        socklen_t size = sizeof(int);

        if (!pid || !n || strtol(pid, NULL, 10) != getpid() || strcmp(n, "1") != 0)
                return err_set(err, -ENOTCONN,
                        "systemd has passed no socket: start runner.service with runner.socket");
        if (getsockopt(LISTEN_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 ||
                getsockopt(LISTEN_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
                return err_set(err, -errno, "systemd's socket cannot be used: %s", strerror(errno));
        if (!listens || type != SOCK_SEQPACKET)
                return err_set(err, -EINVAL,
                        "the socket must be one that listens for SOCK_SEQPACKET "
                        "(ListenSequentialPacket= in runner.socket)");
        if (fcntl(LISTEN_FD, F_SETFD, FD_CLOEXEC) < 0)
                return err_set(err, -errno, "systemd's socket cannot be used: %s", strerror(errno));
        return LISTEN_FD;
}

/* Resets ignored signals, which the program would inherit: systemd's services ignore SIGPIPE. */
static void reset_signals(void)
{
        struct sigaction now;

        for (int number = 1; number < NSIG; number++)
                if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
                        signal(number, SIG_DFL);
}

static int open_signals(struct err *err)
{
        sigset_t mask;
        int fd;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return err_set(err, -errno, "signals cannot be received: %s", strerror(errno));
        fd = signalfd(-1, &mask, SFD_CLOEXEC);
        return fd < 0 ? err_set(err, -errno, "signals cannot be received: %s", strerror(errno))
                      : fd;
}

static void serve_next(struct serve *serve)
{
        struct pollfd polled[] = {
                {.fd = serve->signals, .events = POLLIN},
                {.fd = serve->listener, .events = POLLIN},
        };

        if (poll(polled, 2, -1) < 0)
                return;
        if (polled[0].revents) {
                on_signal(serve);
                return;
        }
        serve->connection = accept4(serve->listener, NULL, NULL, SOCK_CLOEXEC);
        if (serve->connection < 0)
                return; /* the client has gone again */
        serve->is_gone = false;
        serve_connection(serve);
        close(serve->connection);
}

int serve_run(void)
{
        struct serve serve = {0};
        struct err err;

        serve.listener = take_listener(&err);
        reset_signals();
        serve.signals = serve.listener < 0 ? -1 : open_signals(&err);
        if (serve.signals < 0) {
                fprintf(stderr, "starter: %s\n", err.text);
                return 1;
        }
        serve.bytes = mem_alloc(STARTER_REQUEST_MAX);
        while (!serve.is_ending)
                serve_next(&serve);
        free(serve.bytes);
        return 0;
}
