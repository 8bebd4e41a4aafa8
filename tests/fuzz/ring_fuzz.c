/*
 * ring_fuzz.c - a client of a daemon that passes it any bytes for a ring
 *
 * Input: pages of the file (16 bits), then its first bytes. The file is sealed, as the library demands.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client.h"

#define MAX_PAGES  64u
#define FRAME_ROOM 65536u

static void require(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "finding: %s\n", what);
        abort();
}

static int ring_of(const uint8_t *data, size_t size)
{
        int fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        uint16_t pages;

        memcpy(&pages, data, sizeof(pages));
        require(fd >= 0 && ftruncate(fd, (off_t)(pages % (MAX_PAGES + 1)) * VGPU_RING_PAGE) == 0,
                "no memfd");
        size -= sizeof(pages);
        if (size > (size_t)(pages % (MAX_PAGES + 1)) * VGPU_RING_PAGE)
                size = (size_t)(pages % (MAX_PAGES + 1)) * VGPU_RING_PAGE;
        require(pwrite(fd, data + sizeof(pages), size, 0) == (ssize_t)size, "no memfd");
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
        return fd;
}

static void check_damage(const struct vgpu_client_frame *frame)
{
        require(frame->n_damage <= VGPU_RING_MAX_DAMAGE, "more damage than there may be");
        for (uint32_t i = 0; i < frame->n_damage; i++)
                require((uint64_t)frame->damage[i].x + frame->damage[i].w <= frame->width &&
                                (uint64_t)frame->damage[i].y + frame->damage[i].h <= frame->height,
                        "damage outside the frame");
}

static void check_frame(struct vgpu_client *c,
        int (*copy)(struct vgpu_client *, void *, size_t, struct vgpu_client_frame *))
{
        static uint8_t pixels[FRAME_ROOM];
        struct vgpu_client_frame frame;

        if (copy(c, pixels, sizeof(pixels), &frame) != 1)
                return;
        require(frame.bytes <= sizeof(pixels) && frame.bytes == (size_t)frame.height * frame.stride,
                "a frame over its buffer");
        check_damage(&frame);
}

/* Held, every byte of it is read: it must be there. */
static void check_lease(struct vgpu_client *c)
{
        struct vgpu_client_frame frame;
        const void *pixels;
        uint8_t sum = 0;

        if (vgpu_client_peek(c, &frame) == 1)
                check_damage(&frame);
        if (vgpu_client_acquire(c, &frame, &pixels) != 1)
                return;
        check_damage(&frame);
        for (size_t i = 0; i < frame.bytes; i++)
                sum ^= ((const volatile uint8_t *)pixels)[i];
        require(vgpu_client_intact(c, frame.serial) == 1, "nobody wrote, and it was lost");
        require(vgpu_client_release(c, frame.serial) == 1, "nobody wrote, and it was lost");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct vgpu_client client;
        struct vgpu_ring_geometry geometry;
        struct vgpu_client_state state;
        struct vgpu_ring_status status;
        struct vgpu_ring_cursor cursor;
        int fd;

        if (size < sizeof(uint16_t))
                return 0;
        memset(&client, 0, sizeof(client));
        client.phase = PHASE_ONLINE;
        client.granted = VGPU_WANT_LEASE;
        fd = ring_of(data, size);
        if (mapping_new(fd, &client.map) == 0) {
                check_frame(&client, vgpu_client_copy_latest);
                client.copied = client.copied > 2 ? client.copied - 2 : 0;
                check_frame(&client, vgpu_client_copy_latest);
                client.copied = client.copied > 2 ? client.copied - 2 : 0;
                check_lease(&client);
                check_frame(&client, vgpu_client_copy_again);
                vgpu_client_cursor(&client, &cursor);
                vgpu_client_geometry(&client, &geometry);
                vgpu_client_status(&client, &status);
                vgpu_client_state(&client, &state);
                ring_events(&client, 1);
        }
        mapping_unref(client.map);
        close(fd);
        return 0;
}
