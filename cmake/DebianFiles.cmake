# Run by cpack over the staged trees, one for each package: what Debian's policy asks for beside the files that are installed.

# The library's symbols are on record. One that is gone breaks programs, and a new one belongs there with its version.
function(check_symbols tree)
        execute_process(
                COMMAND dpkg-gensymbols -plibvgpu-client0 -P${tree} -v${CPACK_PACKAGE_VERSION} -c4 -q
                        -I${CPACK_VGPUD_SOURCE_DIR}/packaging/libvgpu-client0/symbols
                        -O${CPACK_TEMPORARY_DIRECTORY}/symbols
                OUTPUT_VARIABLE difference ERROR_VARIABLE difference RESULT_VARIABLE status)
        if(status)
                message(FATAL_ERROR "packaging/libvgpu-client0/symbols is not what the library has:\n${difference}")
        endif()
endfunction()

# Without the time, which would make each build another one.
function(compress file)
        execute_process(COMMAND gzip -9n ${file} COMMAND_ERROR_IS_FATAL ANY)
        file(CHMOD ${file}.gz PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endfunction()

function(compress_manuals tree)
        file(GLOB_RECURSE pages ${tree}/usr/share/man/*.[1-8])
        foreach(page ${pages})
                compress(${page})
        endforeach()
endfunction()

function(write_documents tree package)
        set(doc ${tree}/usr/share/doc/${package})
        file(COPY ${CPACK_VGPUD_SOURCE_DIR}/packaging/copyright DESTINATION ${doc})
        file(COPY ${CPACK_VGPUD_SOURCE_DIR}/CHANGELOG.md DESTINATION ${doc})
        file(RENAME ${doc}/CHANGELOG.md ${doc}/changelog)
        compress(${doc}/changelog)
        set(version ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
        set(contact ${CPACK_PACKAGE_CONTACT})
        string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
        configure_file(${CPACK_VGPUD_SOURCE_DIR}/packaging/changelog.in ${doc}/changelog.Debian @ONLY)
        compress(${doc}/changelog.Debian)
endfunction()

foreach(component ${CPACK_COMPONENTS_ALL})
        string(TOUPPER ${component} upper)
        set(tree ${CPACK_TEMPORARY_DIRECTORY}/${component})
        compress_manuals(${tree})
        write_documents(${tree} ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
endforeach()

# What a linker needs of an archive is neither debugging information nor the compiler's name.
file(GLOB_RECURSE archives ${CPACK_TEMPORARY_DIRECTORY}/client-dev/*.a)
execute_process(COMMAND strip -gD -R .comment -R .note ${archives} COMMAND_ERROR_IS_FATAL ANY)
check_symbols(${CPACK_TEMPORARY_DIRECTORY}/client)
