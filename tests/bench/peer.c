/* SPDX-License-Identifier: MIT */

/*
 * The other side of a measurement: starts one program, answers its calls as AWS, GitHub, Lambda and
 * the metadata service would, with a latency, and prints when each call came, in microseconds since
 * the program was forked:
 *
 *      call NAME RECEIVED ANSWERED CPU      CPU: the program's processor time so far
 *      exited STATUS AT                     only where the program ended by itself
 *      memory PEAK_KIB PRESENT_KIB
 *
 * It is C so that the peer's own time does not blur the figures. What is answered is in a folder of
 * files named as the calls; everything that is decided is decided in Python.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define REQUEST_MAX 65536
#define CALLS_MAX 100000
#define ANSWERS_MAX 64
#define NAME_SIZE 64
#define NSEC_PER_SEC INT64_C(1000000000)

struct connection {
        int fd;
        size_t size;
        int64_t due_ns; /* when the answer goes out; 0: nothing to answer */
        size_t call;
        char request[REQUEST_MAX + 1];
};

struct call {
        char name[NAME_SIZE];
        int status;
        int64_t received_ns;
        int64_t answered_ns;
        int64_t cpu_ns;
};

struct answer {
        char name[NAME_SIZE];
        char *body;
        size_t size;
};

static struct {
        /* Options. */
        const char *answers;
        const char *log;
        const char *signals;
        const char *until;
        int64_t latency_ns;
        int64_t settle_ns;
        int64_t limit_ns;
        long events;

        struct connection connections[CONNECTIONS_MAX];
        struct call calls[CALLS_MAX];
        struct answer known[ANSWERS_MAX];
        size_t n_calls;
        size_t n_known;
        int64_t begun_ns;
        int64_t end_ns; /* 0: not known yet */
        pid_t child;
        clockid_t child_clock;
        int epoll_fd;
} peer = {.limit_ns = 60 * NSEC_PER_SEC};

static void must(bool good, const char *what)
{
        if (good)
                return;
        fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
        if (peer.child > 0)
                kill(peer.child, SIGKILL);
        exit(1);
}

static int64_t now_ns(clockid_t clock)
{
        struct timespec now = {0};

        clock_gettime(clock, &now);
        return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* -- what a call is called ------------------------------------------------------------------- */

static const struct {
        const char *pattern;
        const char *name;
        int status;
} routes[] = {
        {"GET /2018-06-01/runtime/invocation/next", "next", 200},
        {"POST /2018-06-01/runtime/invocation/*/response", "response", 202},
        {"POST /2018-06-01/runtime/invocation/*/error", "error", 202},
        {"PUT /latest/api/token", "token", 200},
        {"GET /latest/dynamic/instance-identity/document", "identity", 200},
        {"GET /latest/meta-data/iam/security-credentials/", "role", 200},
        {"GET /latest/meta-data/iam/security-credentials/?*", "credentials", 200},
        {"GET /latest/meta-data/spot/instance-action", "spot", 404},
        {"POST /app/installations/*/access_tokens", "access_tokens", 201},
        {"POST /*/actions/runners/generate-jitconfig", "generate-jitconfig", 201},
        {"POST /", "aws", 200},
};

/* Copies the word after BEGINNING in TEXT. */
static void copy_word(char *name, const char *text, const char *beginning)
{
        const char *found = strcasestr(text, beginning);

        if (!found)
                return;
        found += strlen(beginning);
        snprintf(name, NAME_SIZE, "%.*s", (int)strcspn(found, "&\"\r\n "), found);
}

/* "RunInstances", "SendMessage"; for GetParameter with the last part of the parameter's name. */
static void name_aws_call(struct call *call, const char *request)
{
        char target[NAME_SIZE] = "";
        char parameter[NAME_SIZE] = "";
        const char *dot;

        copy_word(target, request, "X-Amz-Target: ");
        if (target[0] == '\0')
                copy_word(target, request, "\r\nAction=");
        dot = strchr(target, '.');
        snprintf(call->name, NAME_SIZE, "%s", dot ? dot + 1 : target);
        if (strcmp(call->name, "GetParameter") != 0)
                return;
        copy_word(parameter, request, "\"Name\":\"");
        dot = strrchr(parameter, '/');
        snprintf(call->name, NAME_SIZE, "GetParameter.%.40s", dot ? dot + 1 : parameter);
}

static void name_call(struct call *call, const char *request)
{
        char line[512];
        const char *end = strstr(request, " HTTP/1.1\r\n");

        snprintf(line, sizeof(line), "%.*s", end ? (int)(end - request) : 0, request);
        strcpy(call->name, "unknown");
        call->status = 500;
        for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
                if (fnmatch(routes[i].pattern, line, 0) != 0)
                        continue;
                snprintf(call->name, NAME_SIZE, "%s", routes[i].name);
                call->status = routes[i].status;
                break;
        }
        if (strcmp(call->name, "aws") == 0)
                name_aws_call(call, request);
}

