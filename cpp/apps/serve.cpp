#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <iostream>
#include <mutex>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>

#include "api/serving_loader.h"
#include "apps/options.h"
#include "apps/terminal.h"
#include "core/text.h"
#include "serving/repository.h"
#include "serving/watcher.h"
#include "transport/doors.h"
#include "transport/grpc/server.h"
#include "transport/http/gate.h"
#include "transport/http/server.h"
#include "transport/notify.h"
#include "transport/routes/metrics.h"
#include "transport/routes/model_info.h"
#include "transport/routes/open_inference.h"
#include "transport/routes/page.h"
#include "transport/routes/router.h"
#include "transport/routes/texts.h"

namespace portfire::apps {
namespace {

struct Options : ModelOptions {
  http::ServerOptions http;
  std::uint16_t grpc_port = 8001;
  bool no_grpc = false;
  serving::RepositoryOptions repository;
  serving::WatcherOptions watcher;
  std::int64_t max_delay_us = 0;
  bool no_watch = false;
  int drain_seconds = 30;
  std::string keys;
  std::vector<std::string> allowed_hosts;
  bool access_log = false;
  std::vector<std::string> versions;
};

/// Lines on standard error, for people or (`json`) for programs. Thread-safe.
class Log {
 public:
  explicit Log(bool json) : json_(json) {}

  void line(const std::string& event, const std::string& text, const nlohmann::ordered_json& fields = nlohmann::ordered_json::object()) {
    const std::lock_guard lock(mutex_);
    char time[32];
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::strftime(time, sizeof time, "%FT%TZ", &parts);
    if (json_) {
      nlohmann::ordered_json all{{"time", time}, {"event", event}, {"text", text}};
      all.update(fields);
      std::cerr << all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    } else {
      std::cerr << time << ' ' << text << '\n';
    }
  }

  void lines(const std::string& lines) {
    const std::lock_guard lock(mutex_);
    std::cerr << lines << std::flush;
  }

 private:
  const bool json_;
  std::mutex mutex_;
};

std::int64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long pages[2]{};
  if (file != nullptr) {
    if (std::fscanf(file, "%ld %ld", &pages[0], &pages[1]) != 2) pages[1] = 0;
    std::fclose(file);
  }
  return pages[1] * sysconf(_SC_PAGESIZE);
}

void told(Log& log, const serving::VersionStatus& status, const std::string& event) {
  std::string text = cat(status.name, '/', status.version, ": ", event);
  if (!status.reason.empty()) text += cat(": ", status.reason);
  nlohmann::ordered_json fields{{"model", status.name}, {"version", status.version}, {"reason", status.reason}};
  if (event == "freed") {
    const std::int64_t before = resident_bytes();
    malloc_trim(0);
    const std::int64_t after = resident_bytes();
    text += cat("; memory ", human_bytes(static_cast<double>(after)));
    fields.update({{"resident_bytes_before", before}, {"resident_bytes", after}});
  }
  log.line(event, text, fields);
}

/// Every connection is a file, and what a process may open at first (often 1,024) is meant for programs that use select.
void open_as_many_files_as_allowed() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);
}

/// Waits for SIGINT or SIGTERM, which must be blocked in all threads; the next one ends the process.
void wait_for_end() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  int got = 0;
  sigwait(&signals, &got);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // who asks a second time does not want to wait
}

void block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

/// The names to be asked by, where that matters: on this machine alone, where anybody may ask. Over TLS, browsers see to it.
std::optional<http::HostNames> host_names(const Options& options) {
  const bool is_open = http::is_loopback(options.http.address) && options.keys.empty() && options.http.certificate.empty();
  if (!is_open && options.allowed_hosts.empty()) return std::nullopt;
  return http::HostNames(options.allowed_hosts);
}

void read_policies(Options& options) {
  for (const std::string& text : options.versions) {
    const auto [name, policy] = serving::version_policy_of(text);
    if (!options.repository.policies.emplace(name, policy).second) throw Error(ErrorCode::kInvalidArgument, cat("--versions names ", name, " twice; list its versions in one: ", name, "=1,3"));
  }
  const std::string& name = options.repository.name;
  if (!name.empty() && !serving::is_model_name(name)) throw Error(ErrorCode::kInvalidArgument, cat("--name ", quoted(name), " is no name that a model can have; letters, digits, '.', '_' and '-' are"));
}

