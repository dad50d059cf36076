#include "painter.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace pumice::chat {
namespace {

constexpr uint32_t kVertexShader[] = {
#include <ui.vert.inc>
};
constexpr uint32_t kFragmentShader[] = {
#include <ui.frag.inc>
};

struct Push {
  float scale[2], origin[2];
};

VkShaderModule shader(VkDevice device, const uint32_t* words, size_t bytes) {
  VkShaderModuleCreateInfo info = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  info.codeSize = bytes;
  info.pCode = words;
  VkShaderModule module = VK_NULL_HANDLE;
  vkCreateShaderModule(device, &info, nullptr, &module);
  return module;
}

constexpr VkVertexInputAttributeDescription kAttributes[] = {
    {0, 0, VK_FORMAT_R32G32_SFLOAT, offsetof(ImDrawVert, pos)},
    {1, 0, VK_FORMAT_R32G32_SFLOAT, offsetof(ImDrawVert, uv)},
    {2, 0, VK_FORMAT_R8G8B8A8_UNORM, offsetof(ImDrawVert, col)},
};

constexpr VkVertexInputBindingDescription kBinding = {0, sizeof(ImDrawVert),
                                                      VK_VERTEX_INPUT_RATE_VERTEX};

constexpr VkPipelineColorBlendAttachmentState kBlend = {
    VK_TRUE,
    VK_BLEND_FACTOR_SRC_ALPHA,
    VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
    VK_BLEND_OP_ADD,
    VK_BLEND_FACTOR_ONE,
    VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
    VK_BLEND_OP_ADD,
    VK_COLOR_COMPONENT_R_BIT | VK_COLOR_COMPONENT_G_BIT | VK_COLOR_COMPONENT_B_BIT |
        VK_COLOR_COMPONENT_A_BIT};

}  // namespace

Painter::Painter(const Gpu& gpu)
    : gpu_(gpu),
      vertices_(gpu, VK_BUFFER_USAGE_VERTEX_BUFFER_BIT),
      indices_(gpu, VK_BUFFER_USAGE_INDEX_BUFFER_BIT),
      upload_(gpu, VK_BUFFER_USAGE_TRANSFER_SRC_BIT),
      texture_(gpu) {}

Outcome<std::unique_ptr<Painter>> Painter::create(const Gpu& gpu, VkFormat format) {
  std::unique_ptr<Painter> painter(new Painter(gpu));
  if (auto made = painter->create_passes(format); !made) return trouble_of(made);
  if (auto made = painter->create_descriptors(); !made) return trouble_of(made);
  if (auto made = painter->create_pipeline(); !made) return trouble_of(made);
  return painter;
}

Painter::~Painter() {
  vkDestroyPipeline(gpu_.device, pipeline_, nullptr);
  vkDestroyPipelineLayout(gpu_.device, layout_, nullptr);
  vkDestroyDescriptorPool(gpu_.device, pool_, nullptr);
  vkDestroyDescriptorSetLayout(gpu_.device, set_layout_, nullptr);
  vkDestroySampler(gpu_.device, sampler_, nullptr);
  for (VkRenderPass pass : passes_) vkDestroyRenderPass(gpu_.device, pass, nullptr);
}

Outcome<void> Painter::create_passes(VkFormat format) {
  for (End end : {End::Present, End::Copy}) {
    VkAttachmentDescription colour = {};
    colour.format = format;
    colour.samples = VK_SAMPLE_COUNT_1_BIT;
    colour.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR;
    colour.storeOp = VK_ATTACHMENT_STORE_OP_STORE;
    colour.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE;
    colour.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE;
    colour.finalLayout = end == End::Present ? VK_IMAGE_LAYOUT_PRESENT_SRC_KHR
                                             : VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
    const VkAttachmentReference reference = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
    VkSubpassDescription subpass = {};
    subpass.colorAttachmentCount = 1;
    subpass.pColorAttachments = &reference;
    // The image comes from the presentation engine, whose semaphore waits at this stage; a copy of
    // it waits for what was drawn.
    const VkSubpassDependency edges[2] = {
        {VK_SUBPASS_EXTERNAL, 0, VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
         VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT, 0, VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT, 0},
        {0, VK_SUBPASS_EXTERNAL, VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
         VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
         VK_ACCESS_TRANSFER_READ_BIT, 0}};
    VkRenderPassCreateInfo info = {VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO};
    info.attachmentCount = 1;
    info.pAttachments = &colour;
    info.subpassCount = 1;
    info.pSubpasses = &subpass;
    info.dependencyCount = 2;
    info.pDependencies = edges;
    auto made =
        checked(vkCreateRenderPass(gpu_.device, &info, nullptr, &passes_[static_cast<int>(end)]),
                "vkCreateRenderPass");
    if (!made) return made;
  }
  return {};
}

