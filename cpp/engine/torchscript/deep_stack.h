#pragma once

#include <cstddef>
#include <functional>

namespace portfire::torchscript {

/// Calls `body` on a thread of its own with that much stack, and waits. Memory is taken only where the
/// stack is really used. What `body` throws is thrown here. Throws kResourceExhausted when no such stack
/// can be had.
void on_deep_stack(std::size_t stack_bytes, const std::function<void()>& body);

}  // namespace portfire::torchscript
