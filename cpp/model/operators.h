#pragma once

#include <cstddef>
#include <cstdint>

namespace litedelegates::model {

// Every builtin operator of the schema, in the order of its code. Names and codes both come from this list.
#define LITEDELEGATES_OPERATORS(X)                                                                                                                \
  X(ADD)                                                                                                                                          \
  X(AVERAGE_POOL_2D) X(CONCATENATION) X(CONV_2D) X(DEPTHWISE_CONV_2D) X(DEPTH_TO_SPACE) X(DEQUANTIZE) X(                                          \
      EMBEDDING_LOOKUP) X(FLOOR) X(FULLY_CONNECTED) X(HASHTABLE_LOOKUP) X(L2_NORMALIZATION) X(L2_POOL_2D)                                         \
      X(LOCAL_RESPONSE_NORMALIZATION) X(LOGISTIC) X(LSH_PROJECTION) X(LSTM) X(MAX_POOL_2D) X(MUL) X(RELU) X(                                      \
          RELU_N1_TO_1) X(RELU6) X(RESHAPE) X(RESIZE_BILINEAR) X(RNN) X(SOFTMAX) X(SPACE_TO_DEPTH) X(SVDF)                                        \
          X(TANH) X(CONCAT_EMBEDDINGS) X(SKIP_GRAM) X(CALL) X(CUSTOM) X(EMBEDDING_LOOKUP_SPARSE) X(PAD) X(                                        \
              UNIDIRECTIONAL_SEQUENCE_RNN) X(GATHER) X(BATCH_TO_SPACE_ND) X(SPACE_TO_BATCH_ND) X(TRANSPOSE) X(MEAN)                               \
              X(SUB) X(DIV) X(SQUEEZE) X(UNIDIRECTIONAL_SEQUENCE_LSTM) X(STRIDED_SLICE) X(BIDIRECTIONAL_SEQUENCE_RNN) X(                          \
                  EXP) X(TOPK_V2) X(SPLIT) X(LOG_SOFTMAX) X(DELEGATE) X(BIDIRECTIONAL_SEQUENCE_LSTM) X(CAST) X(PRELU) X(MAXIMUM)                  \
                  X(ARG_MAX) X(MINIMUM) X(LESS) X(NEG) X(PADV2) X(GREATER) X(GREATER_EQUAL) X(LESS_EQUAL) X(                                      \
                      SELECT) X(SLICE) X(SIN) X(TRANSPOSE_CONV)                                                                                   \
                      X(SPARSE_TO_DENSE) X(TILE) X(EXPAND_DIMS) X(EQUAL) X(NOT_EQUAL) X(LOG) X(SUM) X(SQRT) X(                                    \
                          RSQRT) X(SHAPE) X(POW) X(ARG_MIN) X(FAKE_QUANT)                                                                         \
                          X(REDUCE_PROD) X(REDUCE_MAX) X(PACK) X(LOGICAL_OR) X(ONE_HOT) X(LOGICAL_AND) X(LOGICAL_NOT) X(UNPACK) X(                \
                              REDUCE_MIN) X(FLOOR_DIV) X(REDUCE_ANY) X(SQUARE) X(ZEROS_LIKE) X(FILL) X(FLOOR_MOD) X(RANGE)                        \
                              X(RESIZE_NEAREST_NEIGHBOR) X(LEAKY_RELU) X(SQUARED_DIFFERENCE) X(MIRROR_PAD) X(ABS) X(                              \
                                  SPLIT_V) X(UNIQUE) X(CEIL) X(REVERSE_V2)                                                                        \
                                  X(ADD_N) X(GATHER_ND) X(COS) X(WHERE) X(RANK) X(ELU) X(REVERSE_SEQUENCE) X(                                     \
                                      MATRIX_DIAG) X(QUANTIZE) X(MATRIX_SET_DIAG) X(ROUND) X(HARD_SWISH) X(IF)                                    \
                                      X(WHILE) X(NON_MAX_SUPPRESSION_V4) X(NON_MAX_SUPPRESSION_V5) X(SCATTER_ND) X(SELECT_V2) X(                  \
                                          DENSIFY) X(SEGMENT_SUM) X(BATCH_MATMUL) X(PLACEHOLDER_FOR_GREATER_OP_CODES) X(CUMSUM)                   \
                                          X(CALL_ONCE) X(BROADCAST_TO) X(RFFT2D) X(CONV_3D) X(IMAG) X(REAL) X(COMPLEX_ABS) X(                     \
                                              HASHTABLE) X(HASHTABLE_FIND) X(HASHTABLE_IMPORT) X(HASHTABLE_SIZE)                                  \
                                              X(REDUCE_ALL) X(CONV_3D_TRANSPOSE) X(VAR_HANDLE) X(READ_VARIABLE) X(                                \
                                                  ASSIGN_VARIABLE) X(BROADCAST_ARGS) X(RANDOM_STANDARD_NORMAL) X(BUCKETIZE)                       \
                                                  X(RANDOM_UNIFORM) X(MULTINOMIAL) X(GELU) X(DYNAMIC_UPDATE_SLICE) X(RELU_0_TO_1) X(              \
                                                      UNSORTED_SEGMENT_PROD) X(UNSORTED_SEGMENT_MAX) X(UNSORTED_SEGMENT_SUM)                      \
                                                      X(ATAN2) X(UNSORTED_SEGMENT_MIN) X(SIGN) X(                                                 \
                                                          BITCAST) X(BITWISE_XOR) X(RIGHT_SHIFT) X(STABLEHLO_LOGISTIC)                            \
                                                          X(STABLEHLO_ADD) X(STABLEHLO_DIVIDE) X(STABLEHLO_MULTIPLY) X(                           \
                                                              STABLEHLO_MAXIMUM) X(STABLEHLO_RESHAPE) X(STABLEHLO_CLAMP) X(STABLEHLO_CONCATENATE) \
                                                              X(STABLEHLO_BROADCAST_IN_DIM) X(STABLEHLO_CONVOLUTION) X(                           \
                                                                  STABLEHLO_SLICE) X(STABLEHLO_CUSTOM_CALL) X(STABLEHLO_REDUCE)                   \
                                                                  X(STABLEHLO_ABS) X(STABLEHLO_AND) X(STABLEHLO_COSINE) X(                        \
                                                                      STABLEHLO_EXPONENTIAL) X(STABLEHLO_FLOOR) X(STABLEHLO_LOG)                  \
                                                                      X(STABLEHLO_MINIMUM) X(STABLEHLO_NEGATE) X(                                 \
                                                                          STABLEHLO_OR) X(STABLEHLO_POWER)                                        \
                                                                          X(STABLEHLO_REMAINDER) X(STABLEHLO_RSQRT) X(                            \
                                                                              STABLEHLO_SELECT) X(STABLEHLO_SUBTRACT)                             \
                                                                              X(STABLEHLO_TANH) X(STABLEHLO_SCATTER) X(                           \
                                                                                  STABLEHLO_COMPARE) X(STABLEHLO_CONVERT)                         \
                                                                                  X(STABLEHLO_DYNAMIC_SLICE) X(                                   \
                                                                                      STABLEHLO_DYNAMIC_UPDATE_SLICE)                             \
                                                                                      X(STABLEHLO_PAD) X(STABLEHLO_IOTA) X(                       \
                                                                                          STABLEHLO_DOT_GENERAL) X(STABLEHLO_REDUCE_WINDOW)       \
                                                                                          X(STABLEHLO_SORT) X(                                    \
                                                                                              STABLEHLO_WHILE) X(STABLEHLO_GATHER)                \
                                                                                              X(STABLEHLO_TRANSPOSE) X(                           \
                                                                                                  DILATE) X(STABLEHLO_RNG_BIT_GENERATOR)          \
                                                                                                  X(REDUCE_WINDOW) X(                             \
                                                                                                      STABLEHLO_COMPOSITE)                        \
                                                                                                      X(STABLEHLO_SHIFT_LEFT)                     \
                                                                                                          X(STABLEHLO_CBRT)                       \
                                                                                                              X(STABLEHLO_CASE)

enum class Op : std::int32_t {
#define X(name) name,
  LITEDELEGATES_OPERATORS(X)
#undef X
};

#define X(name) +1
inline constexpr std::size_t kOperatorCount = 0 LITEDELEGATES_OPERATORS(X);
#undef X

}  // namespace litedelegates::model
