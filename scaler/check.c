/* SPDX-License-Identifier: MIT */

/*
 * The command `scaler check`: reads a configuration from a file, from standard input, or from where
 * the functions would read it, and prints every fault, one a line, as compilers do.
 */

#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "container.h"
#include "mem.h"
#include "reference.h"

enum {
        EXIT_VALID = 0,
        EXIT_UNREADABLE = 1,
        EXIT_FAULTS = 2,
};

static const char usage[] =
        "Usage: scaler check FILE\n"
        "\n"
        "Checks a configuration and prints every fault with its place. FILE is a path, - for\n"
        "standard input, or ssm:/NAME for an SSM parameter.\n"
        "\n"
        "Exit code: 0 valid, 2 with faults, 1 when it cannot be read.\n";

static int read_standard_input(struct buf *text, struct err *err)
{
        char bytes[4096];
        size_t size;

        while ((size = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
                if (buf_add(text, bytes, size) < 0)
                        return err_set(err, -EFBIG, "standard input is larger than %zu bytes",
                                text->limit);
        return ferror(stdin) ? err_set(err, -errno, "standard input: %m") : 0;
}

static int read_reference(const char *reference, struct buf *text, struct err *err)
{
        _cleanup_(scaler_release) struct scaler scaler;
        struct aws *aws = NULL;
        int r;

        scaler_init(&scaler);
        if (strncmp(reference, "ssm:", 4) == 0) {
                r = scaler_aws(&scaler, &aws, err);
                if (r < 0)
                        return r;
        }
        return reference_resolve(reference, aws ? scaler_http(&scaler) : NULL, aws, text, err);
}

/* 0, or what reading failed with: positive where there is nothing. */
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

static int print_faults(const char *name, const struct config_faults *faults)
{
        for (size_t i = 0; i < faults->count; i++)
                printf("%s: %s%s%s\n", name, faults->items[i].path,
                        *faults->items[i].path ? ": " : "", faults->items[i].text);
        printf("%s: %zu fault%s%s\n", name, faults->count, faults->count == 1 ? "" : "s",
                faults->count == CONFIG_FAULTS_MAX ? ", and perhaps more" : "");
        return EXIT_FAULTS;
}

static int check(const char *name, const struct buf *text)
{
        _cleanup_(config_faults_release) struct config_faults faults = {0};
        _cleanup_(config_freep) struct config *config = NULL;

        if (config_parse(buf_string(text), text->size, &config, &faults, NULL) < 0)
                return print_faults(name, &faults);
        printf("%s: valid: %zu spec%s\n", name, config->n_specs, config->n_specs == 1 ? "" : "s");
        return EXIT_VALID;
}

int check_main(int argc, char *argv[])
{
        _cleanup_buf_ struct buf text = BUF_INIT(REFERENCE_LIMIT);
        struct err err = {0};
        int code;

        if (argc == 2 && strcmp(argv[1], "--help") == 0) {
                (void)fputs(usage, stdout);
                return fflush(stdout) == 0 ? EXIT_VALID : EXIT_UNREADABLE;
        }
        if (argc != 2 || (argv[1][0] == '-' && argv[1][1] != '\0')) {
                (void)fputs(usage, stderr);
                return EXIT_UNREADABLE;
        }
        if (read_document(argv[1], &text, &err) != 0) {
                fprintf(stderr, "scaler check: %s\n", err.text);
                return EXIT_UNREADABLE;
        }
        code = check(strcmp(argv[1], "-") == 0 ? "standard input" : argv[1], &text);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                perror("scaler check: standard output");
                return EXIT_UNREADABLE;
        }
        return code;
}