Outcome<void> Painter::create_descriptors() {
  VkSamplerCreateInfo sampler = {VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO};
  // Glyphs lie on whole pixels, one texel each; software drivers pay dearly for more.
  sampler.magFilter = sampler.minFilter = VK_FILTER_NEAREST;
  sampler.addressModeU = sampler.addressModeV = sampler.addressModeW =
      VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE;
  VkDescriptorSetLayoutBinding binding = {};
  binding.descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER;
  binding.descriptorCount = 1;
  binding.stageFlags = VK_SHADER_STAGE_FRAGMENT_BIT;
  VkDescriptorSetLayoutCreateInfo layout = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO};
  layout.bindingCount = 1;
  layout.pBindings = &binding;
  const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 1};
  VkDescriptorPoolCreateInfo pool = {VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  pool.maxSets = 1;
  pool.poolSizeCount = 1;
  pool.pPoolSizes = &size;
  for (VkResult result : {vkCreateSampler(gpu_.device, &sampler, nullptr, &sampler_),
                          vkCreateDescriptorSetLayout(gpu_.device, &layout, nullptr, &set_layout_),
                          vkCreateDescriptorPool(gpu_.device, &pool, nullptr, &pool_)})
    if (auto made = checked(result, "creating descriptors"); !made) return made;
  VkDescriptorSetAllocateInfo set = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  set.descriptorPool = pool_;
  set.descriptorSetCount = 1;
  set.pSetLayouts = &set_layout_;
  return checked(vkAllocateDescriptorSets(gpu_.device, &set, &set_), "vkAllocateDescriptorSets");
}

Outcome<void> Painter::create_pipeline() {
  const VkPushConstantRange range = {VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof(Push)};
  VkPipelineLayoutCreateInfo layout = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &set_layout_;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  auto made = checked(vkCreatePipelineLayout(gpu_.device, &layout, nullptr, &layout_),
                      "vkCreatePipelineLayout");
  if (!made) return made;
  VkPipelineShaderStageCreateInfo stages[2] = {
      {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO},
      {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO}};
  stages[0].stage = VK_SHADER_STAGE_VERTEX_BIT;
  stages[0].module = shader(gpu_.device, kVertexShader, sizeof kVertexShader);
  stages[1].stage = VK_SHADER_STAGE_FRAGMENT_BIT;
  stages[1].module = shader(gpu_.device, kFragmentShader, sizeof kFragmentShader);
  stages[0].pName = stages[1].pName = "main";
  VkPipelineVertexInputStateCreateInfo input = {
      VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO};
  input.vertexBindingDescriptionCount = 1;
  input.pVertexBindingDescriptions = &kBinding;
  input.vertexAttributeDescriptionCount = 3;
  input.pVertexAttributeDescriptions = kAttributes;
  VkPipelineInputAssemblyStateCreateInfo assembly = {
      VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO};
  assembly.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST;
  VkPipelineViewportStateCreateInfo viewport = {
      VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO};
  viewport.viewportCount = viewport.scissorCount = 1;
  VkPipelineRasterizationStateCreateInfo raster = {
      VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO};
  raster.lineWidth = 1.0f;
  VkPipelineMultisampleStateCreateInfo samples = {
      VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO};
  samples.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT;
  VkPipelineColorBlendStateCreateInfo blend = {
      VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO};
  blend.attachmentCount = 1;
  blend.pAttachments = &kBlend;
  const VkDynamicState changing[] = {VK_DYNAMIC_STATE_VIEWPORT, VK_DYNAMIC_STATE_SCISSOR};
  VkPipelineDynamicStateCreateInfo dynamic = {VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO};
  dynamic.dynamicStateCount = 2;
  dynamic.pDynamicStates = changing;
  VkGraphicsPipelineCreateInfo info = {VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO};
  info.stageCount = 2;
  info.pStages = stages;
  info.pVertexInputState = &input;
  info.pInputAssemblyState = &assembly;
  info.pViewportState = &viewport;
  info.pRasterizationState = &raster;
  info.pMultisampleState = &samples;
  info.pColorBlendState = &blend;
  info.pDynamicState = &dynamic;
  info.layout = layout_;
  info.renderPass = passes_[0];  // the other differs in its last layout only: compatible
  made =
      checked(vkCreateGraphicsPipelines(gpu_.device, VK_NULL_HANDLE, 1, &info, nullptr, &pipeline_),
              "vkCreateGraphicsPipelines");
  for (const auto& stage : stages) vkDestroyShaderModule(gpu_.device, stage.module, nullptr);
  return made;
}

