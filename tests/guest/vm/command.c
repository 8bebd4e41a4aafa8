/*
 * command.c - the serial line's commands
 */
#include "command.h"

#include <stddef.h>

#include "serial.h"
#include "text.h"

#define UNMAPPED 0x00007f0000000000 /* user address space that no process has anything in */

struct command {
        const char *name;
        bool needs_producer;
        /* NULL: done, answer with the facts; else the reason it was not. */
        const char *(*run)(struct desktop *d, char *arguments);
};

static void put_fact(struct text *t, const char *name, uint64_t value)
{
        text_str(t, name);
        text_hex(t, value);
}

static void put_facts(struct text *t, const struct command_context *c)
{
        const struct desktop *d = c->desktop;
        const struct machine *m = d->machine;

        text_str(t, " machine=q35"); /* where RAM is on the host, only the host knows */
        put_fact(t, " ram_size=", c->ram_total);
        text_str(t, " build=");
        text_dec(t, m->cfg.build);
        put_fact(t, " kcr3=", m->kcr3);
        put_fact(t, " kernel=", m->kernel_base);
        text_str(t, " pid=");
        text_dec(t, m->producer ? m->producer->pid : 0);
        put_fact(t, " cr3=", m->producer ? m->producer->cr3 : 0);
        put_fact(t, " region=", m->producer ? m->region.gva : 0);
        text_str(t, " mode=");
        text_dec(t, d->mode.width);
        text_str(t, "x");
        text_dec(t, d->mode.height);
        text_str(t, "@");
        text_dec(t, d->mode.fps);
        text_str(t, " format=");
        text_str(t, format_name(d->mode.format));
        text_str(t, " run_epoch=");
        text_dec(t, d->alive ? d->producer.run_epoch : 0);
        text_str(t, " boot_id=");
        text_dec(t, m->cfg.boot_id);
        put_fact(t, " region_bytes=", m->region.bytes);
        text_str(t, " state=");
        text_str(t, !d->alive ? "dead" : d->hung ? "hung" : "running");
        text_str(t, " frames=");
        text_dec(t, d->n_frames);
        text_str(t, " millifps=");
        text_dec(t, d->measured_millifps);
}

static void print(struct text *t)
{
        text_str(t, "\n");
        serial_write(t->bytes, t->len);
}

void command_ready(const struct command_context *c)
{
        struct text t = { 0 };

        text_str(&t, "ready");
        put_facts(&t, c);
        print(&t);
}

static const char *run_status(struct desktop *d, char *arguments)
{
        (void)d;
        (void)arguments;
        return NULL;
}

static const char *run_restart(struct desktop *d, char *arguments)
{
        (void)arguments;
        desktop_kill(d);
        return desktop_start(d) ? NULL : d->machine->error;
}

static const char *run_kill(struct desktop *d, char *arguments)
{
        (void)arguments;
        desktop_kill(d);
        return NULL;
}

static const char *run_break(struct desktop *d, char *arguments)
{
        (void)arguments;
        (void)desktop_break_run(d);
        return NULL;
}

static const char *run_stop_heartbeat(struct desktop *d, char *arguments)
{
        (void)arguments;
        d->hung = true;
        return NULL;
}

static const char *run_start_heartbeat(struct desktop *d, char *arguments)
{
        (void)arguments;
        d->hung = false;
        return NULL;
}

static const char *run_mode(struct desktop *d, char *arguments)
{
        struct mode mode = d->mode;
        const char *size = text_word(&arguments);
        const char *format = text_word(&arguments);

        if (*format && !(mode.format = format_of(format)))
                return "unknown format";
        if (!mode_parse(size, &mode))
                return "usage: mode WIDTHxHEIGHT@FPS [FORMAT]";
        return desktop_set_mode(d, &mode) ? NULL : d->machine->error;
}

/* [STATE]: all pages of the newest frame; without it, each in a state of its own. */
static const char *run_trim(struct desktop *d, char *arguments)
{
        const char *name = text_word(&arguments);
        int state = 0;

        if (!*name)
                return desktop_trim(d, MACHINE_N_STATES);
        while (state < MACHINE_N_STATES && !text_equal(machine_state_names[state], name))
                state++;
        return state < MACHINE_N_STATES ? desktop_trim(d, (enum machine_state)state)
                                        : "unknown state";
}

static const char *run_cursor(struct desktop *d, char *arguments)
{
        const char *first = text_word(&arguments);
        int32_t x, y;

        if (text_equal(first, "auto")) {
                d->cursor_fixed = d->cursor_hidden = false;
                return NULL;
        }
        if (!text_integer(first, &x) || !text_integer(text_word(&arguments), &y))
                return "usage: cursor X Y | cursor auto";
        d->cursor_fixed = true;
        d->cursor_hidden = false;
        d->cursor_x = x;
        d->cursor_y = y;
        return NULL;
}

static const char *run_hide_cursor(struct desktop *d, char *arguments)
{
        (void)arguments;
        d->cursor_hidden = true;
        return NULL;
}

/* A fault on purpose, so that a test can see that faults are not silent. */
static const char *run_fault(struct desktop *d, char *arguments)
{
        (void)d;
        (void)arguments;
        *(volatile uint8_t *)UNMAPPED = 0;
        return "the fault did not happen";
}

static const char *run_hosts(struct desktop *d, char *arguments)
{
        (void)d;
        (void)arguments;
        return "this is the host's to do: QMP stop, cont, system_reset, quit";
}

static const struct command commands[] = {
        { "status", false, run_status },
        { "restart-producer", false, run_restart },
        { "kill", true, run_kill },
        { "run-epoch", true, run_break },
        { "stop-heartbeat", true, run_stop_heartbeat },
        { "start-heartbeat", true, run_start_heartbeat },
        { "mode", false, run_mode },
        { "cursor", false, run_cursor },
        { "hide-cursor", false, run_hide_cursor },
        { "trim", true, run_trim },
        { "fault", false, run_fault },
        { "pause", false, run_hosts },
        { "resume", false, run_hosts },
        { "reboot", false, run_hosts },
        { "quit", false, run_hosts },
};

static const char *run(struct desktop *d, char *line)
{
        const char *name = text_word(&line);

        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
                if (!text_equal(commands[i].name, name))
                        continue;
                if (commands[i].needs_producer && !d->alive)
                        return "there is no producer";
                return commands[i].run(d, line);
        }
        return "unknown command";
}

void command_run(const struct command_context *c, char *line)
{
        const char *why = run(c->desktop, line);
        struct text t = { 0 };

        text_str(&t, why ? "error " : "ok");
        if (why)
                text_str(&t, why);
        else
                put_facts(&t, c);
        print(&t);
}
