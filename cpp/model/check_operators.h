#pragma once

#include "node.h"
#include "parse.h"

namespace litedelegates::model {

// Walks through the operators of every subgraph in order: number of inputs and outputs, options, constant
// parameters, and the shapes that the runtime will compute from the shapes of the inputs.
void check_operators(const Parsed& parsed);

// One operator: what `check_operators` does for each. Sets the shapes of its outputs as far as they can be
// told.
void check_operator(Node& node, const Parsed& parsed);

// How many inputs and outputs there are, and which of them may be missing.
void check_arity(const Node& node);
// Whether an operator has one input and one output of the same shape.
[[nodiscard]] bool is_unary(Op op);

// One function a family of operators; each sets the shapes of the outputs as far as they can be told.
void check_types(const Node& node);     // element types, for all operators
void check_convolution(Node& node);     // CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV, CONV_3D...
void check_pooling(Node& node);         // AVERAGE_POOL_2D, MAX_POOL_2D, L2_POOL_2D
void check_elementwise(Node& node);     // one input
void check_broadcast(Node& node);       // two inputs or more
void check_matrix_product(Node& node);  // FULLY_CONNECTED, BATCH_MATMUL
void check_rearrangement(Node& node);   // RESHAPE, TRANSPOSE, SQUEEZE, EXPAND_DIMS, SPACE_TO_DEPTH...
void check_joining(Node& node);         // CONCATENATION, PACK, UNPACK, SPLIT, SPLIT_V
void check_slicing(Node& node);         // SLICE, STRIDED_SLICE, PAD, TILE, BROADCAST_TO...
void check_lookup(Node& node);          // GATHER, GATHER_ND, ONE_HOT, EMBEDDING_LOOKUP...
void check_reduction(Node& node);       // MEAN, SUM, ARG_MAX, CUMSUM, TOPK_V2...
void check_resizing(Node& node);        // RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR
void check_recurrence(Node& node);      // LSTM, SVDF, RNN and their sequences
void check_parameters(Node& node);      // sizes out of the values of an input: SEGMENT_SUM, RFFT2D, SHAPE...
void check_call(Node& node, const Parsed& parsed);  // IF, WHILE, CALL_ONCE, STABLEHLO_COMPOSITE...
void check_stablehlo(Node& node);
void check_custom(Node& node, std::size_t file_size);
void check_composite(const Node& node);  // composites that the runtime replaces by an operator of its own

}  // namespace litedelegates::model
