/* SPDX-License-Identifier: MIT */

/*
 * Reads a command line by its table, and answers the questions that a program is asked about
 * itself. The pages are written by cli_help.c and cli_man.c.
 */

#include "cli/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define HELP 'h'
#define FIRST_OPTION 256

static size_t count_options(const struct cli *cli)
{
        size_t count = 0;

        while (cli->options && cli->options[count].name)
                count++;
        return count;
}

static void print_name(const struct cli *cli, FILE *file)
{
        fprintf(file, "%s%s%s", cli->program, cli->name ? " " : "", cli->name ? cli->name : "");
}

int cli_wrong(const struct cli *cli, const char *format, ...)
{
        va_list arguments;

        if (format) {
                print_name(cli, stderr);
                fputs(": ", stderr);
                va_start(arguments, format);
                vfprintf(stderr, format, arguments);
                va_end(arguments);
                fputc('\n', stderr);
        }
        cli_print_help(cli, stderr);
        return CLI_WRONG_USAGE;
}

int cli_end(const struct cli *cli, int code)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return code;
        fprintf(stderr, "%s: standard output cannot be written: %m\n", cli->program);
        return 1;
}

/* -- options -- */

static struct option *make_options(const struct cli *cli, size_t count)
{
        struct option *options = mem_alloc((count + 2) * sizeof(*options));

        for (size_t i = 0; i < count; i++)
                options[i] = (struct option){
                        .name = cli->options[i].name,
                        .has_arg = cli->options[i].argument ? required_argument : no_argument,
                        .val = FIRST_OPTION + (int)i,
                };
        options[count] = (struct option){.name = "help", .val = HELP};
        return options;
}

static int read_options(const struct cli *cli, const struct option *options, int argc, char *argv[],
        const char **values)
{
        int c;

        optind = 0; /* glibc: start over */
        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (c == HELP) {
                        cli_print_help(cli, stdout);
                        return 0;
                }
                if (c < FIRST_OPTION)
                        return cli_wrong(cli, NULL); /* getopt_long() has said why */
                values[c - FIRST_OPTION] = optarg ? optarg : "";
        }
        return CLI_GO_ON;
}

static int check_operands(const struct cli *cli, int argc, char *argv[], const char **values,
        const char **ret_operand)
{
        int wanted = cli->operand ? 1 : 0;

        if (argc - optind > wanted)
                return cli_wrong(cli, "unexpected argument \"%s\"", argv[optind + wanted]);
        if (argc - optind < wanted)
                return cli_wrong(cli, "%s is missing", cli->operand);
        for (size_t i = 0; i < count_options(cli); i++)
                if (cli->options[i].required && !values[i])
                        return cli_wrong(cli, "--%s is missing", cli->options[i].name);
        if (wanted)
                *ret_operand = argv[optind];
        return CLI_GO_ON;
}

int cli_parse(const struct cli *cli, int argc, char *argv[], const char **values,
        const char **ret_operand)
{
        _cleanup_free_ struct option *options = make_options(cli, count_options(cli));
        _cleanup_free_ char *name = mem_format(
                "%s%s%s", cli->program, cli->name ? " " : "", cli->name ? cli->name : "");
        char *own = argv[0];
        int code;

        argv[0] = name; /* getopt_long() begins its messages with it */
        code = read_options(cli, options, argc, argv, values);
        argv[0] = own;
        return code == CLI_GO_ON ? check_operands(cli, argc, argv, values, ret_operand) : code;
}

/* -- a program about itself -- */

const struct cli *cli_command(const struct cli *program, const char *name)
{
        for (size_t i = 0; program->commands && program->commands[i]; i++)
                if (strcmp(program->commands[i]->name, name) == 0)
                        return program->commands[i];
        return NULL;
}

static void print_words(const struct cli *cli)
{
        for (const struct cli_section *section = cli->sections; section && section->heading;
                section++)
                for (const struct cli_word *word = section->words; section->completed && word->name;
                        word++)
                        printf("%s\t%s\n", word->name, word->text);
        for (size_t i = 0; cli->commands && cli->commands[i]; i++)
                printf("%s\t%s\n", cli->commands[i]->name, cli->commands[i]->brief);
        for (const struct cli_option *option = cli->options; option && option->name; option++)
                printf("--%s%s%s\t%s\n", option->name, option->argument ? "=" : "",
                        option->argument ? option->argument : "", option->text);
        printf("--help\tthis text\n");
        if (!cli->name)
                printf("--version\tprint the version\n");
        if (cli->operand)
                printf("%s\t\n", cli->operand);
}

int cli_describe(const struct cli *program, const char *version, int argc, char *argv[])
{
        const char *asked = argc > 1 ? argv[1] : "";
        const struct cli *about = program;

        if (argc > 2 && *argv[2] != '-' && program->commands)
                about = cli_command(program, argv[2]);
        if (strcmp(asked, "--help") == 0)
                cli_print_help(program, stdout);
        else if (strcmp(asked, "--version") == 0)
                printf("%s %s\n", program->program, version);
        else if (strcmp(asked, "--man") == 0)
                cli_print_man(program, version, stdout);
        else if (strcmp(asked, "--words") != 0)
                return CLI_GO_ON;
        else if (about)
                print_words(about);
        return 0;
}
