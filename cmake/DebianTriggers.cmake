# Run by cpack over the packages it made. For a library it writes scripts that call ldconfig at once, where Debian has a trigger, which
# runs it once for all libraries of an upgrade: the scripts go.

foreach(deb ${CPACK_PACKAGE_FILES})
        if(NOT deb MATCHES "/libvgpu-client0_[^/]*[.]deb$")
                continue()
        endif()
        set(tree ${CPACK_TEMPORARY_DIRECTORY}/without-scripts)
        file(REMOVE_RECURSE ${tree})
        execute_process(COMMAND dpkg-deb --raw-extract ${deb} ${tree} COMMAND_ERROR_IS_FATAL ANY)
        file(REMOVE ${tree}/DEBIAN/postinst ${tree}/DEBIAN/postrm)
        execute_process(COMMAND dpkg-deb --root-owner-group --build ${tree} ${deb} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endforeach()
