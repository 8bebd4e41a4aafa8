/*
 * pipewire_source.c - the producer's end: drives the graph at the frame rate
 *
 * It makes the memfds of its buffers itself, as screen casters do.
 */
#include "pipewire.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void on_add_buffer(void *data, struct pw_buffer *b)
{
        struct stream *s = data;
        struct spa_data *d = &b->buffer->datas[0];
        int fd = memfd_create("vgpu-bench", MFD_CLOEXEC);

        if (!(d->type & (1u << SPA_DATA_MemFd)))
                bench_fail(s->worker, "PipeWire does not want memfds");
        if (fd < 0 || ftruncate(fd, (off_t)s->worker->frame_bytes) < 0)
                bench_fail(s->worker, "no memfd: %s", strerror(errno));
        d->type = SPA_DATA_MemFd;
        d->flags = SPA_DATA_FLAG_READWRITE;
        d->fd = fd;
        d->mapoffset = 0;
        d->maxsize = (uint32_t)s->worker->frame_bytes;
        d->data = mmap(NULL, d->maxsize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (d->data == MAP_FAILED)
                bench_fail(s->worker, "a memfd cannot be mapped: %s", strerror(errno));
}

static void on_remove_buffer(void *data, struct pw_buffer *b)
{
        struct spa_data *d = &b->buffer->datas[0];

        (void)data;
        munmap(d->data, d->maxsize);
        close((int)d->fd);
}

/* Once per graph cycle; in the data thread with -rt. */
static void on_process(void *data)
{
        struct stream *s = data;
        struct bench_worker *w = s->worker;
        struct pw_buffer *b = pw_stream_dequeue_buffer(s->stream);
        struct spa_chunk *chunk;
        void *pixels;

        if (!b)
                return;
        pixels = stream_pixels(s, b);
        if (!pixels)
                bench_fail(w, "PipeWire's buffers are not memfds");
        chunk = b->buffer->datas[0].chunk;
        chunk->offset = 0;
        chunk->size = (uint32_t)w->frame_bytes;
        chunk->stride = (int32_t)w->width * 4;
        bench_fill(w, pixels);
        bench_stamp(w, pixels);
        pw_stream_queue_buffer(s->stream, b);
        bench_sample(w, bench_now(), 0);
}

static void on_timer(void *data, uint64_t expirations)
{
        struct stream *s = data;

        (void)expirations;
        if (pw_stream_get_state(s->stream, NULL) == PW_STREAM_STATE_STREAMING)
                pw_stream_trigger_process(s->stream);
}

static void on_state(
        void *data, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
        struct stream *s = data;

        (void)old;
        if (state == PW_STREAM_STATE_ERROR)
                bench_fail(s->worker, "PipeWire: %s", error ? error : "the stream broke");
        /* the daemon knows it now, so that clients can ask to be linked to it */
        if (state == PW_STREAM_STATE_PAUSED && !s->ready) {
                bench_ready(s->worker);
                s->ready = true;
        }
}

static void on_param(void *data, uint32_t id, const struct spa_pod *param)
{
        if (id == SPA_PARAM_Format && param)
                stream_ask_buffers(data);
}

void run_source(struct bench_worker *w)
{
        static const struct pw_stream_events events = { PW_VERSION_STREAM_EVENTS,
                .add_buffer = on_add_buffer, .remove_buffer = on_remove_buffer,
                .process = on_process, .state_changed = on_state, .param_changed = on_param };
        struct timespec period = { .tv_nsec = (long)BENCH_PERIOD_NS };
        struct pw_loop *loop;
        struct stream s;

        stream_init(&s, w, PW_DIRECTION_OUTPUT, &events);
        loop = pw_main_loop_get_loop(s.loop);
        s.timer = pw_loop_add_timer(loop, on_timer, &s);
        pw_loop_update_timer(loop, s.timer, &period, &period, false);
        stream_run(&s);
}
