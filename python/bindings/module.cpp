#include <pybind11/pybind11.h>

#include <portfire/model.h>

#include "bindings.h"

PYBIND11_MODULE(_core, module) {
  using namespace portfire::python;
  module.doc() = "The native half of portfire: use it through `import portfire`.";
  bind_errors(module);
  bind_tensor(module);
  bind_codecs(module);
  bind_answers(module);
  bind_info(module);
  bind_model(module);
  bind_generation(module);
  bind_tokenizer(module);
  bind_tune(module);
  module.def("cpu_budget", &portfire::cpu_budget,
             "The processors that this process may really use: its affinity and its cgroup's quota.");
  module.def("cuda_available", &portfire::cuda_available, "True when a CUDA device answers.");
  module.def("version", &portfire::version, "Portfire's own version.");
  module.def("torch_version", &portfire::torch_version, "The LibTorch version that portfire was built against.");
}
