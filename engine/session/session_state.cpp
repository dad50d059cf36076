// The format: "PMSS", version u32, fingerprint u64, then what Writer writes, then the XXH3 of all
// that. Little-endian; counts, ids and lengths are LEB128.
#include "engine/session/session_state.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "engine/text/unicode.h"
#include "loader/byte_cursor.h"
#include "loader/byte_writer.h"

namespace pumice {
namespace {

constexpr uint32_t kMagic = 0x53534D50;  // "PMSS"
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 16, kHashBytes = 8;
constexpr uint8_t kByModel = 4;  // beside the role, in a message's first byte

class Writer {
 public:
  template <class T>
  void value(T v) {
    append_value(bytes_, v);
  }
  void number(uint64_t v) {
    for (; v >= 0x80; v >>= 7) value(uint8_t(v | 0x80));
    value(uint8_t(v));
  }
  void text(std::string_view v) {
    number(v.size());
    append_bytes(bytes_, std::as_bytes(std::span(v)));
  }
  void sampling(const SamplingOptions& s) {
    value(s.temperature);
    value(s.top_k);
    value(s.top_p);
    value(s.min_p);
    value(s.repeat_penalty);
    value(s.repeat_last);
    value(s.seed);
  }
  void message(const Message& m) {
    value(uint8_t(uint8_t(m.role) | (m.by_model ? kByModel : 0)));
    if (!m.by_model) return text(m.text);
    value(uint8_t(m.end));
    number(m.draws);
    number(m.tokens.size());
    for (const int32_t token : m.tokens) number(uint64_t(token));
  }
  void cache(const SavedCache& cache) {
    value(cache.layout);
    number(cache.bytes.size());
    append_bytes(bytes_, cache.bytes);
  }
  std::vector<std::byte> finish() {
    value(uint64_t(XXH3_64bits(bytes_.data(), bytes_.size())));
    return std::move(bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
};

/// After the first thing that cannot be, failed() is true and all reads give nothing.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : cursor_(bytes) {}

  [[nodiscard]] bool failed() const { return bad_ || cursor_.failed(); }
  [[nodiscard]] bool at_end() const { return cursor_.remaining() == 0; }

  template <class T>
  T value() {
    return cursor_.read<T>();
  }
  uint64_t number(uint64_t most) {
    uint64_t v = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
      const auto byte = value<uint8_t>();
      v |= uint64_t(byte & 0x7F) << shift;
      if (byte & 0x80) continue;
      if (v <= most) return v;
      break;
    }
    bad_ = true;
    return 0;
  }
  /// A count of things that take a byte each at least.
  uint64_t count() { return number(cursor_.remaining()); }
  std::string text() {
    const std::string_view view = cursor_.take_text(count());
    bad_ |= text::valid_utf8(view) != view.size();
    return std::string(view);
  }
  SamplingOptions sampling() {
    SamplingOptions s;
    s.temperature = value<float>();
    s.top_k = value<uint32_t>();
    s.top_p = value<float>();
    s.min_p = value<float>();
    s.repeat_penalty = value<float>();
    s.repeat_last = value<uint32_t>();
    s.seed = value<uint64_t>();
    return s;
  }
  Message message() {
    Message m;
    const auto kind = value<uint8_t>();
    m.by_model = (kind & kByModel) != 0;
    m.role = ChatRole(kind & 3);
    bad_ |= (kind & ~7u) != 0 || m.role > ChatRole::Assistant ||
            (m.by_model && m.role != ChatRole::Assistant);
    if (!m.by_model) {
      m.text = text();
      return m;
    }
    m.end = ReplyEnd(value<uint8_t>());
    bad_ |= m.end > ReplyEnd::Stopped;
    m.draws = uint32_t(number(UINT32_MAX >> 8));
    const uint64_t tokens = count();
    for (uint64_t i = 0; i < tokens && !failed(); ++i)
      m.tokens.push_back(int32_t(number(INT32_MAX)));
    return m;
  }
  void cache(SavedCache& cache) {
    cache.layout = value<uint64_t>();
    const auto bytes = cursor_.take(count());
    cache.bytes.assign(bytes.begin(), bytes.end());
  }