/* -- calls ----------------------------------------------------------------------------------- */

/* Counts the call; the last "next", or the call that was waited for, ends the measurement. */
static size_t add_call(const char *name, const char *request)
{
        struct call *call = &peer.calls[peer.n_calls];
        static long n_next = 0;

        must(peer.n_calls < CALLS_MAX, "too many calls");
        call->received_ns = now_ns(CLOCK_MONOTONIC);
        call->cpu_ns = now_ns(peer.child_clock);
        if (name)
                snprintf(call->name, NAME_SIZE, "%s", name);
        else
                name_call(call, request);
        if ((strcmp(call->name, "next") == 0 && n_next++ == peer.events) ||
                (peer.until && strcmp(call->name, peer.until) == 0))
                peer.end_ns = call->received_ns + peer.settle_ns;
        return peer.n_calls++;
}

static void send_answer(struct connection *connection)
{
        struct call *call = &peer.calls[connection->call];
        char head[512];
        struct iovec parts[2] = {{.iov_base = head}};
        struct answer none = {.name = ""};
        const struct answer *answer = &none;

        for (size_t i = 0; i < peer.n_known; i++)
                if (strcmp(peer.known[i].name, call->name) == 0)
                        answer = &peer.known[i];
        parts[0].iov_len = (size_t)snprintf(head, sizeof(head),
                "HTTP/1.1 %d x\r\nContent-Length: %zu\r\nContent-Type: text/plain\r\n"
                "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n"
                "Lambda-Runtime-Deadline-Ms: %" PRId64 "\r\n\r\n",
                call->status, answer->size, now_ns(CLOCK_REALTIME) / 1000000 + 60000);
        parts[1] = (struct iovec){answer->body, answer->size};
        call->answered_ns = now_ns(CLOCK_MONOTONIC);
        must(writev(connection->fd, parts, 2) == (ssize_t)(parts[0].iov_len + answer->size),
                "an answer");
        connection->due_ns = 0;
        connection->size = 0;
}

static bool is_complete(const struct connection *connection)
{
        const char *head_end = strstr(connection->request, "\r\n\r\n");
        const char *length = strcasestr(connection->request, "\r\nContent-Length:");
        size_t body = 0;

        if (!head_end)
                return false;
        if (length && length < head_end)
                body = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
        return connection->size >= (size_t)(head_end + 4 - connection->request) + body;
}

static void on_bytes(struct connection *connection)
{
        ssize_t n = recv(connection->fd, connection->request + connection->size,
                REQUEST_MAX - connection->size, MSG_DONTWAIT);
        const struct call *call;
        bool is_lambda;

        if (n <= 0) {
                close(connection->fd);
                *connection = (struct connection){.fd = -1};
                return;
        }
        connection->size += (size_t)n;
        connection->request[connection->size] = '\0';
        if (!is_complete(connection))
                return;
        connection->call = add_call(NULL, connection->request);
        call = &peer.calls[connection->call];
        is_lambda = strcmp(call->name, "next") == 0 || strcmp(call->name, "response") == 0 ||
                    strcmp(call->name, "error") == 0;
        if (is_lambda && peer.end_ns > 0)
                return; /* the long poll after the last event */
        connection->due_ns = call->received_ns + (is_lambda ? 0 : peer.latency_ns);
        if (is_lambda || peer.latency_ns == 0)
                send_answer(connection);
}

