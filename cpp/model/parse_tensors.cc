#include "parse_tensors.h"

#include <string>

#include "schema.h"
#include "verify.h"

namespace litedelegates::model {
namespace {

Quantization parse_quantization(const Table& table) {
  Quantization quantization;
  table.check_vector(slot::quantization::min, sizeof(float), "the minimum");
  table.check_vector(slot::quantization::max, sizeof(float), "the maximum");
  quantization.scales = table.vector<float>(slot::quantization::scale, "the scales").copy();
  quantization.zero_points =
      table.vector<std::int64_t>(slot::quantization::zero_point, "the zero points").copy();
  quantization.quantized_dimension =
      table.scalar<std::int32_t>(slot::quantization::quantized_dimension, 0, "the quantized dimension");
  quantization.has_params = !quantization.scales.empty();

  const auto kind =
      table.scalar<std::uint8_t>(slot::quantization::details_type, 0, "the quantization details");
  const Table details = table.table(slot::quantization::details, "the quantization details");
  switch (static_cast<QuantizationDetails>(kind)) {
    case QuantizationDetails::custom:
      details.check_vector(0, 1, "the custom quantization");
      break;
    case QuantizationDetails::multi_axis:
      details.check_vector(slot::blockwise::quantized_dimensions, 4, "the quantized dimensions");
      [[fallthrough]];
    case QuantizationDetails::blockwise:
      if (!details) throw InvalidModel("its quantization details are missing");
      quantization.is_blockwise = true;
      quantization.scales_tensor =
          details.scalar<std::int32_t>(slot::blockwise::scales, 0, "the scales tensor");
      quantization.zero_points_tensor =
          details.scalar<std::int32_t>(slot::blockwise::zero_points, 0, "the zero points tensor");
      quantization.block_size =
          details.scalar<std::int32_t>(slot::blockwise::block_size, 0, "the block size");
      break;
    default:
      break;
  }
  return quantization;
}

}  // namespace

std::span<const std::uint8_t> outside_range(const File& file, std::uint64_t offset, std::uint64_t size,
                                            const char* what) {
  if (offset > file.size() || size > file.size() - offset) {
    throw InvalidModel(std::string(what) + " at offset " + std::to_string(offset) + " with " +
                       std::to_string(size) + " bytes lies outside the file of " +
                       std::to_string(file.size()) + " bytes");
  }
  return file.bytes().subspan(offset, size);
}

Buffer parse_buffer(const File& file, const Table& table) {
  Buffer buffer;
  buffer.has_data = table.has(slot::buffer::data);
  buffer.data = table.blob(slot::buffer::data, "the data");
  const auto offset = table.scalar<std::uint64_t>(slot::buffer::offset, 0, "the offset");
  const auto size = table.scalar<std::uint64_t>(slot::buffer::size, 0, "the size");
  if (offset == 0) return buffer;

  // Models above 2 GB keep their data behind the flatbuffer. Writers use offset 1 as a placeholder for
  // "none".
  const auto outside = outside_range(file, offset, size, "the data");
  if (offset > 1) {
    if (buffer.has_data) throw InvalidModel("its data is both inside and behind the flatbuffer");
    buffer = {true, outside};
  }
  return buffer;
}

void require_buffer(std::uint32_t index, const std::vector<Buffer>& buffers) {
  if (index >= buffers.size()) {
    throw InvalidModel("uses buffer " + std::to_string(index) + ", but the model has " +
                       std::to_string(buffers.size()) + " buffers");
  }
}

Tensor parse_tensor(const Table& table, const std::vector<Buffer>& buffers) {
  Tensor tensor;
  tensor.name = table.string(slot::tensor::name, "the name");
  tensor.shape = table.vector<std::int32_t>(slot::tensor::shape, "the shape").copy();
  tensor.shape_signature =
      table.vector<std::int32_t>(slot::tensor::shape_signature, "the shape signature").copy();
  tensor.has_rank = table.scalar<std::uint8_t>(slot::tensor::has_rank, 0, "a field") != 0;
  tensor.type = table.scalar<std::int8_t>(slot::tensor::type, 0, "the type");
  tensor.buffer = table.scalar<std::uint32_t>(slot::tensor::buffer, 0, "the buffer");
  tensor.external_buffer =
      table.scalar<std::uint32_t>(slot::tensor::external_buffer, 0, "the external buffer");
  tensor.is_variable = table.scalar<std::uint8_t>(slot::tensor::is_variable, 0, "a field") != 0;
  tensor.quantization = parse_quantization(table.table(slot::tensor::quantization, "the quantization"));

  const TableVector variants = table.tables(slot::tensor::variant_tensors, "the variant tensors");
  for (std::size_t i = 0; i < variants.size(); ++i) {
    variants[i].check_vector(slot::variant::shape, sizeof(std::int32_t), "the shape of a variant");
  }

  require_buffer(tensor.buffer, buffers);
  if (tensor.buffer != 0) {  // buffer 0 stands for "no data", whatever is in it
    tensor.has_data = buffers[tensor.buffer].has_data;
    tensor.data = buffers[tensor.buffer].data;
  }
  return tensor;
}

}  // namespace litedelegates::model
