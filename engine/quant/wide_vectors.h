// A second copy of a function for processors with vectors of four doubles, chosen at load time.
#pragma once

// AVX2 without FMA: both copies round alike.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define PUMICE_WIDE_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define PUMICE_WIDE_VECTORS
#endif