/* -- the loop -------------------------------------------------------------------------------- */

enum source { SOURCE_LISTENER = CONNECTIONS_MAX, SOURCE_SIGNALS, SOURCE_CHILD };

static void watch(int fd, unsigned source)
{
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = source};

        must(epoll_ctl(peer.epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void on_connection(int listener)
{
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        unsigned i = 0;

        while (i < CONNECTIONS_MAX && peer.connections[i].fd >= 0)
                i++;
        must(fd >= 0 && i < CONNECTIONS_MAX, "a connection");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        peer.connections[i].fd = fd;
        watch(fd, i);
}

static void on_signal(int fd)
{
        char name[NAME_SIZE] = "";

        if (recv(fd, name, sizeof(name) - 1, MSG_DONTWAIT) > 0)
                add_call(name, NULL);
}

static void on_child_end(void)
{
        int64_t at = now_ns(CLOCK_MONOTONIC);
        int status = 0;

        waitpid(peer.child, &status, 0);
        peer.child = 0;
        peer.end_ns = at;
        printf("exited %d %" PRId64 "\n", status, (at - peer.begun_ns) / 1000);
}

/* Sends what is due; returns when the next thing is. */
static int64_t send_due(void)
{
        int64_t next = peer.end_ns > 0 ? peer.end_ns : peer.begun_ns + peer.limit_ns;

        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                struct connection *connection = &peer.connections[i];

                if (connection->due_ns == 0)
                        continue;
                if (connection->due_ns <= now_ns(CLOCK_MONOTONIC))
                        send_answer(connection);
                else if (connection->due_ns < next)
                        next = connection->due_ns;
        }
        return next;
}

static void serve(int listener, int signals)
{
        struct epoll_event events[CONNECTIONS_MAX];

        while (peer.child > 0) {
                int64_t next = send_due();
                int64_t now = now_ns(CLOCK_MONOTONIC);
                int64_t left = next > now ? next - now : 0;
                struct timespec timeout = {left / NSEC_PER_SEC, left % NSEC_PER_SEC};
                int n;

                if (peer.end_ns > 0 && now >= peer.end_ns)
                        return;
                must(now - peer.begun_ns < peer.limit_ns, "no end in time");
                n = epoll_pwait2(peer.epoll_fd, events, CONNECTIONS_MAX, &timeout, NULL);
                for (int i = 0; i < n; i++) {
                        if (events[i].data.u32 == SOURCE_LISTENER)
                                on_connection(listener);
                        else if (events[i].data.u32 == SOURCE_SIGNALS)
                                on_signal(signals);
                        else if (events[i].data.u32 == SOURCE_CHILD)
                                on_child_end();
                        else
                                on_bytes(&peer.connections[events[i].data.u32]);
                }
        }
}

/* -- before and after ------------------------------------------------------------------------ */

static void load_answer(int folder, const char *name)
{
        struct answer *answer = &peer.known[peer.n_known++];
        int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
        struct stat st = {0};

        must(fd >= 0 && fstat(fd, &st) == 0 && peer.n_known < ANSWERS_MAX, name);
        snprintf(answer->name, NAME_SIZE, "%.63s", name);
        answer->size = (size_t)st.st_size;
        answer->body = malloc(answer->size + 1);
        must(answer->body && read(fd, answer->body, answer->size) == st.st_size, name);
        close(fd);
}

static void load_answers(void)
{
        DIR *folder = opendir(peer.answers);
        struct dirent *entry;

        must(folder, peer.answers);
        while ((entry = readdir(folder)))
                if (entry->d_name[0] != '.')
                        load_answer(dirfd(folder), entry->d_name);
        closedir(folder);
}

static int listen_tcp(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char url[64];

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        must(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
                        listen(fd, CONNECTIONS_MAX) == 0 &&
                        getsockname(fd, (struct sockaddr *)&address, &size) == 0,
                "listening");
        snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(address.sin_port));
        setenv("AWS_LAMBDA_RUNTIME_API", url + strlen("http://"), 1);
        setenv("AWS_ENDPOINT_URL", url, 1);
        setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
        setenv("GITHUB_API_URL", url, 1);
        return fd;
}

