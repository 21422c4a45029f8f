#include "engine/torchscript/attributes.h"

#include <ATen/core/jit_type.h>

#include <algorithm>
#include <unordered_set>

#include <portfire/error.h>

#include "core/text.h"

namespace portfire::torchscript {
namespace {

using c10::TypeKind;
using c10::TypePtr;

/// Values whose every use looks at what they really are: a wrong one is an error, not a wild read. Not so an
/// object, whose attributes are found by number, and a tuple, which is unpacked unasked.
bool is_plain(const TypePtr& type) {
  switch (type->kind()) {
    case TypeKind::TensorType:
    case TypeKind::IntType:
    case TypeKind::FloatType:
    case TypeKind::BoolType:
    case TypeKind::ComplexType:
    case TypeKind::NumberType:
    case TypeKind::StringType:
    case TypeKind::DeviceObjType:
    case TypeKind::NoneType: return true;
    case TypeKind::OptionalType:
    case TypeKind::ListType:
    case TypeKind::DictType: {
      const auto contained = type->containedTypes();
      return std::all_of(contained.begin(), contained.end(), is_plain);
    }
    default: return false;
  }
}

class Checker {
 public:
  explicit Checker(const std::string& name) : name_(name) {}

  void check(const c10::IValue& value, const TypePtr& type, const std::string& where) {
    if (holds(value, type, where)) return;
    throw Error(ErrorCode::kUntrustedPackage, cat(name_, ": refused: ", where, " is declared as ", quoted(type->annotation_str()),
                                                  ", but the file holds a ", quoted(value.type()->annotation_str())));
  }

 private:
  bool holds(const c10::IValue& value, const TypePtr& type, const std::string& where) {
    switch (type->kind()) {
      case TypeKind::OptionalType:
        return value.isNone() || holds(value, type->expectRef<c10::OptionalType>().getElementType(), where);
      case TypeKind::ListType: {
        const TypePtr& element = type->expectRef<c10::ListType>().getElementType();
        if (!value.isList() || !(is_plain(element) || *value.toList().elementType() == *element)) return false;
        for (const c10::IValue& item : value.toListRef()) check(item, element, where);
        return true;
      }
      case TypeKind::DictType: {
        const auto& declared = type->expectRef<c10::DictType>();
        if (!value.isGenericDict()) return false;
        const auto dictionary = value.toGenericDict();
        if (!is_plain(type) && *dictionary.valueType() != *declared.getValueType()) return false;
        for (const auto& entry : dictionary) {
          check(entry.key(), declared.getKeyType(), where);
          check(entry.value(), declared.getValueType(), where);
        }
        return true;
      }
      case TypeKind::TupleType: {
        const auto declared = type->containedTypes();
        if (!value.isTuple() || value.toTupleRef().elements().size() != declared.size()) return false;
        for (std::size_t k = 0; k < declared.size(); ++k) check(value.toTupleRef().elements()[k], declared[k], where);
        return true;
      }
      case TypeKind::AnyType:
      case TypeKind::UnionType:
      case TypeKind::ClassType:
      case TypeKind::InterfaceType:
        within(value, where);
        return value.type()->isSubtypeOf(*type);
      default: return value.type()->isSubtypeOf(*type);
    }
  }

  /// Objects anywhere in a value of which no more is known.
  void within(const c10::IValue& value, const std::string& where) {
    if (value.isObject()) {
      attributes(*value.toObject());
    } else if (value.isList() || value.isTuple() || value.isGenericDict()) {
      // The value's own word for what it holds is as good as any: nothing else has been promised.
      (void)holds(value, value.type(), where);
    }
  }

  void attributes(const c10::ivalue::Object& object) {
    if (!seen_.insert(&object).second) return;
    const auto type = object.type();
    if (object.slots().size() != type->numAttributes()) {
      throw Error(ErrorCode::kUntrustedPackage, cat(name_, ": refused: an object of ", type->annotation_str(), " has ", object.slots().size(),
                                                    " attributes; its class has ", type->numAttributes()));
    }
    for (std::size_t k = 0; k < object.slots().size(); ++k) {
      check(object.slots()[k], type->getAttribute(k), cat(type->annotation_str(), ".", type->getAttributeName(k)));
    }
  }

  const std::string& name_;
  std::unordered_set<const c10::ivalue::Object*> seen_;
};

}  // namespace

void check_attributes(const torch::jit::Module& module, const std::string& name) {
  Checker(name).check(module._ivalue(), module.type(), "the module");
}

void check_constant(const c10::IValue& value, const c10::TypePtr& type, const std::string& name) {
  Checker(name).check(value, type, "a constant");
}

bool is_safe_cast(const TypePtr& from, const TypePtr& to) {
  if (is_plain(to) || from->isSubtypeOf(*to)) return true;
  return from->kind() == TypeKind::OptionalType && from->expectRef<c10::OptionalType>().getElementType()->isSubtypeOf(*to);
}

}  // namespace portfire::torchscript
