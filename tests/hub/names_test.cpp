// Names, choices and listings: plain functions of what users and servers write.
#include <gtest/gtest.h>

#include "tools/pumice/hub/choose.h"
#include "tools/pumice/hub/http.h"
#include "tools/pumice/hub/http_head.h"
#include "tools/pumice/hub/listing.h"
#include "tools/pumice/hub/names.h"

namespace pumice::hub {
namespace {

TEST(HubNames, ModelsOfUsers) {
  const auto name = parse_model_name("some.one/Model-1B_GGUF:Q4_K_M");
  ASSERT_TRUE(name) << name.error().text;
  EXPECT_EQ(name->user, "some.one");
  EXPECT_EQ(name->repo, "Model-1B_GGUF");
  EXPECT_EQ(name->quant, "Q4_K_M");
  EXPECT_EQ(parse_model_name("a/b")->quant, "");
  for (const char* text : {"",        "/",
                           "a",       "a/",
                           "/b",      "a/b/c",
                           "a/b:",    "a/b:c:d",
                           "a/b:c/d", "../b",
                           "a/..",    "a/.b",
                           "a/b..c",  ".a/b",
                           "-a/b",    "a/b?x",
                           "a/b#x",   "a b/c",
                           "a/b\n",   "a/b%2f",
                           "a\\b/c",  "https://huggingface.co/a/b",
                           "con/b",   "a/nul.x"})
    EXPECT_FALSE(parse_model_name(text)) << text;
  EXPECT_FALSE(parse_model_name(std::string("a/b\0c", 5)));
  EXPECT_FALSE(parse_model_name("a/" + std::string(97, 'b')));
  EXPECT_FALSE(parse_model_name(std::string(1 << 20, '/')));
}

TEST(HubNames, PathsStayBelowTheirFolder) {
  for (const char* path : {"a.gguf", "sub/a.gguf", "a b.gguf", "\xC3\xA4.gguf", "...gguf", "a/..b",
                           "console.gguf", "com.gguf", "com10.gguf"})
    EXPECT_TRUE(is_safe_path(path)) << path;
  for (const char* path :
       {"",     "/a",   "a/",   "a//b", "..",        "../a",           "a/../b", "./a",
        "a/.",  "a\\b", "c:a",  "a\nb", "a\x7f",     "\xFF.gguf",      "a*b",    "a|b",
        "a\"b", "a./b", "a /b", "nul",  "COM7.gguf", "sub/aux .x.gguf"})
    EXPECT_FALSE(is_safe_path(path)) << path;
  EXPECT_FALSE(is_safe_path(std::string(201, 'a')));
  std::string deep = "a";
  for (int i = 0; i < 600; ++i) deep += "/a";
  EXPECT_FALSE(is_safe_path(deep));
  EXPECT_FALSE(is_safe_path(std::string("a\0b", 3)));
  EXPECT_EQ(url_path("sub/a b+\xC3\xA4%.gguf"), "sub/a%20b%2B%C3%A4%25.gguf");
}

TEST(HubNames, EndpointsAndTokens) {
  EXPECT_EQ(checked_endpoint("https://hub.example//").value(), "https://hub.example");
  EXPECT_EQ(checked_endpoint("http://127.0.0.1:80/base").value(), "http://127.0.0.1:80/base");
  for (const char* text :
       {"", "hub.example", "ftp://hub", "file:///etc", "https://", "nonsense",
        "https://user:word@hub", "https://:word@hub", "https://hub?x=1", "https://hub#x"})
    EXPECT_FALSE(checked_endpoint(text)) << text;
  EXPECT_EQ(origin_of("HTTPS://Hub.Example/x?y"), "https://hub.example:443");
  EXPECT_EQ(origin_of("http://hub:8080"), "http://hub:8080");
  EXPECT_NE(origin_of("http://hub"), origin_of("http://hub:8080"));
  EXPECT_EQ(checked_token(" hf_abc\n").value(), "hf_abc");
  EXPECT_EQ(checked_token("").value(), "");
  const auto broken = checked_token("hf_secret\r\nX: y");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().text.find("secret"), std::string::npos);
}

std::vector<HubFile> listed(std::initializer_list<const char*> paths) {
  std::vector<HubFile> files;
  for (const char* path : paths) files.push_back({path, 1, "", ""});
  return files;
}

std::string chosen(std::initializer_list<const char*> paths, const char* quant) {
  const auto parts = choose_quant(listed(paths), quant, "a/b");
  return parts ? parts->front().path : "";
}

TEST(HubChoice, TheUsualOne) {
  EXPECT_EQ(chosen({"m-F16.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf"}, ""), "m-Q4_K_M.gguf");
  EXPECT_EQ(chosen({"m.q2_k.gguf", "m.q4_k_m.gguf"}, ""), "m.q4_k_m.gguf");
  EXPECT_EQ(chosen({"m-F16.gguf", "m-Q4_0.gguf", "m-Q8_0.gguf"}, ""), "m-Q4_0.gguf");
  EXPECT_EQ(chosen({"m-BF16.gguf", "m-Q8_0.gguf"}, ""), "m-Q8_0.gguf");
  EXPECT_EQ(chosen({"README.md", "m-mxfp4.gguf", "n.gguf"}, ""), "m-mxfp4.gguf");
  EXPECT_EQ(chosen({"mmproj-m-Q4_K_M.gguf", "imatrix_x.gguf", "m-Q5_K.gguf"}, ""), "m-Q5_K.gguf");
  EXPECT_EQ(chosen({"mtp-m-Q4_K_M.gguf", "m-F16.gguf"}, ""), "m-F16.gguf");
  EXPECT_EQ(chosen({"m-DRAFT-Q4_K_M.gguf", "m-DRAFT-Q8_0.gguf"}, ""), "m-DRAFT-Q4_K_M.gguf");
  EXPECT_EQ(chosen({"../m-Q4_K_M.gguf", "m-Q8_0.gguf"}, ""), "m-Q8_0.gguf");
}

TEST(HubChoice, ByQuantisation) {
  const auto files = {"F16/m-F16-00001-of-00002.gguf",
                      "F16/m-F16-00002-of-00002.gguf",
                      "m-BF16.gguf",
                      "m-IQ4_XS.gguf",
                      "m-Q4_0_4_4.gguf",
                      "m-Q4_K_S.gguf",
                      "m-UD-Q4_K_XL.gguf",
                      "m-UD-Q4_K_M.gguf",
                      "m-Q4_K_M.gguf",
                      "m_Q5_0.gguf"};
  EXPECT_EQ(chosen(files, "q4_k_m"), "m-Q4_K_M.gguf");
  EXPECT_EQ(chosen(files, "UD-Q4_K_M"), "m-UD-Q4_K_M.gguf");
  EXPECT_EQ(chosen(files, "Q4_K_XL"), "m-UD-Q4_K_XL.gguf");
  EXPECT_EQ(chosen(files, "F16"), "F16/m-F16-00001-of-00002.gguf");
  EXPECT_EQ(chosen(files, "Q5_0"), "m_Q5_0.gguf");
  for (const char* absent : {"Q4_0", "Q4_K", "Q4_XS", "16", "Q8_0"})
    EXPECT_EQ(chosen(files, absent), "") << absent;
  EXPECT_EQ(chosen({"Q4_K_M/m-00001-of-00001.gguf"}, "Q4_K_M"), "Q4_K_M/m-00001-of-00001.gguf");
  const auto none = choose_quant(listed({"m-Q4_K_S.gguf", "m-Q8_0.gguf"}), "Q2_K", "a/b");
  EXPECT_EQ(none.error().text, "a/b has no file in Q2_K; there are: Q4_K_S Q8_0");
  EXPECT_FALSE(choose_quant(listed({"model.safetensors"}), "", "a/b"));
  EXPECT_FALSE(choose_quant({}, "", "a/b"));
}

TEST(HubChoice, PartsAndPaths) {
  auto files = listed({"s/m-00001-of-00003.gguf", "s/m-00003-of-00003.gguf",
                       "s/m-00002-of-00003.gguf", "x-F16.gguf"});
  for (const char* path : {"s/m-00001-of-00003.gguf", "s/m-00002-of-00003.gguf"}) {
    const auto parts = choose_path(files, path, "a/b");
    ASSERT_TRUE(parts) << parts.error().text;
    ASSERT_EQ(parts->size(), 3u);
    EXPECT_EQ((*parts)[2].path, "s/m-00003-of-00003.gguf");
  }
  EXPECT_EQ(choose_path(files, "x-F16.gguf", "a/b")->size(), 1u);
  for (const char* path : {"../x.gguf", "/etc/x.gguf", "x.txt", "", "y.gguf"})
    EXPECT_FALSE(choose_path(files, path, "a/b")) << path;
  files.erase(files.begin() + 1);
  const auto broken = choose_quant(files, "m", "a/b");
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().text.find("s/m-00003-of-00003.gguf is missing"), std::string::npos);
  EXPECT_FALSE(choose_quant(listed({"m-00001-of-99999.gguf"}), "", "a/b"));
}

