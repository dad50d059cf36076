// Reads the declarations of a SPIR-V module, up to its first function. Numbers of opcodes,
// decorations and storage classes: SPIR-V specification 1.6, sections 3.
#include "engine/vk/spirv_reflect.h"

#include <algorithm>

#include "engine/base/checked.h"

namespace pumice::vk {
namespace {

constexpr uint32_t kMagic = 0x07230203, kHeaderWords = 5;
constexpr uint32_t kUnset = UINT32_MAX;
constexpr int kMaxTypeDepth = 16;

enum Op : uint16_t {
  EntryPoint = 15,
  ExecutionMode = 16,
  Capability = 17,
  TypeInt = 21,
  TypeFloat = 22,
  TypeVector = 23,
  TypeMatrix = 24,
  TypeImage = 25,
  TypeSampledImage = 27,
  TypeArray = 28,
  TypeRuntimeArray = 29,
  TypeStruct = 30,
  TypePointer = 32,
  Constant = 43,
  SpecConstantTrue = 48,
  SpecConstantFalse = 49,
  SpecConstantOp = 50,
  SpecConstantComposite = 51,
  Function = 54,
  Variable = 59,
  Decorate = 71,
  MemberDecorate = 72,
  ExecutionModeId = 331
};
enum StorageClass : uint32_t {
  UniformConstant = 0,
  Uniform = 2,
  PushConstant = 9,
  StorageBufferClass = 12
};
enum Decoration : uint32_t {
  SpecId = 1,
  BufferBlock = 3,
  ArrayStride = 6,
  MatrixStride = 7,
  BuiltIn = 11,
  NonWritable = 24,
  Binding = 33,
  DescriptorSet = 34,
  Offset = 35
};
constexpr uint32_t kModeLocalSize = 17, kModeLocalSizeId = 38, kBuiltInWorkgroupSize = 25;
constexpr uint32_t kModelGLCompute = 5, kDimBuffer = 5, kImageSampled = 1, kImageStorage = 2;

using Words = std::span<const uint32_t>;

struct Id {
  Words words;  ///< the whole instruction that defines it; empty when undefined
  uint32_t spec_id = kUnset, binding = kUnset, set = kUnset, array_stride = 0, built_in = kUnset;
  bool buffer_block = false, non_writable = false;
  std::vector<uint32_t> member_offsets, member_matrix_strides;
  uint32_t non_writable_members = 0;

  [[nodiscard]] uint16_t op() const { return words.empty() ? 0 : uint16_t(words[0]); }
  /// 0 past the end: every use checks what it gets.
  [[nodiscard]] uint32_t at(size_t i) const { return i < words.size() ? words[i] : 0; }
};

tl::unexpected<Error> malformed(const char* what) {
  return fail(ErrorCode::BadArgument, "malformed SPIR-V: {}; rebuild the shaders", what);
}

std::string literal_text(Words words) {
  std::string text;
  for (const uint32_t word : words)
    for (int shift = 0; shift < 32; shift += 8) {
      const char c = char((word >> shift) & 0xFFu);
      if (c == 0) return text;
      text += c;
    }
  return text;
}

class Reflector {
 public:
  Result<ShaderInfo> run(Words spirv);

 private:
  [[nodiscard]] const Id& id(uint32_t number) const {
    static const Id kNone;
    return number < ids_.size() ? ids_[number] : kNone;
  }
  Result<void> scan(Words body);
  Result<void> instruction(Words words);
  void decorate(Id& target, Words arguments);
  void member_decorate(Id& target, uint32_t member, Words arguments);
  [[nodiscard]] uint32_t scalar(uint32_t number) const;
  [[nodiscard]] uint64_t size_of(uint32_t type, int depth = 0) const;
  [[nodiscard]] uint64_t size_of_struct(const Id& type, int depth) const;
  Result<void> variable(const Id& variable);
  Result<void> add_binding(const Id& variable, const Id& type, uint32_t storage_class);
  [[nodiscard]] Result<BindingKind> texel_kind(const Id& type, uint32_t binding) const;
  Result<void> spec_constant(const Id& constant);
  void set_local_size(std::array<uint32_t, 3> components);

