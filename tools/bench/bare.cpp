// The least that a LibTorch program can do with a file: load it. What `portfire run` is measured against.
#include <torch/csrc/jit/serialization/import.h>
#include <torch/csrc/jit/api/module.h>

#include <cstdio>

int main(int, char** argv) {
  const torch::jit::Module module = torch::jit::load(argv[1]);
  std::puts("loaded");
  std::fflush(stdout);
  return module.hasattr("training") ? 0 : 1;
}
