/* SPDX-License-Identifier: MIT */

/*
 * HTTP/1.1 servers, each service on a port of its own, so that there are as many connections as in
 * reality. An answer is sent when its latency is over.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "peer.h"

#define CONNECTIONS_MAX 64
#define REQUEST_MAX 65536
#define ANSWER_MAX ((size_t)1024 * 1024)
#define LIMIT_NS (60 * NSEC_PER_SEC)

/* -- the services -- */

static struct {
        const char *variable;
        bool is_bare; /* "host:port" instead of a URL */
        bool may_tls;
        int fd;
} services[] = {
        {.variable = "AWS_LAMBDA_RUNTIME_API", .is_bare = true},
        {.variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"},
        {.variable = "AWS_ENDPOINT_URL_EC2", .may_tls = true},
        {.variable = "AWS_ENDPOINT_URL_SSM", .may_tls = true},
        {.variable = "AWS_ENDPOINT_URL_SQS", .may_tls = true},
        {.variable = "AWS_ENDPOINT_URL_EVENTBRIDGE", .may_tls = true},
        {.variable = "GITHUB_API_URL", .may_tls = true},
};

#define N_SERVICES (sizeof(services) / sizeof(services[0]))

/* What an epoll event is about: the index of a connection, or one of these. */
enum { SOURCE_SIGNALS = CONNECTIONS_MAX, SOURCE_CHILD, SOURCE_SERVICES };

struct connection {
        int fd; /* -1: none */
        SSL *tls;
        struct call *call; /* the call that waits for its answer, or NULL */
        int64_t due_ns;
        size_t size;
        char request[REQUEST_MAX + 1];
};

static struct connection connections[CONNECTIONS_MAX];
static SSL_CTX *tls_context;
static int signals_fd = -1;
static int epoll_fd;
static int64_t end_ns; /* 0: not known yet */

static void watch(int fd, unsigned source)
{
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};

        must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void open_service(unsigned index)
{
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const char *scheme = services[index].may_tls && tls_context ? "https://" : "http://";
        char url[64];

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        must(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
                        listen(fd, CONNECTIONS_MAX) == 0 &&
                        getsockname(fd, (struct sockaddr *)&address, &size) == 0,
                services[index].variable);
        snprintf(url, sizeof(url), "%s127.0.0.1:%d", services[index].is_bare ? "" : scheme,
                ntohs(address.sin_port));
        setenv(services[index].variable, url, 1);
        services[index].fd = fd;
        watch(fd, SOURCE_SERVICES + index);
}

static void open_signals(const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        signals_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        unlink(path);
        must(signals_fd >= 0 && bind(signals_fd, (struct sockaddr *)&address, sizeof(address)) == 0,
                path);
        watch(signals_fd, SOURCE_SIGNALS);
}

static void open_tls(const char *pem)
{
        tls_context = SSL_CTX_new(TLS_server_method());
        must(tls_context && SSL_CTX_use_certificate_chain_file(tls_context, pem) == 1 &&
                        SSL_CTX_use_PrivateKey_file(tls_context, pem, SSL_FILETYPE_PEM) == 1,
                pem);
        SSL_CTX_set_session_id_context(tls_context, (const unsigned char *)"bench", 5);
}

void serve_open(const struct options *options)
{
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                connections[i].fd = -1;
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (options->tls)
                open_tls(options->tls);
        for (unsigned i = 0; i < N_SERVICES; i++)
                open_service(i);
        if (options->signals)
                open_signals(options->signals);
}

/* -- one connection -- */

static void on_connection(unsigned service)
{
        int fd = accept4(services[service].fd, NULL, NULL, SOCK_CLOEXEC);
        unsigned i = 0;

        while (i < CONNECTIONS_MAX && connections[i].fd >= 0)
                i++;
        must(fd >= 0 && i < CONNECTIONS_MAX, "a connection");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        connections[i].fd = fd;
        if (services[service].may_tls && tls_context) {
                must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
                connections[i].tls = SSL_new(tls_context);
                SSL_set_fd(connections[i].tls, fd);
                SSL_set_accept_state(connections[i].tls);
        }
        watch(fd, i);
}

static void close_connection(struct connection *connection)
{
        SSL_free(connection->tls);
        close(connection->fd);
        connection->fd = -1;
        connection->tls = NULL;
        connection->call = NULL;
        connection->size = 0;
}

static void send_answer(struct connection *connection)
{
        static char bytes[ANSWER_MAX];
        struct call *call = connection->call;
        const struct answer *answer = call_answer(call);
        size_t size = (size_t)snprintf(bytes, sizeof(bytes),
                "HTTP/1.1 %d x\r\nContent-Length: %zu\r\nContent-Type: text/plain\r\n"
                "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
                "Lambda-Runtime-Deadline-Ms: %" PRId64 "\r\n\r\n",
                call->status, answer->size, now_ns(CLOCK_REALTIME) / 1000000 + 60000);

        must(size + answer->size <= sizeof(bytes), "the answer is too long");
        memcpy(bytes + size, answer->body, answer->size);
        size += answer->size;
        connection->call = NULL;
        connection->size = 0;
        call->answered_ns = now_ns(CLOCK_MONOTONIC);
        if (connection->tls)
                must(SSL_write(connection->tls, bytes, (int)size) == (int)size, "SSL_write");
        else
                must(write(connection->fd, bytes, size) == (ssize_t)size, "write");
}

/* Reads what has arrived; false when the connection has ended. */
static bool receive(struct connection *connection)
{
        char *to = connection->request + connection->size;
        size_t room = REQUEST_MAX - connection->size;
        ssize_t n;

        if (connection->tls) {
                n = SSL_read(connection->tls, to, (int)room);
                if (n <= 0)
                        return SSL_get_error(connection->tls, (int)n) == SSL_ERROR_WANT_READ;
        } else {
                n = recv(connection->fd, to, room, MSG_DONTWAIT);
                if (n <= 0)
                        return n < 0 && errno == EAGAIN;
        }
        connection->size += (size_t)n;
        connection->request[connection->size] = '\0';
        return !connection->tls || !SSL_has_pending(connection->tls) || receive(connection);
}

static bool is_complete(const struct connection *connection)
{
        const char *head_end = strstr(connection->request, "\r\n\r\n");
        const char *length = strcasestr(connection->request, "\r\nContent-Length:");
        size_t body = 0;

        if (connection->size == 0 || !head_end)
                return false;
        if (length && length < head_end)
                body = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
        return connection->size >= (size_t)(head_end + 4 - connection->request) + body;
}

/* The poll after the last event ends the measurement, or the call that options name. */
static void look_for_end(const struct options *options, const struct call *call)
{
        static long n_polls = 0;

        if ((call_is(call, "next") && n_polls++ == options->events) ||
                (options->until && call_is(call, options->until)))
                end_ns = call->received_ns + options->settle_ns;
}

static int64_t latency_of(const struct options *options, const struct call *call)
{
        if (call_is_lambda(call))
                return 0;
        for (size_t i = 0; i < options->n_latencies; i++)
                if (call_is(call, options->latencies[i].name))
                        return options->latencies[i].ns;
        return options->latency_ns;
}

static void on_bytes(
        struct connection *connection, const struct options *options, const struct child *child)
{
        struct call *call;

        if (!receive(connection)) {
                close_connection(connection);
                return;
        }
        if (!is_complete(connection))
                return;
        call = calls_add(NULL, connection->request, child->cpu);
        look_for_end(options, call);
        if (end_ns > 0 && call_is(call, "next"))
                return; /* The program waits for an event that never comes. */
        connection->call = call;
        connection->due_ns = call->received_ns + latency_of(options, call);
        if (connection->due_ns == call->received_ns)
                send_answer(connection);
}

/* -- the loop -- */

static void on_signal(const struct options *options, const struct child *child)
{
        char name[CALL_NAME_SIZE] = "";

        if (recv(signals_fd, name, sizeof(name) - 1, MSG_DONTWAIT) > 0)
                look_for_end(options, calls_add(name, NULL, child->cpu));
}

/* Sends the answers that are due; returns when the next one is. */
static int64_t send_due(int64_t limit_ns)
{
        int64_t next = end_ns > 0 ? end_ns : limit_ns;

        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                struct connection *connection = &connections[i];

                if (!connection->call)
                        continue;
                if (connection->due_ns <= now_ns(CLOCK_MONOTONIC))
                        send_answer(connection);
                else if (connection->due_ns < next)
                        next = connection->due_ns;
        }
        return next;
}

