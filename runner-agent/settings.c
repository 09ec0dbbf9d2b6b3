/* SPDX-License-Identifier: MIT */

/*
 * The agent's settings, which are read before anything else. A table lists them; all faults of a
 * document are reported together.
 */

#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "exchange/handover.h"
#include "starter/message.h"

#define FILE_LIMIT (64UL * 1024)
#define TEXT_LIMIT 4096
#define COMMAND_MAX 64
#define DAY_SECONDS INT64_C(86400)

enum field_type {
        FIELD_OBJECT,
        FIELD_TEXT,
        FIELD_PATH,   /* absolute */
        FIELD_PREFIX, /* of SSM parameters */
        FIELD_COMMAND,
        FIELD_NUMBER,
};

struct field {
        const char *path;
        enum field_type type;
        size_t offset;
        int64_t least;
        int64_t most;
};

#define MEMBER(name_) offsetof(struct agent_settings, name_)

static const struct field fields[] = {
        {"prefix", FIELD_PREFIX, MEMBER(prefix), 0, 0},
        {"runner", FIELD_OBJECT, 0, 0, 0},
        {"runner.command", FIELD_COMMAND, MEMBER(command), 0, 0},
        {"runner.directory", FIELD_PATH, MEMBER(directory), 0, 0},
        {"runner.path", FIELD_TEXT, MEMBER(path), 0, 0},
        {"runner.socket", FIELD_PATH, MEMBER(socket), 0, 0},
        {"identify_limit_seconds", FIELD_NUMBER, MEMBER(identify_limit_seconds), 1, 600},
        {"parameter_limit_seconds", FIELD_NUMBER, MEMBER(parameter_limit_seconds), 1, 7200},
        {"idle_limit_seconds", FIELD_NUMBER, MEMBER(idle_limit_seconds), 1, DAY_SECONDS},
        {"job_limit_seconds", FIELD_NUMBER, MEMBER(job_limit_seconds), 1, 7 * DAY_SECONDS},
        {"idle_poll_seconds", FIELD_NUMBER, MEMBER(idle_poll_seconds), 1, 300},
        {"idle_grace_seconds", FIELD_NUMBER, MEMBER(idle_grace_seconds), 1, 600},
        {"stop_grace_seconds", FIELD_NUMBER, MEMBER(stop_grace_seconds), 0, 90},
        {"spot_poll_seconds", FIELD_NUMBER, MEMBER(spot_poll_seconds), 1, 60},
};

static void free_command(char **command)
{
        for (char **word = command; word && *word; word++)
                free(*word);
        free(command);
}

