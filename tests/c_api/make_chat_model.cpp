// Writes the model that the C programs talk with.
#include <cstdio>

#include "tests/support/chat_model.h"

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const std::vector<std::byte> bytes = pumice::test::chat_model().bytes();
  std::FILE* file = std::fopen(arguments[1], "wb");
  if (file == nullptr) return 1;
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  return std::fclose(file) == 0 && written ? 0 : 1;
}
