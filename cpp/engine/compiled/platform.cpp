#include "engine/compiled/platform.h"

#include <ATen/cpu/Utils.h>
#include <sys/utsname.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string_view>

#include "core/text.h"

namespace portfire::compiled {
namespace {

/// Words as torch/_inductor/cpu_vec_isa.py spells them; features as cpuinfo does.
bool has_instructions(const std::string& word) {
  constexpr std::string_view kAvx2[] = {"avx2", "fma3", "f16c", "bmi", "bmi2", "lzcnt"};  // x86-64-v3
  constexpr std::string_view kAvx512[] = {"avx512_f", "avx512_bw", "avx512_cd", "avx512_dq", "avx512_vl"};  // x86-64-v4
  static const auto features = at::cpu::get_cpu_capabilities();
  const auto has = [](std::string_view feature) {
    const auto found = features.find(std::string(feature));
    return found != features.end() && found->second.isBool() && found->second.toBool();
  };
  if (word == "INVALID_VEC_ISA" || word == "ASIMD") return true;  // what every machine of its kind has
  if (word == "AVX2") return std::all_of(std::begin(kAvx2), std::end(kAvx2), has);
  if (word == "AVX512") return std::all_of(std::begin(kAvx2), std::end(kAvx2), has) && std::all_of(std::begin(kAvx512), std::end(kAvx512), has);
  if (word == "AVX512_VNNI") return has("avx512_vnni");
  if (word == "AMX_TILE") return has("amx_tile") && at::cpu::init_amx();
  return false;
}

}  // namespace

std::string what_differs(const exported::CompiledProgram& program, Device device) {
  utsname system{};
  uname(&system);
  if (program.platform != "linux" || program.machine != system.machine) return cat("this is linux ", system.machine);
  std::istringstream words(program.instructions);
  for (std::string word; words >> word;) {
    if (!has_instructions(word)) return cat("this processor has no ", quoted(word));
  }
  const std::string kind = device.kind == Device::Kind::kCpu ? "cpu" : "cuda";
  if (program.device != kind) return cat("the device asked for is ", device.to_string());
  if (program.torch_version.substr(0, program.torch_version.find('+')) != TORCH_VERSION) return cat("this is torch ", TORCH_VERSION);
  return {};
}

}  // namespace portfire::compiled
