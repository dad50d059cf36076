// The history as the window uses it: trees, growing answers, search, two windows, and files that
// cannot be written or are not ours.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "demo/chat/branches.h"
#include "demo/chat/history.h"

namespace pumice::chat {
namespace {

namespace fs = std::filesystem;

/// A folder that is gone after the test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "pumice-history-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::permissions(path_, fs::perms::owner_all, ignored);
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(const char* name = "history.db") const {
    return (path_ / name).string();
  }

 private:
  fs::path path_;
};

std::unique_ptr<History> opened(const std::string& path) {
  auto history = History::open(path);
  EXPECT_TRUE(history) << history.error().text;
  return history ? std::move(*history) : nullptr;
}

template <class T>
T value(Outcome<T> outcome) {
  EXPECT_TRUE(outcome) << outcome.error().text;
  return outcome ? *outcome : T{};
}

void fine(const Outcome<void>& outcome) {
  EXPECT_TRUE(outcome) << outcome.error().text;
}

std::vector<std::string> texts(const std::vector<Message>& messages, int64_t leaf) {
  std::vector<std::string> found;
  for (size_t i : branch_to(messages, leaf)) found.push_back(messages[i].text);
  return found;
}

TEST(History, KeepsAConversation) {
  Folder folder;
  int64_t talk = 0;
  {
    auto history = opened(folder.file("new/folder/history.db"));
    talk = value(history->create("Stones", "Be brief."));
    const int64_t question = value(history->add(talk, 0, Role::User, "What floats?"));
    const int64_t answer = value(history->begin(talk, question, "mini"));
    for (const char* piece : {"Pu", "mice", " floats."}) fine(history->append(answer, piece));
    fine(history->finish(answer, MessageState::Finished));
  }
  auto history = opened(folder.file("new/folder/history.db"));
  const auto talks = value(history->conversations(10));
  ASSERT_EQ(talks.size(), 1u);
  EXPECT_EQ(talks[0].title, "Stones");
  EXPECT_EQ(talks[0].system, "Be brief.");
  const auto messages = value(history->messages(talk));
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[1].text, "Pumice floats.");
  EXPECT_EQ(messages[1].model, "mini");
  EXPECT_EQ(messages[1].role, Role::Assistant);
  EXPECT_EQ(messages[1].state, MessageState::Finished);
  EXPECT_EQ(talks[0].leaf, messages[1].id);
}

TEST(History, AHalfFinishedAnswerIsReadableAtEveryMomentAndStoppedAfterwards) {
  Folder folder;
  auto writer = opened(folder.file());
  const int64_t talk = value(writer->create("", ""));
  const int64_t question = value(writer->add(talk, 0, Role::User, "q"));
  const int64_t answer = value(writer->begin(talk, question, "m"));
  fine(writer->append(answer, "half "));
  fine(writer->append(answer, "an "));
  EXPECT_EQ(value(writer->messages(talk))[1].text, "half an ");
  EXPECT_EQ(value(writer->messages(talk))[1].state, MessageState::Writing);

  auto reader = opened(folder.file());  // takes the writer for dead, wrongly
  EXPECT_EQ(value(reader->messages(talk))[1].text, "half an ");
  EXPECT_EQ(value(reader->messages(talk))[1].state, MessageState::Stopped);
  EXPECT_EQ(value(reader->search("half an", 5)).size(), 1u);

  fine(writer->append(answer, "answer"));
  fine(writer->finish(answer, MessageState::Finished));
  EXPECT_EQ(value(reader->messages(talk))[1].text, "half an answer");
  EXPECT_EQ(value(reader->messages(talk))[1].state, MessageState::Finished);
}

