/* writer.c - see writer.h */
#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PTE_WRITABLE_LEAF UINT64_C(1) /* valid: what a page in transition is not */
#define CR3_MASK          UINT64_C(0x000ffffffffff000)

/* ---- RAM ----------------------------------------------------------------------------------------------------------- */

static uint8_t *at(const struct writer *w, uint64_t gpa, size_t len)
{
        for (size_t i = 0; i < w->layout.n_pieces; i++) {
                const struct vgpu_layout_piece *p = &w->layout.piece[i];

                if (gpa >= p->gpa && gpa - p->gpa < p->len && len <= p->len - (gpa - p->gpa))
                        return w->ram + p->offset + (gpa - p->gpa);
        }
        return NULL;
}

static int read_ram(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        const uint8_t *src = at(ctx, gpa, len);

        if (!src)
                return -EFAULT;
        memcpy(dst, src, len);
        return 0;
}

int writer_open_ram(struct writer *w, const char *path, const char *machine, uint64_t size)
{
        enum vgpu_machine type;
        struct stat st;
        void *map;
        int r;

        w->ram_fd = open(path, O_RDWR | O_CLOEXEC);
        if (w->ram_fd < 0 || fstat(w->ram_fd, &st) < 0)
                return -errno;
        w->ram_size = size ? size : (uint64_t)st.st_size;
        r = vgpu_machine_from_name(machine, &type);
        if (r == 0)
                r = vgpu_layout_for(type, w->ram_size, &w->layout);
        if (r < 0)
                return r;
        map = mmap(NULL, w->ram_size, PROT_READ | PROT_WRITE, MAP_SHARED, w->ram_fd, 0);
        if (map == MAP_FAILED)
                return -errno;
        w->ram = map;
        for (size_t i = 0; i < w->layout.n_pieces; i++)
                w->extents[i] =
                        (struct gpa_extent){ w->layout.piece[i].gpa, w->layout.piece[i].len };
        return 0;
}

static vmie_mem mem_of(struct writer *w, const struct vgpu_control_write *write)
{
        static const struct vmie_mem_ops ops = { .read = read_ram };

        return (vmie_mem){
                .ops = &ops,
                .ctx = w,
                .extents = w->extents,
                .n_extents = w->layout.n_pieces,
                .kcr3 = write->kcr3,
                .levels = write->levels,
        };
}

/* ---- socket -------------------------------------------------------------------------------------------------------- */

int writer_connect(struct writer *w, const char *path)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        struct vgpu_control_writer hello = {
                .header = { VGPU_PROTOCOL_MAGIC, VGPU_CONTROL_WRITER, sizeof(hello),
                        VGPU_PROTOCOL_VERSION, 0, 0 },
                .name = "test writer",
        };

        if (strlen(path) >= sizeof(addr.sun_path))
                return -ENAMETOOLONG;
        strcpy(addr.sun_path, path);
        w->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
                return -errno;
        return writer_send(w, &hello, sizeof(hello));
}

void writer_disconnect(struct writer *w)
{
        if (w->fd >= 0)
                close(w->fd);
        w->fd = -1;
}

void writer_close(struct writer *w)
{
        writer_disconnect(w);
        if (w->ram)
                munmap(w->ram, w->ram_size);
        if (w->ram_fd >= 0)
                close(w->ram_fd);
        *w = WRITER_NONE;
}

