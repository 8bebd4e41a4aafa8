# cmake -D CSV=... -D OUT=... -P layouts.cmake: the table of EPROCESS layouts as C.
# Rows come from the library's own table so that both sides mean the same builds; the row `future` is in no
# table, for a reader must find its offsets in the kernel's code.

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
};

const size_t machine_n_layouts = sizeof(machine_layouts) / sizeof(machine_layouts[0]);
")
