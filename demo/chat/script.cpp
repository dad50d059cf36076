#include "script.h"

namespace pumice::chat {
namespace {

struct QuestionRow {
  const char* question;
  bool anew;  ///< in a conversation of its own
};

/// What the model that comes along was made for. The last conversation is on screen.
constexpr QuestionRow kQuestions[] = {
    {"Tell me a story about a fox.", true},
    {"What is 17 + 25?", true},
    {"How do I quantise a model?", true},
    {"Hello! Who are you?", true},
    {"My name is Ada. What can you do?", false},
    {"Which devices does pumice run on?", false},
    {"What is 58 - 19?", false},
    {"And what is my name?", false},
};

struct SampleRow {
  const char* title;
  const char* question;
  const char* answer;
};

constexpr SampleRow kSamples[] = {
    {"\u039B\u03AC\u03B2\u03B1, \u043B\u0430\u0432\u0430, lava", "Name basalt in four languages.",
     "Basalt, \u0431\u0430\u0437\u0430\u043B\u044C\u0442, "
     "\u03B2\u03B1\u03C3\u03AC\u03BB\u03C4\u03B7\u03C2, basalto."},
    {"A haiku on cooling lava", "A haiku on cooling lava, please.",
     "Red river slows down,\nskin of glass over slow fire:\nthe sea holds its breath."},
    {"Packing list for Etna", "What should I pack for a day on Etna?",
     "- water\n- a wind jacket\n- boots\n- *patience* with the ash"},
    {"Why does pumice float?", "Why does pumice float, and how would I measure it?",
     "Pumice is **frozen foam**: gas left the melt faster than the melt could close again, and "
     "most "
     "of the stone is holes. As long as water stays out of them, its density is below that of "
     "water.\n\n"
     "| rock | density, g/cm\u00B3 | floats |\n|---|---|---|\n| pumice | 0.3 \u2013 0.9 | yes, for "
     "months |\n| scoria | 1.0 \u2013 1.6 | no |\n| basalt | 2.9 | no |\n\n"
     "To measure it:\n\n1. weigh the dry stone\n2. seal its surface with a little wax\n3. push it "
     "under water and read the volume `V`\n\n"
     "```python\nmass, volume = 41.2, 63.0   # g, cm\u00B3\ndensity = mass / volume\n"
     "print(f\"{density:.2f} g/cm\u00B3, floats: {density < 1.0}\")\n```\n\n"
     "> Leave it in the bucket for a year and try again: it may have sunk."},
};

}  // namespace

Outcome<void> write_sample(History& history) {
  for (const SampleRow& row : kSamples) {
    auto talk = history.create(row.title, "You are a patient geologist.");
    if (!talk) return trouble_of(talk);
    auto question = history.add(*talk, 0, Role::User, row.question);
    if (!question) return trouble_of(question);
    auto first = history.add(*talk, *question, Role::Assistant, "It is light.");
    if (!first) return trouble_of(first);
    auto answer = history.add(*talk, *question, Role::Assistant, row.answer);
    if (!answer) return trouble_of(answer);
  }
  return {};
}

bool Script::step(App& app) {
  if (app.state.phase == Phase::Loading || app.chat.busy()) return false;
  if (app.state.phase == Phase::Empty) return true;  // it could not be loaded; that is shown
  if (next_ >= std::size(kQuestions)) return true;
  const QuestionRow& row = kQuestions[next_++];
  app.chat.random_seed = false;
  app.chat.sampling.temperature = 0;
  if (app.chat.sampling.max_tokens == 0) app.chat.sampling.max_tokens = 160;
  if (row.anew) app.chat.begin_new();
  app.follow = true;
  return !app.chat.send(row.question);
}

}  // namespace pumice::chat
