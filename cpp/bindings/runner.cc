#include "runtime/runner.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>

#include "bindings/registers.h"
#include "bindings/without_gil.h"
#include "timing/timed_loop.h"

namespace py = pybind11;

namespace litedelegates::bindings {
namespace {

// A runner with what the way from and to numpy needs, looked up once.
class ArrayRunner {
 public:
  ArrayRunner(std::shared_ptr<CompiledModel> model, size_t signature, size_t subgraph,
              std::vector<py::dtype> inputs, std::vector<py::dtype> outputs)
      : runner_(std::move(model), signature, subgraph),
        input_dtypes_(std::move(inputs)),
        output_dtypes_(std::move(outputs)) {
    const model::Subgraph& graph = runner_.subgraph();
    positions_.resize(graph.tensors.size());
    for (size_t i = 0; i < graph.outputs.size(); ++i) at(graph.outputs[i]).output = static_cast<int>(i);
    for (size_t i = 0; i < graph.inputs.size(); ++i) at(graph.inputs[i]).input = static_cast<int>(i);
  }

  [[nodiscard]] Runner& runner() { return runner_; }

  void set_tensor(py::ssize_t index, const py::object& value) {
    const int position = position_of(index).input;
    if (position < 0)
      throw py::value_error("tensor " + std::to_string(index) + " is not an input of the model");
    set_input(static_cast<size_t>(position), value);
  }

  void set_input(size_t position, const py::object& value) {
    const IoTensor& tensor = allocated(runner_.inputs(), position);
    const py::array array = py::array::ensure(value, py::array::c_style);
    if (!array) throw py::error_already_set();
    const py::dtype& wanted = input_dtypes_.at(position);
    const bool same_type = array.dtype().ptr() == wanted.ptr() ||
                           py::detail::npy_api::get().PyArray_EquivTypes_(array.dtype().ptr(), wanted.ptr());
    if (!same_type)
      refuse(position, "its element type is " + text(array.dtype()) + ", the model takes " + text(wanted));
    if (!same_shape(array, tensor)) {
      refuse(position, "its shape is " + text(array.attr("shape")) + ", the model takes " +
                           text(py::tuple(py::cast(tensor.shape()))) + " (resize_tensor_input changes that)");
    }
    std::memcpy(tensor.memory().get(), array.data(), tensor.bytes());
  }

  [[nodiscard]] py::array get_tensor(py::ssize_t index) {
    const auto& [position, tensor, dtype] = find(index);
    static_cast<void>(position);
    py::array copy(dtype, tensor.shape());
    std::memcpy(copy.mutable_data(), tensor.memory().get(), tensor.bytes());
    return copy;
  }

  [[nodiscard]] py::array view(py::ssize_t index) {
    const auto& [position, tensor, dtype] = find(index);
    static_cast<void>(position);
    const py::capsule keep(new HostMemory(tensor.memory()),
                           [](void* owner) { delete static_cast<HostMemory*>(owner); });
    return py::array(dtype, tensor.shape(), tensor.memory().get(), keep);
  }

  void invoke(std::optional<double> time_limit_s) {
    if (!runner_.is_allocated())
      throw std::runtime_error("the tensors are not allocated: call allocate_tensors() first");
    const WithoutGil nogil;
    runner_.invoke(time_limit_s);
  }

 private:
  struct Position {
    int input = -1, output = -1;
  };
  struct Found {
    size_t position;
    const IoTensor& tensor;
    const py::dtype& dtype;
  };

  Position& at(int32_t tensor) { return positions_.at(static_cast<size_t>(tensor)); }

  [[nodiscard]] const Position& position_of(py::ssize_t index) const {
    if (index < 0 || static_cast<size_t>(index) >= positions_.size()) {
      throw py::value_error("the model has no tensor " + std::to_string(index) + ": it has " +
                            std::to_string(positions_.size()) + " tensors");
    }
    return positions_[static_cast<size_t>(index)];
  }

  [[nodiscard]] const IoTensor& allocated(const std::vector<IoTensor>& tensors, size_t position) const {
    if (!runner_.is_allocated())
      throw py::value_error("the tensors are not allocated: call allocate_tensors() first");
    return tensors.at(position);
  }

  [[nodiscard]] Found find(py::ssize_t index) const {
    const Position& position = position_of(index);
    if (position.output >= 0) {
      const auto i = static_cast<size_t>(position.output);
      return {i, allocated(runner_.outputs(), i), output_dtypes_.at(i)};
    }
    if (position.input >= 0) {
      const auto i = static_cast<size_t>(position.input);
      return {i, allocated(runner_.inputs(), i), input_dtypes_.at(i)};
    }
    throw py::value_error("tensor " + std::to_string(index) +
                          " is neither an input nor an output of the model");
  }

