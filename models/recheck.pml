/*
 * recheck.pml - why a sample that counts holds no foreign byte
 *
 * A reader takes one sample of a living producer while an operating system does all that it may: publishes, moves
 * pages and tables, retires the region, ends the process, hands its pages, tables and process object to somebody else.
 * The claim is the assertion at the end of the reader: what it accepts is one frame of the process it was bound to.
 *
 * The reader is perception/vgpu/window.c and frame.c, a line here for a read there, so that they can be read side by
 * side. Leave a line out or swap two (-DMUTANT_...) and spin finds the guest that gets a foreign byte through:
 * script/model runs the model and every mutant.
 *
 * What the operating system promises, and nothing else is relied upon:
 *   - exit status before teardown: nothing of a process is handed on before its ExitStatus says it ended;
 *   - a CreateTime never comes back, and is gone before ExitStatus can say again that nothing ended;
 *   - while a process lives and a seq stands, an entry that says where a page is and changed does not change back
 *     (docs/perception.md says what becomes of a page that does). One that only refers to a prototype entry may: the
 *     prototype entry is changed before the page is given away;
 *   - a producer clears its magic before it uses the region for anything else, and makes seq odd before it writes.
 * What was handed on may hold anything, what it held before included.
 *
 * Left out: kernel anchors (a reboot promises no order of anything), prototype entries (one more level), several
 * slots and pages (each is read alone). Reads are single and in order: the fences see to that, and x86 loads.
 */

#define NONE    0
#define FOREIGN 255 /* in a frame: not of the bound producer, or not of any frame */
#define MAGIC   1
#define BORN    1 /* CreateTime of the bound process */

/* What the operating system does at most: enough for every mutant to be found, and for spin to see it all. */
#define FRAMES   1
#define MOVES    2 /* of pages and tables, while the process lives */
#define HAND_ONS 3 /* of what was the process' */

/* Physical memory. Pages of each kind are told apart so that fewer states say the same. */
byte block_magic[3], block_seq[3];
byte frame_a[4], frame_b[4]; /* two halves, so that a copy takes time */
byte table[3];               /* the one leaf entry that matters: page of the frame */

/* The address space of the bound process: what its root leads to, before and after the process has ended. */
byte block_entry = 1;     /* page of the producer block */
byte directory_entry = 1; /* table that maps the frame */

/* The process object. pid and cr3 may all be the same when it is used again. */
bool alive = true; /* ExitStatus == STATUS_PENDING */
byte create_time = BORN;

/* What the promise about entries needs: pages and tables that this seq has seen. */
bool seen_block[3], seen_frame[4], seen_table[3];

#define EVEN(x) ((x) % 2 == 0)

inline forget_seen()
{
        seen_frame[1] = false; seen_frame[2] = false; seen_frame[3] = false;
        seen_table[1] = false; seen_table[2] = false;
        seen_block[1] = false; seen_block[2] = false;
        seen_frame[table[directory_entry]] = true;
        seen_table[directory_entry] = true;
        seen_block[block_entry] = true
}

/* The producer's own thread: a frame whose bytes are its seq. */
inline publish()
{
        d_step {
                block_seq[block_entry] = block_seq[block_entry] + 1;
                frame_a[table[directory_entry]] = block_seq[block_entry] + 1
        };
        publishing = true
}

inline finish()
{
        d_step {
                publishing = false;
                frame_b[table[directory_entry]] = block_seq[block_entry] + 1;
                block_seq[block_entry] = block_seq[block_entry] + 1;
                forget_seen()
        }
}

/* The frame's page moves; its old place is somebody else's at once. */
inline move_frame(to)
{
        d_step {
                old = table[directory_entry];
                frame_a[to] = frame_a[old];
                frame_b[to] = frame_b[old];
                frame_a[old] = FOREIGN;
                frame_b[old] = FOREIGN;
                table[directory_entry] = to;
                seen_frame[to] = true
        }
}

/* A table moves; in its old place its old entry is left, or whatever the next owner writes there. */
inline move_table(to)
{
        d_step {
                old = directory_entry;
                table[to] = table[old];
                directory_entry = to;
                seen_table[to] = true
        }
}

inline move_block(to)
{
        d_step {
                old = block_entry;
                block_magic[to] = block_magic[old];
                block_seq[to] = block_seq[old];
                block_entry = to;
                seen_block[to] = true
        }
}

/* Of all that somebody else could write where a page or table has been: what would deceive. */
inline scribble()
{
        if
        :: block_entry != 1 -> d_step { block_magic[1] = MAGIC; block_seq[1] = 2 }
        :: block_entry != 2 -> d_step { block_magic[2] = MAGIC; block_seq[2] = 2 }
        :: directory_entry != 1 -> table[1] = 1
        :: directory_entry != 2 -> table[2] = 1
        fi
}

/* The producer is through with the region and uses the memory for something else. */
inline retire()
{
        block_magic[block_entry] = NONE;
        d_step {
                frame_a[table[directory_entry]] = FOREIGN;
                frame_b[table[directory_entry]] = FOREIGN;
                block_seq[block_entry] = 2
        }
}

