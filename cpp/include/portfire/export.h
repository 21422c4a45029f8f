#pragma once

/// Marks what the shared library exports; everything else is hidden.
#if defined(PORTFIRE_STATIC)
#define PORTFIRE_EXPORT
#else
#define PORTFIRE_EXPORT __attribute__((visibility("default")))
#endif
