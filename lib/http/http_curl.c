/* SPDX-License-Identifier: MIT */

/*
 * The transport that uses libcurl's multi interface. libcurl says which sockets to watch and when
 * to call it again (CURLMOPT_SOCKETFUNCTION, CURLMOPT_TIMERFUNCTION). The sockets are in an epoll
 * descriptor, which is waited for here or in a program's own event loop. Connections stay in the
 * multi handle's cache between calls, and libcurl replaces one that turns out to be dead.
 */

#include "http/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http_attempt.h"
#include "http_tls.h"
#include "http_trust.h"

#define IDLE_HANDLES_MAX 16
/* Room for a batch of ten, and for the other services; libcurl would keep four. */
#define IDLE_CONNECTIONS_MAX 32L
#define EVENTS_AT_ONCE 32

struct curl_transport {
        struct http_transport transport;
        CURLM *multi;
        CURLSH *share; /* TLS sessions, so that the next connection to a host is resumed */
        int epoll_fd;
        int64_t timer_due_ms; /* -1: none */
        char *user_agent;
        struct http_trust trust;
        CURL *idle[IDLE_HANDLES_MAX];
        size_t n_idle;
};

/* -- what libcurl calls -- */

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *userdata, void *known)
{
        struct curl_transport *curl = userdata;
        struct epoll_event event = {.data.fd = socket};

        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                epoll_ctl(curl->epoll_fd, EPOLL_CTL_DEL, socket, NULL);
                return 0;
        }
        if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
                event.events |= EPOLLIN;
        if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
                event.events |= EPOLLOUT;
        if (epoll_ctl(curl->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) < 0)
                return -1;
        curl_multi_assign(curl->multi, socket, curl);
        return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *userdata)
{
        struct curl_transport *curl = userdata;

        (void)multi;
        curl->timer_due_ms = timeout_ms < 0 ? -1 : clock_monotonic_ms(&clock_system) + timeout_ms;
        return 0;
}

/* -- a try -- */

static CURL *take_handle(struct curl_transport *curl)
{
        return curl->n_idle > 0 ? curl->idle[--curl->n_idle] : curl_easy_init();
}

static void return_handle(struct curl_transport *curl, CURL *easy)
{
        if (curl->n_idle == IDLE_HANDLES_MAX) {
                curl_easy_cleanup(easy);
                return;
        }
        curl_easy_reset(easy);
        curl->idle[curl->n_idle++] = easy;
}

/* Frees ATTEMPT, and keeps its handle for another. */
static void drop_attempt(struct curl_transport *curl, struct attempt *attempt)
{
        CURL *easy = attempt->easy;

        attempt->call->transport_data = NULL;
        curl_multi_remove_handle(curl->multi, easy);
        attempt_free(attempt);
        return_handle(curl, easy);
}

static void set_trust(CURL *easy, struct curl_transport *curl)
{
        curl_easy_setopt(easy, CURLOPT_USERAGENT, curl->user_agent);
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        curl_easy_setopt(easy, CURLOPT_SHARE, curl->share);
        http_tls_trust(easy, &curl->trust);
}

/* Begins right away; libcurl would begin in the next dispatch, which may come late. A try that ends
 * at once is reported by that dispatch. */
static void begin(struct curl_transport *curl)
{
        int running;

        curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        curl->timer_due_ms = clock_monotonic_ms(&clock_system);
}

static void curl_start(struct http_transport *transport, struct http *http, struct http_call *call)
{
        struct curl_transport *curl = (struct curl_transport *)transport;
        CURL *easy = take_handle(curl);

        if (!easy)
                abort();
        call->transport_data = attempt_new(easy, call, http_call_try_ms(http, call));
        set_trust(easy, curl);
        if (curl_multi_add_handle(curl->multi, easy) != CURLM_OK)
                abort(); /* no memory, or a handle used twice */
        begin(curl);
}

static void curl_cancel(struct http_transport *transport, struct http_call *call)
{
        struct curl_transport *curl = (struct curl_transport *)transport;

        drop_attempt(curl, call->transport_data);
}

