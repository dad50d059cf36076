#include "engine/quant/reference_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <filesystem>

#include "engine/base/checked.h"
#include "engine/base/fnv.h"
#include "loader/mapped_file.h"

namespace pumice::quant {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::array<char, 8> kMagic = {'P', 'U', 'M', 'L', 'O', 'G', 'I', 'T'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kMostVocab = 1u << 20, kMostContext = 1u << 20, kMostName = 4096;
constexpr uint64_t kShownBytes = 64u << 20;  ///< rows in memory at a time

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t n_vocab = 0;
  uint32_t context = 0, chunks = 0, first_scored = 0;
  uint32_t name_bytes = 0;  ///< of the model
  uint64_t vocabulary = 0;  ///< vocabulary_hash
  uint64_t tokens = 0;      ///< text_hash
};
static_assert(sizeof(Header) == 48);

/// Where things lie; nothing if that does not fit 64 bits.
struct Layout {
  uint64_t tokens_at = 0, rows_at = 0, size = 0;
};

std::optional<Layout> layout_of(const Header& header) {
  Layout layout;
  layout.tokens_at = sizeof(Header) + align_up<uint64_t>(header.name_bytes, 8);
  const uint64_t tokens = uint64_t{header.chunks} * header.context;  // 32 x 32 bits
  const uint64_t scored = uint64_t{header.chunks} * (header.context - 1 - header.first_scored);
  const auto token_bytes = checked_mul(tokens, 4);
  const auto row_bytes = checked_mul(scored, uint64_t{header.n_vocab} * 4);
  if (!token_bytes || !row_bytes) return std::nullopt;
  const auto tokens_end = checked_add(layout.tokens_at, *token_bytes);
  if (!tokens_end) return std::nullopt;
  const auto rows_at = checked_align_up(*tokens_end, 64);
  if (!rows_at) return std::nullopt;
  const auto size = checked_add(*rows_at, *row_bytes);
  if (!size) return std::nullopt;
  layout.rows_at = *rows_at;
  layout.size = *size;
  return layout;
}

Result<void> check_header(const Header& header, const std::string& name) {
  if (header.magic != kMagic)
    return fail(ErrorCode::BadFile, "{}: is no file of reference logits", name);
  if (header.version != kVersion)
    return fail(ErrorCode::Unsupported, "{}: reference logits of version {}; this build reads {}",
                name, header.version, kVersion);
  struct Row {
    const char* what;
    uint64_t value, least, most;
  };
  const Row rows[] = {
      {"vocabulary size", header.n_vocab, 1, kMostVocab},
      {"tokens per chunk", header.context, ChunkOptions::kLeastContext, kMostContext},
      {"number of chunks", header.chunks, 1, UINT32_MAX},
      {"first scored position", header.first_scored, 0,
       header.context >= 2 ? header.context - 2 : 0},
      {"length of the model's name", header.name_bytes, 0, kMostName},
  };
  for (const Row& row : rows)
    if (row.value < row.least || row.value > row.most)
      return fail(ErrorCode::BadFile, "{}: {} is {}; expected {} to {}", name, row.what, row.value,
                  row.least, row.most);
  return {};
}

template <class T>
std::span<const char> chars_of(const T* data, size_t count) {
  return {reinterpret_cast<const char*>(data), count * sizeof(T)};
}

}  // namespace

uint64_t vocabulary_hash(const Tokenizer& tokenizer) {
  Fnv hash;
  for (int32_t id = 0; id < tokenizer.n_vocab(); ++id) hash.add(tokenizer.piece(id));
  return hash.value();
}

