#pragma once

#include <portfire/model.h>

#include "serving/loaded.h"

namespace portfire {

/// What loads the models of a server. Throws as `Model::load`, when it is called.
serving::Loader serving_loader(LoadOptions options);

}  // namespace portfire
