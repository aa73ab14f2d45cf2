#include "runtime/model_file.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <utility>

#include "bindings/registers.h"
#include "bindings/without_gil.h"
#include "model/in_place.h"
#include "model/schema.h"
#include "model/sparsity.h"
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

model::Sparsity sparsity(const ModelFile& file, size_t subgraph, size_t tensor) {
  if (!file.description().subgraphs.at(subgraph).tensors.at(tensor).is_sparse)
    throw py::value_error("tensor " + std::to_string(tensor) + " is dense");
  return model::read_sparsity(file.bytes(), subgraph, tensor);
}

using Names = py::typing::List<py::typing::Tuple<py::str, py::int_>>;

Names to_names(const std::vector<model::SignatureEntry>& entries) {
  Names names;
  for (const model::SignatureEntry& entry : entries) {
    names.append(py::make_tuple(to_text(entry.name), entry.tensor_index));
  }
  return names;
}

// A part of a model's description. It keeps the file instead of a copy: a model may have thousands of
// tensors, and pybind11 aborts when it gets no memory to note that a reference keeps its owner alive.
template <class T>
class Part {
 public:
  Part(std::shared_ptr<const ModelFile> file, const T& value) : value_(&value), file_(std::move(file)) {}

  const T* operator->() const { return value_; }
  const T& operator*() const { return *value_; }
  template <class Inner>
  [[nodiscard]] Part<Inner> part(const Inner& inner) const {
    return {file_, inner};
  }
  template <class Inner>
  [[nodiscard]] std::vector<Part<Inner>> parts(const std::vector<Inner>& inner) const {
    std::vector<Part<Inner>> found;
    found.reserve(inner.size());
    for (const Inner& one : inner) found.push_back(part(one));
    return found;
  }

 private:
  const T* value_;
  // What is destroyed comes behind 16 bytes, for the reason that ModelFile gives.
  [[maybe_unused]] size_t unused_ = 0;
  std::shared_ptr<const ModelFile> file_;
};

using TensorPart = Part<model::Tensor>;
using OperatorPart = Part<model::Operator>;
using SubgraphPart = Part<model::Subgraph>;

template <class Is>
std::vector<size_t> tensors_that(const model::Subgraph& subgraph, const Is& is) {
  std::vector<size_t> found;
  for (size_t i = 0; i < subgraph.tensors.size(); ++i) {
    if (is(subgraph.tensors[i])) found.push_back(i);
  }
  return found;
}

TensorPart tensor_at(const SubgraphPart& subgraph, size_t index) {
  const auto& tensors = subgraph->tensors;
  if (index >= tensors.size()) throw py::index_error("the subgraph has no such tensor");
  return subgraph.part(tensors[index]);
}

void register_tensor(py::module_& module) {
  py::class_<TensorPart>(module, "Tensor")
      .def_property_readonly("name", [](const TensorPart& t) { return to_text(t->name); })
      .def_property_readonly("shape", [](const TensorPart& t) { return t->shape; })
      .def_property_readonly("shape_signature", [](const TensorPart& t) { return t->shape_signature; })
      .def_property_readonly("buffer", [](const TensorPart& t) { return t->buffer; })
      .def_property_readonly("is_variable", [](const TensorPart& t) { return t->is_variable; })
      .def_property_readonly("is_sparse", [](const TensorPart& t) { return t->is_sparse; })
      .def_property_readonly("is_constant", [](const TensorPart& t) { return t->has_data; })
      .def_property_readonly("lacks_buffer", [](const TensorPart& t) { return t->lacks_buffer; })
      .def_property_readonly("element_type", [](const TensorPart& t) { return element_type(t->type).name; })
      .def_property_readonly("element_bits", [](const TensorPart& t) { return element_type(t->type).bits; })
      .def_property_readonly("constant_bytes", [](const TensorPart& t) { return t->data.size(); })
      .def_property_readonly("scales", [](const TensorPart& t) { return t->quantization.scales; })
      .def_property_readonly("zero_points", [](const TensorPart& t) { return t->quantization.zero_points; })
      .def_property_readonly("quantized_dimension",
                             [](const TensorPart& t) { return t->quantization.quantized_dimension; })
      .def_property_readonly("block_size", [](const TensorPart& t) { return t->quantization.block_size; })
      .def_property_readonly("scales_tensor",
                             [](const TensorPart& t) { return t->quantization.scales_tensor; })
      .def_property_readonly("zero_points_tensor",
                             [](const TensorPart& t) { return t->quantization.zero_points_tensor; });
}

