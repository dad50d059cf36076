// What stands behind the opaque types of the public headers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/pumice.h"
#include "engine/session/shared_model.h"

/// A choice of device: how to look at it, and how a load opens it.
struct pm_device {
  pumice::vk::DeviceOptions options;
  pumice::OpenDevice open = pumice::vk::Device::open;
  std::function<pumice::Result<pumice::vk::DeviceSummary>()> look;
};

struct pm_model {
  explicit pm_model(std::shared_ptr<const pumice::GgufFile> file)
      : shared(std::make_shared<pumice::SharedModel>(std::move(file))) {}
  std::shared_ptr<pumice::SharedModel> shared;
  std::string architecture, name, chat_template, unsupported;
  uint32_t context_length = 0;
  uint64_t weights = 0;
  mutable pumice::ModelUsage usage;  ///< as it was told last: its texts are lent to the caller
};

struct pm_session {
  pm_session(std::unique_ptr<pumice::SharedModel::Place> taken, pumice::Conversation conversation,
             const pumice::SamplingOptions& sampling)
      : place(std::move(taken)), session(std::move(conversation), place->sequence(), sampling) {}
  std::unique_ptr<pumice::SharedModel::Place> place;
  pumice::Session session;
};
