/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The other side of a measurement: starts one program, answers its calls in place of AWS, GitHub,
 * Lambda and the metadata service, and records when each call came.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC INT64_C(1000000000)
#define CALL_NAME_SIZE 64
#define LATENCIES_MAX 16

/* -- options (main.c) -- */

struct options {
        const char *answers; /* folder of files that are named after the calls */
        const char *log;     /* file for the program's output */
        const char *signals; /* path of a socket: a message there counts as a call */
        const char *until;   /* the call that ends the measurement */
        const char *tls;     /* PEM file: AWS and GitHub speak TLS with this certificate and key */
        long events;         /* of Lambda; the poll after the last one ends the measurement */
        int64_t latency_ns;  /* of every service but Lambda */
        struct {
                const char *name;
                int64_t ns;
        } latencies[LATENCIES_MAX]; /* of calls that take another time */
        size_t n_latencies;
        int64_t settle_ns; /* from the end until memory is read */
        int64_t quiet_ns;  /* from the end until waits are counted */
};

/* Ends the program unless GOOD, with WHAT and errno as the explanation. */
void must(bool good, const char *what);

int64_t now_ns(clockid_t clock);

/* -- calls (calls.c) -- */

struct call {
        char name[CALL_NAME_SIZE];
        int status;
        int64_t received_ns;
        int64_t answered_ns; /* 0: never */
        int64_t cpu_ns;      /* the program's processor time when the call came */
};

struct answer {
        char name[CALL_NAME_SIZE];
        const char *body;
        size_t size;
};

/* Reads all answers into memory. */
void calls_load(const char *folder);

/* Records the call NAME, or for NULL the one that REQUEST makes (all of it, then a NUL). */
struct call *calls_add(const char *name, const char *request, clockid_t cpu);

bool call_is(const struct call *call, const char *name);

/* Lambda's calls have no latency. */
bool call_is_lambda(const struct call *call);

/* The answer in the file that is named after the call, or an empty one. */
const struct answer *call_answer(const struct call *call);

void calls_print(int64_t begun_ns);

/* -- the program that is measured (child.c) -- */

struct child {
        int pid;
        int fd; /* readable when it has ended */
        clockid_t cpu;
        int64_t begun_ns;
        long waits; /* that are not counted */
};

void child_start(struct child *child, const char *log, char *command[]);
/* Collects a program that has ended by itself. */
void child_print_end(struct child *child);
/* From now on, how often it waits is counted. */
void child_count_waits(struct child *child);
void child_print_memory(const struct child *child);
void child_kill(struct child *child);

/* -- its calls (serve.c) -- */

/* Opens the servers, and sets the environment variables that point the program to them. */
void serve_open(const struct options *options);

/* Answers calls until the measurement is over or CHILD has ended (then its pid is 0). */
void serve(const struct options *options, struct child *child);
