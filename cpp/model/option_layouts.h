#pragma once

#include <cstdint>

#include "flatbuffer.h"

namespace litedelegates::model {

// Which options table an operator carries. Values below kSecondUnion are types of the schema's
// BuiltinOptions, the others types of BuiltinOptions2. Only the kinds that some check reads have a name.
inline constexpr int kSecondUnion = 1000;

enum class OptionsKind : int {
  none = 0,
  conv_2d = 1,
  depthwise_conv_2d = 2,
  pool_2d = 5,
  svdf = 6,
  fully_connected = 8,
  concatenation = 10,
  add = 11,
  lstm = 14,
  reshape = 17,
  space_to_depth = 19,
  gather = 23,
  reducer = 27,
  sub = 28,
  squeeze = 30,
  sequence_rnn = 31,
  strided_slice = 32,
  split = 35,
  transpose_conv = 49,
  pack = 59,
  one_hot = 61,
  unpack = 64,
  bidirectional_sequence_lstm = 69,
  bidirectional_sequence_rnn = 70,
  unidirectional_sequence_lstm = 71,
  mirror_pad = 77,
  split_v = 79,
  reverse_sequence = 87,
  if_ = 92,
  while_ = 93,
  depth_to_space = 94,
  batch_matmul = 101,
  call_once = 103,
  conv_3d = 106,
  stablehlo_custom_call = kSecondUnion + 5,
  stablehlo_reduce = kSecondUnion + 6,
  stablehlo_scatter = kSecondUnion + 7,
  stablehlo_pad = kSecondUnion + 10,
  stablehlo_reduce_window = kSecondUnion + 13,
  stablehlo_sort = kSecondUnion + 14,
  stablehlo_while = kSecondUnion + 15,
  stablehlo_gather = kSecondUnion + 16,
  stablehlo_composite = kSecondUnion + 21,
  stablehlo_case = kSecondUnion + 23,
};

// Checks every field of an options table; kinds newer than this table pass, as the runtime does not read
// them.
void check_options_layout(OptionsKind kind, const Table& options);

}  // namespace litedelegates::model
