/* SPDX-License-Identifier: MIT */

/*
 * Handlers that wait beside each other in one thread: each runs on a stack of its own, and goes
 * back to the world whenever it waits for an answer.
 */

#include <stdlib.h>
#include <ucontext.h>

#include "world.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define SWITCH_BEGINS(saved, bottom, size) __sanitizer_start_switch_fiber(saved, bottom, size)
#define SWITCH_ENDS(saved, bottom, size) __sanitizer_finish_switch_fiber(saved, bottom, size)
#else
#define SWITCH_BEGINS(saved, bottom, size) ((void)(saved), (void)(bottom), (void)(size))
#define SWITCH_ENDS(saved, bottom, size) ((void)(saved), (void)(bottom), (void)(size))
#endif

#define STACK_SIZE ((size_t)512 * 1024)

struct fiber {
        ucontext_t own;
        ucontext_t world;
        void *saved;       /* the address sanitizer's, of this fiber */
        void *world_saved; /* and of the world */
        const void *world_stack;
        size_t world_stack_size;
        char *stack;
        void (*run)(void *userdata);
        void *userdata;
        bool ended;
};

/* makecontext() passes only integers. */
static void enter(unsigned high, unsigned low)
{
        struct fiber *fiber = (struct fiber *)(((uintptr_t)high << 32) | (uintptr_t)low);

        SWITCH_ENDS(NULL, &fiber->world_stack, &fiber->world_stack_size);
        fiber->run(fiber->userdata);
        fiber->ended = true;
        SWITCH_BEGINS(NULL, fiber->world_stack, fiber->world_stack_size);
        swapcontext(&fiber->own, &fiber->world);
}

struct fiber *fiber_new(void (*run)(void *userdata), void *userdata)
{
        struct fiber *fiber = mem_alloc(sizeof(*fiber));
        uintptr_t address = (uintptr_t)fiber;

        fiber->stack = malloc(STACK_SIZE);
        if (!fiber->stack)
                abort();
        fiber->run = run;
        fiber->userdata = userdata;
        getcontext(&fiber->own);
        fiber->own.uc_stack.ss_sp = fiber->stack;
        fiber->own.uc_stack.ss_size = STACK_SIZE;
        fiber->own.uc_link = NULL;
        makecontext(&fiber->own, (void (*)(void))enter, 2, (unsigned)(address >> 32),
                (unsigned)address);
        return fiber;
}

bool fiber_resume(struct fiber *fiber)
{
        SWITCH_BEGINS(&fiber->world_saved, fiber->stack, STACK_SIZE);
        swapcontext(&fiber->world, &fiber->own);
        SWITCH_ENDS(fiber->world_saved, NULL, NULL);
        return fiber->ended;
}

void fiber_wait(struct fiber *fiber)
{
        SWITCH_BEGINS(&fiber->saved, fiber->world_stack, fiber->world_stack_size);
        swapcontext(&fiber->own, &fiber->world);
        SWITCH_ENDS(fiber->saved, &fiber->world_stack, &fiber->world_stack_size);
}

void fiber_free(struct fiber *fiber)
{
        if (!fiber)
                return;
        free(fiber->stack);
        free(fiber);
}
