/*
 * gst.c - vgpu-bench-gst: GStreamer's shmsink and shmsrc, at their best
 *
 * Roles: source, inplace (the client maps the buffer and reads in it) and copy (it copies it out). The source takes
 * its buffers from shmsink's own allocator, so that the sink passes them on without a copy, and pushes them into the sink
 * from its own thread, without an appsrc and its queue. The client takes them in shmsrc's streaming thread. Nothing
 * waits for a clock. What an application adds to that is left out in the peer's favour.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gst/gst.h>

#include "worker.h"

static GstElement *make(const struct bench_worker *w, const char *element)
{
        GstElement *e = gst_element_factory_make(element, NULL);

        if (!e)
                bench_skip(w,
                        "GStreamer has no %s here (as root: script/setup bench; it is in "
                        "gstreamer1.0-plugins-bad)",
                        element);
        return e;
}

static void play(const struct bench_worker *w, GstElement *pipeline)
{
        if (gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
                bench_fail(w, "the %s pipeline does not start", w->role);
}

/* ---- source ---------------------------------------------------------------------------------- */

struct source {
        struct bench_worker *worker;
        GstElement *pipeline;
        GstPad *pad;
        GstAllocator *allocator; /* of buffers that the clients can map */
};

static GstCaps *frame_caps(const struct bench_worker *w)
{
        return gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "BGRx", "width",
                G_TYPE_INT, (int)w->width, "height", G_TYPE_INT, (int)w->height, "framerate",
                GST_TYPE_FRACTION, (int)BENCH_FPS, 1, NULL);
}

/* A pad that pushes into the sink, with what has to precede buffers already sent. */
static GstPad *source_pad(struct bench_worker *w, GstElement *sink, GstCaps *caps)
{
        GstPad *pad = gst_pad_new("src", GST_PAD_SRC);
        GstPad *to = gst_element_get_static_pad(sink, "sink");
        GstSegment segment;

        if (gst_pad_link(pad, to) != GST_PAD_LINK_OK || !gst_pad_set_active(pad, TRUE))
                bench_fail(w, "shmsink takes no pad");
        gst_object_unref(to);
        gst_segment_init(&segment, GST_FORMAT_TIME);
        gst_pad_push_event(pad, gst_event_new_stream_start("bench"));
        gst_pad_push_event(pad, gst_event_new_caps(caps));
        gst_pad_push_event(pad, gst_event_new_segment(&segment));
        return pad;
}

/* As any element does that negotiates: ask the sink what it would like its buffers to be made of. */
static GstAllocator *sink_allocator(struct bench_worker *w, GstPad *pad, GstCaps *caps)
{
        GstQuery *query = gst_query_new_allocation(caps, TRUE);
        GstAllocator *allocator = NULL;

        if (gst_pad_peer_query(pad, query) && gst_query_get_n_allocation_params(query) > 0)
                gst_query_parse_nth_allocation_param(query, 0, &allocator, NULL);
        gst_query_unref(query);
        if (!allocator)
                bench_fail(w, "shmsink offers no allocator");
        return allocator;
}

static void source_start(struct source *s, struct bench_worker *w)
{
        GstElement *sink = make(w, "shmsink");
        GstCaps *caps = frame_caps(w);
        char path[108];

        snprintf(path, sizeof(path), "%s/shm.sock", w->dir);
        /* a page more per frame is for the allocator's alignment */
        g_object_set(sink, "socket-path", path, "shm-size",
                (guint)((w->frame_bytes + 4096) * BENCH_SLOTS), "wait-for-connection", FALSE,
                "sync", FALSE, "async", FALSE, NULL);
        s->worker = w;
        s->pipeline = gst_pipeline_new(NULL);
        gst_bin_add(GST_BIN(s->pipeline), sink);
        play(w, s->pipeline);
        s->pad = source_pad(w, sink, caps);
        s->allocator = sink_allocator(w, s->pad, caps);
        gst_caps_unref(caps);
}

static void push(struct source *s)
{
        struct bench_worker *w = s->worker;
        GstBuffer *buffer = gst_buffer_new_allocate(s->allocator, w->frame_bytes, NULL);
        GstMapInfo map;
        uint64_t now_ns;

        if (!buffer || !gst_buffer_map(buffer, &map, GST_MAP_WRITE))
                bench_fail(w, "no buffer to fill");
        bench_fill(w, map.data);
        bench_stamp(w, map.data);
        gst_buffer_unmap(buffer, &map);
        now_ns = bench_now();
        /* waits while the memory is full of buffers that some client has not given back */
        if (gst_pad_push(s->pad, buffer) != GST_FLOW_OK)
                bench_fail(w, "shmsink takes no buffer");
        bench_sample(w, now_ns, bench_now() - now_ns);
}

static void run_source(struct bench_worker *w)
{
        struct source s;
        int timer;

        source_start(&s, w);
        timer = bench_frame_timer(w);
        bench_ready(w);
        while (bench_wait_frame(w, timer))
                push(&s);
        /* removes its file in /dev/shm */
        gst_element_set_state(s.pipeline, GST_STATE_NULL);
}

/* ---- client ---------------------------------------------------------------------------------- */

struct client {
        struct bench_worker *worker;
        uint8_t *pixels; /* where a copying client copies to */
        bool ready;
};

/* In shmsrc's streaming thread. */
static void on_buffer(GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer data)
{
        struct client *c = data;
        struct bench_worker *w = c->worker;
        GstMapInfo map;

        (void)sink;
        (void)pad;
        if (!gst_buffer_map(buffer, &map, GST_MAP_READ))
                bench_fail(w, "the buffer cannot be mapped");
        if (map.size != w->frame_bytes)
                bench_fail(w, "a buffer of %zu bytes came", (size_t)map.size);
        if (c->pixels)
                memcpy(c->pixels, map.data, w->frame_bytes);
        bench_take(w, c->pixels ? c->pixels : map.data);
        gst_buffer_unmap(buffer, &map);
        if (!c->ready)
                bench_ready(w);
        c->ready = true;
}

static void run_client(struct bench_worker *w)
{
        GstElement *src = make(w, "shmsrc"), *sink = make(w, "fakesink");
        GstElement *pipeline = gst_pipeline_new(NULL);
        struct client c = { .worker = w };
        char path[108];

        if (strcmp(w->role, "copy") == 0) {
                c.pixels = malloc(w->frame_bytes);
                if (!c.pixels)
                        bench_skip(w, "not enough memory for a frame per client");
                memset(c.pixels, 1, w->frame_bytes);
        }
        snprintf(path, sizeof(path), "%s/shm.sock", w->dir);
        g_object_set(src, "socket-path", path, "is-live", TRUE, NULL);
        g_object_set(sink, "sync", FALSE, "signal-handoffs", TRUE, NULL);
        g_signal_connect(sink, "handoff", G_CALLBACK(on_buffer), &c);
        gst_bin_add_many(GST_BIN(pipeline), src, sink, NULL);
        if (!gst_element_link(src, sink))
                bench_fail(w, "shmsrc and fakesink do not link");
        play(w, pipeline);
        for (;;)
                pause();
}

int main(int argc, char **argv)
{
        struct bench_worker w;

        bench_worker_init(&w, argc, argv);
        gst_init(NULL, NULL);
        if (w.index == 0)
                run_source(&w);
        else
                run_client(&w);
        return 0;
}
