#include "model_source.h"

namespace pumice::command {

CLI::Option* add_hub_options(CLI::App& app, CLI::Option* model, HubFlags& hub) {
  // an empty word is what a script's unset variable leaves
  const auto not_empty = [](const std::string& text) -> std::string {
    return text.empty() ? "is empty; expected USER/REPO" : "";
  };
  CLI::Option* repo =
      app.add_option("--hf-repo", hub.repo,
                     "USER/REPO[:QUANT] of huggingface.co, downloaded once (also -hf; QUANT: "
                     "Q4_K_M where there is one)");
  repo->check(CLI::Validator(not_empty, "", ""))->excludes(model);
  app.add_option("--hf-file", hub.file, "With -hf: the file of the repository")->needs(repo);
  app.add_flag("--offline", hub.offline, "With -hf: what was downloaded before, without a network")
      ->needs(repo);
  return repo;
}

Outcome find_model(const HubFlags& hub, std::string& model) {
  if (hub.repo.empty()) return {};
  Result<std::string> path = download_model(hub);
  if (!path && path.error().code == ErrorCode::BadArgument) return usage("{}", path.error().text);
  PUMICE_TRY_ASSIGN(model, std::move(path));
  return {};
}

}  // namespace pumice::command
