/* SPDX-License-Identifier: MIT */

/*
 * See server.h.
 */

#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "unit.h"

#define REQUEST_MAX 65536
#define PATIENCE_MS 5000

/* -- bytes -- */

struct connection {
        struct server *server;
        int fd;
        SSL *ssl;
        bool dropping; /* the next request gets no answer */
        char request[REQUEST_MAX + 1];
        size_t size;
};

static bool is_readable(int fd)
{
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

        return poll(&poll_fd, 1, PATIENCE_MS) == 1;
}

static int receive_some(struct connection *connection)
{
        char *to = connection->request + connection->size;
        size_t room = REQUEST_MAX - connection->size;
        int n;

        if (!(connection->ssl && SSL_pending(connection->ssl)) && !is_readable(connection->fd))
                return 0;
        n = connection->ssl ? SSL_read(connection->ssl, to, (int)room)
                            : (int)recv(connection->fd, to, room, 0);
        if (n > 0)
                connection->size += (size_t)n;
        connection->request[connection->size] = '\0';
        return n;
}

static void send_all(struct connection *connection, const char *bytes, size_t size)
{
        while (size > 0) {
                int n = connection->ssl ? SSL_write(connection->ssl, bytes, (int)size)
                                        : (int)send(connection->fd, bytes, size, MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                bytes += n;
                size -= (size_t)n;
        }
}

/* Reads one request with its body; false when the connection has ended. */
static bool receive_request(struct connection *connection)
{
        connection->size = 0;
        for (;;) {
                const char *end = connection->size ? strstr(connection->request, "\r\n\r\n") : NULL;
                const char *length =
                        end ? strcasestr(connection->request, "content-length:") : NULL;
                size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;

                if (end && (size_t)(end + 4 - connection->request) + body <= connection->size)
                        return true;
                if (receive_some(connection) <= 0)
                        return false;
        }
}

/* -- answers -- */

static void answer(struct connection *connection, int status, const char *body, size_t size)
{
        _cleanup_buf_ struct buf text = BUF_INIT(16 * 1024 * 1024);

        buf_add_format(&text, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\nX-Test: yes\r\n\r\n",
                status, size);
        buf_add(&text, body, size);
        send_all(connection, buf_string(&text), text.size);
}

static void answer_bytes(struct connection *connection, size_t size)
{
        _cleanup_free_ char *bytes = mem_alloc(size);

        memset(bytes, 'x', size);
        answer(connection, 200, bytes, size);
}

static void answer_together(struct connection *connection, unsigned n)
{
        struct server *server = connection->server;

        atomic_fetch_add(&server->waiting, 1);
        for (int ms = 0; atomic_load(&server->waiting) < n && ms < PATIENCE_MS; ms++)
                usleep(1000);
        answer(connection, atomic_load(&server->waiting) < n ? 500 : 200, "ok", 2);
}

/* Answers as the path demands; false when the connection must be closed. */
static bool serve_request(struct connection *connection)
{
        unsigned number = atomic_fetch_add(&connection->server->requests, 1);
        const char *path = strchr(connection->request, ' ');

        path = path ? path + 1 : "";
        if (connection->dropping)
                return false;
        connection->dropping = strncmp(path, "/drop ", 6) == 0;
        if (strncmp(path, "/echo ", 6) == 0)
                answer(connection, 200, connection->request, connection->size);
        else if (strncmp(path, "/bytes/", 7) == 0)
                answer_bytes(connection, strtoul(path + 7, NULL, 10));
        else if (strncmp(path, "/together/", 10) == 0)
                answer_together(connection, (unsigned)strtoul(path + 10, NULL, 10));
        else if (strncmp(path, "/busy ", 6) == 0 && number == 0)
                answer(connection, 503, "busy", 4);
        else if (strncmp(path, "/cut ", 5) == 0)
                send_all(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", 41);
        else if (strncmp(path, "/silent ", 8) == 0)
                return receive_some(connection) > 0;
        else {
                if (strncmp(path, "/early ", 7) == 0)
                        send_all(connection, "HTTP/1.1 103 Early Hints\r\nX-Test: no\r\n\r\n", 40);
                answer(connection, 200, "ok", 2);
        }
        return strncmp(path, "/close ", 7) != 0 && strncmp(path, "/cut ", 5) != 0;
}

/* -- connections -- */

static void *serve_connection(void *userdata)
{
        struct connection *connection = userdata;
        bool ready = true;

        if (connection->server->tls) {
                connection->ssl = SSL_new(connection->server->tls);
                SSL_set_fd(connection->ssl, connection->fd);
                ready = SSL_accept(connection->ssl) == 1;
        }
        while (ready && receive_request(connection) && serve_request(connection))
                ;
        SSL_free(connection->ssl);
        close(connection->fd);
        atomic_fetch_sub(&connection->server->open, 1);
        free(connection);
        return NULL;
}

static void *serve(void *userdata)
{
        struct server *server = userdata;

        for (;;) {
                int fd = accept(server->fd, NULL, NULL);
                struct connection *connection;
                pthread_t thread;

                if (fd < 0 || atomic_load(&server->ended)) {
                        if (fd >= 0)
                                close(fd);
                        return NULL;
                }
                connection = mem_alloc(sizeof(*connection));
                connection->server = server;
                connection->fd = fd;
                atomic_fetch_add(&server->connections, 1);
                atomic_fetch_add(&server->open, 1);
                if (pthread_create(&thread, NULL, serve_connection, connection) == 0)
                        pthread_detach(thread);
        }
}

/* A certificate for 127.0.0.1 that is its own authority. */
static SSL_CTX *make_tls(const char *certificate)
{
        SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *x509 = X509_new();
        X509_NAME *name = X509_get_subject_name(x509);
        X509_EXTENSION *address =
                X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
        FILE *file = fopen(certificate, "we");

        assert_non_null(file);
        X509_set_version(x509, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
        X509_gmtime_adj(X509_getm_notBefore(x509), -60);
        X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
        X509_NAME_add_entry_by_txt(
                name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
        X509_set_issuer_name(x509, name);
        X509_add_ext(x509, address, -1);
        X509_set_pubkey(x509, key);
        assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
        assert_int_equal(PEM_write_X509(file, x509), 1);
        fclose(file);
        SSL_CTX_use_certificate(tls, x509);
        SSL_CTX_use_PrivateKey(tls, key);
        X509_EXTENSION_free(address);
        X509_free(x509);
        EVP_PKEY_free(key);
        return tls;
}

struct server *server_start(const char *certificate)
{
        struct server *server = mem_alloc(sizeof(*server));
        struct sockaddr_in address = {
                .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(address);

        /* OpenSSL may write to a connection that its client has closed. */
        signal(SIGPIPE, SIG_IGN);
        server->tls = certificate ? make_tls(certificate) : NULL;
        server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(server->fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(listen(server->fd, 64), 0);
        assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
        server->port = ntohs(address.sin_port);
        assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
        return server;
}

void server_await_closed(const struct server *server)
{
        for (int ms = 0; atomic_load(&server->open) > 0 && ms < 2 * PATIENCE_MS; ms++)
                usleep(1000);
        assert_int_equal(atomic_load(&server->open), 0);
}

void server_stop(struct server *server)
{
        atomic_store(&server->ended, true);
        shutdown(server->fd, SHUT_RDWR); /* wakes accept() */
        pthread_join(server->thread, NULL);
        close(server->fd);
        server_await_closed(server);
        SSL_CTX_free(server->tls);
        free(server);
}