Result<ReferenceWriter> ReferenceWriter::create(const std::string& path, const std::string& model,
                                                uint32_t n_vocab, uint64_t vocabulary,
                                                const EvaluationText& text) {
  Header header;
  header.n_vocab = n_vocab;
  header.context = text.context;
  header.chunks = text.chunks;
  header.first_scored = text.first_scored;
  header.name_bytes = uint32_t(std::min<size_t>(model.size(), kMostName));
  header.vocabulary = vocabulary;
  header.tokens = text_hash(text);
  const auto layout = layout_of(header);
  if (!layout)
    return fail(ErrorCode::BadArgument, "{}: too many logits for a file; use fewer chunks", path);
  std::error_code error;
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  const auto space = std::filesystem::space(folder, error);
  if (!error && space.available < layout->size)
    return fail(ErrorCode::Io,
                "{}: reference logits need {} MiB and the disk has {} MiB free; use fewer chunks",
                path, (layout->size >> 20) + 1, space.available >> 20);
  ReferenceWriter writer;
  writer.path_ = path;
  writer.part_ = path + ".part";
  writer.n_vocab_ = n_vocab;
  writer.rows_left_ = text.scored();
  writer.out_.open(writer.part_, std::ios::binary | std::ios::trunc);
  std::string start(layout->rows_at, '\0');
  std::memcpy(start.data(), &header, sizeof(header));
  std::memcpy(start.data() + sizeof(header), model.data(), header.name_bytes);
  std::memcpy(start.data() + layout->tokens_at, text.tokens.data(), text.tokens.size() * 4);
  writer.out_.write(start.data(), std::streamsize(start.size()));
  if (!writer.out_) return fail(ErrorCode::Io, "{}: cannot be written", writer.part_);
  return writer;
}

ReferenceWriter::~ReferenceWriter() {
  if (!out_.is_open()) return;
  out_.close();
  std::error_code ignored;
  std::filesystem::remove(part_, ignored);
}

Result<void> ReferenceWriter::write(const LogitsView& rows) {
  if (rows.n_vocab != n_vocab_ || rows.count > rows_left_)
    return fail(ErrorCode::BadArgument, "{}: {} rows of {} logits where {} of {} were planned",
                path_, rows.count, rows.n_vocab, rows_left_, n_vocab_);
  for (uint32_t i = 0; i < rows.count; ++i) {
    const auto bytes = chars_of(rows.row(i).data(), n_vocab_);
    out_.write(bytes.data(), std::streamsize(bytes.size()));
  }
  rows_left_ -= rows.count;
  if (!out_) return fail(ErrorCode::Io, "{}: writing failed; is the disk full?", part_);
  return {};
}

Result<void> ReferenceWriter::finish() {
  if (rows_left_ != 0)
    return fail(ErrorCode::BadArgument, "{}: {} rows are missing", path_, rows_left_);
  out_.flush();
  if (!out_) return fail(ErrorCode::Io, "{}: writing failed; is the disk full?", part_);
  out_.close();
  std::error_code error;
  std::filesystem::rename(part_, path_, error);
  if (error) {
    const std::string why = error.message();
    std::filesystem::remove(part_, error);
    return fail(ErrorCode::Io, "{}: cannot be put in place: {}", path_, why);
  }
  return {};
}

bool ReferenceFile::recognise(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::array<char, 8> magic{};
  in.read(magic.data(), magic.size());
  return in && magic == kMagic;
}

