#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds of C with CMake and Ninja; a package from pkg-config's database.
set -euxo pipefail
mkdir cmake
cd cmake
printf '%s\n' 'cmake_minimum_required(VERSION 3.20)' 'project(hello C)' 'find_package(ZLIB REQUIRED)' \
  'add_executable(hello hello.c)' 'target_link_libraries(hello ZLIB::ZLIB)' >CMakeLists.txt
printf '%s\n' '#include <stdio.h>' '#include <zlib.h>' \
  'int main(void) { return printf("%s\n", zlibVersion()) < 2; }' >hello.c
cmake -G Ninja -B build
cmake --build build
build/hello
