# Turns eprocess_layouts.csv into the C table of known EPROCESS layouts, one row per build.
# cmake -DCSV=... -DOUT=... -P layouts.cmake

cmake_policy(SET CMP0007 NEW) # an empty cell is a cell

set(columns UniqueProcessId ActiveProcessLinks InheritedFromUniqueProcessId ImageFileName CreateTime
        ExitTime ExitStatus)
set(members pid links ppid name create_time exit_time exit_status)

file(STRINGS "${CSV}" lines)
set(header "")
set(rows "")
foreach(line IN LISTS lines)
        if(line MATCHES "^#" OR line STREQUAL "")
                continue()
        endif()
        string(REPLACE "," ";" cells "${line}")
        if(header STREQUAL "")
                set(header "${cells}")
                foreach(name IN ITEMS builds ${columns})
                        list(FIND header "${name}" at)
                        if(at EQUAL -1)
                                message(FATAL_ERROR "${CSV}: no column '${name}'")
                        endif()
                        set(column_${name} ${at})
                endforeach()
                continue()
        endif()

        set(fields "")
        foreach(name member IN ZIP_LISTS columns members)
                list(GET cells ${column_${name}} value)
                if(value STREQUAL "")
                        set(value 0)
                elseif(NOT value MATCHES "^0x[0-9a-f]+$")
                        message(FATAL_ERROR "${CSV}: '${value}' is no offset: ${line}")
                endif()
                string(APPEND fields " .${member} = ${value},")
        endforeach()
        list(GET cells ${column_builds} builds)
        string(REPLACE " " ";" builds "${builds}")
        foreach(build IN LISTS builds)
                string(APPEND rows "        { ${build}, {${fields} } },\n")
        endforeach()
endforeach()
if(rows STREQUAL "")
        message(FATAL_ERROR "${CSV}: no layouts")
endif()

file(WRITE "${OUT}" "/* Generated from eprocess_layouts.csv. */
#include \"layouts.h\"

const struct win32_layout win32_layouts[] = {
${rows}};

const size_t win32_n_layouts = sizeof(win32_layouts) / sizeof(win32_layouts[0]);
")