static void on_event(unsigned source, const struct options *options, struct child *child)
{
        if (source >= SOURCE_SERVICES)
                on_connection(source - SOURCE_SERVICES);
        else if (source == SOURCE_SIGNALS)
                on_signal(options, child);
        else if (source == SOURCE_CHILD)
                child_print_end(child);
        else
                on_bytes(&connections[source], options, child);
}

/* Begins to count waits when it is time; until then, returns when that is. */
static int64_t count_from(const struct options *options, struct child *child, int64_t now)
{
        int64_t quiet = end_ns - options->settle_ns + options->quiet_ns;

        if (options->quiet_ns == 0 || end_ns == 0 || child->waits > 0)
                return 0;
        if (now < quiet)
                return quiet;
        child_count_waits(child);
        return 0;
}

void serve(const struct options *options, struct child *child)
{
        struct epoll_event events[CONNECTIONS_MAX];

        watch(child->fd, SOURCE_CHILD);
        while (child->pid > 0) {
                int64_t next = send_due(child->begun_ns + LIMIT_NS);
                int64_t now = now_ns(CLOCK_MONOTONIC);
                int64_t quiet = count_from(options, child, now);
                int64_t until = quiet > 0 && quiet < next ? quiet : next;
                int64_t left = until > now ? until - now : 0;
                struct timespec timeout = {left / NSEC_PER_SEC, left % NSEC_PER_SEC};
                int n;

                if (end_ns > 0 && now >= end_ns)
                        return;
                must(now - child->begun_ns < LIMIT_NS, "no end in time");
                n = epoll_pwait2(epoll_fd, events, CONNECTIONS_MAX, &timeout, NULL);
                for (int i = 0; i < n; i++)
                        on_event(events[i].data.u32, options, child);
        }
}