void agent_settings_init(struct agent_settings *settings)
{
        char **command = mem_alloc(3 * sizeof(*command));

        command[0] = mem_string("/opt/actions-runner/bin/Runner.Listener");
        command[1] = mem_string("run");
        *settings = (struct agent_settings){
                .prefix = mem_string("/scale-agent"),
                .command = command,
                .directory = mem_string("/opt/actions-runner"),
                .path = mem_string("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                .socket = mem_string(STARTER_SOCKET),
                .identify_limit_seconds = 120,
                .parameter_limit_seconds = 4200,
                .idle_limit_seconds = 300,
                .job_limit_seconds = 21600,
                .idle_poll_seconds = 30,
                .idle_grace_seconds = 90,
                .stop_grace_seconds = 30,
                .spot_poll_seconds = 5,
        };
}

void agent_settings_release(struct agent_settings *settings)
{
        free(settings->prefix);
        free_command(settings->command);
        free(settings->directory);
        free(settings->path);
        free(settings->socket);
        *settings = (struct agent_settings){0};
}

/* -- reading one value -- */

static bool is_text(const cJSON *value)
{
        return cJSON_IsString(value) && value->valuestring[0] != '\0' &&
               strlen(value->valuestring) <= TEXT_LIMIT;
}

static bool read_text(const struct field *field, const cJSON *value, char **member)
{
        if (!is_text(value))
                return false;
        if (field->type == FIELD_PATH && value->valuestring[0] != '/')
                return false;
        if (field->type == FIELD_PREFIX && !handover_is_prefix(value->valuestring))
                return false;
        free(*member);
        *member = mem_string(value->valuestring);
        return true;
}

static bool read_command(const cJSON *value, char ***member)
{
        int count = cJSON_GetArraySize(value);
        const cJSON *word;
        char **command;
        size_t n = 0;

        if (!cJSON_IsArray(value) || count < 1 || count > COMMAND_MAX)
                return false;
        cJSON_ArrayForEach (word, value)
                if (!is_text(word))
                        return false;
        if (value->child->valuestring[0] != '/')
                return false;
        command = mem_alloc(((size_t)count + 1) * sizeof(*command));
        cJSON_ArrayForEach (word, value)
                command[n++] = mem_string(word->valuestring);
        free_command(*member);
        *member = command;
        return true;
}

static bool read_number(const struct field *field, const cJSON *parent, int64_t *member)
{
        int64_t number = json_integer(parent, field->path, field->least - 1);

        if (number < field->least || number > field->most)
                return false;
        *member = number;
        return true;
}

static bool read_value(struct agent_settings *settings, const struct field *field,
        const cJSON *document, const cJSON *value)
{
        void *member = (char *)settings + field->offset;

        switch (field->type) {
        case FIELD_OBJECT:
                return cJSON_IsObject(value);
        case FIELD_TEXT:
        case FIELD_PATH:
        case FIELD_PREFIX:
                return read_text(field, value, member);
        case FIELD_COMMAND:
                return read_command(value, member);
        case FIELD_NUMBER:
                return read_number(field, document, member);
        }
        return false;
}

/* -- faults -- */

static void add_fault(struct buf *faults, const struct field *field, const cJSON *value)
{
        static const char *const needed[] = {
                [FIELD_OBJECT] = "an object",
                [FIELD_TEXT] = "a text",
                [FIELD_PATH] = "an absolute path",
                [FIELD_PREFIX] = HANDOVER_PREFIX_NEEDED,
                [FIELD_COMMAND] = "a list of texts, an absolute path first,",
        };
        double number = cJSON_GetNumberValue(value);

        buf_add_format(faults, "%s: ", field->path);
        if (field->type == FIELD_NUMBER)
                buf_add_format(faults, "a whole number from %lld to %lld", (long long)field->least,
                        (long long)field->most);
        else
                buf_add_string(faults, needed[field->type]);
        if (cJSON_IsString(value))
                buf_add_format(faults, " is needed, found \"%.100s\"\n", value->valuestring);
        else if (cJSON_IsNumber(value))
                buf_add_format(faults, " is needed, found %.15g\n", number);
        else
                buf_add_format(faults, " is needed, found %s\n", json_type_name(value));
}

static bool is_known(const char *path)
{
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                if (strcmp(fields[i].path, path) == 0)
                        return true;
        return false;
}

static void check_names(const cJSON *object, const char *parent, struct buf *faults)
{
        const cJSON *value;

        if (!cJSON_IsObject(object))
                return;
        cJSON_ArrayForEach (value, object) {
                _cleanup_free_ char *path = mem_format("%s%.100s", parent, value->string);

                if (strchr(value->string, '.') || !is_known(path))
                        buf_add_format(faults, "%s: there is no such setting\n", path);
        }
}

int agent_settings_parse(
        const char *text, size_t size, struct agent_settings *ret, struct buf *faults)
{
        _cleanup_(agent_settings_release) struct agent_settings settings = {0};
        _cleanup_json_ cJSON *document = NULL;
        size_t before = faults->size;
        struct err err;

        if (json_parse(text, size, "the settings file", &document, &err) < 0) {
                buf_add_format(faults, "%s\n", err.text);
                return -EINVAL;
        }
        if (!cJSON_IsObject(document)) {
                buf_add_format(faults, "the settings file: an object is needed, found %s\n",
                        json_type_name(document));
                return -EINVAL;
        }
        agent_settings_init(&settings);
        check_names(document, "", faults);
        check_names(json_get(document, "runner"), "runner.", faults);
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                const cJSON *value = json_get(document, fields[i].path);

                if (value && !read_value(&settings, &fields[i], document, value))
                        add_fault(faults, &fields[i], value);
        }
        if (faults->size > before || faults->overflow)
                return -EINVAL;
        *ret = settings;
        settings = (struct agent_settings){0};
        return 0;
}

static int read_file(const char *file, struct buf *content)
{
        char piece[4096];
        ssize_t n;
        int fd = open(file, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        while ((n = read(fd, piece, sizeof(piece))) > 0 && !content->overflow)
                buf_add(content, piece, (size_t)n);
        if (n < 0)
                n = -errno;
        close(fd);
        if (content->overflow)
                return -EFBIG;
        return n < 0 ? (int)n : 0;
}

int agent_settings_load(const char *file, struct agent_settings *ret, struct buf *faults)
{
        _cleanup_buf_ struct buf content = BUF_INIT(FILE_LIMIT);
        int r = read_file(file ? file : AGENT_SETTINGS_FILE, &content);

        if (r == -ENOENT && !file) {
                agent_settings_init(ret);
                return 0;
        }
        if (r < 0) {
                buf_add_format(faults, "cannot be read: %s\n", strerror(-r));
                return r;
        }
        return agent_settings_parse(buf_string(&content), content.size, ret, faults);
}
