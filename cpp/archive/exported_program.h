#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <portfire/manifest.h>
#include <portfire/tensor.h>

#include "archive/archive.h"
#include "archive/size_condition.h"

namespace portfire::exported {

struct Graph;

/// An argument or an output of a node, as torch.export's schema spells it
/// (torch/_export/serde/schema.py, `Argument`); symbolic numbers are names like any other value's.
struct Value {
  enum class Kind : std::uint8_t {
    kNone,
    kName,          ///< `text`: what a node, a weight or the caller gave
    kBool,          ///< `integer`
    kInt,           ///< `integer`
    kFloat,         ///< `real`
    kString,        ///< `text`
    kDType,         ///< `dtype`
    kLayout,        ///< strided, the only one there is here
    kMemoryFormat,  ///< `integer`, as the schema numbers them: 1 contiguous, 2 channels last, 3 of 3-D, 4 preserve
    kDevice,        ///< `text`: "cpu"
    kList,          ///< `items`
    kGraph,         ///< `graph`: a branch, or the body of a loop
  };
  Kind kind = Kind::kNone;
  std::string text{};
  std::int64_t integer = 0;
  double real = 0;
  DType dtype = DType::kFloat32;
  std::vector<Value> items{};
  std::shared_ptr<const Graph> graph{};
};

struct Argument {
  std::string name;  ///< in the operator's schema
  Value value;
};

struct Node {
  std::string name;
  std::string target;  ///< "torch.ops.aten.linear.default"
  std::vector<Argument> arguments;
  std::vector<Value> outputs;  ///< names, lists of names, or nothing where nobody asks
};

/// Operator calls in order; the names in them are the graph's own.
struct Graph {
  std::vector<std::string> inputs;
  std::vector<Node> nodes;
  std::vector<Value> outputs;
  std::map<std::string, std::vector<std::string>> shapes;  ///< of tensors, as the export says: "3", or an expression
};

/// A parameter, buffer or constant: the raw elements of one record.
struct Weight {
  std::string value;   ///< what the nodes call it
  std::string name;    ///< what the module called it: "layers.0.weight"
  std::string record;  ///< "data/weights/weight_0"
  DType dtype = DType::kFloat32;
  Dims shape;
  Dims strides;
  std::int64_t offset = 0;  ///< elements
  bool is_parameter = false;
  bool requires_grad = false;  ///< PyTorch's products take other ways for such weights, which round otherwise
};

/// torch.export's uncompiled program: a list of operator calls. It holds no code and no pickle.
struct Program {
  MethodSpec signature;  ///< dtypes, shapes and the ranges of their symbols; outputs have names only
  std::vector<Weight> weights;
  Graph graph;           ///< its inputs are what the caller gives, as `signature.inputs`
  std::vector<std::size_t> numbers;  ///< inputs that the nodes take as numbers; the caller gives tensors without axes
  std::vector<SizeCondition> conditions;  ///< on the inputs; where one does not hold, the program is not the module
  bool changes_state = false;  ///< it says that it writes to an input or a buffer
  std::string torch_version;  ///< that wrote it
};

/// The method `forward` is the archive's model "model", where torch.export.save puts it; others have their own names.
std::string record_of(const std::string& method);

/// Reads a method's `models/<name>.json` and its tables of weights, and holds every weight against its record: all
/// its elements lie within. Throws kInvalidPackage with the place in the document, kUntrustedPackage on a
/// pickled weight, kVersionMismatch on another major version of the schema, and kUnsupported, by name, on
/// what Portfire does not run.
Program read_program(const Archive& archive, const std::string& method);

}  // namespace portfire::exported
