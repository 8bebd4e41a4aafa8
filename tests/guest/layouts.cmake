# cmake -D CSV=... -D OUT=... -P layouts.cmake: the table of EPROCESS layouts as C.
# Rows come from the library's own table so that both sides mean the same builds; the rows `future` to `future3` are
# in no table, for a reader must find their offsets in the kernel's code: one with everything moved up, one as tight as
# an old build, one with fields far out and in another order.

file(STRINGS "${CSV}" lines REGEX "^[0-9]")
set(rows "")
foreach(line IN LISTS lines)
        # The last cell, user_dtb, may be empty: not known.
        string(REGEX REPLACE ",$" ",0" line "${line}")
        string(REGEX REPLACE "^([^,]+),([^,]+),(.+)$" "        { \"\\1\", \"\\2\", \\3 },\n" row "${line}")
        string(APPEND rows "${row}")
endforeach()

file(WRITE "${OUT}" "/* Generated from eprocess_layouts.csv by layouts.cmake. */
#include \"machine.h\"

const struct machine_layout machine_layouts[] = {
${rows}        { \"future\", \"29999\", 0x258, 0x260, 0x4a8, 0x6f0, 0x6a0, 0x288, 0x900, 0x8f4, 0x8f8, 0x640, 0x2d8, 0x720,
                0x740, 0 },
        { \"future2\", \"30303\", 0x190, 0x198, 0x1f0, 0x2c8, 0x218, 0x1b0, 0x3a0, 0x28c, 0x290, 0x1e8, 0x238, 0x300,
                0x320, 0x148 },
        { \"future3\", \"31415\", 0xa40, 0xa48, 0x1d8, 0x9a0, 0x148, 0xb08, 0x1b0, 0x1c4, 0xb18, 0x990, 0x980, 0x968,
                0x9c0, 0xb28 },
};

const size_t machine_n_layouts = sizeof(machine_layouts) / sizeof(machine_layouts[0]);
")
