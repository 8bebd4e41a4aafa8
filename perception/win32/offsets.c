/*
 * offsets.c - learning where the fields of an EPROCESS are, without symbols (see offsets.h)
 *
 * The kernel exports one-instruction accessors for several fields; the displacement in the instruction is the offset. The
 * System process has a known shape to check it against, and the table of known builds is a third opinion. An offset is
 * believed when two of the three agree and none disagrees: a wrong offset reads another field and looks plausible.
 */
#include <errno.h>
#include <string.h>

#include "offsets.h"

#define LONGEST_FIELD 24u /* pid and links together */

/* 1980 and 2200 in 100 ns since 1601: a guest's clock may be wrong by decades, a wrong field by more. */
#define TIME_PLAUSIBLE_MIN UINT64_C(119600064000000000)
#define TIME_PLAUSIBLE_MAX UINT64_C(189025920000000000)

enum accessor_code {
        CODE_NONE,
        CODE_LOAD64, /* mov rax, [rcx + disp] */
        CODE_LOAD32, /* mov eax, [rcx + disp] */
        CODE_LEA,    /* lea rax, [rcx + disp] */
};

typedef int (*shape_fn)(const struct offsets_query *q, uint32_t offset, bool *ret_fits);

struct field {
        const char *name;
        const char *accessor;
        enum accessor_code code;
        size_t member;
        shape_fn shape;
        enum win32_reason misshapen; /* when the shape alone says no */
};

static int read_system(const struct offsets_query *q, uint32_t offset, void *dst, size_t len)
{
        return gva_read(q->m, q->kcr3, q->system_eprocess + offset, dst, len);
}

static int shape_pid(const struct offsets_query *q, uint32_t offset, bool *ret_fits)
{
        uint64_t pid = 0;
        int r = read_system(q, offset, &pid, sizeof(pid));

        *ret_fits = pid == SYSTEM_PID;
        return r;
}

static int shape_links(const struct offsets_query *q, uint32_t offset, bool *ret_fits)
{
        uint64_t self = q->system_eprocess + offset;
        uint64_t links[2] = { 0 }, back = 0, forth = 0;
        int r;

        r = read_system(q, offset, links, sizeof(links));
        if (r == 0)
                r = gva_read(q->m, q->kcr3, links[0] + sizeof(back), &back, sizeof(back));
        if (r == 0)
                r = gva_read(q->m, q->kcr3, links[1], &forth, sizeof(forth));
        *ret_fits = back == self && forth == self;
        return r;
}

static int shape_name(const struct offsets_query *q, uint32_t offset, bool *ret_fits)
{
        static const char name[] = "System";
        char there[sizeof(name)] = "";
        int r = read_system(q, offset, there, sizeof(there));

        *ret_fits = memcmp(there, name, sizeof(name)) == 0;
        return r;
}

static int shape_ppid(const struct offsets_query *q, uint32_t offset, bool *ret_fits)
{
        uint64_t ppid = 1;
        int r = read_system(q, offset, &ppid, sizeof(ppid));

        *ret_fits = ppid == 0;
        return r;
}

static int shape_create_time(const struct offsets_query *q, uint32_t offset, bool *ret_fits)
{
        uint64_t time = 0;
        int r = read_system(q, offset, &time, sizeof(time));

        *ret_fits = time >= TIME_PLAUSIBLE_MIN && time <= TIME_PLAUSIBLE_MAX;
        return r;
}

static int shape_exit_status(const struct offsets_query *q, uint32_t offset, bool *ret_fits)
{
        uint32_t status = 0;
        int r = read_system(q, offset, &status, sizeof(status));

        *ret_fits = status == STATUS_PENDING;
        return r;
}

/* ActiveProcessLinks has no accessor: it follows UniqueProcessId in every x64 build. */
static const struct field fields[] = {
        { "UniqueProcessId", "PsGetProcessId", CODE_LOAD64, offsetof(struct win32_offsets, pid),
                shape_pid, WIN32_SYSTEM_MISSHAPEN },
        { "ActiveProcessLinks", NULL, CODE_NONE, offsetof(struct win32_offsets, links), shape_links,
                WIN32_SYSTEM_MISSHAPEN },
        { "ImageFileName", "PsGetProcessImageFileName", CODE_LEA,
                offsetof(struct win32_offsets, name), shape_name, WIN32_SYSTEM_MISSHAPEN },
        { "InheritedFromUniqueProcessId", "PsGetProcessInheritedFromUniqueProcessId", CODE_LOAD64,
                offsetof(struct win32_offsets, ppid), shape_ppid, WIN32_OFFSETS_CONTRADICT },
        { "CreateTime", "PsGetProcessCreateTimeQuadPart", CODE_LOAD64,
                offsetof(struct win32_offsets, create_time), shape_create_time,
                WIN32_OFFSETS_CONTRADICT },
        { "ExitStatus", "PsGetProcessExitStatus", CODE_LOAD32,
                offsetof(struct win32_offsets, exit_status), shape_exit_status,
                WIN32_OFFSETS_CONTRADICT },
};