void serve(Options& options) {
  block_signals();
  Log log(options.json);
  LoadOptions load = options.load_options();
  const int processors = options.threads > 0 ? options.threads : cpu_budget();
  load.threads = processors;
  read_policies(options);
  options.repository.folder = options.path;
  options.repository.serving.batching.max_delay = std::chrono::microseconds(options.max_delay_us);
  options.repository.log = [&log](const serving::VersionStatus& status, const std::string& event) { told(log, status, event); };
  options.watcher.folder = options.path;
  options.watcher.watches = !options.no_watch;
  (void)serving::look_in(options.path, options.repository.name);  // throws now rather than on another thread
  open_as_many_files_as_allowed();

  Doors doors = options.keys.empty() ? Doors() : Doors::from_file(options.keys);
  std::optional<http::HostNames> names = host_names(options);
  std::atomic<bool> stopping = false;
  routes::Router router;
  std::optional<AccessLog> access_log;
  if (options.access_log) access_log.emplace(options.json, [&log](const std::string& lines) { log.lines(lines); });
  http::Server server(options.http);  // outlives all that may still answer
  std::optional<rpc::Server> grpc;
  if (!options.no_grpc) grpc.emplace(options.http, options.grpc_port);
  serving::Crew crew(processors);
  serving::Repository repository(options.repository, serving_loader(load), crew);
  serving::Watcher watcher(repository, options.watcher, [&log](const std::string& failure) { log.line("folder", failure); });
  const routes::Site site{.repository = repository, .crew = crew, .stopping = [&stopping] { return stopping.load(); },
                          .later = [&watcher](std::function<void()> what) { watcher.post(std::move(what)); }, .doors = &doors,
                          .access_log = access_log ? &*access_log : nullptr};
  routes::add_repository(router, site);
  routes::add_open_inference(router, site);
  routes::add_tasks(router, site);
  routes::add_explanations(router, site);
  routes::add_texts(router, site);
  routes::add_model_info(router, site);
  routes::add_page(router, site);
  routes::add_metrics(router, site, [&server] { return server.stats(); });
  service::Heartbeat heart;  // beats on the server's thread: one that hangs is noticed
  server.start([&router](http::Request& request, const std::shared_ptr<http::Exchange>& exchange) { router.handle(request, exchange); },
               [&] { heart.beat(!stopping && repository.settled()); }, http::gate(doors, std::move(names)), site.access_log);
  const std::string scheme = options.http.certificate.empty() ? "http" : "https";
  log.line("listening", cat("listening on ", scheme, "://", options.http.address, ":", server.port(), "/"), {{"address", options.http.address}, {"port", server.port()}});
  if (grpc) {
    grpc->start(site);
    log.line("listening-grpc", cat("listening on grpc://", options.http.address, ":", grpc->port()), {{"address", options.http.address}, {"port", grpc->port()}});
  }
  wait_for_end();
  service::notify("STOPPING=1");
  log.line("stopping", cat("stopping: waiting for what has begun, at most ", options.drain_seconds, " s"));
  stopping = true;
  const std::chrono::seconds limit(options.drain_seconds);
  std::thread draining([&grpc, limit] {
    if (grpc) grpc->stop(limit);
  });
  server.stop(limit);
  draining.join();
  log.line("stopped", "stopped");
}

}  // namespace

void add_serve(CLI::App& app, int& status) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", "Answer HTTP and gRPC requests with the models of a folder");
  add_model_options(*command, *options, true);
  command->add_option("--address", options->http.address, "IP address to listen on; 0.0.0.0 is every network")->type_name("IP")->capture_default_str();
  command->add_option("--port", options->http.port, "TCP port; 0 takes one that is free and says which")->type_name("PORT")->capture_default_str();
  command->add_option("--grpc-port", options->grpc_port, "The same for gRPC")->type_name("PORT")->capture_default_str();
  command->add_flag("--no-grpc", options->no_grpc, "Speak HTTP alone");
  command->add_option("--unix-socket", options->http.unix_socket, "Listen on a Unix socket too")->type_name("PATH");
  command->add_option("--tls-certificate", options->http.certificate, "Speak TLS: a PEM file with the certificate and its chain")->type_name("FILE");
  command->add_option("--tls-key", options->http.private_key, "The certificate's private key, a PEM file")->type_name("FILE");
  command->add_option("--tls-clients", options->http.client_authority, "Only clients with a certificate that this authority signed, a PEM file")->type_name("FILE");
  command->add_option("--keys", options->keys, "Only callers with a key: a file of hashes (see portfire key)")->type_name("FILE");
  command->add_option("--allow-host", options->allowed_hosts, "A name that clients may ask by, beside localhost (again for more)")->type_name("NAME")->allow_extra_args(false);
  command->add_option("--max-body", options->http.max_body, "Longest body of a request, in bytes")->type_name("N")->capture_default_str();
  command->add_option("--max-connections", options->http.max_connections, "More are closed at once")->type_name("N")->capture_default_str();
  command->add_flag("--access-log", options->access_log, "A line on standard error for each request");
  command->add_option("--latest", options->repository.latest, "Newest versions of each model to serve")->type_name("N")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--versions", options->versions, "Versions of one model to serve: NAME=1,3 or NAME=latest:2 (again for more)")->type_name("NAME=LIST")->allow_extra_args(false);
  command->add_option("--name", options->repository.name, "What to call the model where MODEL is one package or one model's folder")->type_name("NAME");
  command->add_option("--max-batch", options->repository.serving.batching.max_batch, "Samples in one call of a model; 0 is what its package says")->type_name("N")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--max-delay-us", options->max_delay_us, "Microseconds that the first of a batch waits for others")->type_name("N")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--max-waiting", options->repository.serving.batching.max_waiting, "Requests that wait for a model; more are refused with 429")->type_name("N")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_option("--max-texts", options->repository.serving.max_texts, "Texts that a model writes at once")->type_name("N")->capture_default_str()->check(CLI::PositiveNumber);
  command->add_flag("--no-watch", options->no_watch, "Load what is there at the start, and later only what is asked for");
  command->add_option("--drain-seconds", options->drain_seconds, "How long to wait at the end for requests that have begun")->type_name("S")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->footer("Examples:\n  portfire serve models\n  curl --data-binary @seven.png http://127.0.0.1:8000/v1/models/digits-cnn:run");
  command->callback([options, &status] {
    status = 0;
    serve(*options);
  });
}

void add_key(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("key", "Make a key for callers of portfire serve");
  command->add_option("NAME", *name, "Whose key it is: letters, digits, '.', '_' and '-'")->required();
  command->footer("The key goes to standard output, its line for --keys FILE to standard error. Example:\n  portfire key alice 2>> keys.txt");
  command->callback([name] {
    if (!serving::is_model_name(*name)) throw Error(ErrorCode::kInvalidArgument, cat("the name ", quoted(*name), " has other characters than letters, digits, '.', '_' and '-'"));
    const std::string key = Doors::new_key();
    std::cout << key << '\n';
    std::cerr << *name << ':' << Doors::hash_of(key) << '\n';
  });
}

}  // namespace portfire::apps
