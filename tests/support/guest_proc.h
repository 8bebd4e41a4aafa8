/*
 * guest_proc.h - talk to a guest: the simulated one as a child process, or one at the other end of a descriptor
 *
 * Both speak the same lines: `ready key=value...` once per boot, then one `ok key=value...` or `error reason` for each
 * command. Every wait has a limit and waits for the answer, never for a time.
 */
#ifndef GUEST_PROC_H
#define GUEST_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GUEST_PROC_TIMEOUT_MS 120000

/* What a guest says of itself. A key it does not send leaves its field zero. */
struct guest_facts {
        char ram[4096];
        char machine[16];
        uint64_t ram_size;
        uint32_t build;
        uint64_t kcr3;
        uint64_t kernel;
        uint32_t pid; /* of the producer; 0: none */
        uint64_t cr3;
        uint64_t region;
        uint64_t region_bytes;
        uint32_t width, height, fps;
        char format[16];
        uint32_t run_epoch;
        uint32_t boot_id;
        char state[16];
        uint64_t frames;
};

struct guest_proc {
        pid_t pid;   /* 0: not a child of ours */
        int in, out; /* we write to @in and read from @out; may be the same descriptor */
        char buffer[16384];
        size_t len;
        char line[8192];          /* the last line that was read */
        struct guest_facts facts; /* the newest known */
};

#define GUEST_PROC_NULL                                                                            \
        {                                                                                          \
                .in = -1, .out = -1                                                                \
        }

/**
 * guest_proc_spawn() - start the simulated guest and wait until it is ready
 * @g: GUEST_PROC_NULL
 * @args: its arguments, without the program's name, NULL-terminated, at most 62
 *
 * The program is the one of this build, or what VGPU_GUEST in the environment names.
 *
 * Return: 0; -EPROTO when it ended before it was ready, -ETIMEDOUT, another negative errno. guest_proc_stop() is right in
 * every case.
 */
int guest_proc_spawn(struct guest_proc *g, const char *const args[]);

/**
 * guest_proc_attach() - speak over descriptors that are already connected
 * @g: GUEST_PROC_NULL
 * @in: owned by @g from now on
 * @out: likewise; may equal @in
 */
void guest_proc_attach(struct guest_proc *g, int in, int out);

/* Wait for a `ready` line, skipping others (a console's noise before it). Return: as guest_proc_spawn(). */
int guest_proc_wait_ready(struct guest_proc *g);

/**
 * guest_proc_command() - send a line and wait for its answer
 * @command: without its end of line
 *
 * Return: 0 with g->facts renewed, -EREMOTEIO when the guest answered `error` (g->line holds the answer), -ETIMEDOUT, -EPROTO
 * when it is gone, another negative errno.
 */
int guest_proc_command(struct guest_proc *g, const char *command);

/**
 * guest_proc_stop() - end it
 *
 * Asks a child to quit by closing its input and waits; one that does not is killed.
 *
 * Return: the child's exit status, 128 + signal when one ended it, -1 when there was no child.
 */
int guest_proc_stop(struct guest_proc *g);

/* The keys of an answer into @facts; fields without a key in @line keep their values. */
void guest_facts_parse(struct guest_facts *facts, const char *line);

#endif /* GUEST_PROC_H */
