/*
 * image_fuzz.c - files that claim to be memory images: ELF cores, crash dumps, raw bytes
 *
 * Input: the file's size in sectors of 512 bytes (16 bits), then pieces of it: offset (32 bits), length (16 bits), bytes.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vgpu_image.h"

#define SECTOR 512u

static void require(bool holds, const char *what)
{
        if (holds)
                return;
        fprintf(stderr, "finding: %s\n", what);
        abort();
}

static uint64_t write_pieces(int fd, const uint8_t *data, size_t size)
{
        uint16_t sectors, len;
        uint32_t offset;
        uint64_t file;

        memcpy(&sectors, data, sizeof(sectors));
        file = (uint64_t)sectors * SECTOR;
        require(ftruncate(fd, (off_t)file) == 0, "no memfd");
        data += sizeof(sectors);
        size -= sizeof(sectors);
        while (size > sizeof(offset) + sizeof(len)) {
                memcpy(&offset, data, sizeof(offset));
                memcpy(&len, data + sizeof(offset), sizeof(len));
                data += sizeof(offset) + sizeof(len);
                size -= sizeof(offset) + sizeof(len);
                if (len > size)
                        len = size;
                if (offset <= file && len <= file - offset)
                        require(pwrite(fd, data, len, offset) == len, "no memfd");
                data += len;
                size -= len;
        }
        return file;
}

/* What was let in lies inside the file, in order, and can be read at both ends. */
static void check_pieces(vgpu_source *s, uint64_t file)
{
        const struct vgpu_layout_piece *piece;
        uint64_t end = 0;
        vmie_mem m;
        size_t n;

        piece = vgpu_source_pieces(s, &n);
        require(n > 0, "an image without memory");
        vgpu_source_mem_pread(s, &m);
        for (size_t i = 0; i < n; i++) {
                uint8_t byte;

                require(piece[i].len > 0 && piece[i].gpa >= end, "pieces that overlap");
                end = piece[i].gpa + piece[i].len;
                require(end > piece[i].gpa, "a piece that wraps");
                require(piece[i].offset <= file && piece[i].len <= file - piece[i].offset,
                        "a piece past the file's end");
                require(gpa_read(&m, piece[i].gpa, &byte, 1) == 0 &&
                                gpa_read(&m, end - 1, &byte, 1) == 0,
                        "a piece that cannot be read");
        }
        vgpu_source_mem_map(s, &m);
        for (size_t i = 0; i < n; i++) {
                uint8_t byte;

                require(gpa_read(&m, piece[i].gpa + piece[i].len - 1, &byte, 1) == 0,
                        "a piece that is not mapped");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct vgpu_source_failure why = { .reason = VGPU_SOURCE_OK };
        struct vgpu_image_info info;
        vgpu_source *s;
        uint64_t file;
        char path[32];
        int fd;

        if (size < sizeof(uint16_t))
                return 0;
        fd = memfd_create("image", MFD_CLOEXEC);
        require(fd >= 0, "no memfd");
        file = write_pieces(fd, data, size);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        s = vgpu_image_open(path, VGPU_MACHINE_FLAT, 0, &info, &why);
        if (s)
                check_pieces(s, file);
        else
                require(why.reason != VGPU_SOURCE_OK && vgpu_source_reason_text(why.reason),
                        "refused without a reason");
        vgpu_source_close(s);
        close(fd);
        return 0;
}