int writer_send(struct writer *w, const void *packet, size_t len)
{
        return send(w->fd, packet, len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Return: 1, or what ended it. */
static int take(struct writer *w, struct vgpu_control_write *ret_write, uint32_t *ret_goodbye)
{
        _Alignas(uint64_t) uint8_t packet[VGPU_MSG_MAX_CLIENT];
        const struct vgpu_msg_header *h = (const void *)packet;
        ssize_t n;

        n = recv(w->fd, packet, sizeof(packet), 0);
        /* Of a socket closed on unread packets the end comes first, then what was said before. */
        if (n < 0 && errno == ECONNRESET)
                n = recv(w->fd, packet, sizeof(packet), 0);
        if (n <= 0)
                return n == 0 ? -ECONNRESET : -errno;
        if ((size_t)n < sizeof(*h) || h->magic != VGPU_PROTOCOL_MAGIC || h->length != (size_t)n)
                return -EPROTO;
        if (h->type == VGPU_MSG_GOODBYE) {
                if (ret_goodbye)
                        *ret_goodbye =
                                ((const struct vgpu_msg_goodbye *)(const void *)packet)->reason;
                return -ECONNREFUSED;
        }
        if (h->type != VGPU_CONTROL_WRITE || (size_t)n < sizeof(*ret_write))
                return -EPROTO;
        memcpy(ret_write, packet, sizeof(*ret_write));
        return 1;
}

int writer_receive(struct writer *w, int timeout_ms, struct vgpu_control_write *ret_write,
        uint32_t *ret_goodbye)
{
        struct pollfd fd = { .fd = w->fd, .events = POLLIN };
        int r;

        r = poll(&fd, 1, timeout_ms);
        if (r <= 0)
                return r < 0 ? -errno : 0;
        do {
                r = take(w, ret_write, ret_goodbye);
        } while (r == 1 && poll(&fd, 1, 0) == 1);
        return r;
}

/* ---- what a writer does -------------------------------------------------------------------------------------------- */

struct vgpu_control_written writer_answer(
        const struct vgpu_control_write *write, uint32_t result, uint32_t ctrl_gen)
{
        return (struct vgpu_control_written){
                .header = { VGPU_PROTOCOL_MAGIC, VGPU_CONTROL_WRITTEN,
                        sizeof(struct vgpu_control_written), VGPU_PROTOCOL_VERSION, 0, 0 },
                .request = write->request,
                .epoch = write->epoch,
                .result = result,
                .ctrl_gen = ctrl_gen,
        };
}

static bool is_past(uint64_t deadline_ns)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec > deadline_ns;
}

/* A page that is there to be written by its process; the block does not cross it. */
static bool find_block(vmie_mem *m, const struct vgpu_control_write *write, uint64_t *ret_gpa)
{
        struct gva_mapping mapping;

        if (write->control_gva % VGPU_CONTROL_BLOCK != 0 ||
                gva_translate(m, write->proc_cr3, write->control_gva, &mapping) < 0 ||
                !(mapping.entry & PTE_WRITABLE_LEAF) || !mapping.user || !mapping.writable)
                return false;
        *ret_gpa = mapping.gpa;
        return true;
}

static bool is_that_process(vmie_mem *m, const struct vgpu_control_write *write)
{
        uint64_t pid, created, cr3;

        return gva_read(m, write->kcr3, write->eprocess + write->pid_offset, &pid, 8) == 0 &&
               gva_read(m, write->kcr3, write->eprocess + write->create_time_offset, &created, 8) ==
                       0 &&
               gva_read(m, write->kcr3, write->eprocess + write->cr3_offset, &cr3, 8) == 0 &&
               pid == write->pid && created == write->create_time &&
               ((cr3 ^ write->proc_cr3) & CR3_MASK) == 0;
}

static bool is_that_region(vmie_mem *m, const struct vgpu_control_write *write)
{
        uint8_t line[VGPU_CONTROL_LINE];

        return gva_read(m, write->proc_cr3, write->region_gva, line, sizeof(line)) == 0 &&
               memcmp(line, write->identity, sizeof(line)) == 0;
}

static void write_block(struct writer *w, const struct vgpu_control_write *write, uint8_t *block)
{
        uint32_t *ctrl_gen = (uint32_t *)(void *)block;

        __atomic_store_n(ctrl_gen, vgpu_control_open(write->ctrl_gen), __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        if (w->while_open)
                w->while_open();
        for (uint32_t i = write->off; i < write->off + write->len; i += 4) {
                uint32_t word;

                memcpy(&word, write->bytes + i, sizeof(word));
                __atomic_store_n((uint32_t *)(void *)(block + i), word, __ATOMIC_RELAXED);
        }
        __atomic_store_n(ctrl_gen, vgpu_control_next(write->ctrl_gen), __ATOMIC_RELEASE);
}

void writer_perform(
        struct writer *w, const struct vgpu_control_write *write, struct vgpu_control_written *ret)
{
        vmie_mem m = mem_of(w, write);
        uint64_t gpa, again;
        uint8_t *block;

        *ret = writer_answer(write, VGPU_CONTROL_STALE, 0);
        if (write->off % 4 || write->len % 4 || write->off < 4 ||
                write->len > VGPU_CONTROL_BLOCK - write->off) {
                *ret = writer_answer(write, VGPU_CONTROL_FAILED, 0);
                ret->error = -EINVAL;
                return;
        }
        if (is_past(write->deadline_ns)) {
                *ret = writer_answer(write, VGPU_CONTROL_LATE, 0);
                return;
        }
        if (!find_block(&m, write, &gpa) || !is_that_process(&m, write) ||
                !is_that_region(&m, write) || !find_block(&m, write, &again) || again != gpa)
                return;
        block = at(w, gpa, VGPU_CONTROL_BLOCK);
        if (!block ||
                __atomic_load_n((uint32_t *)(void *)block, __ATOMIC_ACQUIRE) != write->ctrl_gen)
                return;
        write_block(w, write, block);
        *ret = writer_answer(write, VGPU_CONTROL_DONE, vgpu_control_next(write->ctrl_gen));
}
