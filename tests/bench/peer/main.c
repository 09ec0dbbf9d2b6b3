/* SPDX-License-Identifier: MIT */

/*
 * One measurement. Times are printed in microseconds since the fork of the program:
 *
 *      call NAME RECEIVED ANSWERED CPU
 *      exited STATUS AT                     only if the program ended by itself
 *      memory PEAK_KIB PRESENT_KIB OWN_KIB  OWN: backed by no file
 *      waits NUMBER                         how often the program has waited (--quiet-ms: since
 * then)
 *
 * The peer is written in C so that its own time hardly counts; all decisions are made in Python
 * (runs.py, figures.py).
 */

#include "peer.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct child child;

void must(bool good, const char *what)
{
        if (good)
                return;
        fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
        child_kill(&child);
        exit(1);
}

int64_t now_ns(clockid_t clock)
{
        struct timespec now = {0};

        clock_gettime(clock, &now);
        return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static const struct {
        const char *name;
        size_t offset;
} text_options[] = {
        {"answers", offsetof(struct options, answers)},
        {"log", offsetof(struct options, log)},
        {"signals", offsetof(struct options, signals)},
        {"tls", offsetof(struct options, tls)},
        {"until", offsetof(struct options, until)},
};

static bool set_text(struct options *options, const char *name, const char *value)
{
        for (size_t i = 0; i < sizeof(text_options) / sizeof(text_options[0]); i++) {
                if (strcmp(name, text_options[i].name) != 0)
                        continue;
                *(const char **)((char *)options + text_options[i].offset) = value;
                return true;
        }
        return false;
}

/* NAME=MILLISECONDS, with commas between several. */
static void set_latencies(struct options *options, char *text)
{
        char *one;

        while ((one = strsep(&text, ","))) {
                char *equals = strchr(one, '=');

                must(equals && options->n_latencies < LATENCIES_MAX, "--latency");
                *equals = '\0';
                options->latencies[options->n_latencies].name = one;
                options->latencies[options->n_latencies++].ns =
                        strtol(equals + 1, NULL, 10) * 1000000;
        }
}

static char **parse_options(int argc, char *argv[], struct options *options)
{
        static const struct option table[] = {
                {"answers", required_argument, NULL, 't'},
                {"events", required_argument, NULL, 'e'},
                {"latency", required_argument, NULL, 'c'},
                {"latency-ms", required_argument, NULL, 'l'},
                {"log", required_argument, NULL, 't'},
                {"quiet-ms", required_argument, NULL, 'q'},
                {"settle-ms", required_argument, NULL, 's'},
                {"signals", required_argument, NULL, 't'},
                {"tls", required_argument, NULL, 't'},
                {"until", required_argument, NULL, 't'},
                {0},
        };
        int index = 0;
        int c;

        while ((c = getopt_long(argc, argv, "+", table, &index)) != -1) {
                if (c == 't')
                        set_text(options, table[index].name, optarg);
                else if (c == 'e')
                        options->events = strtol(optarg, NULL, 10);
                else if (c == 'c')
                        set_latencies(options, optarg);
                else if (c == 'l')
                        options->latency_ns = strtol(optarg, NULL, 10) * 1000000;
                else if (c == 'q')
                        options->quiet_ns = strtol(optarg, NULL, 10) * 1000000;
                else if (c == 's')
                        options->settle_ns = strtol(optarg, NULL, 10) * 1000000;
                else
                        exit(2);
        }
        if (optind < argc && options->answers && options->log)
                return argv + optind;
        fprintf(stderr, "Usage: peer --answers DIR --log FILE [OPTIONS] -- PROGRAM [ARGUMENTS]\n");
        exit(2);
}

int main(int argc, char *argv[])
{
        struct options options = {0};
        char **command = parse_options(argc, argv, &options);

        calls_load(options.answers);
        serve_open(&options);
        child_start(&child, options.log, command);
        serve(&options, &child);
        if (child.pid > 0)
                child_print_memory(&child);
        child_kill(&child);
        calls_print(child.begun_ns);
        return 0;
}
