#include "runtime/compiled_model.h"

#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include "bindings/registers.h"
#include "bindings/without_gil.h"
#include "delegates/kernel_guard.h"
#include "delegates/operand_checks.h"

namespace py = pybind11;

namespace litedelegates::bindings {
namespace {

using Step = CompileRequest::Step;

std::shared_ptr<CompiledModel> compile(const std::shared_ptr<ModelFile>& file, std::vector<Step> steps,
                                       std::vector<std::pair<std::string, std::string>> payloads,
                                       std::vector<std::pair<int32_t, std::string>> environment,
                                       int32_t hardware, bool is_profiled, int64_t log_severity) {
  const WithoutGil nogil;
  return {new CompiledModel(file, {std::move(steps), std::move(payloads), std::move(environment), hardware,
                                   is_profiled, log_severity}),
          delete_without_gil<CompiledModel>};
}

}  // namespace

void register_compiled_model(py::module_& module) {
  py::class_<LoadedDelegate, std::shared_ptr<LoadedDelegate>>(module, "LoadedDelegate")
      // What the official interpreters ask of a delegate.
      .def("_get_native_delegate_pointer",
           [](const LoadedDelegate& loaded) { return reinterpret_cast<uintptr_t>(loaded.delegate()); });
  py::class_<KernelGuard, LoadedDelegate, std::shared_ptr<KernelGuard>>(module, "KernelGuard")
      .def(py::init<>())
      .def_static(
          "guards", [](int32_t builtin_code) { return find_operand_check(builtin_code) != nullptr; },
          py::arg("builtin_code"));
  py::class_<Step>(module, "Step")
      .def_static("cpu", [] { return Step{Step::Kind::kCpu, {}, {}, nullptr, nullptr}; })
      .def_static("npu", [] { return Step{Step::Kind::kNpu, {}, {}, nullptr, nullptr}; })
      .def_static(
          "accelerator_library",
          [](std::string path) { return Step{Step::Kind::kLibrary, {}, std::move(path), nullptr, nullptr}; },
          py::arg("path"))
      .def_static(
          "hosted",
          [](std::string name, uintptr_t address) {
            auto* delegate = reinterpret_cast<TfLiteDelegate*>(address);
            return Step{Step::Kind::kHosted, std::move(name), {}, delegate, nullptr};
          },
          py::arg("name"), py::kw_only(), py::arg("address"))
      .def_static(
          "loaded",
          [](std::string name, std::shared_ptr<LoadedDelegate> delegate) {
            TfLiteDelegate* raw = delegate->delegate();
            return Step{Step::Kind::kHosted, std::move(name), {}, raw, std::move(delegate)};
          },
          py::arg("name"), py::arg("delegate").none(false));
  py::class_<PlannedNode>(module, "PlannedNode")
      .def_readonly("node_index", &PlannedNode::node_index)
      .def_readonly("builtin_code", &PlannedNode::builtin_code)
      .def_property_readonly("name", [](const PlannedNode& node) { return to_text(node.name); })
      .def_readonly("replaced", &PlannedNode::replaced)
      .def_readonly("inputs", &PlannedNode::inputs)
      .def_readonly("outputs", &PlannedNode::outputs)
      .def_property_readonly(
          "is_delegate", [](const PlannedNode& node) { return node.builtin_code == kTfLiteBuiltinDelegate; });
  py::class_<SubgraphPlan>(module, "SubgraphPlan")
      .def_readonly("tensor_names", &SubgraphPlan::tensor_names)
      .def_property_readonly("nodes", [](const SubgraphPlan& plan) { return plan.nodes; })
      .def_property_readonly("replaced", [](const SubgraphPlan& plan) { return plan.replaced; })
      .def_readonly("not_in_place", &SubgraphPlan::not_in_place);
  py::class_<ProfiledEvent>(module, "ProfiledEvent")
      .def_readonly("tag", &ProfiledEvent::tag)
      .def_readonly("type", &ProfiledEvent::type)
      .def_readonly("source", &ProfiledEvent::source)
      .def_readonly("start_us", &ProfiledEvent::start_us)
      .def_readonly("elapsed_us", &ProfiledEvent::elapsed_us)
      .def_readonly("metadata1", &ProfiledEvent::metadata1)
      .def_readonly("metadata2", &ProfiledEvent::metadata2);
  py::class_<CompiledModel, std::shared_ptr<CompiledModel>>(module, "CompiledModel")
      .def(py::init(&compile), py::arg("file").none(false), py::kw_only(), py::arg("steps"),
           py::arg("payloads"), py::arg("environment"), py::arg("hardware"), py::arg("is_profiled"),
           py::arg("log_severity"))
      // By reference: pybind11 gives a method that is bound as it is a null pointer for None.
      .def_property_readonly("payloads_in_effect",
                             [](CompiledModel& model) { return model.payloads_in_effect(); })
      .def_property_readonly("log_lines",
                             [](CompiledModel& model) {
                               py::typing::List<py::str> lines;
                               for (const std::string& line : model.log_lines()) lines.append(to_text(line));
                               return lines;
                             })
      .def_property_readonly("is_running", [](CompiledModel& model) { return model.running().is_locked(); })
      .def("plans", [](CompiledModel& model) { return model.plans(); })
      .def("kept_off", [](CompiledModel& model) { return model.kept_off(); })
      .def("start_profiling", [](CompiledModel& model) { return model.start_profiling(); })
      .def("take_events", [](CompiledModel& model) { return model.take_events(); })
      .def("stop_profiling", [](CompiledModel& model) { return model.stop_profiling(); });
  module.def("has_xnnpack_kernel", &has_xnnpack_kernel, py::arg("builtin_code"));
}

}  // namespace litedelegates::bindings
