# The memory source's tests: they need no guest, only files.

foreach(name source_test source_guard_test image_test)
        add_executable(${name} ${CMAKE_CURRENT_LIST_DIR}/${name}.c)
        target_link_libraries(${name} PRIVATE vgpu_source vgpu_flags PkgConfig::CMOCKA Threads::Threads)
        add_test(NAME perception/${name} COMMAND ${name})
        set_tests_properties(perception/${name} PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
target_include_directories(source_guard_test PRIVATE ${PROJECT_SOURCE_DIR}/perception/source)

# Every kind of copy there is, whichever the source would choose here.
add_executable(copy_test ${CMAKE_CURRENT_LIST_DIR}/copy_test.c)
target_include_directories(copy_test PRIVATE ${PROJECT_SOURCE_DIR}/perception/source)
target_link_libraries(copy_test PRIVATE vgpu_source vgpu_flags PkgConfig::CMOCKA)
add_test(NAME perception/copy_test COMMAND copy_test)
set_tests_properties(perception/copy_test PROPERTIES LABELS unit TIMEOUT 300 SKIP_RETURN_CODE 77)