Outcome<void> Painter::create_texture(uint32_t side) {
  auto made = texture_.create(VK_FORMAT_R8_UNORM, {side, side},
                              VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT);
  if (!made) return made;
  fresh_ = true;
  const VkDescriptorImageInfo image = {sampler_, texture_.view(),
                                       VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
  VkWriteDescriptorSet write = {VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
  write.dstSet = set_;
  write.descriptorCount = 1;
  write.descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER;
  write.pImageInfo = &image;
  vkUpdateDescriptorSets(gpu_.device, 1, &write, 0, nullptr);
  return {};
}

Outcome<void> Painter::prepare(const ImDrawData& draw, GlyphAtlas& atlas) {
  const auto vertex_bytes = static_cast<VkDeviceSize>(draw.TotalVtxCount) * sizeof(ImDrawVert);
  const auto index_bytes = static_cast<VkDeviceSize>(draw.TotalIdxCount) * sizeof(ImDrawIdx);
  if (auto room = vertices_.reserve(std::max<VkDeviceSize>(1, vertex_bytes)); !room) return room;
  if (auto room = indices_.reserve(std::max<VkDeviceSize>(1, index_bytes)); !room) return room;
  uint8_t *vertex = vertices_.data(), *index = indices_.data();
  for (int i = 0; i < draw.CmdListsCount; ++i) {
    const ImDrawList& list = *draw.CmdLists[i];
    const auto wide = static_cast<size_t>(list.VtxBuffer.size_in_bytes());
    const auto deep = static_cast<size_t>(list.IdxBuffer.size_in_bytes());
    if (wide) std::memcpy(vertex, list.VtxBuffer.Data, wide);
    if (deep) std::memcpy(index, list.IdxBuffer.Data, deep);
    vertex += wide, index += deep;
  }
  const uint32_t side = atlas.side();
  rows_ = atlas.take_changes();
  if (texture_.extent().width != side) {
    if (auto made = create_texture(side); !made) return made;
    rows_ = {0, side};
  }
  if (rows_.first == rows_.last) return {};
  const size_t bytes = size_t{rows_.last - rows_.first} * side;
  if (auto room = upload_.reserve(bytes); !room) return room;
  std::memcpy(upload_.data(), atlas.pixels().data() + size_t{rows_.first} * side, bytes);
  return {};
}

void Painter::record_uploads(VkCommandBuffer commands) {
  if (rows_.first == rows_.last) return;
  transition(commands, texture_.handle(),
             fresh_ ? VK_IMAGE_LAYOUT_UNDEFINED : VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
             VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT, 0,
             VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
  VkBufferImageCopy region = {};
  region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
  region.imageOffset = {0, static_cast<int32_t>(rows_.first), 0};
  region.imageExtent = {texture_.extent().width, rows_.last - rows_.first, 1};
  vkCmdCopyBufferToImage(commands, upload_.handle(), texture_.handle(),
                         VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
  transition(commands, texture_.handle(), VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
             VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
             VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT,
             VK_ACCESS_SHADER_READ_BIT);
  rows_ = {0, 0};
  fresh_ = false;
}

void Painter::record(VkCommandBuffer commands, const ImDrawData& draw, VkFramebuffer framebuffer,
                     VkExtent2D extent, End end, ImVec4 background) {
  VkClearValue clear = {};
  clear.color = {{background.x, background.y, background.z, 1.0f}};
  VkRenderPassBeginInfo begin = {VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO};
  begin.renderPass = render_pass(end);
  begin.framebuffer = framebuffer;
  begin.renderArea.extent = extent;
  begin.clearValueCount = 1;
  begin.pClearValues = &clear;
  vkCmdBeginRenderPass(commands, &begin, VK_SUBPASS_CONTENTS_INLINE);
  if (draw.TotalVtxCount > 0) draw_lists(commands, draw, extent);
  vkCmdEndRenderPass(commands);
}

void Painter::draw_lists(VkCommandBuffer commands, const ImDrawData& draw, VkExtent2D extent) {
  const VkBuffer vertices = vertices_.handle();
  const VkDeviceSize zero = 0;
  vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline_);
  vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, layout_, 0, 1, &set_, 0,
                          nullptr);
  vkCmdBindVertexBuffers(commands, 0, 1, &vertices, &zero);
  vkCmdBindIndexBuffer(commands, indices_.handle(), 0,
                       sizeof(ImDrawIdx) == 2 ? VK_INDEX_TYPE_UINT16 : VK_INDEX_TYPE_UINT32);
  const float width = static_cast<float>(extent.width), height = static_cast<float>(extent.height);
  const VkViewport viewport = {0, 0, width, height, 0, 1};
  vkCmdSetViewport(commands, 0, 1, &viewport);
  const Push push = {{2 / draw.DisplaySize.x, 2 / draw.DisplaySize.y},
                     {-1 - draw.DisplayPos.x * 2 / draw.DisplaySize.x,
                      -1 - draw.DisplayPos.y * 2 / draw.DisplaySize.y}};
  vkCmdPushConstants(commands, layout_, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof push, &push);
  const ImVec2 ratio = draw.FramebufferScale;
  uint32_t vertex_base = 0, index_base = 0;
  for (int i = 0; i < draw.CmdListsCount; ++i) {
    const ImDrawList& list = *draw.CmdLists[i];
    for (const ImDrawCmd& command : list.CmdBuffer) {
      const float left = std::clamp((command.ClipRect.x - draw.DisplayPos.x) * ratio.x, 0.f, width);
      const float top = std::clamp((command.ClipRect.y - draw.DisplayPos.y) * ratio.y, 0.f, height);
      const float right =
          std::clamp((command.ClipRect.z - draw.DisplayPos.x) * ratio.x, 0.f, width);
      const float bottom =
          std::clamp((command.ClipRect.w - draw.DisplayPos.y) * ratio.y, 0.f, height);
      if (right <= left || bottom <= top || command.ElemCount == 0) continue;
      const VkRect2D scissor = {
          {static_cast<int32_t>(left), static_cast<int32_t>(top)},
          {static_cast<uint32_t>(right - left), static_cast<uint32_t>(bottom - top)}};
      vkCmdSetScissor(commands, 0, 1, &scissor);
      vkCmdDrawIndexed(commands, command.ElemCount, 1, index_base + command.IdxOffset,
                       static_cast<int32_t>(vertex_base + command.VtxOffset), 0);
    }
    vertex_base += static_cast<uint32_t>(list.VtxBuffer.Size);
    index_base += static_cast<uint32_t>(list.IdxBuffer.Size);
  }
}

}  // namespace pumice::chat
