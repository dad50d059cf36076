# shellcheck shell=bash disable=SC2034
# Sourced by demo/run and tests/run (bash): the Debian packages, and how to install, configure and
# build. Every step first asks whether its work is already done. All output goes to stderr.

BUILD_PACKAGES=(
  cmake ninja-build g++ pkg-config ccache        # build
  glslc glslang-tools spirv-tools                # GLSL -> SPIR-V
  libvulkan-dev                                  # headers; the loader comes with it
  libfmt-dev libexpected-dev libxxhash-dev libutf8proc-dev
  libpcre2-dev libeigen3-dev
  libcurl4-openssl-dev libssl-dev ca-certificates  # -hf: downloads, their hash, whom to trust
  nlohmann-json3-dev libcli11-dev
)
WINDOW_PACKAGES=(                                # pumice-chat; without them it is left out
  libglfw3-dev libimgui-dev libstb-dev           # window, widgets, PNG files
  libfontconfig-dev libfreetype-dev fonts-dejavu-core
  libsqlite3-dev libmd4c-dev                     # history, markdown
)
SCREENSHOT_PACKAGES=(xvfb xauth)                 # a display for machines without one
TEST_PACKAGES=(
  libgtest-dev
  mesa-vulkan-drivers vulkan-validationlayers    # lavapipe, RADV's compiler, the layer
  chromium                                       # carries SwiftShader, the second software driver
  clang libclang-rt-dev                          # libFuzzer and its runtime
)

say() { echo "${0#"$ROOT/"}: $*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# missing_packages NAME...: those that dpkg does not call installed.
missing_packages() {
  local installed package
  installed=" $({ dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true; } |
                sed -n 's/^ii //p' | tr '\n' ' ')"
  for package in "$@"; do
    case "$installed" in *" $package "*) ;; *) printf '%s\n' "$package" ;; esac
  done
}

# install_missing NAME...: asks apt for what is absent, and says in one line when it cannot.
install_missing() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "apt is not available here; building with what is installed (needed, by Debian's names: $*)"
    return 0
  fi
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "cannot install without root or sudo; as root: apt-get install ${missing[*]}"
    return 0
  fi
  say "installing ${missing[*]}"
  as_root apt-get -q update >&2 || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 install "${missing[@]}" >&2 ||
    say "apt could not install all of: ${missing[*]} (going on with what is there)"
}

# True when the Vulkan loader would find some driver's description.
have_vulkan_driver() {
  [ -z "${VK_ICD_FILENAMES:-}${VK_DRIVER_FILES:-}${VK_ADD_DRIVER_FILES:-}" ] || return 0
  local folders="/usr/share:/usr/local/share:/etc:/usr/local/etc:/etc/xdg"
  folders+=":${XDG_DATA_DIRS:-}:${XDG_CONFIG_DIRS:-}"
  folders+=":${XDG_DATA_HOME:-${HOME:-}/.local/share}:${XDG_CONFIG_HOME:-${HOME:-}/.config}"
  local folder file list
  IFS=: read -r -a list <<<"$folders"
  for folder in "${list[@]}"; do
    for file in "$folder"/vulkan/icd.d/*.json; do [ -e "$file" ] && return 0; done
  done
  return 1
}

install_driver_if_none() {
  have_vulkan_driver || install_missing mesa-vulkan-drivers
}

require_tools() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null && continue
    say "$tool is not installed and could not be; install it and try again"
    exit 1
  done
}

# configure PRESET FOLDER [-D...]: runs CMake only where FOLDER has no build.ninja of this checkout
# or one of the given settings differs from its cache. Ninja itself sees edited CMake files.
configure() {
  local preset=$1 folder=$ROOT/$2 cache=$ROOT/$2/CMakeCache.txt fresh=() launcher=() setting
  shift 2
  local current=yes
  [ -e "$folder/build.ninja" ] && [ -e "$cache" ] || current=no
  if [ -e "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$cache"; then
    current=no fresh=(--fresh)  # the checkout was moved or copied
  fi
  for setting in "$@"; do
    setting=${setting#-D}
    [ $current = yes ] && grep -qE "^${setting%%=*}:[A-Z]+=${setting#*=}\$" "$cache" || current=no
  done
  [ $current = no ] || return 0
  if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  (cd "$ROOT" && cmake --preset "$preset" "${fresh[@]}" "${launcher[@]}" "$@") >&2 && return 0
  say "CMake could not configure $folder; its messages are above"
  return 1
}

# has_target FOLDER OUTPUT: true when that build makes the file.
has_target() { grep -q "^build $2:" "$ROOT/$1/build.ninja"; }

# True when all that pumice-chat needs is installed.
window_packages() {
  command -v pkg-config >/dev/null &&
    pkg-config --exists glfw3 imgui stb fontconfig freetype2 sqlite3 md4c vulkan
}

# build FOLDER [TARGET...]: says nothing when there is nothing to do.
build() {
  local folder=$ROOT/$1
  shift
  if [ -e "$folder/.built" ]; then
    ninja -C "$folder" -j "$(nproc)" --quiet "$@" 2>&1 | sed '/^ninja: no work to do/d' >&2
  else
    ninja -C "$folder" -j "$(nproc)" "$@" >&2 && touch "$folder/.built"
  fi
}