/* The process has ended: its pages, its tables and its object become another's, in any order and state. */
inline hand_on()
{
        if
        :: d_step {
                frame_a[1] = FOREIGN; frame_b[1] = FOREIGN;
                frame_a[2] = FOREIGN; frame_b[2] = FOREIGN;
                frame_a[3] = FOREIGN; frame_b[3] = FOREIGN
           }
        :: d_step { block_magic[1] = MAGIC; block_seq[1] = 2 }
        :: table[1] = 1
        :: directory_entry = 1
        :: block_entry = 1
        :: d_step { create_time = BORN + 1; alive = true }
        fi
}

proctype operating_system()
{
        byte old;
        byte n_frames = 0, n_moves = 0, n_scribbles = 0, n_handed_on = 0;
        bool publishing = false, retired = false;

        do
        :: n_frames < FRAMES && !publishing && !retired -> publish(); n_frames++
        :: publishing -> finish()
        :: n_moves < MOVES && !seen_frame[2] -> move_frame(2); n_moves++
        :: n_moves < MOVES && !seen_frame[3] -> move_frame(3); n_moves++
        :: n_moves < MOVES && !seen_table[2] -> move_table(2); n_moves++
        :: n_moves < MOVES && !seen_block[2] -> move_block(2); n_moves++
        :: n_moves > 0 && n_scribbles < 1 -> scribble(); n_scribbles++
        :: !retired && !publishing -> retire(); retired = true
        :: break
        od;
        alive = false;
        do
        :: n_handed_on < HAND_ONS -> hand_on(); n_handed_on++
        :: break
        od
}

/* ---- the reader: perception/vgpu/window.c, frame.c --------------------------------------------------------------- */

#define GIVE_UP_UNLESS(held) \
        if                   \
        :: held              \
        :: else -> goto skipped \
        fi

/* win32_process_check(): the object, then CreateTime once more. What was alive then was still this process. */
inline process_check()
{
#ifndef MUTANT_NO_EXIT_STATUS
#ifndef MUTANT_CREATE_TIME_FIRST
        GIVE_UP_UNLESS(alive);
#endif
#endif
#ifndef MUTANT_NO_CREATE_TIME
        GIVE_UP_UNLESS(create_time == BORN);
#endif
#ifdef MUTANT_CREATE_TIME_FIRST
        GIVE_UP_UNLESS(alive);
#endif
}

/* check_identity(): through the translation the window was opened with. */
inline check_identity()
{
        GIVE_UP_UNLESS(block_magic[block] == MAGIC)
}

/* gather_recheck() of the frame: leaf before directory. */
inline recheck_frame_entries()
{
#ifdef MUTANT_DIRECTORY_BEFORE_LEAF
        GIVE_UP_UNLESS(directory_entry == directory);
        GIVE_UP_UNLESS(table[directory] == page);
#else
        GIVE_UP_UNLESS(table[directory] == page);
#ifndef MUTANT_LEAF_ONLY
        GIVE_UP_UNLESS(directory_entry == directory);
#endif
#endif
}

inline recheck_block_entry()
{
        GIVE_UP_UNLESS(block_entry == block)
}

inline recheck_entries()
{
#ifndef MUTANT_NO_FRAME_ENTRIES
        recheck_frame_entries();
#endif
#ifndef MUTANT_NO_BLOCK_ENTRY
        recheck_block_entry();
#endif
}

inline recheck_seq()
{
        GIVE_UP_UNLESS(block_seq[block] == seq)
}

proctype reader()
{
        byte block, directory, page, seq, a, b;

        /* window_open() */
        process_check();
        block = block_entry;
        GIVE_UP_UNLESS(block != NONE);
        check_identity();

        /* try_begin(): seq, gather_slot(), seq */
        seq = block_seq[block];
        GIVE_UP_UNLESS(EVEN(seq) && seq > 0);
        directory = directory_entry;
        GIVE_UP_UNLESS(directory != NONE);
        page = table[directory];
        GIVE_UP_UNLESS(page != NONE);
        recheck_seq();

        /* copy_extents() */
        a = frame_a[page];
        b = frame_b[page];

        /* vgpup_sample_commit(), window_close() */
#ifdef MUTANT_IDENTITY_BEFORE_SEQ
        check_identity();
        recheck_seq();
        recheck_entries();
        process_check();
#else
#ifdef MUTANT_ENTRIES_BEFORE_IDENTITY
        recheck_seq();
        recheck_entries();
        check_identity();
        process_check();
#else
#ifdef MUTANT_PROCESS_BEFORE_ENTRIES
        recheck_seq();
        check_identity();
        process_check();
        recheck_entries();
#else
#ifndef MUTANT_NO_FINAL_SEQ
        recheck_seq();
#endif
#ifndef MUTANT_NO_FINAL_IDENTITY
        check_identity();
#endif
        recheck_entries();
#ifndef MUTANT_NO_FINAL_PROCESS
        process_check();
#endif
#endif
#endif
#endif
        assert(a == seq && b == seq); /* nothing foreign, nothing torn */
        goto done;
skipped:
        skip;
done:
        skip
}

init
{
        d_step {
                block_magic[1] = MAGIC;
                block_seq[1] = 2;
                frame_a[1] = 2;
                frame_b[1] = 2;
                table[1] = 1;
                forget_seen()
        };
        atomic { run operating_system(); run reader() }
}
