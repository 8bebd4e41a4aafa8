/*
 * pipewire.h - vgpu-bench-pipewire: a memfd video stream through a PipeWire daemon of our own
 *
 * Roles: daemon (becomes pipewire itself, in the scene's folder), source and client, which are pw_streams with mapped
 * buffers and are called in their main loops, as screen casters and their viewers are; source-rt and client-rt, which
 * are called in PipeWire's data threads (PW_STREAM_FLAG_RT_PROCESS), so that no other thread stands between queueing a
 * buffer and the client. There is no session manager: a client links itself to the source, which drives the graph.
 */
#ifndef BENCH_PIPEWIRE_H
#define BENCH_PIPEWIRE_H

#include <pipewire/pipewire.h>
#include <spa/param/video/format-utils.h>

#include "worker.h"

struct stream {
        struct bench_worker *worker;
        struct pw_main_loop *loop;
        struct pw_context *context;
        struct pw_core *core;
        struct pw_stream *stream;
        struct spa_hook listener;
        struct spa_source *timer; /* source: the frame rate */
        struct pw_proxy *link;    /* client: to the source's one port */
        uint32_t source_port;
        char source_node[16]; /* its id; "": not heard of yet */
        bool known;           /* the daemon has made our node */
        bool ready;
};

/* Connect a stream to the daemon in the scene's folder; ends the program if that fails. */
void stream_init(struct stream *s, struct bench_worker *w, enum spa_direction direction,
        const struct pw_stream_events *events);

/* Run until killed, or until the standard input of a producer ends. */
void stream_run(struct stream *s);

/* Answer the format's negotiation: what the buffers are to be. To be called on SPA_PARAM_Format. */
void stream_ask_buffers(struct stream *s);

/* The mapped pixels of @b, or NULL if it has none. */
void *stream_pixels(struct stream *s, struct pw_buffer *b);

void run_source(struct bench_worker *w);
void run_client(struct bench_worker *w);
_Noreturn void run_daemon(struct bench_worker *w);

#endif /* BENCH_PIPEWIRE_H */
