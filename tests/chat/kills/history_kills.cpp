// history_kills ROUNDS SEED: a scripted writer in a child process is killed by SIGKILL at a random
// moment, ROUNDS times over one history. Whatever it had acknowledged through a pipe must be there
// when the file is opened again, in words, parents and states; and the file must always open.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <string>

#include "demo/chat/history.h"

namespace pumice::chat {
namespace {

/// What the writer says after each call that came back well; written to the pipe in one piece.
struct Acknowledged {
  enum Kind : int32_t { Added, Begun, Appended, Finished } kind;
  int32_t step;  ///< number of the text in the script
  int64_t conversation;
  int64_t message;
  int64_t parent;
};

/// The script's texts, known to both sides. Some are long enough to span pages of the file.
std::string scripted(uint32_t round, int32_t step) {
  const size_t length = step % 17 == 0 ? 9000 : 5 + static_cast<size_t>(step * 7 % 40);
  std::string text = fmt::format("r{}s{} ", round, step);
  while (text.size() < length) text += static_cast<char>('a' + (text.size() * 31 + round) % 26);
  return text;
}

[[noreturn]] void fail_child(const std::string& what) {
  fmt::print(stderr, "writer: {}\n", what);
  _exit(3);
}

template <class T>
T must(Outcome<T> outcome) {
  if (!outcome) fail_child(outcome.error().text);
  return *outcome;
}

void must(const Outcome<void>& outcome) {
  if (!outcome) fail_child(outcome.error().text);
}

/// Writes until it is killed.
[[noreturn]] void write_script(const std::string& path, uint32_t round, int pipe) {
  auto opened = History::open(path);
  if (!opened) fail_child(opened.error().text);
  History& history = **opened;
  int32_t step = 0;
  const auto say = [&](Acknowledged each) {
    if (write(pipe, &each, sizeof each) != sizeof each) _exit(4);
  };
  for (;;) {
    const int64_t talk = must(history.create(fmt::format("round {}", round), ""));
    int64_t parent = 0;
    for (int turn = 0; turn < 6; ++turn) {
      ++step;
      const int64_t question = must(history.add(talk, parent, Role::User, scripted(round, step)));
      say({Acknowledged::Added, step, talk, question, parent});
      for (int attempt = 0; attempt < 2; ++attempt) {  // the second is a regenerated answer
        const int64_t answer = must(history.begin(talk, question, "m"));
        say({Acknowledged::Begun, 0, talk, answer, question});
        for (int piece = 0; piece < 12; ++piece) {
          ++step;
          must(history.append(answer, scripted(round, step)));
          say({Acknowledged::Appended, step, talk, answer, question});
        }
        must(history.finish(answer, MessageState::Finished));
        say({Acknowledged::Finished, 0, talk, answer, question});
        parent = answer;
      }
    }
  }
}

/// What must be there, by message.
struct Expected {
  int64_t conversation = 0, parent = 0;
  std::string text;
  bool finished = false, grows = false;
};
using Ledger = std::map<int64_t, Expected>;

/// Reads at most `most` acknowledgements, waiting for them; fewer when the writer is dead.
void read_ledger(int pipe, uint32_t round, uint32_t most, Ledger& ledger) {
  for (Acknowledged each; most > 0 && read(pipe, &each, sizeof each) == sizeof each; --most) {
    Expected& expected = ledger[each.message];
    expected.conversation = each.conversation;
    expected.parent = each.parent;
    expected.grows = expected.grows || each.kind != Acknowledged::Added;
    if (each.kind == Acknowledged::Added || each.kind == Acknowledged::Appended)
      expected.text += scripted(round, each.step);
    if (each.kind != Acknowledged::Begun && each.kind != Acknowledged::Appended)
      expected.finished = true;
  }
}

/// The number of messages that are not as acknowledged.
size_t check(History& history, const Ledger& ledger) {
  size_t wrong = 0;
  std::map<int64_t, std::map<int64_t, Message>> talks;
  for (const auto& [id, expected] : ledger) {
    auto [talk, fresh] = talks.try_emplace(expected.conversation);
    if (fresh) {
      auto messages = history.messages(expected.conversation);
      if (!messages) fmt::print(stderr, "{}\n", messages.error().text);
      if (messages)
        for (Message& each : *messages) talk->second[each.id] = std::move(each);
    }
    const auto found = talk->second.find(id);
    // A last piece may have been written without having been acknowledged: more text is right.
    const bool good = found != talk->second.end() && found->second.parent == expected.parent &&
                      (expected.finished ? found->second.text == expected.text &&
                                               found->second.state == MessageState::Finished
                                         : found->second.text.starts_with(expected.text)) &&
                      found->second.state != MessageState::Writing;
    if (good) continue;
    ++wrong;
    fmt::print(stderr, "message {} of conversation {} is not as acknowledged\n", id,
               expected.conversation);
  }
  return wrong;
}

/// The moment of a kill: so many acknowledgements after the start, and a while later.
struct Moment {
  uint32_t acknowledged;
  int microseconds;
};

/// One round in eight dies while it opens the file; the others anywhere in the script.
Moment random_moment(std::mt19937& random) {
  if (random() % 8 == 0) return {0, static_cast<int>(random() % 20000)};
  return {1 + static_cast<uint32_t>(random() % 60), static_cast<int>(random() % 1500)};
}

/// One kill; the number of things wrong. `fed` counts messages acknowledged before it.
size_t play_round(const std::string& path, uint32_t round, Moment moment, Ledger& all,
                  size_t& fed) {
  int ends[2];
  if (pipe(ends) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    write_script(path, round, ends[1]);
  }
  close(ends[1]);
  Ledger ledger;
  read_ledger(ends[0], round, moment.acknowledged, ledger);
  const timespec wait = {0, moment.microseconds * 1000L};
  nanosleep(&wait, nullptr);
  kill(child, SIGKILL);
  read_ledger(ends[0], round, UINT32_MAX, ledger);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFSIGNALED(status)) {
    fmt::print(stderr, "round {}: the writer ended by itself with {:#x}\n", round, status);
    return 1;
  }
  auto history = History::open(path);
  if (!history || !(*history)->read_only_reason().empty()) {
    fmt::print(stderr, "round {}: {}\n", round,
               history ? (*history)->read_only_reason() : history.error().text);
    return 1;
  }
  fed += ledger.size();
  const size_t wrong = check(**history, ledger);
  all.merge(ledger);
  return wrong;
}

int kills(uint32_t rounds, uint32_t seed) {
  std::string folder = (std::filesystem::temp_directory_path() / "pumice-kills-XXXXXX").string();
  if (!mkdtemp(folder.data())) return 1;
  const std::string path = folder + "/history.db";
  std::mt19937 random(seed);
  Ledger all;
  size_t wrong = 0, fed = 0;
  for (uint32_t round = 0; round < rounds; ++round)
    wrong += play_round(path, round, random_moment(random), all, fed);
  if (auto history = History::open(path)) wrong += check(**history, all);
  fmt::print("{} kills, {} messages acknowledged, {} wrong\n", rounds, fed, wrong);
  std::filesystem::remove_all(folder);
  // A run that acknowledged next to nothing has tested nothing.
  return wrong == 0 && fed >= rounds ? 0 : 1;
}

}  // namespace
}  // namespace pumice::chat

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: history_kills ROUNDS SEED\n");
    return 2;
  }
  return pumice::chat::kills(static_cast<uint32_t>(std::atol(argv[1])),
                             static_cast<uint32_t>(std::atol(argv[2])));
}
