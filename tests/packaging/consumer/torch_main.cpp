// A program that has torch::Tensor already: converts without a copy.
#include <ATen/Functions.h>
#include <portfire/torch.h>

#include <iostream>

int main() {
  const at::Tensor ones = at::ones({2, 3});
  const portfire::Tensor shared = portfire::from_torch(ones);
  const at::Tensor back = portfire::to_torch(shared);
  const bool same = shared.data() == ones.data_ptr() && back.data_ptr() == ones.data_ptr();
  std::cout << shared.to_string(2) << (same ? " shared" : " copied") << '\n';
  return same ? 0 : 1;
}