void register_description(py::module_& module) {
  register_tensor(module);
  py::class_<model::SparseDimension>(module, "SparseDimension")
      .def_readonly("format", &model::SparseDimension::format)
      .def_readonly("dense_size", &model::SparseDimension::dense_size)
      .def_readonly("segments", &model::SparseDimension::segments)
      .def_readonly("indices", &model::SparseDimension::indices);
  py::class_<model::Sparsity>(module, "Sparsity")
      .def_readonly("traversal_order", &model::Sparsity::traversal_order)
      .def_readonly("block_map", &model::Sparsity::block_map)
      .def_property_readonly("dimensions", [](const model::Sparsity& s) { return s.dimensions; });
  py::class_<OperatorPart>(module, "Operator")
      .def_property_readonly("builtin_code", [](const OperatorPart& op) { return op->builtin_code; })
      .def_property_readonly("version", [](const OperatorPart& op) { return op->version; })
      .def_property_readonly("inputs", [](const OperatorPart& op) { return op->inputs; })
      .def_property_readonly("outputs", [](const OperatorPart& op) { return op->outputs; })
      .def_property_readonly("is_custom", [](const OperatorPart& op) { return !op->custom_code.empty(); })
      .def_property_readonly("type", [](const OperatorPart& op) { return to_text(operator_type(*op)); });
  py::class_<SubgraphPart>(module, "Subgraph")
      .def_property_readonly("name", [](const SubgraphPart& g) { return to_text(g->name); })
      .def_property_readonly("tensors", [](const SubgraphPart& g) { return g.parts(g->tensors); })
      .def("tensor", &tensor_at, py::arg("index"))
      // Which tensors are something that few are: nobody has to ask every one.
      .def_property_readonly("sparse_tensors",
                             [](const SubgraphPart& g) {
                               return tensors_that(*g, [](const model::Tensor& t) { return t.is_sparse; });
                             })
      .def_property_readonly("tensors_not_compiled",
                             [](const SubgraphPart& g) {
                               return tensors_that(*g, [](const model::Tensor& t) {
                                 return t.is_variable || t.lacks_buffer ||
                                        static_cast<model::Type>(t.type) == model::Type::COMPLEX128;
                               });
                             })
      .def_property_readonly("inputs", [](const SubgraphPart& g) { return g->inputs; })
      .def_property_readonly("outputs", [](const SubgraphPart& g) { return g->outputs; })
      .def_property_readonly("operator_count", [](const SubgraphPart& g) { return g->operators.size(); })
      .def_property_readonly("operators", [](const SubgraphPart& g) { return g.parts(g->operators); })
      .def(
          "overwriting_ops",
          [](const SubgraphPart& g, const std::vector<int32_t>& delegated) {
            return model::find_overwriting(*g, delegated);
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
      .def_property_readonly(
          "subgraphs",
          [](const py::object& self) {
            const model::Description& description = self.cast<const ModelFile&>().description();
            const Part<model::Description> whole(self.cast<std::shared_ptr<ModelFile>>(), description);
            return whole.parts(description.subgraphs);
          })
      .def_property_readonly("signatures",
                             [](const ModelFile& file) { return file.description().signatures; })
      .def_property_readonly("custom_ops", &custom_ops)
      .def_property_readonly("computes_shapes", [](const ModelFile& file) { return file.computes_shapes(); })
      .def("fold", &fold, py::arg("subgraph"), py::arg("input_shapes"))
      .def("constant_data", &constant_data, py::arg("subgraph"), py::arg("tensor"))
      .def("sparsity", &sparsity, py::arg("subgraph"), py::arg("tensor"));
}

}  // namespace litedelegates::bindings
