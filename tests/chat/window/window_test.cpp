// pumice-chat as it is started: what it refuses and how it says so, and pictures of what it draws.
#include <gtest/gtest.h>
#include <stb_image.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/command/shell.h"

namespace pumice::test {
namespace {

size_t lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

struct Picture {
  int width = 0, height = 0;
  std::map<uint32_t, size_t> colours;  ///< how many pixels have them
  uint32_t corner = 0;
};

Picture read_picture(const std::string& path) {
  Picture picture;
  int channels = 0;
  unsigned char* pixels = stbi_load(path.c_str(), &picture.width, &picture.height, &channels, 3);
  if (!pixels) return {};
  const auto at = [&](int i) {
    return static_cast<uint32_t>(pixels[3 * i] << 16 | pixels[3 * i + 1] << 8 | pixels[3 * i + 2]);
  };
  for (int i = 0; i < picture.width * picture.height; ++i) ++picture.colours[at(i)];
  picture.corner = at(0);
  stbi_image_free(pixels);
  return picture;
}

/// A picture of the conversations that were written beforehand. False: none can be made here.
bool draws(const Folder& folder, const std::string& options, Picture& picture) {
  if (shell(folder, "command -v xvfb-run && command -v xauth").exit != 0) return false;
  const std::string path = folder.file("picture.png");
  const Ran ran = shell(folder,
                        "env -u WAYLAND_DISPLAY -u XDG_RUNTIME_DIR xvfb-run -a -s "
                        "'-screen 0 1280x1024x24' @ --sample " +
                            options + " --screenshot " + quoted(path));
  if (ran.err.find("Vulkan") != std::string::npos) return false;
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.err, "");
  picture = read_picture(path);
  return true;
}

TEST(WindowTest, SaysWhatIsWrongInOneLine) {
  Folder folder;
  const Ran dark =
      shell(folder, "env -u DISPLAY -u WAYLAND_DISPLAY -u XDG_RUNTIME_DIR @ --history " +
                        quoted(folder.file("history.db")));
  EXPECT_EQ(dark.exit, 1);
  EXPECT_NE(dark.err.find("no window can be opened here"), std::string::npos) << dark.err;
  EXPECT_EQ(lines(dark.err), 1u);
  for (const char* wrong : {"--nonsense", "--size 10x10", "--pacing=0", "--device", "-c many",
                            "--frame 0", "--idle=x"}) {
    const Ran ran = shell(folder, std::string("@ ") + wrong);
    EXPECT_EQ(ran.exit, 2) << wrong;
    EXPECT_EQ(lines(ran.err), 1u) << ran.err;
  }
  EXPECT_EQ(shell(folder, "@ --help").exit, 0);
  EXPECT_NE(shell(folder, "@ --version").out.find("pumice "), std::string::npos);
}

TEST(WindowTest, WithoutAnyFontItSaysWhichPackageHelps) {
  Folder folder;
  if (shell(folder, "command -v xvfb-run && command -v xauth").exit != 0) GTEST_SKIP() << "xvfb-run or xauth is not here";
  const std::string config =
      folder.write("fonts.conf", "<fontconfig><dir>" + folder.file("none") + "</dir></fontconfig>");
  const Ran ran = shell(folder, "FONTCONFIG_FILE=" + quoted(config) +
                                    " xvfb-run -a @ --sample --screenshot /dev/null");
  if (ran.err.find("Vulkan") != std::string::npos) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.err.find("fonts-dejavu-core"), std::string::npos) << ran.err;
}

TEST(WindowTest, DrawsTheSampleOnDarkAndOnLight) {
  Folder folder;
  Picture dark, light;
  if (!draws(folder, "--dark --size 900x640", dark))
    GTEST_SKIP() << "no display without a screen here, or no Vulkan driver that draws on it";
  ASSERT_TRUE(draws(folder, "--light --size 900x640", light));
  for (const Picture* each : {&dark, &light}) {
    EXPECT_EQ(each->width, 900);
    EXPECT_EQ(each->height, 640);
    EXPECT_GT(each->colours.size(), 60u);  // letters have soft edges
  }
  EXPECT_GT(dark.colours[0x1B1C1F], 900u * 640 / 4);  // the page
  EXPECT_GT(light.colours[0xFBFAF8], 900u * 640 / 4);
  EXPECT_GT(dark.colours[0xE07A4B], 1000u);  // the button that sends
  EXPECT_GT(light.colours[0xC2562A], 1000u);
}

}  // namespace
}  // namespace pumice::test
