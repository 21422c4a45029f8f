#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <optional>

#include <portfire/codecs.h>

#include "apps/inputs.h"
#include "apps/options.h"
#include "apps/print_answer.h"
#include "apps/run_chat.h"
#include "apps/run_texts.h"
#include "apps/terminal.h"
#include "apps/write_outputs.h"
#include "core/text.h"

namespace portfire::apps {
namespace {

struct Options : ModelOptions {
  [[nodiscard]] RunOptions run_options() const {
    RunOptions options{.top_k = top_k, .generate = generate};
    options.generate.early_stopping = early_stopping == "no" ? EarlyStopping::kNo : early_stopping == "yes" ? EarlyStopping::kYes : EarlyStopping::kNever;
    return options;
  }

  GenerateOptions generate;
  std::string early_stopping = "no";
  std::vector<std::string> inputs;
  std::string from;
  std::string column = "text";
  std::string chat;
  int top_k = 5;
  std::string output;
  std::string image_size;  // "WIDTHxHEIGHT"
  bool grey = false;
  std::vector<double> mean;
  std::vector<double> deviation;
};

/// All of it, or what came before an interrupt.
std::vector<std::byte> read_standard_input() {
  constexpr int kLookUpMs = 100;  // another thread may have taken the signal, so the wait itself must end
  std::vector<std::byte> bytes;
  std::array<std::byte, 1 << 16> part{};
  while (!interrupted()) {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&input, 1, kLookUpMs);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t got = ::read(STDIN_FILENO, part.data(), part.size());
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorCode::kIo, cat("standard input: cannot be read: ", std::strerror(errno)));
    bytes.insert(bytes.end(), part.begin(), part.begin() + got);
  }
  return bytes;
}

Input read_input(const std::string& path) {
  if (path != "-") return Input::file(path);
  return Input::bytes(read_standard_input(), "standard input");
}

ImageTensorOptions image_options(const Options& options) {
  ImageTensorOptions image;
  char extra = 0;
  long width = 0;
  long height = 0;
  constexpr long kMost = 16384;
  if (std::sscanf(options.image_size.c_str(), "%ldx%ld%c", &width, &height, &extra) != 2 || width < 1 || height < 1 ||
      width > kMost || height > kMost) {
    throw Error(ErrorCode::kInvalidArgument, cat("--image-size ", quoted(options.image_size), "; WIDTHxHEIGHT, as in 224x224, each up to ", kMost));
  }
  image.width = width;
  image.height = height;
  image.channels = options.grey ? 1 : 3;
  image.mean = options.mean;
  image.deviation = options.deviation;
  return image;
}

/// What an input becomes before the model sees it; only pictures for models without a manifest change.
std::vector<Outcome> run_some(const Model& model, std::span<const Input> inputs, const Options& options) {
  const RunOptions run = options.run_options();
  if (options.image_size.empty()) return model.run_each(inputs, run);
  const ImageTensorOptions image = image_options(options);
  std::vector<Outcome> outcomes;
  for (const Input& input : inputs) {
    try {
      outcomes.emplace_back(model.run(Input::tensor(model.image_tensor(input, image), input.name()), run));
    } catch (const Error& error) {
      outcomes.emplace_back(error);
    }
  }
  return outcomes;
}

void add_generate_options(CLI::App& command, GenerateOptions& options, std::string& early_stopping) {
  const auto add = [&](const char* name, auto& value, const char* about, const char* kind) {
    command.add_option(name, value, about)->type_name(kind)->group("Writing text")->capture_default_str();
  };
  add("--max-tokens", options.max_new_tokens, "The most tokens to write", "N");
  add("--temperature", options.temperature, "0 takes the likeliest token each time; above 0 one is drawn", "T");
  add("--top-k", options.top_k, "Draw among the likeliest K tokens; 0 is all", "K");
  add("--top-p", options.top_p, "Draw among the likeliest tokens whose probabilities reach P together", "P");
  add("--min-p", options.min_p, "Draw among tokens at least P times as likely as the likeliest", "P");
  add("--repetition-penalty", options.repetition_penalty, "Above 1: tokens that were there become less likely", "R");
  add("--frequency-penalty", options.frequency_penalty, "Subtracted from a token's logit each time it was written", "F");
  add("--sequences", options.num_sequences, "Texts for one prompt", "N");
  add("--beams", options.num_beams, "Beam search: the likeliest text as a whole, following the best N beginnings; 1 is none", "N");
  add("--length-penalty", options.length_penalty, "Beam search: log-probabilities are divided by length to this power", "P");
  command.add_option("--early-stopping", early_stopping, "Beam search: no: when the best beginning is no better than what is finished; yes: with the first N; never: at the end")
      ->type_name("WHEN")->group("Writing text")->capture_default_str()->check(CLI::IsMember({"no", "yes", "never"}));
  add("--seed", options.seed, "Of the draws", "SEED");
  add("--stop", options.stop, "End before this text; may be repeated", "TEXT");
  add("--stop-token", options.stop_tokens, "End with this token; may be repeated", "ID");
}

