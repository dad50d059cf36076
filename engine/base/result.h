// The one way a failure travels inside the library: an Error value with words.
// Bugs are asserts; files, users and drivers are Results.
#pragma once

#include <fmt/format.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace pumice {

enum class ErrorCode {
  BadArgument,   ///< the caller asked for something that cannot be
  BadFile,       ///< the file's bytes contradict the format or themselves
  Unsupported,   ///< well formed, but not something this build can run
  NotFound,      ///< a path, key, tensor or device is absent
  Io,            ///< the operating system refused to read or write
  OutOfMemory,   ///< host or device memory is too small for the plan
  NoDevice,      ///< no Vulkan driver, or no device with the baseline
  DeviceLost,    ///< the driver lost the device; reload to go on
  Driver,        ///< another Vulkan call failed
  ContextFull,   ///< the sequence does not fit its context
  NonFinite,     ///< the model computed NaN or infinity
  Cancelled,     ///< the caller's callback or signal stopped the work
};

struct Error {
  ErrorCode code = ErrorCode::BadArgument;
  std::string text;  ///< one line: what, where, expected, found, what to do
};

template <class T>
using Result = tl::expected<T, Error>;

/// Builds the failing side of a Result: `return fail(ErrorCode::BadFile, "tensor {}: ...", name);`
template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> text,
                                         Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(text, std::forward<Args>(args)...)});
}

/// Passes an error on with the place it passed through in front.
[[nodiscard]] inline tl::unexpected<Error> fail_in(const std::string& place, Error error) {
  error.text = place + ": " + error.text;
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace pumice

#define PUMICE_JOIN_INNER(a, b) a##b
#define PUMICE_JOIN(a, b) PUMICE_JOIN_INNER(a, b)

/// Returns the error of a Result<void> expression to the caller.
#define PUMICE_TRY(expression)                                                \
  do {                                                                        \
    if (auto pumice_result = (expression); !pumice_result)                    \
      return ::tl::unexpected<::pumice::Error>(std::move(pumice_result.error())); \
  } while (false)

/// Declares `target` as the value of a Result<T> expression, or returns its error.
#define PUMICE_TRY_ASSIGN(target, expression) \
  PUMICE_TRY_ASSIGN_NAMED(PUMICE_JOIN(pumice_result_, __LINE__), target, expression)
#define PUMICE_TRY_ASSIGN_NAMED(name, target, expression)                              \
  auto name = (expression);                                                            \
  if (!name) return ::tl::unexpected<::pumice::Error>(std::move(name.error()));        \
  target = std::move(*name)
