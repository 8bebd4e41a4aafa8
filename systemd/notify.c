/*
 * notify.c - see notify.h
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "systemd/notify.h"
#include "systemd/text.h"

#define STATUS_MAX 512

static char last_status[STATUS_MAX];

/* The manager waits for this word, and ends who does not say it: it has to arrive. */
static bool owes_ready;

void notify_ready(void)
{
        owes_ready = sd_notify(0, "READY=1") < 0;
}

void notify_reloading(void)
{
        struct timespec ts;

        /* Type=notify-reload wants to know which reload this is; older managers ignore the second line. */
        clock_gettime(CLOCK_MONOTONIC, &ts);
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                (uint64_t)ts.tv_sec * UINT64_C(1000000) + (uint64_t)ts.tv_nsec / 1000);
}

void notify_stopping(void)
{
        sd_notify(0, "STOPPING=1");
}

void notify_status(const char *fmt, ...)
{
        char status[STATUS_MAX];
        va_list args;

        va_start(args, fmt);
        vsnprintf(status, sizeof(status), fmt, args);
        va_end(args);
        /* A newline would begin another assignment: a guest that names its process cleverly could send READY=1. */
        text_clean(status);
        if (owes_ready)
                notify_ready();
        if (strcmp(status, last_status) != 0 && sd_notifyf(0, "STATUS=%s", status) >= 0)
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
        sd_notify(0, "WATCHDOG=1");
}
