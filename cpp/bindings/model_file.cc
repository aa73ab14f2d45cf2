#include "runtime/model_file.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <algorithm>

#include "bindings/registers.h"
#include "bindings/without_gil.h"
#include "model/in_place.h"
#include "model/verify.h"
#include "runtime/element_type.h"

namespace py = pybind11;

namespace litedelegates::bindings {
namespace {

std::shared_ptr<const ModelFile> copy_buffer(const py::buffer& content) {
  const py::buffer_info info = content.request();
  const std::span<const uint8_t> bytes(static_cast<const uint8_t*>(info.ptr),
                                       static_cast<size_t>(info.size * info.itemsize));
  const WithoutGil nogil;
  return ModelFile::copy(bytes);
}

std::string operator_type(const model::Operator& op) {
  return op.custom_code.empty() ? model::operator_name(op.builtin_code) : op.custom_code;
}

// The names of the ops that TFLite does not define, each once.
py::typing::List<py::str> custom_ops(const ModelFile& file) {
  std::vector<std::string> names;
  for (const model::Subgraph& subgraph : file.description().subgraphs) {
    for (const model::Operator& op : subgraph.operators) {
      const bool is_new = std::find(names.begin(), names.end(), op.custom_code) == names.end();
      if (!op.custom_code.empty() && is_new) names.push_back(op.custom_code);
    }
  }
  py::typing::List<py::str> texts;
  for (const std::string& name : names) texts.append(to_text(name));
  return texts;
}

// A view that keeps the file alive.
py::array_t<uint8_t> read_only_view(std::span<const uint8_t> bytes, const py::object& owner) {
  py::array_t<uint8_t> view({bytes.size()}, {1}, bytes.data(), owner);
  view.attr("flags").attr("writeable") = false;
  return view;
}

// The bytes of a constant; None for a tensor without any.
py::object constant_data(const py::object& self, size_t subgraph, size_t tensor) {
  const auto& file = self.cast<const ModelFile&>();
  const model::Tensor& constant = file.description().subgraphs.at(subgraph).tensors.at(tensor);
  if (!constant.has_data) return py::none();
  return read_only_view(constant.data, self);
}

using Names = py::typing::List<py::typing::Tuple<py::str, py::int_>>;

Names to_names(const std::vector<model::SignatureEntry>& entries) {
  Names names;
  for (const model::SignatureEntry& entry : entries) {
    names.append(py::make_tuple(to_text(entry.name), entry.tensor_index));
  }
  return names;
}

void register_description(py::module_& module) {
  py::class_<model::Tensor>(module, "Tensor")
      .def_property_readonly("name", [](const model::Tensor& t) { return to_text(t.name); })
      .def_readonly("shape", &model::Tensor::shape)
      .def_readonly("shape_signature", &model::Tensor::shape_signature)
      .def_readonly("buffer", &model::Tensor::buffer)
      .def_readonly("is_variable", &model::Tensor::is_variable)
      .def_readonly("is_sparse", &model::Tensor::is_sparse)
      .def_readonly("is_constant", &model::Tensor::has_data)
      .def_property_readonly("element_type", [](const model::Tensor& t) { return element_type(t.type).name; })
      .def_property_readonly("element_bits", [](const model::Tensor& t) { return element_type(t.type).bits; })
      .def_property_readonly("constant_bytes", [](const model::Tensor& t) { return t.data.size(); })
      .def_property_readonly("scales", [](const model::Tensor& t) { return t.quantization.scales; })
      .def_property_readonly("zero_points", [](const model::Tensor& t) { return t.quantization.zero_points; })
      .def_property_readonly("quantized_dimension",
                             [](const model::Tensor& t) { return t.quantization.quantized_dimension; })
      .def_property_readonly("block_size", [](const model::Tensor& t) { return t.quantization.block_size; });
  py::class_<model::Operator>(module, "Operator")
      .def_readonly("builtin_code", &model::Operator::builtin_code)
      .def_readonly("version", &model::Operator::version)
      .def_readonly("inputs", &model::Operator::inputs)
      .def_readonly("outputs", &model::Operator::outputs)
      .def_property_readonly("is_custom", [](const model::Operator& op) { return !op.custom_code.empty(); })
      .def_property_readonly("type", [](const model::Operator& op) { return to_text(operator_type(op)); });
  py::class_<model::Subgraph>(module, "Subgraph")
      .def_property_readonly("name", [](const model::Subgraph& g) { return to_text(g.name); })
      // Copies: pybind11 aborts when it gets no memory to note that a reference keeps its owner alive.
      .def_property_readonly("tensors", [](const model::Subgraph& g) { return g.tensors; })
      .def_readonly("inputs", &model::Subgraph::inputs)
      .def_readonly("outputs", &model::Subgraph::outputs)
      .def_property_readonly("operators", [](const model::Subgraph& g) { return g.operators; })
      .def(
          "overwriting_ops",
          [](const model::Subgraph& g, const std::vector<int32_t>& delegated) {
            return model::find_overwriting(g, delegated);
          },
          py::kw_only(), py::arg("delegated"));
  py::class_<model::Signature>(module, "Signature")
      .def_property_readonly("key", [](const model::Signature& s) { return to_text(s.key); })
      .def_readonly("subgraph_index", &model::Signature::subgraph_index)
      .def_property_readonly("inputs", [](const model::Signature& s) { return to_names(s.inputs); })
      .def_property_readonly("outputs", [](const model::Signature& s) { return to_names(s.outputs); });
}

using InputShapes = std::vector<std::vector<int64_t>>;

ModelFile::Folded fold(const std::shared_ptr<ModelFile>& file, size_t subgraph, const InputShapes& inputs) {
  if (subgraph >= file->description().subgraphs.size())
    throw py::index_error("the model has no such subgraph");
  if (inputs.size() != file->description().subgraphs[subgraph].inputs.size()) {
    throw py::value_error("as many shapes are needed as the subgraph has inputs");
  }
  const py::gil_scoped_release nogil;
  return ModelFile::fold(file, subgraph, inputs);
}

}  // namespace

void register_model_file(py::module_& module) {
  register_description(module);
  // Both classes before their methods, whose signatures name them.
  py::class_<ModelFile, std::shared_ptr<ModelFile>> model_file(module, "ModelFile");
  py::class_<ModelFile::Folded> folded(module, "FoldedModel");
  folded
      .def_property_readonly(
          "file", [](const ModelFile::Folded& self) { return std::const_pointer_cast<ModelFile>(self.file); })
      .def_readonly("operators", &ModelFile::Folded::operators)
      .def_readonly("obstacle", &ModelFile::Folded::obstacle)
      .def_readonly("output_shapes", &ModelFile::Folded::outputs);
  model_file
      .def_static(
          "open",
          [](const std::string& path) { return std::const_pointer_cast<ModelFile>(ModelFile::open(path)); },
          py::arg("path"), py::call_guard<WithoutGil>())
      .def_static(
          "copy",
          [](const py::buffer& content) { return std::const_pointer_cast<ModelFile>(copy_buffer(content)); },
          py::arg("content"))
      .def_property_readonly("size", [](const ModelFile& file) { return file.bytes().size(); })
      .def_property_readonly(
          "bytes",
          [](const py::object& self) { return read_only_view(self.cast<const ModelFile&>().bytes(), self); })
      .def_property_readonly("subgraphs", [](const ModelFile& file) { return file.description().subgraphs; })
      .def_property_readonly("signatures",
                             [](const ModelFile& file) { return file.description().signatures; })
      .def_property_readonly("custom_ops", &custom_ops)
      .def_property_readonly("computes_shapes", &ModelFile::computes_shapes)
      .def("fold", &fold, py::arg("subgraph"), py::arg("input_shapes"))
      .def("constant_data", &constant_data, py::arg("subgraph"), py::arg("tensor"));
}

}  // namespace litedelegates::bindings
