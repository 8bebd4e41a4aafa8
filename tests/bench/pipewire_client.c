/* pipewire_client.c - the consumer's end: maps the buffers and reads in them */
#include "pipewire.h"

#include <stdio.h>
#include <string.h>

/* Once per graph cycle; in the data thread with -rt. */
static void on_process(void *data)
{
        struct stream *s = data;
        struct pw_buffer *b = pw_stream_dequeue_buffer(s->stream);
        void *pixels;

        if (!b)
                return;
        pixels = stream_pixels(s, b);
        if (!pixels)
                bench_fail(s->worker, "PipeWire's buffers are not memfds");
        bench_take(s->worker, pixels);
        pw_stream_queue_buffer(s->stream, b);
        if (!s->ready) {
                bench_ready(s->worker);
                s->ready = true;
        }
}

/* What a session manager would do, once both ends are known. */
static void link_to_source(struct stream *s)
{
        struct pw_properties *props;

        if (s->link || !s->source_node[0] || !s->known)
                return;
        props = pw_properties_new(PW_KEY_LINK_OUTPUT_NODE, s->source_node, NULL);
        pw_properties_setf(props, PW_KEY_LINK_OUTPUT_PORT, "%u", s->source_port);
        pw_properties_setf(props, PW_KEY_LINK_INPUT_NODE, "%u", pw_stream_get_node_id(s->stream));
        s->link = pw_core_create_object(
                s->core, "link-factory", PW_TYPE_INTERFACE_Link, PW_VERSION_LINK, &props->dict, 0);
        pw_properties_free(props);
        if (!s->link)
                bench_fail(s->worker, "PipeWire makes no link");
}

/* The one output port of this daemon is the source's; how ports are called differs between versions. */
static void on_global(void *data, uint32_t id, uint32_t permissions, const char *type,
        uint32_t version, const struct spa_dict *props)
{
        struct stream *s = data;
        const char *direction, *node;

        (void)permissions;
        (void)version;
        if (!props || strcmp(type, PW_TYPE_INTERFACE_Port) != 0)
                return;
        direction = spa_dict_lookup(props, PW_KEY_PORT_DIRECTION);
        node = spa_dict_lookup(props, PW_KEY_NODE_ID);
        if (!direction || !node || strcmp(direction, "out") != 0)
                return;
        s->source_port = id;
        snprintf(s->source_node, sizeof(s->source_node), "%s", node);
        link_to_source(s);
}

static void on_state(
        void *data, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
        struct stream *s = data;

        (void)old;
        if (state == PW_STREAM_STATE_ERROR)
                bench_fail(s->worker, "PipeWire: %s", error ? error : "the stream broke");
        if (state == PW_STREAM_STATE_PAUSED) {
                s->known = true;
                link_to_source(s);
        }
}

static void on_param(void *data, uint32_t id, const struct spa_pod *param)
{
        if (id == SPA_PARAM_Format && param)
                stream_ask_buffers(data);
}

void run_client(struct bench_worker *w)
{
        static const struct pw_stream_events events = { PW_VERSION_STREAM_EVENTS,
                .process = on_process, .state_changed = on_state, .param_changed = on_param };
        static const struct pw_registry_events globals = { PW_VERSION_REGISTRY_EVENTS,
                .global = on_global };
        struct pw_registry *registry;
        struct spa_hook listener;
        struct stream s;

        stream_init(&s, w, PW_DIRECTION_INPUT, &events);
        registry = pw_core_get_registry(s.core, PW_VERSION_REGISTRY, 0);
        pw_registry_add_listener(registry, &listener, &globals, &s);
        stream_run(&s);
}