  std::vector<Id> ids_;
  ShaderInfo info_;
  std::array<uint32_t, 3> local_size_ids_{};
};

/// Number of the word that holds the result id, by opcode; 0 = defines nothing we need.
size_t result_word(uint16_t op) {
  switch (op) {
    case TypeInt:
    case TypeFloat:
    case TypeVector:
    case TypeMatrix:
    case TypeImage:
    case TypeSampledImage:
    case TypeArray:
    case TypeRuntimeArray:
    case TypeStruct:
    case TypePointer:
      return 1;
    case Constant:
    case SpecConstantTrue:
    case SpecConstantFalse:
    case SpecConstantOp:
    case SpecConstantComposite:
    case Variable:
      return 2;
    default:
      return 0;
  }
}

void Reflector::decorate(Id& target, Words arguments) {
  const uint32_t value = arguments.size() > 1 ? arguments[1] : 0;
  switch (arguments[0]) {
    case SpecId:
      target.spec_id = value;
      break;
    case BufferBlock:
      target.buffer_block = true;
      break;
    case ArrayStride:
      target.array_stride = value;
      break;
    case BuiltIn:
      target.built_in = value;
      break;
    case NonWritable:
      target.non_writable = true;
      break;
    case Binding:
      target.binding = value;
      break;
    case DescriptorSet:
      target.set = value;
      break;
    default:
      break;
  }
}

void Reflector::member_decorate(Id& target, uint32_t member, Words arguments) {
  // A struct of N members is an instruction of N + 2 words, and those are 16 bit.
  if (member > UINT16_MAX) return;
  const auto put = [&](std::vector<uint32_t>& row, uint32_t value) {
    if (row.size() <= member) row.resize(member + 1, 0);
    row[member] = value;
  };
  const uint32_t value = arguments.size() > 1 ? arguments[1] : 0;
  if (arguments[0] == Offset) put(target.member_offsets, value);
  if (arguments[0] == MatrixStride) put(target.member_matrix_strides, value);
  if (arguments[0] == NonWritable) ++target.non_writable_members;
}

Result<void> Reflector::instruction(Words words) {
  const auto op = uint16_t(words[0]);
  if (const size_t at = result_word(op); at != 0) {
    if (words.size() <= at || words[at] >= ids_.size()) return malformed("result id out of range");
    ids_[words[at]].words = words;
    return {};
  }
  const bool decorates = op == Decorate || op == MemberDecorate;
  const size_t needed = op == MemberDecorate ? 4 : 3;
  if (decorates) {
    if (words.size() < needed || words[1] >= ids_.size()) return malformed("bad decoration");
    if (op == Decorate) decorate(ids_[words[1]], words.subspan(2));
    if (op == MemberDecorate) member_decorate(ids_[words[1]], words[2], words.subspan(3));
  }
  if (op == Capability && words.size() == 2) info_.capabilities.push_back(words[1]);
  if (op == EntryPoint && words.size() > 3 && words[1] == kModelGLCompute)
    info_.entry_point = literal_text(words.subspan(3));
  const bool mode = op == ExecutionMode || op == ExecutionModeId;
  if (mode && words.size() >= 6) {
    if (words[2] == kModeLocalSize) info_.local_size = {words[3], words[4], words[5]};
    if (words[2] == kModeLocalSizeId) local_size_ids_ = {words[3], words[4], words[5]};
  }
  return {};
}

Result<void> Reflector::scan(Words body) {
  while (!body.empty()) {
    const size_t length = body[0] >> 16;
    if (length == 0 || length > body.size()) return malformed("an instruction ends past the file");
    if (uint16_t(body[0]) == Function) return {};
    PUMICE_TRY(instruction(body.first(length)));
    body = body.subspan(length);
  }
  return malformed("no function");
}

/// Value of a 32-bit constant; 0 when it is none.
uint32_t Reflector::scalar(uint32_t number) const {
  const Id& constant = id(number);
  switch (constant.op()) {
    case Constant:
    case SpecConstantOp:
      return constant.at(3);
    case SpecConstantTrue:
      return 1;
    default:
      return 0;
  }
}

uint64_t Reflector::size_of_struct(const Id& type, int depth) const {
  uint64_t size = 0;
  for (size_t member = 0; member + 2 < type.words.size(); ++member) {
    const auto field = [&](const std::vector<uint32_t>& row) {
      return member < row.size() ? row[member] : 0;
    };
    const uint32_t member_type = type.words[member + 2];
    uint64_t bytes = size_of(member_type, depth + 1);
    if (id(member_type).op() == TypeMatrix)
      bytes = uint64_t(field(type.member_matrix_strides)) * id(member_type).at(3);
    size = std::max(size, field(type.member_offsets) + bytes);
  }
  return size;
}

uint64_t Reflector::size_of(uint32_t number, int depth) const {
  const Id& type = id(number);
  if (depth > kMaxTypeDepth) return 0;
  switch (type.op()) {
    case TypeInt:
    case TypeFloat:
      return type.at(2) / 8;
    // 8 bits of component count are enough: Vulkan has at most 4.
    case TypeVector:
      return size_of(type.at(2), depth + 1) * (type.at(3) & 0xFFu);
    case TypeArray: {
      const auto bytes = checked_mul(type.array_stride, scalar(type.at(3)));
      return std::min<uint64_t>(bytes.value_or(UINT32_MAX), UINT32_MAX);
    }
    case TypeStruct:
      return size_of_struct(type, depth);
    case TypePointer:
      return 8;
    default:
      return 0;
  }
}

// Image formats of the SPIR-V specification, 3.11.
uint32_t rgba32_format(BindingKind kind) {
  constexpr uint32_t kRgba32f = 1, kRgba32i = 21, kRgba32ui = 30;
  if (kind == BindingKind::TexelFloat) return kRgba32f;
  return kind == BindingKind::TexelInt ? kRgba32i : kRgba32ui;
}

Result<BindingKind> Reflector::texel_kind(const Id& type, uint32_t binding) const {
  const Id& image = type.op() == TypeSampledImage ? id(type.at(2)) : type;
  const bool storage = image.at(7) == kImageStorage;
  if (image.op() != TypeImage || image.at(3) != kDimBuffer ||
      (image.at(7) != kImageSampled && !storage))
    return fail(ErrorCode::Unsupported,
                "shader binding {} is an image or sampler; the engine binds storage buffers and "
                "texel buffers",
                binding);
  const Id& sampled = id(image.at(2));
  if (sampled.at(2) != 32)
    return fail(ErrorCode::Unsupported,
                "shader binding {} is a texel buffer of {}-bit components; 32 are supported",
                binding, sampled.at(2));
  const BindingKind kind = sampled.op() == TypeFloat ? BindingKind::TexelFloat
                           : sampled.at(3) != 0      ? BindingKind::TexelInt
                                                     : BindingKind::TexelUint;
  if (storage && image.at(8) != rgba32_format(kind))
    return fail(ErrorCode::Unsupported,
                "shader binding {} is a storage texel buffer of image format {}; rgba32f, rgba32i "
                "and rgba32ui are supported",
                binding, image.at(8));
  return kind;
}

Result<void> Reflector::add_binding(const Id& variable, const Id& type, uint32_t storage_class) {
  if (variable.binding == kUnset) return malformed("a resource without a binding");
  if (variable.set != kUnset && variable.set != 0)
    return fail(ErrorCode::Unsupported, "shader binding {} is in descriptor set {}; only 0 is used",
                variable.binding, variable.set);
  ShaderBinding row;
  row.binding = variable.binding;
  if (storage_class == UniformConstant) {
    PUMICE_TRY_ASSIGN(row.kind, texel_kind(type, row.binding));
    row.image = type.op() == TypeImage && type.at(7) == kImageStorage;
    row.writable = row.image && !variable.non_writable;
  } else {
    if (type.op() != TypeStruct)
      return fail(ErrorCode::Unsupported, "shader binding {} is an array of buffers", row.binding);
    if (storage_class == Uniform && !type.buffer_block)
      return fail(ErrorCode::Unsupported,
                  "shader binding {} is a uniform buffer; use a storage buffer", row.binding);
    const bool members_fixed = type.non_writable_members + 2 >= type.words.size();
    row.writable = !variable.non_writable && !members_fixed;
  }
  for (auto& other : info_.bindings)
    if (other.binding == row.binding) {
      // Two views of one buffer are fine while they are of one kind.
      other.writable = other.writable || row.writable;
      if (other.kind == row.kind && other.image == row.image) return {};
      return fail(ErrorCode::Unsupported, "shader binding {} is declared with two kinds",
                  row.binding);
    }
  info_.bindings.push_back(row);
  return {};
}

Result<void> Reflector::variable(const Id& variable) {
  const uint32_t storage_class = variable.at(3);
  const Id& pointer = id(variable.at(1));
  if (pointer.op() != TypePointer) return malformed("a variable without a pointer type");
  if (storage_class == PushConstant) {
    const uint64_t bytes = size_of(pointer.at(3));
    if (bytes > UINT16_MAX) return malformed("push constants of more than 64 KiB");
    info_.push_bytes = std::max(info_.push_bytes, align_up(uint32_t(bytes), 4u));
    return {};
  }
  if (storage_class == UniformConstant || storage_class == Uniform ||
      storage_class == StorageBufferClass)
    return add_binding(variable, id(pointer.at(3)), storage_class);
  return {};
}

Result<void> Reflector::spec_constant(const Id& constant) {
  const Id& type = id(constant.at(1));
  if (constant.op() == SpecConstantOp && type.at(2) != 32)
    return fail(ErrorCode::Unsupported, "specialization constant {} has {} bits; 32 are supported",
                constant.spec_id, type.at(2));
  const uint32_t value = constant.op() == SpecConstantOp
                             ? constant.at(3)
                             : uint32_t(constant.op() == SpecConstantTrue);
  info_.constants.push_back({constant.spec_id, value});
  return {};
}

void Reflector::set_local_size(std::array<uint32_t, 3> components) {
  for (size_t axis = 0; axis < 3; ++axis) {
    const Id& component = id(components[axis]);
    if (component.words.empty()) continue;
    info_.local_size[axis] = scalar(components[axis]);
    if (component.op() == SpecConstantOp) info_.local_size_id[axis] = component.spec_id;
  }
}

Result<ShaderInfo> Reflector::run(Words spirv) {
  if (spirv.size() < kHeaderWords || spirv[0] != kMagic) return malformed("wrong magic number");
  // Every id is the result of an instruction, so there are fewer ids than words.
  if (spirv[3] > spirv.size()) return malformed("more ids than words");
  ids_.resize(spirv[3]);
  PUMICE_TRY(scan(spirv.subspan(kHeaderWords)));
  if (info_.entry_point.empty()) return malformed("no compute entry point");
  set_local_size(local_size_ids_);
  for (const Id& row : ids_) {
    if (row.op() == Variable) PUMICE_TRY(variable(row));
    if (row.spec_id != kUnset && result_word(row.op()) == 2) PUMICE_TRY(spec_constant(row));
    if (row.built_in == kBuiltInWorkgroupSize && row.words.size() == 6)
      set_local_size({row.words[3], row.words[4], row.words[5]});
  }
  std::sort(info_.bindings.begin(), info_.bindings.end(),
            [](const auto& a, const auto& b) { return a.binding < b.binding; });
  std::sort(info_.constants.begin(), info_.constants.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return std::move(info_);
}

}  // namespace

std::array<uint32_t, 3> ShaderInfo::local_size_with(std::span<const uint32_t> values) const {
  std::array<uint32_t, 3> size = local_size;
  for (size_t axis = 0; axis < 3; ++axis)
    if (local_size_id[axis] < values.size()) size[axis] = values[local_size_id[axis]];
  return size;
}

Result<ShaderInfo> reflect_shader(std::span<const uint32_t> spirv) {
  return Reflector().run(spirv);
}

}  // namespace pumice::vk