TEST(HubListing, ReadsFiles) {
  std::vector<HubFile> files;
  const std::string sha(64, 'A');
  const auto read = read_listing(
      R"([{"type":"directory","path":"d"},{"type":"file","path":"d/m.gguf","size":5,"oid":"1",)"
      R"("lfs":{"oid":")" +
          sha +
          R"(","size":500}},{"type":"file","path":"x","size":-1,"lfs":7},)"
          R"({"type":"file","path":"../x"},{"type":"file"},{"path":3},17])",
      files);
  ASSERT_TRUE(read) << read.error().text;
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, "d/m.gguf");
  EXPECT_EQ(files[0].size, 500u);
  EXPECT_EQ(files[0].sha256, std::string(64, 'a'));
  EXPECT_EQ(files[0].oid, "1");
  EXPECT_EQ(files[1].size, std::nullopt);
}

TEST(HubListing, RefusesTheRest) {
  std::vector<HubFile> files;
  const std::string deep(1 << 20, '['), text = "[\"" + std::string(1 << 20, '[') + "\"]";
  for (const std::string& json : {std::string(), std::string("<!DOCTYPE html>\n<html>"),
                                  std::string("{}"), std::string("[{}"), std::string("null"), deep})
    EXPECT_FALSE(read_listing(json, files)) << json.substr(0, 20);
  EXPECT_TRUE(read_listing(text, files)) << "brackets of a text open nothing";
  std::string many = "[";
  for (int i = 0; i < 65'537; ++i) many += R"({"type":"file","path":"x"},)";
  many.back() = ']';
  EXPECT_FALSE(read_listing(many, files));
}

TEST(HubHeads, HeadersAreTakenOrLeft) {
  HttpHead head;
  const char* lines[] = {
      "HTTP/1.1 302 Found\r\n",
      "ETag: \"abc\"\r\n",
      "HTTP/2 206\r\n",
      "Content-Type: Text/HTML; charset=utf-8\r\n",
      "content-length: 12x\r\n",
      "CONTENT-RANGE: bytes 4-9/10\r\n",
      "ETag: W/\"weak\"\r\n",
      "X-Linked-Size: 77\r\n",
      "Link: <http://h/?a=1>; rel=\"prev\", <http://h/p?b=2&c=3>; rel=\"next\"\r\n",
      "no colon\r\n",
      "\r\n"};
  for (const char* line : lines) read_header_line(line, false, head);
  EXPECT_EQ(head.status, 206);
  EXPECT_EQ(head.etag, "");
  EXPECT_EQ(head.content_type, "text/html");
  EXPECT_EQ(head.length, std::nullopt);
  EXPECT_EQ(head.first_byte, 4u);
  EXPECT_EQ(head.total, 10u);
  EXPECT_EQ(head.next_query, "b=2&c=3");
  EXPECT_EQ(head.linked_size, std::nullopt) << "not the hub's word";
  read_header_line("X-Linked-Etag: \"" + std::string(64, 'f') + "\"\r\n", true, head);
  EXPECT_EQ(head.linked_sha256, std::string(64, 'f'));
  read_header_line("ETag: \"" + std::string(100'000, 'e') + "\"\r\n", true, head);
  EXPECT_EQ(head.etag, "");
}

}  // namespace
}  // namespace pumice::hub