static int listen_signals(void)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", peer.signals);
        unlink(peer.signals);
        must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, peer.signals);
        return fd;
}

static void start_child(char *command[])
{
        int log = open(peer.log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        must(log >= 0 && null >= 0, peer.log);
        peer.begun_ns = now_ns(CLOCK_MONOTONIC);
        peer.child = fork();
        must(peer.child >= 0, "fork");
        if (peer.child == 0) {
                dup2(null, STDIN_FILENO);
                dup2(log, STDOUT_FILENO);
                dup2(log, STDERR_FILENO);
                execv(command[0], command);
                _exit(127);
        }
        clock_getcpuclockid(peer.child, &peer.child_clock);
        watch((int)syscall(SYS_pidfd_open, peer.child, 0), SOURCE_CHILD);
}

static void print_memory(void)
{
        char path[64];
        char line[256];
        long peak = 0;
        long present = 0;
        FILE *status;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)peer.child);
        status = fopen(path, "re");
        must(status, path);
        while (fgets(line, sizeof(line), status)) {
                sscanf(line, "VmHWM: %ld", &peak);
                sscanf(line, "VmRSS: %ld", &present);
        }
        fclose(status);
        printf("memory %ld %ld\n", peak, present);
}

static void print_calls(void)
{
        for (size_t i = 0; i < peer.n_calls; i++) {
                const struct call *call = &peer.calls[i];
                int64_t answered = call->answered_ns > 0 ? call->answered_ns - peer.begun_ns : 0;

                printf("call %s %" PRId64 " %" PRId64 " %" PRId64 "\n", call->name,
                        (call->received_ns - peer.begun_ns) / 1000, answered / 1000,
                        call->cpu_ns / 1000);
        }
}

static char **parse_options(int argc, char *argv[])
{
        static const struct option table[] = {
                {"answers", required_argument, NULL, 'a'},
                {"events", required_argument, NULL, 'e'},
                {"latency-ms", required_argument, NULL, 'l'},
                {"log", required_argument, NULL, 'o'},
                {"settle-ms", required_argument, NULL, 's'},
                {"signals", required_argument, NULL, 'i'},
                {"until", required_argument, NULL, 'u'},
                {0},
        };
        int c;

        while ((c = getopt_long(argc, argv, "+", table, NULL)) != -1) {
                switch (c) {
                case 'a':
                        peer.answers = optarg;
                        break;
                case 'e':
                        peer.events = strtol(optarg, NULL, 10);
                        break;
                case 'l':
                        peer.latency_ns = strtol(optarg, NULL, 10) * 1000000;
                        break;
                case 'o':
                        peer.log = optarg;
                        break;
                case 's':
                        peer.settle_ns = strtol(optarg, NULL, 10) * 1000000;
                        break;
                case 'i':
                        peer.signals = optarg;
                        break;
                case 'u':
                        peer.until = optarg;
                        break;
                default:
                        exit(2);
                }
        }
        if (optind < argc && peer.answers && peer.log)
                return argv + optind;
        fprintf(stderr, "Usage: peer --answers DIR --log FILE [OPTIONS] -- PROGRAM [ARGUMENTS]\n");
        exit(2);
}

int main(int argc, char *argv[])
{
        char **command = parse_options(argc, argv);
        int listener;
        int signals = -1;

        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                peer.connections[i].fd = -1;
        load_answers();
        peer.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        listener = listen_tcp();
        watch(listener, SOURCE_LISTENER);
        if (peer.signals) {
                signals = listen_signals();
                watch(signals, SOURCE_SIGNALS);
        }
        start_child(command);
        serve(listener, signals);
        if (peer.child > 0) {
                print_memory();
                kill(peer.child, SIGKILL);
                waitpid(peer.child, NULL, 0);
        }
        print_calls();
        return 0;
}
