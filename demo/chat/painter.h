// Draws Dear ImGui's lists with one pipeline and one texture, the glyph atlas, of which only the
// rows that changed are uploaded.
#pragma once

#include <imgui.h>

#include <memory>

#include "glyph_atlas.h"
#include "gpu.h"

namespace pumice::chat {

class Painter {
 public:
  /// `format`: of every image that is drawn into.
  [[nodiscard]] static Outcome<std::unique_ptr<Painter>> create(const Gpu& gpu, VkFormat format);
  ~Painter();
  Painter(const Painter&) = delete;
  Painter& operator=(const Painter&) = delete;

  /// For a view that ends up in `layout`, one of two ways that a frame may end.
  enum class End { Present, Copy };
  [[nodiscard]] VkRenderPass render_pass(End end) const { return passes_[static_cast<int>(end)]; }

  /// Copies vertices and what changed of the atlas to where the device reads them. The device must
  /// be done with the frame before.
  [[nodiscard]] Outcome<void> prepare(const ImDrawData& draw, GlyphAtlas& atlas);
  /// Uploads, outside a render pass.
  void record_uploads(VkCommandBuffer commands);
  /// A whole render pass over `framebuffer`, which begins with `background`.
  void record(VkCommandBuffer commands, const ImDrawData& draw, VkFramebuffer framebuffer,
              VkExtent2D extent, End end, ImVec4 background);

 private:
  explicit Painter(const Gpu& gpu);
  Outcome<void> create_passes(VkFormat format);
  Outcome<void> create_descriptors();
  Outcome<void> create_pipeline();
  Outcome<void> create_texture(uint32_t side);
  void draw_lists(VkCommandBuffer commands, const ImDrawData& draw, VkExtent2D extent);

  const Gpu& gpu_;
  VkRenderPass passes_[2] = {};
  VkSampler sampler_ = VK_NULL_HANDLE;
  VkDescriptorSetLayout set_layout_ = VK_NULL_HANDLE;
  VkDescriptorPool pool_ = VK_NULL_HANDLE;
  VkDescriptorSet set_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipeline pipeline_ = VK_NULL_HANDLE;
  HostBuffer vertices_, indices_, upload_;
  Image texture_;
  GlyphAtlas::Rows rows_ = {0, 0};  ///< to upload
  bool fresh_ = true;               ///< the texture has no layout yet
};

}  // namespace pumice::chat