 private:
  ByteCursor cursor_;
  bool bad_ = false;
};

Result<void> check_header(std::span<const std::byte> state, uint64_t fingerprint) {
  if (state.size() < kHeaderBytes + kHashBytes)
    return fail(ErrorCode::BadFile, "a saved session has {} bytes at least, this has {}",
                kHeaderBytes + kHashBytes, state.size());
  ByteCursor cursor(state);
  if (cursor.read<uint32_t>() != kMagic)
    return fail(ErrorCode::BadFile, "this is not a saved session: it does not begin with PMSS");
  ByteCursor tail(state.last(kHashBytes));
  const auto body = state.first(state.size() - kHashBytes);
  if (tail.read<uint64_t>() != XXH3_64bits(body.data(), body.size()))
    return fail(ErrorCode::BadFile, "the saved session is damaged: its checksum is another");
  if (const auto version = cursor.read<uint32_t>(); version != kVersion)
    return fail(ErrorCode::Unsupported,
                "the saved session has version {}; this library reads version {}", version,
                kVersion);
  if (const auto made = cursor.read<uint64_t>(); made != fingerprint)
    return fail(ErrorCode::BadArgument,
                "the session was saved with another model (fingerprint {:016x}, this one has "
                "{:016x})",
                made, fingerprint);
  return {};
}

}  // namespace

Result<uint64_t> model_fingerprint(const GgufFile& file) {
  constexpr uint64_t kSampleBytes = 64;
  Writer writer;
  for (const TensorInfo& tensor : file.tensors()) {
    writer.text(tensor.name);
    writer.value(uint8_t(tensor.type));
    for (const uint64_t length : tensor.shape) writer.number(length);
    std::vector<std::byte> sample(size_t(std::min(kSampleBytes, tensor.n_bytes)));
    PUMICE_TRY(file.read(tensor, (tensor.n_bytes - sample.size()) / 2, sample));
    for (const std::byte byte : sample) writer.value(uint8_t(byte));
  }
  PUMICE_TRY_ASSIGN(const Vocabulary vocabulary, read_vocabulary(file.metadata()));
  for (const std::string_view token : vocabulary.tokens) writer.text(token);
  const std::vector<std::byte> bytes = writer.finish();
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::vector<std::byte> save_session(const Session& session, uint64_t fingerprint,
                                    const SavedCache* cache) {
  const Conversation& conversation = session.conversation();
  Writer writer;
  writer.value(kMagic);
  writer.value(kVersion);
  writer.value(fingerprint);
  writer.sampling(session.sampling());
  writer.value(conversation.options().max_tokens);
  writer.text(conversation.format_name());
  writer.number(conversation.unread().size());
  writer.number(conversation.messages().size());
  for (const Message& message : conversation.messages()) writer.message(message);
  writer.number(cache != nullptr ? cache->tokens : 0);
  if (cache != nullptr && cache->tokens > 0) writer.cache(*cache);
  return writer.finish();
}

Result<std::optional<SavedCache>> load_session(Session& session, uint64_t fingerprint,
                                               std::span<const std::byte> state) {
  PUMICE_TRY(check_header(state, fingerprint));
  Reader reader(state.subspan(kHeaderBytes, state.size() - kHeaderBytes - kHashBytes));
  const SamplingOptions sampling = reader.sampling();
  const auto max_tokens = reader.value<int64_t>();
  const std::string format = reader.text();
  const uint64_t unread = reader.number(UINT32_MAX);
  std::vector<Message> messages;
  for (uint64_t i = reader.count(); i > 0 && !reader.failed(); --i)
    messages.push_back(reader.message());
  SavedCache cache;
  cache.tokens = uint32_t(reader.number(UINT32_MAX));
  if (cache.tokens > 0) reader.cache(cache);
  if (reader.failed() || !reader.at_end())
    return fail(ErrorCode::BadFile, "the saved session contradicts itself after {} messages",
                messages.size());
  if (const auto usable = check_sampling(sampling); !usable)
    return fail(ErrorCode::BadFile, "the saved session: {}", usable.error().text);
  Conversation& conversation = session.conversation();
  if (format != conversation.format_name())
    return fail(ErrorCode::BadArgument,
                "the session was saved with chat template {}, this one uses {}",
                format.substr(0, 32), conversation.format_name());
  if (auto restored = conversation.restore(messages, size_t(unread)); !restored) {
    if (restored.error().code == ErrorCode::BadArgument)
      restored.error().code = ErrorCode::BadFile;  // the bytes asked for it, not the caller
    return fail_in("the saved session", std::move(restored.error()));
  }
  conversation.set_max_tokens(std::max<int64_t>(max_tokens, -1));
  session.set_sampling(sampling);
  session.forget_stop();
  if (cache.tokens == 0 || cache.tokens > conversation.tokens().size())
    return std::optional<SavedCache>();
  return std::optional<SavedCache>(std::move(cache));
}

}  // namespace pumice
