#include "option_layouts.h"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace litedelegates::model {
namespace {

// One letter a field, in slot order. Small letters are scalars of 1, 4 and 8 bytes (b, i, l) and strings (s);
// capital letters are vectors of elements of 1, 4 and 8 bytes.
struct Layout {
  const char* name;
  std::string_view fields;
};

// Position is the union type minus one.
constexpr std::array kFirstUnion = std::to_array<Layout>({
    {"Conv2DOptions", "biibiib"},
    {"DepthwiseConv2DOptions", "biiibii"},
    {"ConcatEmbeddingsOptions", "iII"},
    {"LSHProjectionOptions", "b"},
    {"Pool2DOptions", "biiiib"},
    {"SVDFOptions", "ibb"},
    {"RNNOptions", "bb"},
    {"FullyConnectedOptions", "bbbbb"},
    {"SoftmaxOptions", "i"},
    {"ConcatenationOptions", "ib"},
    {"AddOptions", "bb"},
    {"L2NormOptions", "b"},
    {"LocalResponseNormalizationOptions", "iiii"},
    {"LSTMOptions", "biibb"},
    {"ResizeBilinearOptions", "iibb"},
    {"CallOptions", "i"},
    {"ReshapeOptions", "I"},
    {"SkipGramOptions", "iib"},
    {"SpaceToDepthOptions", "i"},
    {"EmbeddingLookupSparseOptions", "b"},
    {"MulOptions", "b"},
    {"PadOptions", ""},
    {"GatherOptions", "ii"},
    {"BatchToSpaceNDOptions", ""},
    {"SpaceToBatchNDOptions", ""},
    {"TransposeOptions", ""},
    {"ReducerOptions", "b"},
    {"SubOptions", "bb"},
    {"DivOptions", "b"},
    {"SqueezeOptions", "I"},
    {"SequenceRNNOptions", "bbb"},
    {"StridedSliceOptions", "iiiiib"},
    {"ExpOptions", ""},
    {"TopKV2Options", ""},
    {"SplitOptions", "i"},
    {"LogSoftmaxOptions", ""},
    {"CastOptions", "bb"},
    {"DequantizeOptions", ""},
    {"MaximumMinimumOptions", ""},
    {"ArgMaxOptions", "b"},
    {"LessOptions", ""},
    {"NegOptions", ""},
    {"PadV2Options", ""},
    {"GreaterOptions", ""},
    {"GreaterEqualOptions", ""},
    {"LessEqualOptions", ""},
    {"SelectOptions", ""},
    {"SliceOptions", ""},
    {"TransposeConvOptions", "biibb"},
    {"SparseToDenseOptions", "b"},
    {"TileOptions", ""},
    {"ExpandDimsOptions", ""},
    {"EqualOptions", ""},
    {"NotEqualOptions", ""},
    {"ShapeOptions", "b"},
    {"PowOptions", ""},
    {"ArgMinOptions", "b"},
    {"FakeQuantOptions", "iiib"},
    {"PackOptions", "ii"},
    {"LogicalOrOptions", ""},
    {"OneHotOptions", "i"},
    {"LogicalAndOptions", ""},
    {"LogicalNotOptions", ""},
    {"UnpackOptions", "ii"},
    {"FloorDivOptions", ""},
    {"SquareOptions", ""},
    {"ZerosLikeOptions", ""},
    {"FillOptions", ""},
    {"BidirectionalSequenceLSTMOptions", "biibbb"},
    {"BidirectionalSequenceRNNOptions", "bbbb"},
    {"UnidirectionalSequenceLSTMOptions", "biibbb"},
    {"FloorModOptions", ""},
    {"RangeOptions", ""},
    {"ResizeNearestNeighborOptions", "bb"},
    {"LeakyReluOptions", "i"},
    {"SquaredDifferenceOptions", ""},
    {"MirrorPadOptions", "b"},
    {"AbsOptions", ""},
    {"SplitVOptions", "i"},
    {"UniqueOptions", "b"},
    {"ReverseV2Options", ""},
    {"AddNOptions", ""},
    {"GatherNdOptions", ""},
    {"CosOptions", ""},
    {"WhereOptions", ""},
    {"RankOptions", ""},
    {"ReverseSequenceOptions", "ii"},
    {"MatrixDiagOptions", ""},
    {"QuantizeOptions", ""},
    {"MatrixSetDiagOptions", ""},
    {"HardSwishOptions", ""},
    {"IfOptions", "ii"},
    {"WhileOptions", "ii"},
    {"DepthToSpaceOptions", "i"},
    {"NonMaxSuppressionV4Options", ""},
    {"NonMaxSuppressionV5Options", ""},
    {"ScatterNdOptions", ""},
    {"SelectV2Options", ""},
    {"DensifyOptions", ""},
    {"SegmentSumOptions", ""},
    {"BatchMatMulOptions", "bbb"},
    {"CumsumOptions", "bb"},
    {"CallOnceOptions", "i"},
    {"BroadcastToOptions", ""},
    {"Rfft2dOptions", ""},
    {"Conv3DOptions", "biiibiii"},
    {"HashtableOptions", "ibb"},
    {"HashtableFindOptions", ""},
    {"HashtableImportOptions", ""},
    {"HashtableSizeOptions", ""},
    {"VarHandleOptions", "ss"},
    {"ReadVariableOptions", ""},
    {"AssignVariableOptions", ""},
    {"RandomOptions", "ll"},
    {"BucketizeOptions", "I"},
    {"GeluOptions", "b"},
    {"DynamicUpdateSliceOptions", ""},
    {"UnsortedSegmentProdOptions", ""},
    {"UnsortedSegmentMaxOptions", ""},
    {"UnsortedSegmentMinOptions", ""},
    {"UnsortedSegmentSumOptions", ""},
    {"ATan2Options", ""},
    {"SignOptions", ""},
    {"BitcastOptions", ""},
    {"BitwiseXorOptions", ""},
    {"RightShiftOptions", ""},
});

constexpr std::array kSecondUnionLayouts = std::to_array<Layout>({
    {"StablehloConcatenateOptions", "l"},
    {"StablehloBroadcastInDimOptions", "L"},
    {"StablehloSliceOptions", "LLL"},
    {"StablehloConvolutionOptions", "LLLLBllLllLllLllI"},
    {"StablehloCustomCallOptions", "sbsiIB"},
    {"StablehloReduceOptions", "Li"},
    {"StablehloScatterOptions", "bLLLlbi"},
    {"StablehloCompareOptions", "ii"},
    {"StablehloDynamicSliceOptions", "L"},
    {"StablehloPadOptions", "LLL"},
    {"StablehloIotaOptions", "l"},
    {"StablehloDotGeneralOptions", "LLLLI"},
    {"StablehloReduceWindowOptions", "LLLLLi"},
    {"StablehloSortOptions", "lbi"},
    {"StablehloWhileOptions", "ii"},
    {"StablehloGatherOptions", "LLLlLb"},
    {"StablehloTransposeOptions", "L"},
    {"DilateOptions", ""},
    {"StablehloRngBitGeneratorOptions", "b"},
    {"ReduceWindowOptions", "i"},
    {"StableHLOCompositeOptions", "siBbi"},
    {"StablehloShiftLeftOptions", ""},
    {"StablehloCaseOptions", "I"},
});

void check_field(const Table& options, int slot, char field, const char* name) {
  switch (field) {
    case 'b':
      return options.check_scalar(slot, 1, name);
    case 'i':
      return options.check_scalar(slot, 4, name);
    case 'l':
      return options.check_scalar(slot, 8, name);
    case 's':
      options.string(slot, name);
      return;
    case 'B':
      return options.check_vector(slot, 1, name);
    case 'I':
      return options.check_vector(slot, 4, name);
    default:
      return options.check_vector(slot, 8, name);
  }
}

}  // namespace

void check_options_layout(OptionsKind kind, const Table& options) {
  const int code = static_cast<int>(kind);
  const bool second = code >= kSecondUnion;
  const std::span<const Layout> layouts = second ? std::span<const Layout>(kSecondUnionLayouts) : kFirstUnion;
  const auto index = static_cast<std::size_t>(code - (second ? kSecondUnion : 0));
  if (!options || index == 0 || index > layouts.size()) return;

  const Layout& layout = layouts[index - 1];
  for (std::size_t slot = 0; slot < layout.fields.size(); ++slot) {
    check_field(options, static_cast<int>(slot), layout.fields[slot], layout.name);
  }
}

}  // namespace litedelegates::model
