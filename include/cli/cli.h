/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The command line, described once: a program's or command's table of options, operands and exit
 * codes is what reads the arguments, what --help prints, what the manual page says, and what the
 * shells complete. So none of them can disagree.
 *
 *      enum { JSON, CONFIG, N_OPTIONS };
 *      const char *values[N_OPTIONS] = {0};
 *      const char *operand = NULL;
 *      int code = cli_parse(&doctor_command, argc, argv, values, &operand);
 *
 *      if (code != CLI_GO_ON)
 *              return code;
 */

#include <stdbool.h>
#include <stdio.h>

struct cli_option {
        const char *name;     /* "config", without hyphens */
        const char *argument; /* "FILE"; NULL: it takes none */
        const char *text;     /* what it does, without a full stop */
        bool required;
};

struct cli_exit {
        int code;
        const char *text;
};

/* A word and what it means: a handler, an environment variable, a file. */
struct cli_word {
        const char *name;
        const char *text;
};

struct cli_section {
        const char *heading; /* "Handlers" */
        const struct cli_word *words;
        bool completed; /* shells offer the words as first argument */
};

struct cli {
        const char *program;              /* "scaler" */
        const char *name;                 /* "doctor"; NULL: this is the program itself */
        const char *brief;                /* one line, without a full stop */
        const char *text;                 /* paragraphs, each one line */
        const char *operand;              /* "FILE": one, which must be there; NULL: none */
        const struct cli_option *options; /* ended by one without a name; --help is added */
        const struct cli_exit *exits;     /* ended by one without a text */
        int (*main)(int argc, char *argv[]);

        /* Of programs only; NULL for commands. */
        const char *usage;                  /* lines after the name, instead of generated ones */
        const struct cli_section *sections; /* ended by one without a heading */
        const struct cli *const *commands;  /* ended by NULL; may be NULL */
        const struct cli_section *man_only; /* sections of the manual page alone; may be NULL */
        const char *man_section;            /* "1" */
        const char *see_also;               /* "runner-agent(8)" */
};

/* The arguments are good: the caller goes on. */
#define CLI_GO_ON (-1)
#define CLI_WRONG_USAGE 2

/*
 * Reads the arguments of a program or command. VALUES gets what was given for each row of the
 * options ("" for one without an argument; NULL: absent). *RET_OPERAND (may be NULL where there is
 * none) is borrowed from ARGV. Returns CLI_GO_ON, or the exit code: help was printed, or what is
 * wrong was said.
 */
int cli_parse(const struct cli *cli, int argc, char *argv[], const char **values,
        const char **ret_operand);

/* Says that the command line is wrong: FORMAT (NULL: nothing but the usage). Returns the code. */
int cli_wrong(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * What a program says about itself, where argv[1] asks for it: --help, --version, and, for its
 * installation, --man (the manual page) and --words [COMMAND] (for completion: a line of word, tab
 * and text each). Returns CLI_GO_ON, or the exit code.
 */
int cli_describe(const struct cli *program, const char *version, int argc, char *argv[]);

/* The command of that name, or NULL. */
const struct cli *cli_command(const struct cli *program, const char *name);

/* The end of main(): writes what is left for standard output, and returns CODE, or 1 when it could
 * not be written, which is said. */
int cli_end(const struct cli *cli, int code);

void cli_print_help(const struct cli *cli, FILE *file);
void cli_print_man(const struct cli *program, const char *version, FILE *file);
