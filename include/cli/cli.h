/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A command line, described once. The table of options, operand and exit codes of a program or
 * command serves for reading its arguments, for --help, for the manual page and for completion in
 * shells, so that these cannot disagree.
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
        const struct cli_option *options; /* ended by one without a name; NULL: only --help */
        const struct cli_exit *exits;     /* ended by one without a text */
        int (*main)(int argc, char *argv[]);

        /* Only for programs; NULL for commands. */
        const char *usage; /* lines that replace the generated ones, without the name */
        const struct cli_section *sections; /* ended by one without a heading */
        const struct cli *const *commands;  /* ended by NULL; may be NULL */
        const struct cli_section *man_only; /* sections of the manual page alone; may be NULL */
        const char *man_section;            /* "1" */
        const char *see_also;               /* "runner-agent(8)" */
};

/* The arguments are right, so the caller goes on. */
#define CLI_GO_ON (-1)
#define CLI_WRONG_USAGE 2

/*
 * Reads the arguments of a program or command. VALUES has one element for each row of the options,
 * which is set to what was given ("" for an option without an argument) and otherwise left alone.
 * *RET_OPERAND (may be NULL where there is none) is borrowed from ARGV. Returns CLI_GO_ON, or the
 * exit code after it has printed help or what is wrong.
 */
int cli_parse(const struct cli *cli, int argc, char *argv[], const char **values,
        const char **ret_operand);

/* Prints what is wrong with the command line (FORMAT may be NULL), and help, to standard error.
 * Returns CLI_WRONG_USAGE. */
int cli_wrong(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Answers where argv[1] asks about the program itself: --help, --version, and two for its
 * installation: --man (the manual page) and --words [COMMAND] (for completion: lines of a word, a
 * tab and a text). Returns CLI_GO_ON, or the exit code.
 */
int cli_describe(const struct cli *program, const char *version, int argc, char *argv[]);

/* The command of that name, or NULL. */
const struct cli *cli_command(const struct cli *program, const char *name);

/* For the end of main(): flushes standard output and returns CODE; where that fails, prints why and
 * returns 1. */
int cli_end(const struct cli *cli, int code);

void cli_print_help(const struct cli *cli, FILE *file);
void cli_print_man(const struct cli *program, const char *version, FILE *file);
