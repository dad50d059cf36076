// Each format once; the [INST] family is assembled from the features that its templates show.
#include "engine/text/chat_styles.h"

namespace pumice::text {
namespace {

bool has(std::string_view text, std::string_view mark) {
  return text.find(mark) != std::string_view::npos;
}

/// Roles written as words between two marks: open + role + middle + text + end + after.
ChatStyle role_style(std::string name, const std::string& open, const std::string& middle,
                     const std::string& end, const std::string& after,
                     const std::string& assistant = "assistant") {
  ChatStyle s;
  s.name = std::move(name);
  s.system_open = open + "system" + middle;
  s.user_open = open + "user" + middle;
  s.reply_open = open + assistant + middle;
  s.system_close = s.user_close = end + after;
  s.reply_end = end;
  s.after_reply = after;
  s.generation = s.reply_open;
  return s;
}

ChatStyle chatml() {
  return role_style("chatml", "<|im_start|>", "\n", "<|im_end|>", "\n");
}
ChatStyle phi4() {
  return role_style("phi-4", "<|im_start|>", "<|im_sep|>", "<|im_end|>", "");
}
ChatStyle phi3() {
  return role_style("phi-3", "<|", "|>\n", "<|end|>", "\n");
}
ChatStyle phi4_mini() {
  return role_style("phi-4-mini", "<|", "|>", "<|end|>", "");
}
ChatStyle zephyr() {
  return role_style("zephyr", "<|", "|>\n", "{eos}", "\n");
}

ChatStyle llama3() {
  ChatStyle s =
      role_style("llama-3", "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", "");
  s.trims_input = s.trims_reply = true;
  return s;
}

ChatStyle gemma() {
  ChatStyle s = role_style("gemma", "<start_of_turn>", "\n", "<end_of_turn>", "\n", "model");
  s.system_open.clear();
  s.system_close = "\n\n";
  s.system_in_user = s.trims_input = s.trims_reply = true;
  return s;
}

/// What distinguishes the templates of the [INST] family.
struct InstFeatures {
  std::string_view name;
  bool space_before = false;  ///< " [INST]"
  bool space_inside = false;  ///< "[INST] "
  bool space_close = false;   ///< " [/INST]"
  bool space_reply = false;   ///< a space before a reply
  bool own_system = false;    ///< [SYSTEM_PROMPT]
};

ChatStyle inst_style(const InstFeatures& f) {
  const auto space = [](bool yes) { return yes ? std::string(" ") : std::string(); };
  ChatStyle s;
  s.name = f.name;
  s.user_open = space(f.space_before) + "[INST]" + space(f.space_inside);
  s.user_close = space(f.space_close) + "[/INST]";
  s.reply_open = space(f.space_reply);
  s.reply_end = "{eos}";
  s.system_in_user = !f.own_system;
  s.system_close = "\n\n";
  if (f.own_system) {
    s.system_open = "[SYSTEM_PROMPT]" + space(f.space_inside);
    s.system_close = "[/SYSTEM_PROMPT]";
  }
  return s;
}

ChatStyle llama2() {
  ChatStyle s = inst_style({"llama-2", false, true, true, true, false});
  s.system_open = "<<SYS>>\n";
  s.system_close = "\n<</SYS>>\n\n";
  s.reply_close = " ";
  s.later_user_prefix = "{bos}";
  s.trims_input = s.trims_reply = true;
  return s;
}

ChatStyle mistral_v1() {
  return inst_style({"mistral-v1", true, true, true, true, false});
}
ChatStyle mistral_v3() {
  return inst_style({"mistral-v3", false, true, false, true, false});
}
ChatStyle mistral_v3_tekken() {
  return inst_style({"mistral-v3-tekken", false, false, false, false, false});
}
ChatStyle mistral_v7() {
  return inst_style({"mistral-v7", false, true, false, true, true});
}
ChatStyle mistral_v7_tekken() {
  return inst_style({"mistral-v7-tekken", false, false, false, false, true});
}

/// Whether the template adds a quoted space to a message: ' ' + message[...] or " " + content.
bool adds_space_to_message(std::string_view text) {
  for (const std::string_view quoted : {"' '", "\" \""}) {
    for (size_t at = text.find(quoted); at != std::string_view::npos;
         at = text.find(quoted, at + 1)) {
      size_t next = at + quoted.size();
      bool plus = false;
      while (next < text.size() && next < at + 16 && (text[next] == ' ' || text[next] == '+'))
        plus |= text[next++] == '+';
      const std::string_view rest = text.substr(next, 7);
      if (plus && (rest == "message" || rest == "content")) return true;
    }
  }
  return false;
}

ChatStyle inst_from(std::string_view text) {
  if (has(text, "<<SYS>>")) {
    ChatStyle s = llama2();
    s.trims_input = s.trims_reply = has(text, "strip()") || has(text, "trim");
    return s;
  }
  InstFeatures f;
  f.space_before = has(text, "' [INST]") || has(text, "\" [INST]");
  f.space_inside = has(text, "[INST] ");
  f.space_close = has(text, " [/INST]");
  f.space_reply = adds_space_to_message(text);
  f.own_system = has(text, "[SYSTEM_PROMPT]");
  const bool third = has(text, "[AVAILABLE_TOOLS]");
  f.name = f.own_system ? (f.space_inside ? "mistral-v7" : "mistral-v7-tekken")
           : third      ? (f.space_inside ? "mistral-v3" : "mistral-v3-tekken")
                        : "mistral-v1";
  ChatStyle s = inst_style(f);
  s.trims_reply = has(text, "|trim") || has(text, "| trim");
  return s;
}

/// ChatML templates may carry a system text for conversations without one:
/// '<|im_start|>system\nTEXT<|im_end|>\n', with the line break as itself or as an escape.
std::string default_system(std::string_view text) {
  for (const std::string_view open : {"<|im_start|>system\n", "<|im_start|>system\\n"}) {
    for (size_t at = text.find(open); at != std::string_view::npos; at = text.find(open, at + 1)) {
      const std::string_view rest = text.substr(at + open.size(), 1024);
      const size_t end = rest.find("<|im_end|>");
      const std::string_view found = rest.substr(0, end);
      if (end != std::string_view::npos && !found.empty() &&
          found.find_first_of("'\"{}\\") == std::string_view::npos)
        return std::string(found);
    }
  }
  return {};
}

ChatStyle chatml_from(std::string_view text) {
  if (has(text, "<|im_sep|>")) return phi4();
  ChatStyle s = chatml();
  s.default_system = default_system(text);
  return s;
}

}  // namespace

ChatStyle match_style(std::string_view text) {
  ChatStyle s;
  if (has(text, "<|im_start|>")) {
    s = chatml_from(text);
  } else if (has(text, "[INST]")) {
    s = inst_from(text);
  } else if (has(text, "<|start_header_id|>") && has(text, "<|end_header_id|>")) {
    s = llama3();
  } else if (has(text, "<start_of_turn>")) {
    s = gemma();
  } else if (has(text, "<|end|>") && has(text, "<|assistant|>")) {
    const bool joined = has(text, "'|>' + message") || has(text, "'|>' ~ message");
    s = joined ? phi4_mini() : phi3();
  } else if (has(text, "<|user|>") && has(text, "<|assistant|>") && has(text, "eos_token")) {
    s = zephyr();
  }
  s.wants_bos = has(text, "bos_token") || s.name == "llama-2";
  return s;
}

const std::vector<ChatStyle>& all_styles() {
  static const std::vector<ChatStyle> styles = {chatml(),
                                                llama2(),
                                                llama3(),
                                                gemma(),
                                                phi3(),
                                                phi4(),
                                                phi4_mini(),
                                                zephyr(),
                                                mistral_v1(),
                                                mistral_v3(),
                                                mistral_v3_tekken(),
                                                mistral_v7(),
                                                mistral_v7_tekken()};
  return styles;
}

}  // namespace pumice::text
