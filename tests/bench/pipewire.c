/* pipewire.c - see pipewire.h: what both ends have in common, and the command line */
#include "pipewire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct spa_pod *frame_format(const struct stream *s, struct spa_pod_builder *b)
{
        struct spa_video_info_raw info = SPA_VIDEO_INFO_RAW_INIT(.format = SPA_VIDEO_FORMAT_BGRx,
                .size = SPA_RECTANGLE(s->worker->width, s->worker->height),
                .framerate = SPA_FRACTION(BENCH_FPS, 1));

        return spa_format_video_raw_build(b, SPA_PARAM_EnumFormat, &info);
}

void stream_init(struct stream *s, struct bench_worker *w, enum spa_direction direction,
        const struct pw_stream_events *events)
{
        const bool source = direction == PW_DIRECTION_OUTPUT;
        const bool in_data_thread = strstr(w->role, "-rt") != NULL;
        const struct spa_pod *params[1];
        uint8_t memory[1024];
        struct spa_pod_builder b = SPA_POD_BUILDER_INIT(memory, sizeof(memory));
        int err;

        *s = (struct stream){ .worker = w };
        s->loop = pw_main_loop_new(NULL);
        s->context = s->loop ? pw_context_new(pw_main_loop_get_loop(s->loop), NULL, 0) : NULL;
        if (!s->context)
                bench_fail(w, "no PipeWire context");
        s->core = pw_context_connect(s->context, NULL, 0);
        if (!s->core)
                bench_fail(w, "the pipewire daemon does not answer: %s", strerror(errno));
        s->stream = pw_stream_new(s->core, "vgpu-bench",
                pw_properties_new(PW_KEY_NODE_NAME,
                        source ? "vgpu-bench-source" : "vgpu-bench-client", PW_KEY_MEDIA_CLASS,
                        source ? "Video/Source" : "Stream/Input/Video", PW_KEY_MEDIA_TYPE, "Video",
                        NULL));
        if (!s->stream)
                bench_fail(w, "no PipeWire stream");
        pw_stream_add_listener(s->stream, &s->listener, events, s);
        params[0] = frame_format(s, &b);
        err = pw_stream_connect(s->stream, direction, PW_ID_ANY,
                (in_data_thread ? PW_STREAM_FLAG_RT_PROCESS : 0) |
                        (source ? PW_STREAM_FLAG_DRIVER | PW_STREAM_FLAG_ALLOC_BUFFERS
                                : PW_STREAM_FLAG_MAP_BUFFERS),
                params, 1);
        if (err < 0)
                bench_fail(w, "the PipeWire stream does not connect: %s", strerror(-err));
}

static void on_input_end(void *data, int fd, uint32_t mask)
{
        (void)fd;
        (void)mask;
        pw_main_loop_quit(data);
}

void stream_run(struct stream *s)
{
        if (s->worker->index == 0)
                pw_loop_add_io(pw_main_loop_get_loop(s->loop), STDIN_FILENO, SPA_IO_IN | SPA_IO_HUP,
                        false, on_input_end, s->loop);
        pw_main_loop_run(s->loop);
}

void stream_ask_buffers(struct stream *s)
{
        const int bytes = (int)s->worker->frame_bytes;
        const struct spa_pod *params[1];
        uint8_t memory[1024];
        struct spa_pod_builder b = SPA_POD_BUILDER_INIT(memory, sizeof(memory));

        params[0] = spa_pod_builder_add_object(&b, SPA_TYPE_OBJECT_ParamBuffers, SPA_PARAM_Buffers,
                SPA_PARAM_BUFFERS_buffers, SPA_POD_Int((int)BENCH_SLOTS), SPA_PARAM_BUFFERS_blocks,
                SPA_POD_Int(1), SPA_PARAM_BUFFERS_size, SPA_POD_Int(bytes),
                SPA_PARAM_BUFFERS_stride, SPA_POD_Int((int)s->worker->width * 4),
                SPA_PARAM_BUFFERS_dataType, SPA_POD_CHOICE_FLAGS_Int(1 << SPA_DATA_MemFd));
        pw_stream_update_params(s->stream, params, 1);
}

void *stream_pixels(struct stream *s, struct pw_buffer *b)
{
        const struct spa_data *d = &b->buffer->datas[0];

        return d->type == SPA_DATA_MemFd && d->maxsize >= s->worker->frame_bytes ? d->data : NULL;
}

int main(int argc, char **argv)
{
        struct bench_worker w;

        bench_worker_init(&w, argc, argv);
        setenv("XDG_RUNTIME_DIR", w.dir, 1);
        setenv("PIPEWIRE_RUNTIME_DIR", w.dir, 1);
        unsetenv("PIPEWIRE_REMOTE");
        unsetenv("PIPEWIRE_CONFIG_DIR");
        if (strcmp(w.role, "daemon") == 0)
                run_daemon(&w);
        pw_init(NULL, NULL);
        if (w.index == 0)
                run_source(&w);
        else
                run_client(&w);
        return 0;
}