TEST(History, EditsAndRegenerationsAreBranches) {
  Folder folder;
  auto history = opened(folder.file());
  const int64_t talk = value(history->create("", ""));
  const int64_t a = value(history->add(talk, 0, Role::User, "a"));
  const int64_t b = value(history->add(talk, a, Role::Assistant, "b"));
  const int64_t b2 = value(history->add(talk, a, Role::Assistant, "b2"));
  const int64_t a2 = value(history->add(talk, 0, Role::User, "a2"));
  const int64_t c = value(history->add(talk, b, Role::User, "c"));
  const auto messages = value(history->messages(talk));
  EXPECT_EQ(texts(messages, c), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(texts(messages, b2), (std::vector<std::string>{"a", "b2"}));
  EXPECT_EQ(texts(messages, 999), (std::vector<std::string>{"a", "b", "c"}));  // unknown: newest
  EXPECT_EQ(siblings_of(messages, b2), (std::vector<int64_t>{b, b2}));
  EXPECT_EQ(siblings_of(messages, a), (std::vector<int64_t>{a, a2}));
  EXPECT_EQ(newest_leaf(messages, a), b2);
  EXPECT_EQ(newest_leaf(messages, b), c);
  fine(history->show(talk, b2));
  EXPECT_EQ(value(history->conversation(talk)).leaf, b2);
  fine(history->remove(talk));
  EXPECT_FALSE(history->conversation(talk));
  EXPECT_TRUE(value(history->messages(talk)).empty());
}

struct SearchRow {
  const char* words;
  size_t hits;
};

TEST(History, SearchFindsPartsOfWordsInEveryScript) {
  Folder folder;
  auto history = opened(folder.file());
  const int64_t talk = value(history->create("Talk", ""));
  int64_t parent = 0;
  for (const char* text : {"Pumice is a volcanic rock.", "火山岩は水に浮くことがある",
                           "100% \"quoted\" C++", "Вулканическое стекло"})
    parent = value(history->add(talk, parent, Role::User, text));
  const SearchRow rows[] = {
      {"pumice", 1}, {"OLCAN", 1}, {"rock volcanic", 1}, {"rock glass", 0}, {"水に", 1},
      {"火山岩", 1}, {"стекл", 1}, {"ВУЛКАН", 1},        {"0%", 1},         {"\"quoted\"", 1},
      {"C++", 1},    {"a", 1},     {"AND OR NOT (", 0},  {"", 0},           {"  ", 0},
      {"*", 0},      {"_", 0},     {"is rock a", 1},
  };
  for (const SearchRow& row : rows)
    EXPECT_EQ(value(history->search(row.words, 10)).size(), row.hits) << row.words;
  EXPECT_EQ(value(history->search("volcanic", 10))[0].excerpt,
            "Pumice is a \x02volcanic\x03 rock.");
}

TEST(History, TwoWindowsSeeEachOther) {
  Folder folder;
  auto first = opened(folder.file());
  auto second = opened(folder.file());
  EXPECT_FALSE(second->changed_elsewhere());
  const int64_t talk = value(first->create("one", ""));
  EXPECT_TRUE(second->changed_elsewhere());
  EXPECT_FALSE(second->changed_elsewhere());
  value(second->add(talk, 0, Role::User, "from the second"));
  EXPECT_TRUE(first->changed_elsewhere());
  EXPECT_EQ(value(first->messages(talk)).size(), 1u);
  EXPECT_FALSE(first->changed_elsewhere());
  fine(second->remove(talk));
  EXPECT_FALSE(first->add(talk, 0, Role::User, "to a conversation that is gone"));
}

TEST(History, RemembersSettings) {
  Folder folder;
  fine(opened(folder.file())->set_setting("colours", "light"));
  auto history = opened(folder.file());
  fine(history->set_setting("colours", "dark"));
  EXPECT_EQ(history->setting("colours"), "dark");
  EXPECT_EQ(history->setting("nothing"), "");
}

TEST(History, AReadOnlyFileIsUsedFromACopyAndSaysWhy) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everything";
  Folder folder;
  value(opened(folder.file())->create("kept", ""));
  fs::permissions(fs::path(folder.file()), fs::perms::owner_read);
  fs::permissions(fs::path(folder.file()).parent_path(),
                  fs::perms::owner_read | fs::perms::owner_exec);
  auto history = opened(folder.file());
  EXPECT_NE(history->read_only_reason().find("read-only"), std::string::npos);
  EXPECT_EQ(value(history->conversations(5)).size(), 1u);
  EXPECT_GT(value(history->create("for now", "")), 0);
  EXPECT_EQ(value(history->conversations(5)).size(), 2u);
  history = opened(folder.file());
  EXPECT_EQ(value(history->conversations(5)).size(), 1u);
}

TEST(History, AFullDiskLosesNothingThatWasThere) {
  Folder folder;
  auto history = opened(folder.file());
  const int64_t talk = value(history->create("t", ""));
  value(history->add(talk, 0, Role::User, "before"));
  struct rlimit before = {}, tight = {};
  getrlimit(RLIMIT_FSIZE, &before);
  tight = before;
  tight.rlim_cur = 256 << 10;  // a write beyond this fails as on a full disk
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &tight);
  const Outcome<int64_t> failed = history->add(talk, 0, Role::User, std::string(1 << 20, 'x'));
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_DFL);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().text.find(folder.file()), std::string::npos) << failed.error().text;
  value(history->add(talk, 0, Role::User, "after"));
  EXPECT_EQ(value(history->messages(talk)).size(), 2u);
}

TEST(History, FilesThatAreNotOursAreLeftAlone) {
  Folder folder;
  const std::string text = "This is a letter, and long enough to be looked at as a database file.";
  std::ofstream(folder.file()) << text;
  const auto letter = History::open(folder.file());
  ASSERT_FALSE(letter);
  EXPECT_NE(letter.error().text.find("not a chat history"), std::string::npos);
  std::ifstream in(folder.file());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);
  EXPECT_FALSE(History::open("/proc/nowhere/history.db"));
  EXPECT_FALSE(History::open(fs::path(folder.file()).parent_path().string()));  // a folder
}

}  // namespace
}  // namespace pumice::chat
