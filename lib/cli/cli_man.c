/* SPDX-License-Identifier: MIT */

/*
 * Prints the manual page of a program and its commands, in the man macros of roff (man(7)).
 */

#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

/* Prints SIZE bytes of TEXT so that roff shows them literally. */
static void print_text(FILE *file, const char *text, size_t size)
{
        if (size > 0 && strchr(".'", *text))
                fputs("\\&", file);
        for (size_t i = 0; i < size; i++) {
                if (text[i] == '\\')
                        fputs("\\e", file);
                else if (text[i] == '-')
                        fputs("\\-", file);
                else if (text[i] == '~')
                        fputs("\\(ti", file);
                else
                        fputc(text[i], file);
        }
}

static void print_string(FILE *file, const char *text)
{
        print_text(file, text, strlen(text));
}

static void print_upper(FILE *file, const char *text)
{
        for (; *text; text++)
                fputc(toupper((unsigned char)*text), file);
}

/* TEXT as a sentence: with a capital letter and a full stop. */
static void print_line(FILE *file, const char *text)
{
        if (*text)
                fputc(toupper((unsigned char)*text++), file);
        print_string(file, text);
        fputs(".\n", file);
}

static void print_heading(FILE *file, const char *heading)
{
        fputs(".SH ", file);
        print_upper(file, heading);
        fputc('\n', file);
}

/* Paragraphs below a heading. */
static void print_paragraphs(FILE *file, const char *text)
{
        for (const char *line = text; *line;) {
                size_t size = strcspn(line, "\n");

                if (line != text)
                        fputs(".PP\n", file);
                print_text(file, line, size);
                fputc('\n', file);
                line += size + (line[size] == '\n');
        }
}

/* -- lists -- */

static void print_option(FILE *file, const struct cli_option *option)
{
        fputs(".TP\n.B \\-\\-", file);
        print_string(file, option->name);
        if (option->argument)
                fprintf(file, " \\fI%s\\fR", option->argument);
        fputc('\n', file);
        print_line(file, option->text);
}

static void print_options(FILE *file, const struct cli *cli)
{
        static const struct cli_option always[] = {
                {"help", NULL, "Print a help text", false},
                {"version", NULL, "Print the version", false},
        };

        for (const struct cli_option *option = cli->options; option && option->name; option++)
                print_option(file, option);
        print_option(file, &always[0]);
        if (!cli->name)
                print_option(file, &always[1]);
}

static void print_words(FILE *file, const struct cli_section *section)
{
        for (; section && section->heading; section++) {
                print_heading(file, section->heading);
                for (const struct cli_word *word = section->words; word->name; word++) {
                        fputs(".TP\n.B ", file);
                        print_string(file, word->name);
                        fputc('\n', file);
                        print_line(file, word->text);
                }
        }
}

static void print_exits(FILE *file, const struct cli_exit *exits)
{
        for (; exits && exits->text; exits++) {
                fprintf(file, ".TP\n.B %d\n", exits->code);
                print_line(file, exits->text);
        }
}

/* -- synopsis and commands -- */

static void print_synopsis(FILE *file, const struct cli *cli)
{
        fprintf(file, ".B %s%s%s\n", cli->program, cli->name ? " " : "",
                cli->name ? cli->name : "");
        if (cli->operand)
                fprintf(file, ".I %s\n", cli->operand);
        for (const struct cli_option *option = cli->options; option && option->name; option++) {
                fputs(option->required ? "" : "[", file);
                fputs("\\fB\\-\\-", file);
                print_string(file, option->name);
                fputs("\\fR", file);
                if (option->argument)
                        fprintf(file, " \\fI%s\\fR", option->argument);
                fputs(option->required ? "\n" : "]\n", file);
        }
}

static void print_usage(FILE *file, const struct cli *cli)
{
        for (const char *line = cli->usage; line && *line;) {
                size_t size = strcspn(line, "\n");

                if (line != cli->usage)
                        fputs(".br\n", file);
                fprintf(file, ".B %s\n", cli->program);
                print_text(file, line, size);
                fputc('\n', file);
                line += size + (line[size] == '\n');
        }
        if (!cli->usage)
                print_synopsis(file, cli);
}

static void print_command(FILE *file, const struct cli *command)
{
        fprintf(file, ".SS %s\n", command->name);
        print_line(file, command->brief);
        fputs(".PP\n", file);
        print_synopsis(file, command);
        fputs(".PP\n", file);
        print_paragraphs(file, command->text);
        print_options(file, command);
        fputs(".PP\nExit status:\n", file);
        print_exits(file, command->exits);
}

void cli_print_man(const struct cli *program, const char *version, FILE *file)
{
        fputs(".TH ", file);
        print_upper(file, program->program);
        fprintf(file, " %s \"\" \"%s %s\" \"scale\\-agent\"\n", program->man_section,
                program->program, version);
        print_heading(file, "Name");
        print_string(file, program->program);
        fputs(" \\- ", file);
        print_string(file, program->brief);
        fputc('\n', file);
        print_heading(file, "Synopsis");
        print_usage(file, program);
        print_heading(file, "Description");
        print_paragraphs(file, program->text);
        print_words(file, program->sections);
        print_heading(file, "Options");
        print_options(file, program);
        if (program->commands)
                print_heading(file, "Commands");
        for (size_t i = 0; program->commands && program->commands[i]; i++)
                print_command(file, program->commands[i]);
        print_heading(file, "Exit status");
        print_exits(file, program->exits);
        print_words(file, program->man_only);
        print_heading(file, "See also");
        print_string(file, program->see_also);
        fputc('\n', file);
}
