/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler check`: reads a configuration from a file, from standard input, or from the
 * SSM parameter of the functions, and prints every fault, one a line, as compilers do.
 */

#include "commands.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/reference.h"
#include "scaler.h"

enum {
        EXIT_VALID = 0,
        EXIT_UNREADABLE = 1,
        EXIT_FAULTS = 2,
};

enum { OPTION_JSON, OPTION_SCHEMA, N_OPTIONS };

static int read_standard_input(struct buf *text, struct err *err)
{
        int r = buf_add_file(text, stdin);

        if (r == -EFBIG)
                return err_set(err, r, "standard input is larger than %zu bytes", text->limit);
        return r < 0 ? err_set(err, r, "standard input cannot be read: %s", strerror(-r)) : 0;
}

static int read_reference(const char *reference, struct buf *text, struct err *err)
{
        _cleanup_(scaler_release) struct scaler scaler = {0};
        struct aws *aws = NULL;
        int r;

        scaler_init(&scaler);
        if (strncmp(reference, "ssm:", 4) == 0) {
                r = scaler_aws(&scaler, &aws, err);
                if (r < 0)
                        return r;
        }
        return reference_resolve(reference, aws ? scaler_http(&scaler) : NULL, 0, aws, text, err);
}

/* 0, or nonzero: positive if the document does not exist. */
static int read_document(const char *name, struct buf *text, struct err *err)
{
        _cleanup_free_ char *reference = NULL;

        if (strcmp(name, "-") == 0)
                return read_standard_input(text, err);
        if (strncmp(name, "ssm:", 4) == 0)
                return read_reference(name, text, err);
        reference = mem_format("file:%s", name);
        return read_reference(reference, text, err);
}

static void print_faults(const char *name, const struct config_faults *faults)
{
        for (size_t i = 0; i < faults->count; i++)
                printf("%s: %s%s%s\n", name, faults->items[i].path,
                        *faults->items[i].path ? ": " : "", faults->items[i].text);
        printf("%s: %zu fault%s%s\n", name, faults->count, faults->count == 1 ? "" : "s",
                faults->count == CONFIG_FAULTS_MAX ? ", and perhaps more" : "");
}

/* CONFIG is NULL if there are faults. */
static void print_json(
        const char *name, const struct config *config, const struct config_faults *faults)
{
        _cleanup_json_ cJSON *answer = cJSON_CreateObject();
        _cleanup_free_ char *text = NULL;
        cJSON *list;

        json_add_string(answer, "file", name);
        json_add_boolean(answer, "valid", config != NULL);
        if (config)
                json_add_integer(answer, "specs", (int64_t)config->n_specs);
        list = cJSON_AddArrayToObject(answer, "faults");
        for (size_t i = 0; i < faults->count; i++) {
                cJSON *fault = cJSON_CreateObject();

                json_add_string(fault, "path", faults->items[i].path);
                json_add_string(fault, "text", faults->items[i].text);
                cJSON_AddItemToArray(list, fault);
        }
        text = json_print(answer);
        (void)puts(text);
}

static int check(const char *name, const struct buf *text, bool json)
{
        _cleanup_(config_faults_release) struct config_faults faults = {0};
        _cleanup_(config_freep) struct config *config = NULL;
        int r = config_parse(buf_string(text), text->size, &config, &faults, NULL);

        if (json)
                print_json(name, config, &faults);
        else if (r < 0)
                print_faults(name, &faults);
        else
                printf("%s: valid: %zu spec%s\n", name, config->n_specs,
                        config->n_specs == 1 ? "" : "s");
        return r < 0 ? EXIT_FAULTS : EXIT_VALID;
}

static int print_schema(void)
{
        _cleanup_free_ char *schema = config_schema();

        (void)puts(schema);
        return 0;
}

static int check_main(int argc, char *argv[])
{
        _cleanup_buf_ struct buf text = BUF_INIT(REFERENCE_LIMIT);
        const char *values[N_OPTIONS] = {0};
        const char *name = NULL;
        struct err err = {0};
        int code;

        if (argc == 2 && strcmp(argv[1], "--schema") == 0) /* the one use without FILE */
                return print_schema();
        code = cli_parse(&check_command, argc, argv, values, &name);
        if (code != CLI_GO_ON)
                return code;
        if (values[OPTION_SCHEMA])
                return cli_wrong(&check_command, "--schema stands alone");
        if (read_document(name, &text, &err) != 0) {
                fprintf(stderr, "scaler check: %s\n", err.text);
                return EXIT_UNREADABLE;
        }
        return check(strcmp(name, "-") == 0 ? "standard input" : name, &text, values[OPTION_JSON]);
}

static const struct cli_option options[] = {
        [OPTION_JSON] = {"json", NULL, "print one JSON object", false},
        [OPTION_SCHEMA] = {"schema", NULL, "print the JSON Schema that editors use; takes no FILE",
                false},
        [N_OPTIONS] = {0},
};

static const struct cli_exit exits[] = {
        {EXIT_VALID, "valid"},
        {EXIT_UNREADABLE, "FILE cannot be read"},
        {EXIT_FAULTS, "faults, or wrong usage"},
        {0},
};

const struct cli check_command = {
        .program = "scaler",
        .name = "check",
        .brief = "report every fault of a configuration",
        .usage = "check FILE [--json]\ncheck --schema",
        .text = "Checks a configuration and prints every fault with its place. "
                "FILE is a path, - for standard input, or ssm:/NAME for an SSM parameter.",
        .operand = "FILE",
        .options = options,
        .exits = exits,
        .main = check_main,
};
