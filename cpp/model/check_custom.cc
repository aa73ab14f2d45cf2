#include <string>

#include "check_operators.h"
#include "flexbuffer.h"

namespace litedelegates::model {
namespace {

// Custom operators that the runtime itself brings along. All others are checked by whoever brings them.

double bounded(const Node& node, const FlexMap& options, const char* key, double fallback, double least,
               double most) {
  const double value = options.number(key, fallback);
  if (!(value >= least && value <= most)) {
    node.fail(std::string(key) + " is " + std::to_string(value) + ", outside " + std::to_string(least) +
              " to " + std::to_string(most));
  }
  return value;
}

void require_inputs(const Node& node, std::size_t inputs, std::size_t outputs) {
  if (node.input_count() != inputs || node.output_count() != outputs) {
    node.fail("it cannot have " + std::to_string(node.input_count()) + " inputs and " +
              std::to_string(node.output_count()) + " outputs");
  }
}

void require_equal(const Node& node, std::int64_t a, std::int64_t b, const char* what) {
  if (a != b && a != kUnknown && b != kUnknown) {
    node.fail(std::string(what) + ": " + std::to_string(a) + " and " + std::to_string(b));
  }
}

// Inputs: encoded boxes [1, n, 4], predictions [1, n, classes, perhaps with a background], anchors [n, 4].
void check_detection_postprocess(const Node& node) {
  constexpr double kMost = 1 << 20;
  const FlexMap options(node.details().custom_options);
  require_inputs(node, 3, 4);
  const double detections = bounded(node, options, "max_detections", 0, 0, kMost);
  const double classes_each = bounded(node, options, "max_classes_per_detection", 0, 0, kMost);
  const double classes = bounded(node, options, "num_classes", 0, 1, kMost);
  bounded(node, options, "detections_per_class", 100, 0, kMost);
  if (detections * classes_each > kMost) node.fail("it would give more than a million detections");

  const Dims* boxes = node.ranked_input(0, 3, "the boxes");
  const Dims* predictions = node.ranked_input(1, 3, "the predictions");
  const Dims* anchors = node.ranked_input(2, 2, "the anchors");
  if (predictions != nullptr && (*predictions)[2] != kUnknown) {
    const auto background = static_cast<double>((*predictions)[2]) - classes;
    if (background != 0 && background != 1) node.fail("the predictions have the shape " + text(*predictions));
  }
  if (boxes == nullptr || anchors == nullptr || predictions == nullptr) return;
  require_equal(node, (*boxes)[1], (*predictions)[1], "boxes and predictions differ in number");
  require_equal(node, (*boxes)[1], (*anchors)[0], "boxes and anchors differ in number");
  if ((*boxes)[2] >= 0 && (*boxes)[2] < 4) node.fail("the boxes have the shape " + text(*boxes));
  require_equal(node, (*anchors)[1], 4, "an anchor has another number of coordinates than a box");
}

void check_hadamard_rotation(const Node& node) {
  const FlexMap options(node.details().custom_options);
  require_inputs(node, 1, 1);
  const auto size = static_cast<std::int64_t>(bounded(node, options, "hadamard_size", 0, 1, 1 << 24));
  if ((size & (size - 1)) != 0) node.fail("the size " + std::to_string(size) + " is no power of two");
  const Shape& input = node.input_shape(0);
  if (input && (input->size() < 2 || input->size() > 3)) node.fail("the input has the shape " + text(*input));
}

void check_spectrogram(const Node& node) {
  const FlexMap options(node.details().custom_options);
  require_inputs(node, 1, 1);
  bounded(node, options, "window_size", 0, 2, 1 << 20);
  bounded(node, options, "stride", 0, 1, 1 << 24);
  node.ranked_input(0, 2, "the input");
}

void check_mfcc(const Node& node) {
  const FlexMap options(node.details().custom_options);
  require_inputs(node, 2, 1);
  bounded(node, options, "filterbank_channel_count", 0, 1, 1 << 16);
  bounded(node, options, "dct_coefficient_count", 0, 1, 1 << 16);
  node.ranked_input(0, 3, "the input");
}

// Inputs: input, filter [outputs, height, width, inputs], bias. Its options are a C structure, not a
// flexbuffer.
void check_transpose_conv_bias(const Node& node) {
  require_inputs(node, 3, 1);
  const Dims* input = node.ranked_input(0, 4, "the input");
  const Dims* filter = node.ranked_input(1, 4, "the filter");
  const Dims* bias = node.ranked_input(2, 1, "the bias");
  if (input != nullptr && filter != nullptr) {
    require_equal(node, (*input)[3], (*filter)[3], "input and filter differ in channels");
  }
  if (filter != nullptr && bias != nullptr)
    require_equal(node, (*filter)[0], (*bias)[0], "filter and bias differ");
}

// The program of an accelerator, stored anywhere in the file.
void check_dispatch(const Node& node, std::size_t file_size) {
  const FlexMap options(node.details().custom_options);
  const double offset = options.number("bytecode_offset", 0), size = options.number("bytecode_size", 0);
  if (!(offset >= 0 && size >= 0 && offset + size <= static_cast<double>(file_size))) {
    node.fail("its program lies outside the file");
  }
}

// Inputs: query, key, value, and perhaps a mask; [batch, length, heads, size].
void check_attention(const Node& node, std::span<const std::uint8_t> attributes) {
  const FlexMap options(attributes);
  if (node.input_count() < 3 || node.output_count() != 1) require_inputs(node, 3, 1);
  const Dims* tensors[3];
  for (std::size_t i = 0; i < 3; ++i) tensors[i] = node.ranked_input(i, 4, "an input");
  const Dims *query = tensors[0], *key = tensors[1], *value = tensors[2];
  if (query == nullptr || key == nullptr || value == nullptr) return;
  if ((*key)[2] == 0) node.fail("the key has the shape " + text(*key));
  require_equal(node, (*query)[3], (*key)[3], "query and key differ in size");
  require_equal(node, (*key)[1], (*value)[1], "key and value differ in length");
  require_equal(node, (*key)[2], (*value)[2], "key and value differ in heads");
}

constexpr const char* kAttention = "odml.scaled_dot_product_attention";

}  // namespace

void check_custom(Node& node, std::size_t file_size) {
  const std::string& name = node.description().custom_code;
  if (name.empty()) node.fail("it has no name");
  if (name == "TFLite_Detection_PostProcess") check_detection_postprocess(node);
  if (name == "aeq.hadamard_rotation") check_hadamard_rotation(node);
  if (name == "AudioSpectrogram") check_spectrogram(node);
  if (name == "Mfcc") check_mfcc(node);
  if (name == "Convolution2DTransposeBias") check_transpose_conv_bias(node);
  if (name == "DISPATCH_OP") check_dispatch(node, file_size);
  if (name == "NumericVerify") static_cast<void>(FlexMap(node.details().custom_options));
  if (name == kAttention) check_attention(node, node.details().custom_options);
  for (std::size_t i = 0; i < node.output_count(); ++i) node.set_output(i, std::nullopt);
}

void check_composite(const Node& node) {
  if (node.details().kind != OptionsKind::stablehlo_composite) return;
  const Table& options = node.details().options;
  if (options.string(0, "the name") == kAttention) check_attention(node, options.blob(2, "the attributes"));
}

}  // namespace litedelegates::model
