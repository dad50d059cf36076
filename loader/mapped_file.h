// A file as a read-only memory mapping. The operating system's calls live in mapped_file_posix.cpp
// and mapped_file_windows.cpp and nowhere else.
//
// A mapping shows the file, not a copy of it. Somebody who overwrites the file in place changes
// what we see, and on POSIX somebody who truncates it turns later reads of the lost pages into
// SIGBUS, which no library can turn into an error without taking over the process's signal
// handlers. So:
//   - the mapping is private and read-only: nothing we do reaches the file;
//   - header and tensor sizes are validated once against the size at opening;
//   - weights are copied with read(), which uses pread and reports a shortened file as an Io error;
//   - on Windows the file is opened without write sharing, so neither can happen.
// Programs that replace a model should write a new file and rename it over the old one.
#pragma once

#include <memory>
#include <string>

#include "loader/byte_source.h"

namespace pumice {

/// Opens and maps a regular file. Errors: NotFound (no such path), BadArgument (a directory or
/// device), BadFile (empty), Io (permissions, no address space).
[[nodiscard]] Result<std::shared_ptr<const ByteSource>> map_file(const std::string& path);

}  // namespace pumice
