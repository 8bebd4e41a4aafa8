/*
 * monitor.h - what QEMU says of its machine: does it run, where is its RAM, what has become of it
 *
 * Asks in turn query-status, query-migrate, query-memdev, `info mtree -f`, and for each backend its file or its address
 * in QEMU; asks again whenever an event says that an answer may have changed. What is known stays known when the monitor is
 * lost, because a lost monitor says nothing about the machine.
 */
#ifndef VGPUD_MONITOR_H
#define VGPUD_MONITOR_H

#include "mtree.h"
#include "qmp.h"

enum monitor_says {
        MONITOR_SILENT, /* nothing yet, or nobody listens there any more */
        MONITOR_RUNS,   /* virtual CPUs run, and nobody fills RAM from outside */
        MONITOR_HALTED, /* paused, not started, coming in, being restored, off: not to be read */
};

enum monitor_news {
        MONITOR_NEWS_RUNS,   /* all is known, and it runs now */
        MONITOR_NEWS_HALTED, /* it does not any more, or for another reason; view.status says how */
        MONITOR_NEWS_RESET,  /* another life of the guest begins */
        MONITOR_NEWS_OFF,    /* the guest was shut down */
        MONITOR_NEWS_LAYOUT, /* RAM is elsewhere than it was */
        MONITOR_NEWS_BACK,   /* connected, after it was lost or refused */
        MONITOR_NEWS_LOST,   /* the connection is gone; says what it said before */
        MONITOR_NEWS_REFUSED, /* nobody listens at the socket */
};

struct monitor_backend {
        char id[MTREE_NAME_MAX];
        char path[512];  /* mem-path, "": it has none */
        uint64_t gpa;    /* of its first piece */
        uint64_t offset; /* of that in the backend */
        uint64_t hva;    /* where QEMU has that, 0: not known */
        bool shared;     /* share=on: others see what the guest writes */
};

/* What one round of questions found. */
struct monitor_view {
        char status[32]; /* QEMU's own word: "running", "paused", "inmigrate"... */
        bool running;
        struct vgpu_layout layout; /* file numbers are places in backend[]; no pieces: not known */
        struct monitor_backend
                backend[VGPU_SOURCE_FILES_MAX]; /* those that are mapped, by address */
        size_t n_backends;
};

struct monitor;
typedef void (*monitor_news_fn)(struct monitor *m, enum monitor_news news);

struct monitor {
        struct qmp qmp;
        uv_timer_t again; /* a halted machine may go on without an event */
        monitor_news_fn news;
        void *ctx; /* the owner's */

        enum monitor_says says;
        bool refused;  /* the last try to connect found nobody */
        char why[160]; /* why it is not connected, "" when it is */
        struct monitor_view view;

        struct monitor_view fresh; /* being asked for */
        size_t next_backend;
        bool asking, stale; /* under way; overtaken by an event */
};

/**
 * monitor_init() - begin to look for a monitor
 * @path: of its socket; borrowed
 *
 * Return: 0 or what libuv said.
 */
int monitor_init(
        struct monitor *m, uv_loop_t *loop, const char *path, monitor_news_fn news, void *ctx);

/* As qmp_stop(). */
void monitor_stop(struct monitor *m);

/* Is there nothing from QEMU that we have not taken in? To be asked before a frame is published: see qmp_quiet(). */
bool monitor_quiet(const struct monitor *m);

#endif /* VGPUD_MONITOR_H */
