/*
 * notify.c - see notify.h
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "systemd/notify.h"
#include "systemd/outbox.h"
#include "systemd/text.h"

#define STATUS_MAX 512

static char last_status[STATUS_MAX];

/* The manager waits for this word, and ends who does not say it. */
void notify_ready(void)
{
        outbox_owe("READY=1", -1);
}

/* May get lost, and is then a reload that the manager never knew of. The READY=1 of one before must not seem to end it. */
void notify_reloading(void)
{
        char text[64];
        struct timespec ts;

        /* Type=notify-reload wants to know which reload this is; older managers ignore the second line. */
        clock_gettime(CLOCK_MONOTONIC, &ts);
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                (uint64_t)ts.tv_sec * UINT64_C(1000000) + (uint64_t)ts.tv_nsec / 1000);
        outbox_flush();
        outbox_send(text);
}

void notify_stopping(void)
{
        outbox_send("STOPPING=1");
}

void notify_status(const char *fmt, ...)
{
        char status[STATUS_MAX], text[sizeof("STATUS=") + STATUS_MAX];
        va_list args;

        va_start(args, fmt);
        vsnprintf(status, sizeof(status), fmt, args);
        va_end(args);
        /* A newline would begin another assignment: a guest that names its process cleverly could send READY=1. */
        text_clean(status);
        outbox_flush();
        snprintf(text, sizeof(text), "STATUS=%s", status);
        if (strcmp(status, last_status) != 0 && outbox_send(text) == 0)
                memcpy(last_status, status, strlen(status) + 1);
}

uint64_t notify_watchdog_interval_ms(void)
{
        uint64_t period_us = 0;

        if (sd_watchdog_enabled(0, &period_us) <= 0)
                return 0;
        return period_us >= 2000 ? period_us / 2000 : 1;
}

void notify_alive(void)
{
        outbox_send("WATCHDOG=1");
}
