// What keys do to a text: whole characters, words, selections, undo.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "demo/chat/text_buffer.h"
#include "demo/chat/utf8.h"

namespace pumice::chat {
namespace {

TEST(TextBuffer, EditsWholeCharacters) {
  TextBuffer buffer;
  buffer.insert("a\u00E9\u6C34b\r\n");
  EXPECT_EQ(buffer.text(), "a\u00E9\u6C34b\n");
  buffer.erase_before(false);
  buffer.move_left(false, false);
  buffer.erase_before(false);
  EXPECT_EQ(buffer.text(), "a\u00E9b");
  buffer.move_to(2, false);  // inside of a character
  EXPECT_EQ(buffer.caret(), 1u);
  buffer.erase_after(false);
  EXPECT_EQ(buffer.text(), "ab");
}

TEST(TextBuffer, WordsAndSelections) {
  TextBuffer buffer;
  buffer.assign("one two three");
  buffer.move_left(true, false);
  EXPECT_EQ(buffer.caret(), 8u);
  buffer.move_left(true, true);
  EXPECT_EQ(buffer.selected(), "two ");
  buffer.insert("2 ");
  EXPECT_EQ(buffer.text(), "one 2 three");
  buffer.select_all();
  buffer.move_left(false, false);  // only ends the selection
  EXPECT_EQ(buffer.caret(), 0u);
  buffer.erase_after(true);
  EXPECT_EQ(buffer.text(), "2 three");
  buffer.select_all();
  buffer.erase_before(false);
  EXPECT_EQ(buffer.text(), "");
}

TEST(TextBuffer, UndoGoesBackByRuns) {
  TextBuffer buffer;
  for (const char* each : {"a", "b", "c"}) buffer.insert(each);
  buffer.erase_before(false);
  buffer.insert("a whole pasted text");
  buffer.undo();
  EXPECT_EQ(buffer.text(), "ab");
  buffer.undo();
  EXPECT_EQ(buffer.text(), "abc");
  buffer.undo();
  EXPECT_EQ(buffer.text(), "");
  buffer.undo();
  EXPECT_EQ(buffer.text(), "");
}

TEST(TextBuffer, AnyRunOfKeysKeepsTheTextWhole) {
  std::mt19937 random(3);
  TextBuffer buffer;
  for (int i = 0; i < 5000; ++i) {
    const bool flag = random() % 2 == 0, select = random() % 3 == 0;
    switch (random() % 8) {
      case 0:
        buffer.insert("\u6C34 x");
        break;
      case 1:
        buffer.insert("\u00E9");
        break;
      case 2:
        buffer.erase_before(flag);
        break;
      case 3:
        buffer.erase_after(flag);
        break;
      case 4:
        buffer.move_left(flag, select);
        break;
      case 5:
        buffer.move_right(flag, select);
        break;
      case 6:
        buffer.move_to(random() % 64, select);
        break;
      default:
        buffer.undo();
    }
    ASSERT_LE(buffer.selection_end(), buffer.text().size());
    for (std::string_view rest = buffer.text(); !rest.empty();)
      ASSERT_NE(next_code_point(rest), 0xFFFDu);
  }
}

}  // namespace
}  // namespace pumice::chat