Result<ReferenceFile> ReferenceFile::open(const std::string& path) {
  ReferenceFile file;
  PUMICE_TRY_ASSIGN(file.bytes_, map_file(path));
  Header header;
  if (file.bytes_->size() < sizeof(header))
    return fail(ErrorCode::BadFile, "{}: {} bytes are too few for reference logits", path,
                file.bytes_->size());
  PUMICE_TRY(file.bytes_->read(0, std::as_writable_bytes(std::span(&header, 1))));
  PUMICE_TRY(check_header(header, path));
  const auto layout = layout_of(header);
  if (!layout || layout->size != file.bytes_->size())
    return fail(ErrorCode::BadFile, "{}: {} bytes; its header asks for {}", path,
                file.bytes_->size(),
                layout ? std::to_string(layout->size) : std::string("more than fit a file"));
  file.n_vocab_ = header.n_vocab;
  file.vocabulary_ = header.vocabulary;
  file.rows_at_ = layout->rows_at;
  file.model_.resize(header.name_bytes);
  PUMICE_TRY(file.bytes_->read(sizeof(header), std::as_writable_bytes(std::span(file.model_))));
  EvaluationText& text = file.text_;
  text.name = path;
  text.context = header.context;
  text.chunks = header.chunks;
  text.first_scored = header.first_scored;
  text.text_tokens = uint64_t{header.chunks} * header.context;
  text.tokens.resize(text.text_tokens);  // the file is larger than that: checked above
  PUMICE_TRY(file.bytes_->read(layout->tokens_at, std::as_writable_bytes(std::span(text.tokens))));
  if (text_hash(text) != header.tokens)
    return fail(ErrorCode::BadFile, "{}: its tokens are damaged (their checksum differs)", path);
  for (const int32_t token : text.tokens)
    if (token < 0 || uint32_t(token) >= file.n_vocab_)
      return fail(ErrorCode::BadFile, "{}: token id {} is outside its vocabulary of {}", path,
                  token, file.n_vocab_);
  return file;
}

Result<void> ReferenceFile::check_text(const EvaluationText& text) const {
  struct Row {
    const char* what;
    uint32_t file, text;
  };
  const Row rows[] = {{"tokens per chunk", text_.context, text.context},
                      {"first scored position", text_.first_scored, text.first_scored}};
  for (const Row& row : rows)
    if (row.file != row.text)
      return fail(ErrorCode::BadArgument,
                  "{}: was made for another evaluation: {} is {} there and {} here", name(),
                  row.what, row.file, row.text);
  if (text.chunks > text_.chunks)
    return fail(ErrorCode::BadArgument, "{}: holds {} chunks and {} are wanted; use --chunks {}",
                name(), text_.chunks, text.chunks, text_.chunks);
  for (uint64_t i = 0; i < text.tokens.size(); ++i)
    if (text.tokens[i] != text_.tokens[i])
      return fail(ErrorCode::BadArgument,
                  "{}: was made from another text: token {} of chunk {} is {} there and {} here",
                  name(), i % text.context, i / text.context, text_.tokens[i], text.tokens[i]);
  return {};
}

Result<void> ReferenceFile::check_vocabulary(const Tokenizer& tokenizer, uint32_t n_vocab) const {
  if (n_vocab != n_vocab_)
    return fail(ErrorCode::BadArgument,
                "the vocabularies differ: {} holds logits of {} tokens and the model has {}",
                name(), n_vocab_, n_vocab);
  if (vocabulary_hash(tokenizer) != vocabulary_)
    return fail(
        ErrorCode::BadArgument,
        "the vocabularies differ: {} was made by a model ({}) whose tokens have other texts",
        name(), model_);
  return {};
}

uint32_t ReferenceFile::most_rows() const {
  return uint32_t(std::max<uint64_t>(kShownBytes / (uint64_t{n_vocab_} * 4), 1));
}

Result<LogitsView> ReferenceFile::rows(const EvaluationText& text, uint32_t chunk, uint32_t first,
                                       uint32_t count) {
  if (text.context != text_.context || text.first_scored != text_.first_scored ||
      chunk >= text_.chunks || first + count > text_.scored_per_chunk() || count > most_rows())
    return fail(ErrorCode::BadArgument, "{}: holds no rows {}..{} of chunk {}", name(), first,
                first + count - 1, chunk);
  const uint64_t row = uint64_t{chunk} * text_.scored_per_chunk() + first;
  shown_.resize(uint64_t{count} * n_vocab_);
  PUMICE_TRY(
      bytes_->read(rows_at_ + row * n_vocab_ * 4, std::as_writable_bytes(std::span(shown_))));
  return LogitsView{shown_.data(), count, n_vocab_, n_vocab_};
}

}  // namespace pumice::quant
