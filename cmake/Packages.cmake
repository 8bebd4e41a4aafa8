# The Debian packages, for `cpack -G DEB` in a build folder that was configured for /usr; script/package does both.
#
#   vgpud               the daemon, vgpuctl, units, manuals
#   libvgpu-client0     what programs with frames in them run with
#   libvgpu-client-dev  what building one takes
#   vgpud-demo          a simulated guest as a service, for trying the others and for the tests

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vgpud)
# Each package has a summary of its own below.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_PACKAGE_CONTACT "The vgpud authors <vgpud@users.noreply.github.com>" CACHE STRING "Maintainer of the packages")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_COMPONENTS_ALL vgpud client client-dev)
if(VGPUD_TESTS)
        list(APPEND CPACK_COMPONENTS_ALL demo)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
        OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
# Compressed manuals, changelogs and copyright, which are no part of an installation by hand.
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/DebianFiles.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/DebianTriggers.cmake)
set(CPACK_VGPUD_SOURCE_DIR ${PROJECT_SOURCE_DIR})

# Lower than any that Debian would make of this version; cpack -D CPACK_DEBIAN_PACKAGE_RELEASE=0vgpud2 makes what replaces it.
set(CPACK_DEBIAN_PACKAGE_RELEASE 0vgpud1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

set(control ${PROJECT_SOURCE_DIR}/packaging)

set(CPACK_DEBIAN_VGPUD_PACKAGE_NAME vgpud)
set(CPACK_DEBIAN_VGPUD_PACKAGE_SHLIBDEPS ON)
# Its units, users and folders are systemd's to make.
set(CPACK_DEBIAN_VGPUD_PACKAGE_DEPENDS "systemd (>= 252)")
set(CPACK_DEBIAN_VGPUD_DESCRIPTION
"frames of Windows guests for local readers
A producer in a Windows guest captures the desktop into its own memory; vgpud
finds that memory by reading the guest's RAM, without any device, driver or
network in the guest, and publishes frames, cursor and geometry into a sealed
ring that local programs map.
.
This package has the daemon, a service for each virtual machine, and vgpuctl,
which asks them.")
set(CPACK_DEBIAN_VGPUD_PACKAGE_CONTROL_EXTRA
        ${control}/vgpud/postinst ${control}/vgpud/prerm ${control}/vgpud/postrm)

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME libvgpu-client0)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CLIENT_DESCRIPTION
"frames of Windows guests for local readers - library
libvgpu-client gives a program the newest frame of a guest that vgpud watches,
its cursor and what changed, through one descriptor and one call; it reconnects
by itself.
.
This package has the shared library.")
set(CPACK_DEBIAN_CLIENT_PACKAGE_CONTROL_EXTRA ${control}/libvgpu-client0/symbols ${control}/libvgpu-client0/triggers)

set(CPACK_DEBIAN_CLIENT-DEV_PACKAGE_NAME libvgpu-client-dev)
set(CPACK_DEBIAN_CLIENT-DEV_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_CLIENT-DEV_DEPENDS client)
set(CPACK_DEBIAN_CLIENT-DEV_DESCRIPTION
"frames of Windows guests for local readers - development
libvgpu-client gives a program the newest frame of a guest that vgpud watches,
its cursor and what changed, through one descriptor and one call; it reconnects
by itself.
.
This package has headers, the static library, manuals, and files for pkg-config
and CMake.")

set(CPACK_DEBIAN_DEMO_PACKAGE_NAME vgpud-demo)
set(CPACK_DEBIAN_DEMO_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DEMO_PACKAGE_DEPENDS "systemd (>= 252), vgpud")
set(CPACK_DEBIAN_DEMO_DESCRIPTION
"simulated Windows guest for vgpud
A service that writes a machine like a Windows guest's into a RAM file, with a
producer in it that draws, and vgpu-verify, a client that checks every byte of
every frame. For trying vgpud without a virtual machine.")
set(CPACK_DEBIAN_DEMO_PACKAGE_CONTROL_EXTRA
        ${control}/vgpud-demo/postinst ${control}/vgpud-demo/prerm ${control}/vgpud-demo/postrm)

# All that is installed and nothing else, for who builds packages alone: most of the tree is tests.
add_custom_target(packaged)
function(vgpu_add_packaged folder)
        get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
        foreach(target ${targets})
                get_target_property(type ${target} TYPE)
                if(type MATCHES "EXECUTABLE|_LIBRARY" AND NOT type STREQUAL INTERFACE_LIBRARY)
                        add_dependencies(packaged ${target})
                endif()
        endforeach()
        get_property(folders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
        list(REMOVE_ITEM folders ${PROJECT_SOURCE_DIR}/tests)
        foreach(each ${folders})
                vgpu_add_packaged(${each})
        endforeach()
endfunction()
vgpu_add_packaged(${PROJECT_SOURCE_DIR})
if(VGPUD_TESTS)
        add_dependencies(packaged vgpu-guest vgpu-verify)
endif()

include(CPack)