int run(const Options& options) {
  if (options.inputs.empty() && options.from.empty() && options.chat.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "no inputs; name files, folders or patterns, give texts, or - for standard input");
  }
  if (!options.chat.empty() && !(options.inputs.empty() && options.from.empty())) {
    throw Error(ErrorCode::kInvalidArgument, "inputs and --chat; give one of them");
  }
  const Model model = Model::load(options.path, options.load_options());
  if (!options.chat.empty()) {
    if (options.chat == "-" && !options.json && ::isatty(STDIN_FILENO) == 1) return run_talk(model, options.generate);
    catch_interrupt();
    const Input messages = read_input(options.chat);
    return interrupted() ? info_of(ErrorCode::kCancelled).exit_status : run_chat(model, messages, {.options = options.run_options(), .json = options.json});
  }
  if (model.info().manifest && model.info().manifest->raw_input.kind == "text") {
    return run_texts(model, {.texts = options.inputs, .from = options.from, .column = options.column, .options = options.run_options(), .json = options.json});
  }
  if (!options.from.empty()) throw Error(ErrorCode::kInvalidArgument, cat("--from is for models that read text; this one's task is ", model.info().task));
  const std::vector<std::string> files = expand_inputs(options.inputs);
  if (!options.output.empty() && (files.size() != 1 || model.info().task != "tensor")) {
    throw Error(ErrorCode::kInvalidArgument, cat("--output holds the tensors of one input; ", files.size(), " inputs, task ", model.info().task));
  }
  if (files.empty()) throw Error(ErrorCode::kNotFound, cat(options.inputs.front(), ": no files in it"));
  const auto batch = static_cast<std::size_t>(model.info().manifest ? model.info().manifest->max_batch : 1);
  int status = 0;
  Progress progress("running");
  catch_interrupt();
  for (std::size_t begin = 0; begin < files.size(); begin += batch) {
    const std::size_t end = std::min(begin + batch, files.size());
    std::vector<Input> inputs;
    for (std::size_t k = begin; k < end; ++k) inputs.push_back(read_input(files[k]));
    std::vector<Outcome> outcomes;
    if (!interrupted()) outcomes = run_some(model, inputs, options);
    progress.clear();
    if (interrupted()) return info_of(ErrorCode::kCancelled).exit_status;
    for (std::size_t k = 0; k < outcomes.size(); ++k) {
      if (const Error* error = std::get_if<Error>(&outcomes[k])) {
        print_error(inputs[k].name(), *error, options.json);
        if (status == 0) status = info_of(error->code()).exit_status;
      } else if (!options.output.empty()) {
        write_outputs(options.output, std::get<Answer>(outcomes[k]).tensors());
      } else {
        print_answer(inputs[k].name(), std::get<Answer>(outcomes[k]), options.json);
      }
    }
    flush_output();
    if (files.size() > batch) progress.update(static_cast<double>(end) / static_cast<double>(files.size()));
  }
  return status;
}

}  // namespace

void add_run(CLI::App& app, int& status) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("run", "The answer for each input");
  add_model_options(*command, *options, true);
  command->add_option("inputs", options->inputs, "Files, folders, patterns, or - for standard input; for models that read text, texts, or - for the lines of standard input")->type_name("INPUT");
  CLI::Option* from = command->add_option("--from", options->from, "Texts: the lines of FILE, or a column of a .csv, .tsv or .jsonl; answers are JSON lines")->type_name("FILE");
  command->add_option("--column", options->column, "With --from: the column or field that holds the text")->needs(from)->type_name("NAME")->capture_default_str();
  command->add_option("--chat", options->chat, "Answer a conversation, a JSON list of messages; - for standard input: at a terminal a conversation, line by line")->type_name("FILE");
  command->add_option("--top", options->top_k, "Classes to name")->type_name("K")->capture_default_str();
  command->add_option("--output", options->output, "Task tensor: write the outputs to FILE.npy, .safetensors or .json")->type_name("FILE");
  CLI::Option* size = command->add_option("--image-size", options->image_size, "Task tensor: take pictures, resized to WIDTHxHEIGHT, as [1, C, H, W] in 0..1")->type_name("WxH");
  command->add_flag("--grey", options->grey, "With --image-size: one channel of luminance")->needs(size);
  command->add_option("--mean", options->mean, "With --image-size: subtracted, one number or one a channel")->needs(size)->delimiter(',')->type_name("X,..");
  command->add_option("--std", options->deviation, "With --image-size: divided by")->needs(size)->delimiter(',')->type_name("X,..");
  add_generate_options(*command, options->generate, options->early_stopping);
  command->footer(
      "A bad input is reported and the others go on; the exit status is then the first error's.\n\n"
      "Examples:\n  portfire run models/digits-cnn seven.png\n  portfire run --json models/digits-cnn pictures/ > answers.jsonl\n"
      "  cat seven.png | portfire run models/digits-cnn -\n  portfire run models/polarity-ngrams \"a gripping, funny film\"\n"
      "  portfire run models/polarity-ngrams --from reviews.csv --column review > answers.jsonl\n  portfire run models/tinystories-260k \"Once upon a time\" --temperature 0.8\n  portfire run models/assistant --chat -\n  portfire run traced.pt x.npy --output y.npy\n"
      "  portfire run resnet.pt cat.jpg --image-size 224x224 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225");
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace portfire::apps
