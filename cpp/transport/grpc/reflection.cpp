#include <array>
#include <memory>
#include <set>
#include <string>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include "core/text.h"
#include "health.pb.h"
#include "inference.pb.h"
#include "reflection.pb.h"
#include "transport/grpc/methods.h"

namespace portfire::rpc {
namespace {

using namespace ::grpc::reflection::v1alpha;
using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;

constexpr std::array kServices{"inference.GRPCInferenceService", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"};

/// The file and those that it stands on.
void add_files(const FileDescriptor& file, std::set<const FileDescriptor*>& added, FileDescriptorResponse& response) {
  if (!added.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response.add_file_descriptor_proto(proto.SerializeAsString());
  for (int k = 0; k < file.dependency_count(); ++k) add_files(*file.dependency(k), added, response);
}

ServerReflectionResponse answer_to(const ServerReflectionRequest& request) {
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  const auto none = [&](::grpc::StatusCode code, std::string message) {
    response.mutable_error_response()->set_error_code(code);
    response.mutable_error_response()->set_error_message(std::move(message));
  };
  const auto found = [&](const FileDescriptor* file, const std::string& what) {
    std::set<const FileDescriptor*> added;
    if (file == nullptr) return none(::grpc::StatusCode::NOT_FOUND, cat("there is no ", quoted(what)));
    add_files(*file, added, *response.mutable_file_descriptor_response());
  };
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const char* service : kServices) response.mutable_list_services_response()->add_service()->set_name(service);
      break;
    case ServerReflectionRequest::kFileByFilename: found(pool.FindFileByName(request.file_by_filename()), request.file_by_filename()); break;
    case ServerReflectionRequest::kFileContainingSymbol: found(pool.FindFileContainingSymbol(request.file_containing_symbol()), request.file_containing_symbol()); break;
    case ServerReflectionRequest::kFileContainingExtension: found(nullptr, request.file_containing_extension().containing_type()); break;
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      if (pool.FindMessageTypeByName(request.all_extension_numbers_of_type()) == nullptr) {
        none(::grpc::StatusCode::NOT_FOUND, cat("there is no ", quoted(request.all_extension_numbers_of_type())));
      } else {
        response.mutable_all_extension_numbers_response()->set_base_type_name(request.all_extension_numbers_of_type());  // proto3: none
      }
      break;
    default: none(::grpc::StatusCode::INVALID_ARGUMENT, "the request asks for nothing");
  }
  return response;
}

/// Answers question after question.
class Answers : public std::enable_shared_from_this<Answers> {
 public:
  explicit Answers(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}

  void start() {
    // Descriptors are registered where their file's symbols are used; a static library may have dropped them.
    (void)inference::ModelInferRequest::descriptor();
    (void)::grpc::health::v1::HealthCheckRequest::descriptor();
    stream_->on_drain([stream = stream_] { stream->finish({::grpc::StatusCode::UNAVAILABLE, "the server is stopping"}); });
    stream_->on_written([self = shared_from_this()] { self->next(); });
    next();
  }

 private:
  void next() {
    request_.Clear();
    stream_->read(request_, [self = shared_from_this()](bool has) {
      if (!has) return self->stream_->finish(::grpc::Status::OK);
      self->stream_->write(answer_to(self->request_));
    });
  }

  const std::shared_ptr<Stream> stream_;
  ServerReflectionRequest request_;
};

}  // namespace

void add_reflection(Methods& methods) {
  for (const char* package : {"v1", "v1alpha"}) {
    methods.add(cat("/grpc.reflection.", package, ".ServerReflection/ServerReflectionInfo"),
                [](const std::shared_ptr<Stream>& stream) { std::make_shared<Answers>(stream)->start(); });
  }
}

}  // namespace portfire::rpc
