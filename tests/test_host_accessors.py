"""The functions that a stable delegate expects of its host, called over structures laid out as the runtime's."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

import litedelegates
import pytest

OK, ERROR = 0, 1
MMAP_RO, ARENA_RW, DYNAMIC, NON_CPU = 1, 2, 4, 8
FLOAT32, STRING = 1, 5


class Tensor(ctypes.Structure):
    _fields_ = [
        ("type", c_int32),
        ("data", c_void_p),
        ("dims", c_void_p),
        ("scale", c_float),
        ("zero_point", c_int32),
        ("allocation_type", c_int32),
        ("bytes", c_size_t),
        ("allocation", c_void_p),
        ("name", c_char_p),
        ("delegate", c_void_p),
        ("buffer_handle", c_int32),
        ("data_is_stale", ctypes.c_bool),
        ("is_variable", ctypes.c_bool),
        ("quantization_type", c_int32),
        ("quantization_params", c_void_p),
        ("sparsity", c_void_p),
        ("dims_signature", c_void_p),
    ]


class Node(ctypes.Structure):
    _fields_ = [(name, c_void_p) for name in ("inputs", "outputs", "intermediates", "temporaries", "user_data")] + [
        ("builtin_data", c_void_p),
        ("custom_initial_data", c_void_p),
        ("custom_initial_data_size", c_int),
        ("delegate", c_void_p),
        ("might_have_side_effect", ctypes.c_bool),
    ]


REPORT = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_void_p)
ADD = ctypes.CFUNCTYPE(c_int, c_void_p, c_int, POINTER(c_int))


class Context(ctypes.Structure):
    _fields_ = [
        ("tensors_size", c_size_t),
        ("GetExecutionPlan", c_void_p),
        ("tensors", POINTER(Tensor)),
        ("impl", c_void_p),
        ("ResizeTensor", c_void_p),
        ("ReportError", REPORT),
        ("AddTensors", ADD),
        ("rest", c_void_p * 18),
    ]


class Params(ctypes.Structure):
    _fields_ = [("scale", c_float), ("zero_point", c_int32)]


@pytest.fixture(scope="module")
def host() -> ctypes.CDLL:
    return ctypes.CDLL(str(Path(litedelegates.__file__).with_name("libtflite_host_accessors.so")))


@pytest.fixture
def freed(host: ctypes.CDLL) -> Iterator[list[int]]:
    """Addresses that the test hands over, to be freed with the C library."""
    addresses: list[int] = []
    yield addresses
    libc = ctypes.CDLL(None)
    for address in addresses:
        libc.free(c_void_p(address))


def array(values: list[int]) -> ctypes.Array[c_int32]:
    return (c_int32 * (1 + len(values)))(len(values), *values)


def address(thing: object) -> int:
    return ctypes.addressof(thing)  # type: ignore[arg-type]


def context_of(*tensors: Tensor) -> tuple[Context, list[str]]:
    """A context of some tensors, and what is reported through it: the format, or the text of a plain "%s"."""
    reports: list[str] = []

    @REPORT
    def report(_: int, text: bytes, first: int) -> None:
        reports.append((ctypes.string_at(first) if text == b"%s" else text).decode())

    context = Context(tensors_size=len(tensors), tensors=(Tensor * max(len(tensors), 1))(*tensors))
    context.ReportError = report
    return context, reports


def test_the_structures_have_the_sizes_of_the_runtime() -> None:
    assert [ctypes.sizeof(kind) for kind in (Tensor, Node, Context)] == [112, 80, 200]


def test_every_function_of_the_stable_interface_is_there(host: ctypes.CDLL) -> None:
    missing = [name for name in FUNCTIONS.split() if not hasattr(host, name)]
    assert missing == []


def test_a_tensor_tells_its_shape_type_and_memory(host: ctypes.CDLL) -> None:
    dims, signature, data = array([2, 3]), array([-1, 3]), (c_float * 6)()
    tensor = Tensor(type=FLOAT32, data=address(data), dims=address(dims), dims_signature=address(signature), bytes=24)
    tensor.name, tensor.is_variable, tensor.scale, tensor.zero_point = b"x", True, 0.5, 7
    host.TfLiteOpaqueTensorData.restype = c_void_p
    host.TfLiteOpaqueTensorName.restype = c_char_p
    host.TfLiteOpaqueTensorByteSize.restype = c_size_t
    host.TfLiteOpaqueTensorGetQuantizationParams.restype = Params
    at = byref(tensor)
    assert host.TfLiteOpaqueTensorType(at) == FLOAT32 and host.TfLiteOpaqueTensorIsVariable(at) == 1
    assert [host.TfLiteOpaqueTensorDim(at, axis) for axis in range(host.TfLiteOpaqueTensorNumDims(at))] == [2, 3]
    assert (host.TfLiteOpaqueTensorData(at), host.TfLiteOpaqueTensorByteSize(at)) == (address(data), 24)
    assert host.TfLiteOpaqueTensorData(None) is None and host.TfLiteOpaqueTensorName(at) == b"x"
    length = c_int32()
    assert host.TfLiteOpaqueTensorGetNumDimsSignature(at, byref(length)) == OK and length.value == 2
    assert host.TfLiteOpaqueTensorGetDimSignature(at, 0, byref(length)) == OK and length.value == -1
    params = host.TfLiteOpaqueTensorGetQuantizationParams(at)
    assert (params.scale, params.zero_point) == (0.5, 7)


def test_a_tensor_without_a_shape_says_so(host: ctypes.CDLL) -> None:
    length = c_int32()
    assert host.TfLiteOpaqueTensorNumDims(byref(Tensor())) == -1
    assert host.TfLiteOpaqueTensorGetNumDimsSignature(byref(Tensor()), byref(length)) == OK and length.value == -1


def test_data_is_copied_both_ways_when_the_sizes_agree(host: ctypes.CDLL) -> None:
    data, other = (c_float * 2)(1, 2), (c_float * 2)(3, 4)
    tensor = Tensor(type=FLOAT32, data=address(data), bytes=8)
    assert host.TfLiteOpaqueTensorCopyFromBuffer(byref(tensor), other, c_size_t(8)) == OK and list(data) == [3, 4]
    other[0] = 0
    assert host.TfLiteOpaqueTensorCopyToBuffer(byref(tensor), other, c_size_t(8)) == OK and list(other) == [3, 4]
    assert host.TfLiteOpaqueTensorCopyToBuffer(byref(tensor), other, c_size_t(4)) == ERROR


def test_how_memory_behaves_follows_from_its_allocation_type(host: ctypes.CDLL) -> None:
    questions = ("AllocationStrategy", "BufferAddressStability", "DataStability", "DataKnownStep", "ShapeKnownStep")
    wanted = {
        0: (1, 3, 3, 1, 1),
        MMAP_RO: (2, 3, 3, 1, 1),
        ARENA_RW: (3, 1, 2, 3, 2),
        DYNAMIC: (4, 2, 2, 3, 3),
        NON_CPU: (0,) * 5,
        77: (0,) * 5,
    }
    for allocation_type, answers in wanted.items():
        tensor = Tensor(allocation_type=allocation_type)
        got = tuple(getattr(host, f"TfLiteOpaqueTensorGet{question}")(byref(tensor)) for question in questions)
        assert got == answers


def test_strings_that_are_written_are_read_back(host: ctypes.CDLL, freed: list[int]) -> None:
    tensor, texts = Tensor(type=STRING), [b"one", b"", "zwölf".encode()]
    lengths = (c_int * 3)(*map(len, texts))
    assert host.TfLiteOpaqueTensorWriteStrings(byref(tensor), (c_char_p * 3)(*texts), 3, lengths) == OK
    assert host.TfLiteOpaqueTensorGetStringCount(byref(tensor)) == 3
    text, length = c_void_p(), c_int()
    read = []
    for index in range(3):
        assert host.TfLiteOpaqueTensorGetString(byref(tensor), index, byref(text), byref(length)) == OK
        read.append(ctypes.string_at(text, length.value))
    assert read == texts and tensor.allocation_type == DYNAMIC
    assert host.TfLiteOpaqueTensorWriteString(byref(tensor), b"again", 5) == OK  # frees what was there
    assert ctypes.string_at(tensor.data, tensor.bytes)[-5:] == b"again"
    freed += [tensor.data, tensor.dims]


def test_a_node_tells_its_tensors_and_what_it_lacks(host: ctypes.CDLL, freed: list[int]) -> None:
    inputs, outputs = array([1, -1]), array([0])
    node = Node(inputs=address(inputs), outputs=address(outputs), user_data=5, builtin_data=6)
    context, _ = context_of(Tensor(name=b"y"), Tensor(name=b"x"))
    for name in ("TfLiteOpaqueNodeGetInput", "TfLiteOpaqueNodeGetOutput"):
        getattr(host, name).restype = POINTER(Tensor)
    assert host.TfLiteOpaqueNodeNumberOfInputs(byref(node)) == 2
    assert host.TfLiteOpaqueNodeNumberOfOutputs(byref(node)) == 1
    assert host.TfLiteOpaqueNodeGetInput(byref(context), byref(node), 0).contents.name == b"x"
    assert host.TfLiteOpaqueNodeGetOutput(byref(context), byref(node), 0).contents.name == b"y"
    absent = [host.TfLiteOpaqueNodeGetInput(byref(context), byref(node), index) for index in (1, 2, -1)]
    assert not any(absent)
    assert [host.TfLiteOpaqueNodeGetInputTensorIndex(byref(node), index) for index in (0, 1, 2, -1)] == [1, -1, -1, -1]
    temporaries, count = POINTER(c_int)(), c_int(9)
    assert host.TfLiteOpaqueNodeTemporaries(byref(node), byref(temporaries), byref(count)) == OK and count.value == 0
    assert host.TfLiteOpaqueNodeSetTemporaries(byref(node), (c_int * 2)(4, 5), 2) == OK
    assert host.TfLiteOpaqueNodeTemporaries(byref(node), byref(temporaries), byref(count)) == OK
    assert temporaries[: count.value] == [4, 5]
    assert host.TfLiteOpaqueNodeSetTemporaries(byref(node), None, -1) == ERROR
    freed.append(node.temporaries)


def test_tensors_can_be_added_with_the_memory_that_fits_their_type(host: ctypes.CDLL) -> None:
    context, reports = context_of(Tensor(), Tensor())

    @ADD
    def add(_: int, count: int, first: ctypes._Pointer[c_int]) -> int:
        first[0] = 1
        return OK

    context.AddTensors = add
    host.TfLiteOpaqueTensorBuilderCreate.restype = c_void_p
    builder = c_void_p(host.TfLiteOpaqueTensorBuilderCreate())
    host.TfLiteOpaqueTensorBuilderSetType(builder, FLOAT32)
    host.TfLiteOpaqueTensorBuilderSetQuantizationParams(builder, Params(0.25, 3))
    index = c_int()
    assert host.TfLiteOpaqueContextAddTensor(byref(context), builder, byref(index)) == ERROR  # no allocation type
    host.TfLiteOpaqueTensorBuilderSetAllocationType(builder, DYNAMIC)
    assert host.TfLiteOpaqueContextAddTensor(byref(context), builder, byref(index)) == ERROR  # no data
    host.TfLiteOpaqueTensorBuilderSetAllocationType(builder, ARENA_RW)
    assert host.TfLiteOpaqueContextAddTensor(byref(context), builder, byref(index)) == OK and index.value == 1
    host.TfLiteOpaqueTensorBuilderDelete(builder)
    added = context.tensors[1]
    assert (added.type, added.allocation_type, added.scale, added.zero_point) == (FLOAT32, ARENA_RW, 0.25, 3)
    assert len(reports) == 2


def test_variables_and_sizes_are_told_and_what_is_not_known_is_refused(host: ctypes.CDLL) -> None:
    context, reports = context_of(Tensor(), Tensor(is_variable=True), Tensor(is_variable=True))
    indices, count = POINTER(c_int)(), c_int()
    assert host.TfLiteOpaqueContextGetVariables(byref(context), byref(indices), byref(count)) == OK
    assert indices[: count.value] == [1, 2] and host.TfLiteOpaqueContextGetNumTensors(byref(context)) == 3
    size = c_size_t()
    sizes = {}
    for type_number in range(24):
        if host.TfLiteOpaqueContextGetSizeOfType(byref(context), type_number, byref(size)) == OK:
            sizes[type_number] = size.value
    assert sizes == {1: 4, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 8: 8, 9: 1, 10: 2, 11: 8, 12: 16, 13: 8} | {
        16: 4, 17: 2, 18: 1, 19: 2, 20: 1, 21: 1, 22: 1, 23: 1
    }  # fmt: skip
    reports.clear()
    assert host.TfLiteOpaqueContextGetInputs(byref(context), byref(indices), byref(count)) == ERROR
    assert host.TfLiteOpaqueContextGetNodeInitDataMmapInfo(byref(context), None, None, None, None) == ERROR
    assert reports == ["%s is not known outside of the runtime"] * 2


def test_messages_are_formatted_whatever_their_length(host: ctypes.CDLL) -> None:
    context, reports = context_of()
    host.TfLiteOpaqueContextReportError(byref(context), b"%s %d", b"x" * 5000, 7)
    assert reports == ["x" * 5000 + " 7"]


def test_an_operator_keeps_what_it_is_given(host: ctypes.CDLL) -> None:
    host.TfLiteOperatorCreate.restype = host.TfLiteOperatorGetUserData.restype = c_void_p
    host.TfLiteOperatorGetCustomName.restype = c_char_p
    made = c_void_p(host.TfLiteOperatorCreate(32, b"Mine", 3, c_void_p(9)))
    words = ctypes.cast(made, POINTER(c_int64))
    for word, name in ((2, "Init"), (3, "Free"), (4, "Prepare"), (5, "Invoke"), (6, "AsyncKernel")):
        getattr(host, f"TfLiteOperatorSet{name}")(made, c_void_p(100 + word))
        getattr(host, f"TfLiteOperatorSet{name}WithData")(made, c_void_p(200 + word))
        assert (words[word], words[word + 8]) == (100 + word, 200 + word)
    assert (host.TfLiteOperatorGetBuiltInCode(made), host.TfLiteOperatorGetVersion(made)) == (32, 3)
    assert (host.TfLiteOperatorGetCustomName(made), host.TfLiteOperatorGetUserData(made)) == (b"Mine", 9)
    assert host.TfLiteOperatorGetVersion(None) == -1
    host.TfLiteOperatorDelete(made)


def test_arrays_are_made_copied_and_compared(host: ctypes.CDLL) -> None:
    host.TfLiteIntArrayCreate.restype = host.TfLiteIntArrayCopy.restype = POINTER(c_int32)
    one = host.TfLiteIntArrayCreate(2)
    one[1], one[2] = 5, 6
    other = host.TfLiteIntArrayCopy(one)
    assert other[:3] == [2, 5, 6] and host.TfLiteIntArrayEqual(one, other) == 1
    other[2] = 7
    assert host.TfLiteIntArrayEqual(one, other) == 0
    assert host.TfLiteIntArrayEqualsArray(one, 2, (c_int * 2)(5, 6)) == 1
    for made in (one, other):
        host.TfLiteIntArrayFree(made)
    host.TfLiteTypeGetName.restype = c_char_p
    assert [host.TfLiteTypeGetName(number) for number in (1, 9, 23, 99)] == [
        b"FLOAT32", b"INT8", b"FLOAT8_E5M2", b"Unknown type"
    ]  # fmt: skip


FUNCTIONS = """
TfLiteOpaqueContextAcquireSubgraphContext TfLiteOpaqueContextAddTensor TfLiteOpaqueContextGetExecutionPlan
TfLiteOpaqueContextGetExternalContext TfLiteOpaqueContextGetInputs TfLiteOpaqueContextGetMetadata
TfLiteOpaqueContextGetName TfLiteOpaqueContextGetNodeAndRegistration TfLiteOpaqueContextGetNodeInitDataMmapInfo
TfLiteOpaqueContextGetNumNodes TfLiteOpaqueContextGetNumTensors TfLiteOpaqueContextGetOpaqueTensor
TfLiteOpaqueContextGetOutputs TfLiteOpaqueContextGetSizeOfType TfLiteOpaqueContextGetVariables
TfLiteOpaqueContextMarkSubgraphAsDelegationSkippable TfLiteOpaqueContextReleaseSubgraphContext
TfLiteOpaqueContextReplaceNodeSubsetsWithDelegateKernels TfLiteOpaqueContextReportError
TfLiteOpaqueContextReportErrorVa TfLiteOpaqueContextResizeTensor TfLiteOpaqueDelegateCreate TfLiteOpaqueDelegateDelete
TfLiteOpaqueDelegateGetData TfLiteOpaqueNodeGetBuiltinData TfLiteOpaqueNodeGetCustomInitialData
TfLiteOpaqueNodeGetInput TfLiteOpaqueNodeGetInputTensorIndex TfLiteOpaqueNodeGetOutput
TfLiteOpaqueNodeGetOutputTensorIndex TfLiteOpaqueNodeGetUserData TfLiteOpaqueNodeInputs TfLiteOpaqueNodeNumberOfInputs
TfLiteOpaqueNodeNumberOfOutputs TfLiteOpaqueNodeOutputs TfLiteOpaqueNodeSetTemporaries TfLiteOpaqueNodeTemporaries
TfLiteOpaqueTensorBuilderCreate TfLiteOpaqueTensorBuilderDelete TfLiteOpaqueTensorBuilderSetAllocationType
TfLiteOpaqueTensorBuilderSetData TfLiteOpaqueTensorBuilderSetQuantization
TfLiteOpaqueTensorBuilderSetQuantizationParams TfLiteOpaqueTensorBuilderSetType TfLiteOpaqueTensorByteSize
TfLiteOpaqueTensorCopyFromBuffer TfLiteOpaqueTensorCopyToBuffer TfLiteOpaqueTensorData TfLiteOpaqueTensorDim
TfLiteOpaqueTensorGetAllocationStrategy TfLiteOpaqueTensorGetAllocationType
TfLiteOpaqueTensorGetBufferAddressStability TfLiteOpaqueTensorGetDataKnownStep TfLiteOpaqueTensorGetDataStability
TfLiteOpaqueTensorGetDimSignature TfLiteOpaqueTensorGetNumDimsSignature TfLiteOpaqueTensorGetQuantization
TfLiteOpaqueTensorGetQuantizationParams TfLiteOpaqueTensorGetShapeKnownStep TfLiteOpaqueTensorGetString
TfLiteOpaqueTensorGetStringCount TfLiteOpaqueTensorIsVariable TfLiteOpaqueTensorName TfLiteOpaqueTensorNumDims
TfLiteOpaqueTensorSetAllocationTypeToDynamic TfLiteOpaqueTensorSetNonCpuAllocation TfLiteOpaqueTensorType
TfLiteOpaqueTensorWriteString TfLiteOpaqueTensorWriteStrings TfLiteOperatorCreate TfLiteOperatorDelete
TfLiteOperatorGetBuiltInCode TfLiteOperatorGetCustomName TfLiteOperatorGetUserData TfLiteOperatorGetVersion
TfLiteOperatorSetAsyncKernel TfLiteOperatorSetAsyncKernelWithData TfLiteOperatorSetFree TfLiteOperatorSetFreeWithData
TfLiteOperatorSetInit TfLiteOperatorSetInitWithData TfLiteOperatorSetInplaceOperator TfLiteOperatorSetInvoke
TfLiteOperatorSetInvokeWithData TfLiteOperatorSetPrepare TfLiteOperatorSetPrepareWithData TfLiteIntArrayCreate
TfLiteIntArrayFree TfLiteIntArrayCopy TfLiteIntArrayEqual TfLiteIntArrayGetSizeInBytes TfLiteFloatArrayCreate
TfLiteFloatArrayFree TfLiteTypeGetName
"""
