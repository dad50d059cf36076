// Owns the reading of quantisations out of file names: MODEL-Q4_K_M.gguf, MODEL.Q4_K_M.gguf,
// Q4_K_M/MODEL-Q4_K_M-00001-of-00003.gguf.
#include "tools/pumice/hub/choose.h"

#include <algorithm>
#include <set>

#include "loader/gguf_split.h"
#include "loader/printable.h"
#include "tools/pumice/hub/names.h"

namespace pumice::hub {
namespace {

constexpr uint32_t kMostParts = 1024;
constexpr size_t kMostNamed = 40;  // in a message

/// One model of a listing by its first file.
struct Candidate {
  const HubFile* file = nullptr;
  std::string stem;  ///< lower case, without ".gguf" and the number of the part
};

/// The path without what belongs to the container.
std::string_view stem_of(std::string_view path, const std::optional<SplitPath>& split) {
  return split ? path.substr(0, split->prefix.size()) : path.substr(0, path.size() - 5);
}

bool separates(std::string_view text, size_t at) {
  return at >= text.size() || std::string_view("-./ ").find(text[at]) != std::string_view::npos;
}

/// Where `word` stands alone in `stem`. '_' may come before a quantisation but is part of what
/// follows it: q4_k is not in q4_k_m.
bool holds_word(std::string_view stem, std::string_view word) {
  for (size_t at = stem.find(word); at != std::string_view::npos; at = stem.find(word, at + 1)) {
    const bool begins = at == 0 || separates(stem, at - 1) || stem[at - 1] == '_';
    if (begins && separates(stem, at + word.size())) return true;
  }
  return false;
}

/// The last word of a stem, which is where quantisations are.
std::string_view last_word(std::string_view stem) {
  const size_t at = stem.find_last_of("-./ ");
  return at == std::string_view::npos ? stem : stem.substr(at + 1);
}

/// Projectors of pictures and statistics of activations, which are GGUF files too.
bool is_no_model(std::string_view stem) {
  const std::string_view name = stem.substr(stem.find_last_of('/') + 1);
  return name.find("mmproj") != std::string_view::npos || name.starts_with("imatrix");
}

/// Heads that guess ahead for another model; but some models carry these words in their names.
bool is_side_model(std::string_view stem) {
  return holds_word(stem, "mtp") || holds_word(stem, "draft") || last_word(stem) == "imatrix";
}

std::vector<Candidate> candidates_of(const std::vector<HubFile>& files) {
  std::vector<Candidate> models, side;
  for (const HubFile& file : files) {
    if (!is_gguf_name(file.path) || !is_safe_path(file.path)) continue;
    const auto split = parse_split_path(file.path);
    if (split && split->number != 1) continue;
    Candidate candidate{&file, lower_case(stem_of(file.path, split))};
    if (is_no_model(candidate.stem)) continue;
    (is_side_model(candidate.stem) ? side : models).push_back(std::move(candidate));
  }
  return models.empty() ? side : models;
}

/// The plainest name that holds the word: at its end rather than within, the shorter the better.
const Candidate* best_with(const std::vector<Candidate>& candidates, std::string_view word) {
  const Candidate* best = nullptr;
  const auto rank = [&](const Candidate& candidate) {
    return std::pair(!candidate.stem.ends_with(word), candidate.stem.size());
  };
  for (const Candidate& candidate : candidates)
    if (holds_word(candidate.stem, word) && (!best || rank(candidate) < rank(*best)))
      best = &candidate;
  return best;
}

const Candidate* usual_choice(const std::vector<Candidate>& candidates) {
  if (const Candidate* found = best_with(candidates, "q4_k_m")) return found;
  for (const Candidate& candidate : candidates)
    if (last_word(candidate.stem).starts_with("q4_")) return &candidate;
  if (const Candidate* found = best_with(candidates, "q8_0")) return found;
  return &candidates.front();
}

std::string words_of(const std::vector<Candidate>& candidates) {
  std::set<std::string> seen;
  std::string text;
  for (const Candidate& candidate : candidates) {
    std::string word(last_word(candidate.stem));
    for (char& c : word)
      if (c >= 'a' && c <= 'z') c = char(c - 'a' + 'A');
    if (!seen.insert(word).second) continue;
    if (seen.size() > kMostNamed) return text + " ...";
    text += " " + printable(word);
  }
  return text;
}

/// The file and, where it is a part, all parts in order.
Result<std::vector<HubFile>> with_parts(const std::vector<HubFile>& files, const HubFile& file,
                                        std::string_view repository) {
  const auto split = parse_split_path(file.path);
  if (!split) return std::vector<HubFile>{file};
  if (split->count > kMostParts)
    return fail(ErrorCode::BadFile, "{}: {} says that it has {} parts; at most {} are read",
                repository, printable(file.path, 200), split->count, kMostParts);
  std::vector<HubFile> parts;
  for (uint32_t number = 1; number <= split->count; ++number) {
    const std::string path = split_path(*split, number);
    const auto found = std::find_if(files.begin(), files.end(),
                                    [&](const HubFile& other) { return other.path == path; });
    if (found == files.end())
      return fail(ErrorCode::NotFound, "{}: {} is missing, part {} of {} of the model", repository,
                  printable(path, 200), number, split->count);
    parts.push_back(*found);
  }
  return parts;
}

}  // namespace

Result<std::vector<HubFile>> choose_quant(const std::vector<HubFile>& files, std::string_view quant,
                                          std::string_view repository) {
  const std::vector<Candidate> candidates = candidates_of(files);
  if (candidates.empty())
    return fail(ErrorCode::NotFound,
                "{} has no model in GGUF among its {} files; repositories that have one often end "
                "in -GGUF",
                repository, files.size());
  const Candidate* chosen =
      quant.empty() ? usual_choice(candidates) : best_with(candidates, lower_case(quant));
  if (!chosen)
    return fail(ErrorCode::NotFound, "{} has no file in {}; there are:{}", repository,
                printable(quant), words_of(candidates));
  return with_parts(files, *chosen->file, repository);
}

Result<std::vector<HubFile>> choose_path(const std::vector<HubFile>& files, std::string_view path,
                                         std::string_view repository) {
  if (!is_safe_path(path) || !is_gguf_name(path))
    return fail(ErrorCode::BadArgument, "\"{}\" is not the name of a .gguf file of a repository",
                printable(path, 200));
  for (const HubFile& file : files)
    if (file.path == path) return with_parts(files, file, repository);
  std::string names;
  const std::vector<Candidate> candidates = candidates_of(files);
  for (size_t i = 0; i < std::min(candidates.size(), kMostNamed); ++i)
    names += " " + printable(candidates[i].file->path, 200);
  return fail(ErrorCode::NotFound, "{} has no file {}; there are:{}", repository,
              printable(path, 200), names.empty() ? " none in GGUF" : names);
}

}  // namespace pumice::hub