static uint32_t get_offset(const struct win32_offsets *o, const struct field *f)
{
        return *(const uint32_t *)((const char *)o + f->member);
}

static void set_offset(struct win32_offsets *o, const struct field *f, uint32_t offset)
{
        *(uint32_t *)((char *)o + f->member) = offset;
}

/* No field that matters lies before the page-table root's, and none may reach past what is read of an object. */
static bool plausible(uint32_t offset)
{
        return offset >= EPROCESS_DIRECTORY_TABLE_BASE + sizeof(uint64_t) &&
               offset <= EPROCESS_MAX_BYTES - LONGEST_FIELD;
}

/* The displacement of "insn; ret", or 0 when the code is anything else. */
static uint32_t decode_accessor(enum accessor_code kind, const uint8_t *code)
{
        static const uint8_t opcode[] = {
                [CODE_LOAD64] = 0x8b,
                [CODE_LOAD32] = 0x8b,
                [CODE_LEA] = 0x8d,
        };
        const uint8_t ret = 0xc3, modrm_disp8 = 0x41, modrm_disp32 = 0x81, rex_w = 0x48;
        uint32_t disp = 0;

        if (kind != CODE_LOAD32 && *code++ != rex_w)
                return 0;
        if (*code++ != opcode[kind])
                return 0;
        if (code[0] == modrm_disp8 && code[2] == ret)
                disp = code[1] < 0x80 ? code[1] : 0;
        else if (code[0] == modrm_disp32 && code[5] == ret)
                memcpy(&disp, code + 1, sizeof(disp));
        return plausible(disp) ? disp : 0;
}

/* Code that is not there, or not in memory, has no opinion. */
static int by_accessor(const struct offsets_query *q, const struct field *f, uint32_t *ret_offset)
{
        uint8_t code[8];
        uint64_t va;
        int r;

        *ret_offset = 0;
        if (!f->accessor)
                return 0;
        r = pe_export(q->image, q->m, q->kcr3, f->accessor, &va);
        if (r == 0)
                r = gva_read(q->m, q->kcr3, va, code, sizeof(code));
        if (r == -ENOENT || r == -EFAULT)
                return 0;
        if (r == 0)
                *ret_offset = decode_accessor(f->code, code);
        return r;
}

static int contradiction(struct win32_failure *why, const struct field *f, uint32_t a,
        const char *a_source, uint32_t b)
{
        why->reason = WIN32_OFFSETS_CONTRADICT;
        why->address = a;
        detail_str(why, f->name);
        detail_str(why, ": ");
        detail_hex(why, a);
        detail_str(why, a_source);
        detail_str(why, ", ");
        detail_hex(why, b);
        detail_str(why, " by table");
        return -EBADMSG;
}

static int unknown(struct win32_failure *why, const struct field *f)
{
        why->reason = WIN32_OFFSETS_UNKNOWN;
        detail_str(why, f->name);
        detail_str(why, ": no accessor, and the build is not in the table");
        return -EBADMSG;
}

static int misshapen(
        struct win32_failure *why, const struct field *f, uint32_t offset, const char *source)
{
        why->reason = f->misshapen;
        why->address = offset;
        detail_str(why, f->name);
        detail_str(why, ": ");
        detail_hex(why, offset);
        detail_str(why, source);
        detail_str(why, ", but not by shape");
        return -EBADMSG;
}

static int learn_field(const struct offsets_query *q, const struct field *f,
        struct win32_offsets *o, struct win32_failure *why)
{
        uint32_t in_table = q->table ? get_offset(q->table, f) : 0;
        bool derived = f->code == CODE_NONE;
        const char *source = derived ? " after UniqueProcessId" : " by accessor";
        uint32_t offset;
        bool fits;
        int r;

        r = by_accessor(q, f, &offset);
        if (r < 0)
                return r;
        if (derived)
                offset = o->pid + sizeof(uint64_t);
        if (offset && in_table && offset != in_table)
                return contradiction(why, f, offset, source, in_table);
        if (!offset) {
                offset = in_table;
                source = " by table";
        }
        if (!offset)
                return unknown(why, f);
        r = f->shape(q, offset, &fits);
        if (r < 0 && r != -EFAULT && r != -EINVAL)
                return r;
        if (r < 0 || !fits)
                return misshapen(why, f, offset, source);
        set_offset(o, f, offset);
        return 0;
}

int offsets_learn(const struct offsets_query *q, struct win32_offsets *ret_offsets,
        struct win32_failure *reterr_why)
{
        struct win32_offsets o = { .exit_time = q->table ? q->table->exit_time : 0 };

        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
                int r = learn_field(q, &fields[i], &o, reterr_why);

                if (r < 0)
                        return r;
        }
        *ret_offsets = o;
        return 0;
}
