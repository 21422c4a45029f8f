#include "transport/routes/metrics.h"

#include <array>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <portfire/error.h>
#include <portfire/model.h>

#include "transport/routes/exposition.h"
#include "transport/routes/process.h"

namespace portfire::routes {
namespace {

using Served = std::shared_ptr<const serving::Served>;
using serving::VersionState;

Labels labels_of(const serving::Served& served) { return {{"model", served.name()}, {"version", std::to_string(served.version())}}; }

Labels with(Labels labels, std::string_view name, std::string value) {
  labels.emplace_back(name, std::move(value));
  return labels;
}

void add_requests(Exposition& out, const std::vector<Served>& all) {
  out.family("portfire_inference_requests_total", "counter", "Requests that came to an end, by the code of their error; ok is an answer.");
  for (const Served& one : all) {
    const serving::Counters& counters = one->counters();
    out.sample(with(labels_of(*one), "code", "ok"), static_cast<double>(counters.total.total()));
    for (const ErrorCodeInfo& code : error_codes()) {
      out.sample(with(labels_of(*one), "code", std::string(code.name)), static_cast<double>(counters.errors[static_cast<std::size_t>(code.code)].load()));
    }
  }
  out.family("portfire_inference_samples_total", "counter", "Samples that went through a model.");
  for (const Served& one : all) out.sample(labels_of(*one), static_cast<double>(one->counters().samples.load()));
  out.family("portfire_inference_duration_seconds", "histogram", "From a request's arrival to its answer, of those that were answered.");
  for (const Served& one : all) out.histogram(labels_of(*one), one->counters().total);
  out.family("portfire_inference_queue_duration_seconds", "histogram", "How long a request waited for its turn, of those that were answered.");
  for (const Served& one : all) out.histogram(labels_of(*one), one->counters().queue);
  out.family("portfire_inference_last_timestamp_seconds", "gauge", "When the last answer was given; 0 where there was none.");
  for (const Served& one : all) out.sample(labels_of(*one), static_cast<double>(one->counters().last_ms.load()) / 1000);
  out.family("portfire_inference_queue_length", "gauge", "Requests that wait for their turn.");
  for (const Served& one : all) out.sample(labels_of(*one), static_cast<double>(one->batcher().waiting()));
}

void add_batches(Exposition& out, const std::vector<Served>& all) {
  out.family("portfire_batch_samples", "histogram", "Samples that shared one call of a model.");
  for (const Served& one : all) out.histogram(labels_of(*one), one->counters().batch);
  out.family("portfire_batch_stage_duration_seconds", "histogram", "How long each stage of a batch took.");
  for (const Served& one : all) {
    const serving::Counters& counters = one->counters();
    for (const auto& [stage, times] : {std::pair("preprocess", &counters.preprocess), {"forward", &counters.forward}, {"postprocess", &counters.postprocess}}) {
      out.histogram(with(labels_of(*one), "stage", stage), *times);
    }
  }
}

void add_texts(Exposition& out, const std::vector<Served>& all) {
  std::vector<std::pair<Labels, BatcherStats>> texts;
  for (const Served& one : all) {
    if (const std::optional<BatcherStats> stats = one->text_stats()) texts.emplace_back(labels_of(*one), *stats);
  }
  const auto family = [&](std::string_view name, std::string_view type, std::string_view help, std::int64_t BatcherStats::*value) {
    out.family(name, type, help);
    for (const auto& [labels, stats] : texts) out.sample(labels, static_cast<double>(stats.*value));
  };
  family("portfire_text_sequences", "gauge", "Texts that are being written.", &BatcherStats::sequences);
  family("portfire_text_sequences_limit", "gauge", "Texts that are written at once at most.", &BatcherStats::max_sequences);
  family("portfire_text_queue_length", "gauge", "Prompts that wait for their turn.", &BatcherStats::waiting);
  family("portfire_text_steps_total", "counter", "Steps, each of which writes one token of every text that is being written.", &BatcherStats::steps);
  out.family("portfire_text_requests_total", "counter", "Prompts whose texts came to an end: by themselves, because the client went away, or by an error.");
  for (const auto& [labels, stats] : texts) {
    out.sample(with(labels, "outcome", "finished"), static_cast<double>(stats.finished));
    out.sample(with(labels, "outcome", "cancelled"), static_cast<double>(stats.cancelled));
    out.sample(with(labels, "outcome", "failed"), static_cast<double>(stats.failed));
  }
  const auto each = [&](const std::function<void(const Labels&, const serving::TextCounters&)>& add) {
    for (const Served& one : all) {
      if (const serving::TextCounters* counters = one->text_counters()) add(labels_of(*one), *counters);
    }
  };
  out.family("portfire_text_first_token_duration_seconds", "histogram", "From a prompt's arrival to the first token of its text.");
  each([&](const Labels& labels, const serving::TextCounters& counters) { out.histogram(labels, counters.first_token); });
  out.family("portfire_text_duration_seconds", "histogram", "From a prompt's arrival to the end of its texts, of those that finished.");
  each([&](const Labels& labels, const serving::TextCounters& counters) { out.histogram(labels, counters.total); });
  out.family("portfire_text_prompt_tokens_total", "counter", "Tokens of prompts, counted when a prompt has been read.");
  each([&](const Labels& labels, const serving::TextCounters& counters) { out.sample(labels, static_cast<double>(counters.prompt_tokens.load())); });
  out.family("portfire_text_generated_tokens_total", "counter", "Tokens that were written, counted when a text has ended.");
  each([&](const Labels& labels, const serving::TextCounters& counters) { out.sample(labels, static_cast<double>(counters.generated_tokens.load())); });
}

void add_drift(Exposition& out, const std::vector<Served>& all) {
  struct Row {
    Labels labels;
    const serving::Drift* drift;
    const Quantity* quantity;
    serving::Drift::Seen seen;
  };
  std::vector<Row> rows;
  for (const Served& one : all) {
    const serving::Drift* drift = one->batcher().drift().get();
    if (drift == nullptr) continue;
    std::vector<serving::Drift::Seen> seen = drift->seen();
    for (std::size_t k = 0; k < seen.size(); ++k) {
      const Quantity& quantity = drift->quantities()[k];
      rows.push_back({with(labels_of(*one), "quantity", quantity.name()), drift, &quantity, std::move(seen[k])});
    }
  }
  out.family("portfire_input_bin_total", "counter", "Samples by the bin that a quantity of theirs fell into; the bins are the package's.");
  for (const Row& row : rows) {
    for (std::size_t k = 0; k < row.seen.counts.size(); ++k) out.sample(with(row.labels, "bin", row.drift->bin_name(*row.quantity, k)), static_cast<double>(row.seen.counts[k]));
  }
  out.family("portfire_input_bin_expected_ratio", "gauge", "Which share of the samples that the package was made with fell into each bin.");
  for (const Row& row : rows) {
    const std::vector<std::int64_t>& counts = row.quantity->counts;
    const double all_counts = std::accumulate(counts.begin(), counts.end(), 0.0);
    for (std::size_t k = 0; k < counts.size(); ++k) out.sample(with(row.labels, "bin", row.drift->bin_name(*row.quantity, k)), static_cast<double>(counts[k]) / all_counts);
  }
  out.family("portfire_input_drift", "gauge", "Population stability index of the last 1,000 samples against those shares; missing until there are 200.");
  for (const Row& row : rows) {
    if (row.seen.index) out.sample(row.labels, *row.seen.index);
  }
}

void add_models(Exposition& out, const serving::Repository& repository, const std::vector<Served>& all) {
  out.family("portfire_model_state", "gauge", "1 for the state that a version is in.");
  constexpr std::array kStates{std::pair(VersionState::kLoading, "loading"), std::pair(VersionState::kReady, "ready"), std::pair(VersionState::kFailed, "failed"),
                               std::pair(VersionState::kUnloaded, "unloaded")};
  for (const serving::VersionStatus& one : repository.list()) {
    const Labels labels{{"model", one.name}, {"version", std::to_string(one.version)}};
    for (const auto& [state, name] : kStates) out.sample(with(labels, "state", name), one.state == state ? 1 : 0);
  }
  out.family("portfire_model_info", "gauge", "Always 1: what runs each version that is loaded.");
  for (const Served& one : all) {
    const ModelInfo& info = one->info();
    out.sample(with(with(with(with(labels_of(*one), "task", info.task), "engine", info.engine), "precision", info.precision), "device", info.device.to_string()), 1);
  }
  out.family("portfire_model_weights_bytes", "gauge", "Size of a version's parameters.");
  for (const Served& one : all) out.sample(labels_of(*one), static_cast<double>(one->info().parameter_bytes));
}

void add_process(Exposition& out) {
  const ProcessStats stats = process_stats();
  out.single("process_cpu_seconds_total", "counter", "Time of processors, in user space and in the kernel.", stats.cpu_seconds);
  out.single("process_resident_memory_bytes", "gauge", "Memory that is held.", static_cast<double>(stats.resident_bytes));
  out.single("process_virtual_memory_bytes", "gauge", "Addresses that are in use.", static_cast<double>(stats.virtual_bytes));
  out.single("process_start_time_seconds", "gauge", "When the process started, since 1970.", stats.start_seconds);
  out.single("process_open_fds", "gauge", "Open file descriptors.", static_cast<double>(stats.open_files));
  out.single("process_max_fds", "gauge", "File descriptors that may be open at once; 0 is no limit.", static_cast<double>(stats.max_files));
  out.single("process_threads", "gauge", "Threads.", static_cast<double>(stats.threads));
}

std::string metrics(const Site& site, const http::ServerStats& connections) {
  Exposition out;
  out.family("portfire_build_info", "gauge", "Always 1: what this server was built from.");
  out.sample({{"version", std::string(version())}, {"torch_version", std::string(torch_version())}}, 1);
  const bool stopping = site.stopping && site.stopping();
  out.single("portfire_ready", "gauge", "1 when models have been looked at and the server is not stopping.", site.repository.settled() && !stopping ? 1 : 0);
  out.single("portfire_processors", "gauge", "Processors that models may use.", site.crew.processors());
  const std::vector<Served> all = site.repository.served();
  add_models(out, site.repository, all);
  add_requests(out, all);
  add_batches(out, all);
  add_texts(out, all);
  add_drift(out, all);
  out.single("portfire_http_open_connections", "gauge", "HTTP connections that are open.", static_cast<double>(connections.connections));
  out.single("portfire_http_connections_total", "counter", "HTTP connections that were accepted.", static_cast<double>(connections.accepted));
  out.single("portfire_http_requests_total", "counter", "HTTP requests whose head came, to any path.", static_cast<double>(connections.requests));
  add_process(out);
  return out.take();
}

}  // namespace

void add_metrics(Router& router, const Site& site, std::function<http::ServerStats()> connections) {
  router.add("GET", "/metrics", [site, connections = std::move(connections)](Call& call) {
    call.exchange->send({.status = 200, .content_type = std::string(Exposition::kContentType), .body = metrics(site, connections()), .headers = {{"Cache-Control", "no-store"}}});
  });
}

}  // namespace portfire::routes