  static bool same_shape(const py::array& array, const IoTensor& tensor) {
    if (static_cast<size_t>(array.ndim()) != tensor.shape().size()) return false;
    for (size_t i = 0; i < tensor.shape().size(); ++i) {
      if (array.shape(static_cast<py::ssize_t>(i)) != tensor.shape()[i]) return false;
    }
    return true;
  }

  static std::string text(const py::handle& object) { return py::str(object).cast<std::string>(); }

  [[noreturn]] void refuse(size_t position, const std::string& reason) const {
    const model::Subgraph& graph = runner_.subgraph();
    const auto tensor = static_cast<size_t>(graph.inputs.at(position));
    // With the tensor's name as well as it can be shown: it may be no UTF-8.
    PyErr_SetObject(PyExc_ValueError, to_text("cannot set input " + std::to_string(position) + " (tensor " +
                                              std::to_string(tensor) + ", \"" +
                                              graph.tensors.at(tensor).name + "\"): " + reason)
                                          .ptr());
    throw py::error_already_set();
  }

  Runner runner_;
  std::vector<py::dtype> input_dtypes_, output_dtypes_;
  std::vector<Position> positions_;  // by tensor index
};

py::array_t<int64_t> to_array(const TimedRuns& runs) {
  const auto count = static_cast<py::ssize_t>(runs.run_ns.size());
  py::array_t<int64_t> samples({count, py::ssize_t{3}});
  auto out = samples.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < count; ++i) {
    const auto row = static_cast<size_t>(i);
    out(i, 0) = runs.upload_ns[row];
    out(i, 1) = runs.run_ns[row];
    out(i, 2) = runs.read_back_ns[row];
  }
  return samples;
}

py::array_t<int64_t> time_array_runs(ArrayRunner& self, int64_t min_runs, int64_t max_runs,
                                     double max_seconds) {
  TimedRuns runs;
  {
    const WithoutGil nogil;
    runs = time_runs(self.runner(), {min_runs, max_runs, max_seconds});
  }
  return to_array(runs);
}

std::vector<std::vector<int32_t>> shapes(const std::vector<IoTensor>& tensors) {
  std::vector<std::vector<int32_t>> result;
  for (const IoTensor& tensor : tensors) result.push_back(tensor.shape());
  return result;
}

}  // namespace

void register_runner(py::module_& module) {
  py::class_<ArrayRunner>(module, "Runner")
      .def(py::init<std::shared_ptr<CompiledModel>, size_t, size_t, std::vector<py::dtype>,
                    std::vector<py::dtype>>(),
           py::arg("model").none(false), py::kw_only(), py::arg("signature"), py::arg("subgraph"),
           py::arg("input_dtypes"), py::arg("output_dtypes"))
      .def(
          "allocate", [](ArrayRunner& self) { self.runner().allocate(); }, py::call_guard<WithoutGil>())
      .def(
          "resize_input",
          [](ArrayRunner& self, size_t position, const std::vector<int32_t>& shape, bool strict) {
            self.runner().resize_input(position, shape, strict);
          },
          py::arg("position"), py::arg("shape"), py::kw_only(), py::arg("strict"),
          py::call_guard<WithoutGil>())
      .def("dynamic_outputs", [](ArrayRunner& self) { return self.runner().dynamic_outputs(); })
      .def_property_readonly("is_allocated", [](ArrayRunner& self) { return self.runner().is_allocated(); })
      .def_property_readonly("input_shapes", [](ArrayRunner& self) { return shapes(self.runner().inputs()); })
      .def_property_readonly("output_shapes",
                             [](ArrayRunner& self) { return shapes(self.runner().outputs()); })
      .def("set_tensor", &ArrayRunner::set_tensor, py::arg("index"), py::arg("value"))
      .def("set_input", &ArrayRunner::set_input, py::arg("position"), py::arg("value"))
      .def("get_tensor", &ArrayRunner::get_tensor, py::arg("index"))
      .def("view", &ArrayRunner::view, py::arg("index"))
      // Two, because an argument costs time on every run.
      .def("invoke", [](ArrayRunner& self) { self.invoke(std::nullopt); })
      .def(
          "invoke_within", [](ArrayRunner& self, double time_limit_s) { self.invoke(time_limit_s); },
          py::arg("time_limit_s"))
      .def(
          "time_kernels", [](ArrayRunner& self) { return self.runner().time_kernels(); },
          py::call_guard<WithoutGil>())
      .def("time_runs", &time_array_runs, py::kw_only(), py::arg("min_runs"), py::arg("max_runs"),
           py::arg("max_seconds"));
}

}  // namespace litedelegates::bindings
