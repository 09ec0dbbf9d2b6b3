/* SPDX-License-Identifier: MIT */

/*
 * Prints --help: usage, purpose, options and exit codes, in lines of at most 80 characters.
 */

#include "cli/cli.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define WIDTH 79
#define LEFT 2
#define COLUMN 18

/* Wraps TEXT. The first line continues at COLUMN_NOW; the others begin with INDENT blanks. */
static void print_wrapped(FILE *file, const char *text, size_t indent, size_t column_now)
{
        size_t column = column_now;
        bool first = true;

        while (*text) {
                size_t size = strcspn(text, " ");

                if (!first && column + 1 + size > WIDTH) {
                        fprintf(file, "\n%*s", (int)indent, "");
                        column = indent;
                        first = true;
                }
                fprintf(file, "%s%.*s", first ? "" : " ", (int)size, text);
                column += size + !first;
                first = false;
                text += size;
                text += strspn(text, " ");
        }
        fputc('\n', file);
}

/* "  name          text" */
static void print_row(FILE *file, const char *name, const char *text)
{
        int written = fprintf(file, "%*s%s", LEFT, "", name);

        if (written < 0)
                return;
        if (written >= COLUMN)
                fprintf(file, "\n%*s", COLUMN, "");
        else
                fprintf(file, "%*s", COLUMN - written, "");
        print_wrapped(file, text, COLUMN, COLUMN);
}

static void print_option(FILE *file, const struct cli_option *option)
{
        _cleanup_free_ char *name = mem_format("--%s%s%s", option->name,
                option->argument ? " " : "", option->argument ? option->argument : "");

        print_row(file, name, option->text);
}

/* -- usage -- */

static void print_generated_usage(const struct cli *cli, FILE *file)
{
        _cleanup_buf_ struct buf usage = BUF_INIT(4096);

        if (cli->operand)
                buf_add_format(&usage, " %s", cli->operand);
        for (const struct cli_option *option = cli->options; option && option->name; option++)
                buf_add_format(&usage, " %s--%s%s%s%s", option->required ? "" : "[", option->name,
                        option->argument ? "=" : "", option->argument ? option->argument : "",
                        option->required ? "" : "]");
        int written = fprintf(file, "Usage: %s%s%s ", cli->program, cli->name ? " " : "",
                cli->name ? cli->name : "");

        print_wrapped(
                file, buf_string(&usage) + (usage.size > 0), (size_t)written, (size_t)written);
}

static void print_usage(const struct cli *cli, FILE *file)
{
        const char *line = cli->usage;

        if (!line) {
                print_generated_usage(cli, file);
                return;
        }
        while (*line) {
                size_t size = strcspn(line, "\n");

                fprintf(file, "%s %s %.*s\n", line == cli->usage ? "Usage:" : "      ",
                        cli->program, (int)size, line);
                line += size + (line[size] == '\n');
        }
}

/* -- the rest -- */

static void print_paragraphs(const char *text, FILE *file)
{
        while (*text) {
                size_t size = strcspn(text, "\n");
                _cleanup_free_ char *paragraph = mem_format("%.*s", (int)size, text);

                print_wrapped(file, paragraph, 0, 0);
                text += size + (text[size] == '\n');
                if (*text)
                        fputc('\n', file);
        }
}

static void print_sections(const struct cli *cli, FILE *file)
{
        for (const struct cli_section *section = cli->sections; section && section->heading;
                section++) {
                fprintf(file, "\n%s:\n", section->heading);
                for (const struct cli_word *word = section->words; word->name; word++)
                        print_row(file, word->name, word->text);
        }
        if (cli->commands)
                fputs("\nCommands:\n", file);
        for (size_t i = 0; cli->commands && cli->commands[i]; i++)
                print_row(file, cli->commands[i]->name, cli->commands[i]->brief);
}

/* "Exit status: 0 done; 1 failed." */
static void print_exits(const struct cli *cli, FILE *file)
{
        _cleanup_buf_ struct buf exits = BUF_INIT(4096);

        buf_add_string(&exits, "Exit status: ");
        for (const struct cli_exit *exit = cli->exits; exit && exit->text; exit++)
                buf_add_format(
                        &exits, "%s%d %s", exit == cli->exits ? "" : "; ", exit->code, exit->text);
        buf_add_string(&exits, ".");
        fputc('\n', file);
        print_wrapped(file, buf_string(&exits), 0, 0);
}

void cli_print_help(const struct cli *cli, FILE *file)
{
        print_usage(cli, file);
        fputc('\n', file);
        print_paragraphs(cli->text, file);
        print_sections(cli, file);
        fputc('\n', file);
        for (const struct cli_option *option = cli->options; option && option->name; option++)
                print_option(file, option);
        print_row(file, "--help", "this text");
        if (!cli->name)
                print_row(file, "--version", "print the version");
        print_exits(cli, file);
}