/* -- moving on -- */

static void end_attempt(
        struct curl_transport *curl, struct http *http, struct attempt *attempt, CURLcode code)
{
        struct http_call *call = attempt->call;
        int result = attempt_result(attempt, code, http_trust_place(&curl->trust));

        drop_attempt(curl, attempt);
        http_tried(http, call, result);
}

static void curl_dispatch(struct http_transport *transport, struct http *http)
{
        struct curl_transport *curl = (struct curl_transport *)transport;
        struct epoll_event events[EVENTS_AT_ONCE];
        struct attempt *attempt;
        CURLMsg *message;
        int running;
        int left;
        int n = epoll_wait(curl->epoll_fd, events, EVENTS_AT_ONCE, 0);

        for (int i = 0; i < n; i++) {
                int mask = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                           (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                           (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

                curl_multi_socket_action(curl->multi, events[i].data.fd, mask, &running);
        }
        if (curl->timer_due_ms >= 0 && curl->timer_due_ms <= clock_monotonic_ms(&clock_system)) {
                curl->timer_due_ms = -1;
                curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        while ((message = curl_multi_info_read(curl->multi, &left))) {
                if (message->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&attempt);
                end_attempt(curl, http, attempt, message->data.result);
        }
}

static int curl_fd(struct http_transport *transport)
{
        return ((struct curl_transport *)transport)->epoll_fd;
}

static int64_t curl_timeout_ms(struct http_transport *transport)
{
        struct curl_transport *curl = (struct curl_transport *)transport;
        int64_t left;

        if (curl->timer_due_ms < 0)
                return -1;
        left = curl->timer_due_ms - clock_monotonic_ms(&clock_system);
        return left > 0 ? left : 0;
}

static void curl_wait(struct http_transport *transport, int64_t timeout_ms)
{
        struct curl_transport *curl = (struct curl_transport *)transport;
        struct epoll_event event;

        if (timeout_ms == 0)
                return; /* the dispatch that follows looks by itself */
        epoll_wait(curl->epoll_fd, &event, 1, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
}

static void curl_free_transport(struct http_transport *transport)
{
        struct curl_transport *curl = (struct curl_transport *)transport;

        while (curl->n_idle > 0)
                curl_easy_cleanup(curl->idle[--curl->n_idle]);
        if (curl->multi)
                curl_multi_cleanup(curl->multi);
        curl_share_cleanup(curl->share);
        if (curl->epoll_fd >= 0)
                close(curl->epoll_fd);
        free(curl->user_agent);
        http_trust_release(&curl->trust);
        free(curl);
}

/* Keeps GnuTLS from initializing itself, which takes a fortieth of our start and a twelfth of our
 * memory. Distributions' libcurl is linked with it for protocols that we do not speak.
 * https://www.gnutls.org/manual/html_node/Initialization.html */
__attribute__((visibility("default"))) int _gnutls_global_init_skip(void);

int _gnutls_global_init_skip(void)
{
        return 1;
}

int http_curl_new(const char *user_agent, struct http_transport **ret_transport, struct err *err)
{
        struct curl_transport *curl = mem_alloc(sizeof(*curl));

        curl->transport = (struct http_transport){
                .start = curl_start,
                .cancel = curl_cancel,
                .fd = curl_fd,
                .timeout_ms = curl_timeout_ms,
                .dispatch = curl_dispatch,
                .wait = curl_wait,
                .free = curl_free_transport,
        };
        curl->timer_due_ms = -1;
        curl->user_agent = mem_string(user_agent);
        curl->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        http_tls_init();
        curl->multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_multi_init() : NULL;
        if (curl->epoll_fd < 0 || !curl->multi) {
                curl_free_transport(&curl->transport);
                return err_set(err, -ENOMEM, "HTTP: libcurl could not be started");
        }
        http_trust_init(&curl->trust);
        curl->share = curl_share_init();
        curl_share_setopt(curl->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
        curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX);
        curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
        curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
        *ret_transport = &curl->transport;
        return 0;
}
