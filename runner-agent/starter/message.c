/* SPDX-License-Identifier: MIT */

/*
 * A request is a header followed by strings, each with its NUL: the folder, the arguments, the
 * variables.
 */

#include "message.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#define MAGIC UINT32_C(0x314c4152) /* "RAL1" */

struct header {
        uint32_t magic;
        uint32_t n_arguments;
        uint32_t n_variables;
};

/* -- what is allowed -- */

static bool is_variable(const char *text)
{
        const char *sign = strchr(text, '=');

        return sign && sign > text;
}

static int check_counts(const struct header *header, int code, struct err *err)
{
        if (header->n_arguments < 1 || header->n_arguments > STARTER_ARGUMENTS_MAX)
                return err_set(err, code, "%lu arguments: 1 to %d are allowed",
                        (unsigned long)header->n_arguments, STARTER_ARGUMENTS_MAX);
        if (header->n_variables > STARTER_VARIABLES_MAX)
                return err_set(err, code, "%lu environment variables: at most %d are allowed",
                        (unsigned long)header->n_variables, STARTER_VARIABLES_MAX);
        return 0;
}

static int check_strings(const struct starter_request *request, int code, struct err *err)
{
        if (request->directory[0] != '/')
                return err_set(err, code, "the program's folder is no absolute path");
        if (request->arguments[0][0] != '/')
                return err_set(err, code, "the program is no absolute path");
        for (size_t i = 0; request->variables[i]; i++)
                if (!is_variable(request->variables[i]))
                        return err_set(err, code, "environment variable %zu is not NAME=VALUE", i);
        return 0;
}

/* -- requests -- */

static size_t count(char *const *strings)
{
        size_t n = 0;

        while (strings[n])
                n++;
        return n;
}

static void add_strings(struct buf *packet, char *const *strings)
{
        for (size_t i = 0; strings[i]; i++)
                buf_add(packet, strings[i], strlen(strings[i]) + 1);
}

int starter_request_print(const char *directory, char *const *arguments, char *const *variables,
        struct buf *packet, struct err *err)
{
        struct starter_request checked;
        struct header header = {
                .magic = MAGIC,
                .n_arguments = (uint32_t)count(arguments),
                .n_variables = (uint32_t)count(variables),
        };
        int r = check_counts(&header, -E2BIG, err);

        if (r < 0)
                return r;
        buf_add(packet, &header, sizeof(header));
        buf_add(packet, directory, strlen(directory) + 1);
        add_strings(packet, arguments);
        add_strings(packet, variables);
        if (packet->overflow || packet->size > STARTER_REQUEST_MAX)
                return err_set(err, -E2BIG,
                        "arguments and environment together are larger than %lu KiB",
                        STARTER_REQUEST_MAX / 1024);
        r = starter_request_parse(packet->data, packet->size, &checked, err);
        return r < 0 ? -EINVAL : 0;
}

/* Takes the next of the strings that are left, or returns NULL. */
static const char *take(const char **rest, size_t *left)
{
        const char *text = *rest;
        const char *end = memchr(text, '\0', *left);

        if (!end)
                return NULL;
        *left -= (size_t)(end + 1 - text);
        *rest = end + 1;
        return text;
}

static bool take_all(const char **rest, size_t *left, const char **ret, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                ret[i] = take(rest, left);
                if (!ret[i])
                        return false;
        }
        ret[n] = NULL;
        return true;
}

int starter_request_parse(
        const char *bytes, size_t size, struct starter_request *ret, struct err *err)
{
        struct starter_request request;
        struct header header;
        const char *rest;
        size_t left;
        int r;

        if (size < sizeof(header))
                return err_set(err, -EBADMSG, "the request is cut off: it has %zu bytes", size);
        memcpy(&header, bytes, sizeof(header));
        rest = bytes + sizeof(header);
        left = size - sizeof(header);
        if (header.magic != MAGIC)
                return err_set(err, -EBADMSG, "the request is of another version");
        r = check_counts(&header, -EBADMSG, err);
        if (r < 0)
                return r;
        request.directory = take(&rest, &left);
        if (!request.directory || !take_all(&rest, &left, request.arguments, header.n_arguments) ||
                !take_all(&rest, &left, request.variables, header.n_variables))
                return err_set(err, -EBADMSG, "the request is cut off");
        if (left > 0)
                return err_set(err, -EBADMSG, "the request has %zu bytes too many", left);
        r = check_strings(&request, -EBADMSG, err);
        if (r < 0)
                return r;
        *ret = request;
        return 0;
}

/* -- signals and answers -- */

int starter_signal_parse(const char *bytes, size_t size, int *ret_number)
{
        struct starter_signal message;

        if (size != sizeof(message))
                return -EBADMSG;
        memcpy(&message, bytes, sizeof(message));
        if (message.number != STARTER_ASK_WORKER && message.number != SIGINT &&
                message.number != SIGTERM && message.number != SIGKILL)
                return -EBADMSG;
        *ret_number = (int)message.number;
        return 0;
}

int starter_answer_parse(
        const char *bytes, size_t size, struct starter_answer *ret, struct err *err)
{
        static const int32_t most[STARTER_EVENTS] = {
                [STARTER_STARTED] = INT32_MAX,
                [STARTER_EXITED] = 255,
                [STARTER_KILLED] = NSIG - 1,
                [STARTER_WORKER] = 1,
        };
        struct starter_answer answer;

        if (size != sizeof(answer))
                return err_set(err, -EBADMSG, "the answer has a wrong size: %zu bytes", size);
        memcpy(&answer, bytes, sizeof(answer));
        if (answer.event >= STARTER_EVENTS || answer.value < 0 ||
                answer.value > most[answer.event] ||
                !memchr(answer.text, '\0', sizeof(answer.text)))
                return err_set(err, -EBADMSG, "the answer is of another version, or garbled");
        *ret = answer;
        return 0;
}
