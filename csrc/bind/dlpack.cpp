#include "bind/dlpack.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bind/tensor_type.h"
#include "dispatch/error.h"
#include "tensor/scalar.h"

namespace twain {
namespace {

enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };

constexpr DLDataType kTypes[] = {{kBool, 8, 1},   {kInt, 8, 1},    {kInt, 16, 1},    {kInt, 32, 1},    {kInt, 64, 1},
                                 {kUInt, 8, 1},   {kUInt, 16, 1},  {kUInt, 32, 1},   {kUInt, 64, 1},   {kFloat, 16, 1},
                                 {kBfloat, 16, 1}, {kFloat, 32, 1}, {kFloat, 64, 1}, {kComplex, 64, 1}, {kComplex, 128, 1}};

[[noreturn]] void refuse(const std::string& why) {
  PyErr_SetString(PyExc_BufferError, ("[dlpack] " + why).c_str());
  throw CallbackFailed();
}

// Export --------------------------------------------------------------------------------------------------------------

template <typename Managed>
struct Exported {
  Managed managed{};
  Value value;
  std::vector<int64_t> shape, strides;
};

template <typename Managed>
void delete_exported(Managed* managed) {
  const PyGILState_STATE state = PyGILState_Ensure();  // consumers may let go on any thread
  delete static_cast<Exported<Managed>*>(managed->manager);
  PyGILState_Release(state);
}

template <typename Managed>
void delete_unused(PyObject* capsule, const char* name) {
  if (!PyCapsule_IsValid(capsule, name)) return;  // a consumer took it and renamed the capsule
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, name));
  managed->deleter(managed);
}

template <typename Managed>
std::unique_ptr<Exported<Managed>> exported(Value value) {
  auto result = std::make_unique<Exported<Managed>>();
  const Meta* meta = value.meta;
  result->shape.assign(meta->shape, meta->shape + meta->ndim);
  result->strides.assign(meta->strides, meta->strides + meta->ndim);
  result->managed.tensor = {value.data, {kDLCPU, 0}, meta->ndim, kTypes[static_cast<int>(meta->dtype)],
                            result->shape.data(), result->strides.data(), 0};
  result->managed.manager = result.get();
  result->managed.deleter = delete_exported<Managed>;
  result->value = std::move(value);
  return result;
}

PyObject* versioned_capsule(Value value, uint64_t flags) {
  auto owner = exported<DLManagedTensorVersioned>(std::move(value));
  owner->managed.version = {1, 0};
  owner->managed.flags = flags;
  PyObject* capsule = PyCapsule_New(&owner->managed, "dltensor_versioned", [](PyObject* self) {
    delete_unused<DLManagedTensorVersioned>(self, "dltensor_versioned");
  });
  if (capsule != nullptr) (void)owner.release();
  return capsule;
}

PyObject* legacy_capsule(Value value) {
  auto owner = exported<DLManagedTensor>(std::move(value));
  PyObject* capsule = PyCapsule_New(&owner->managed, "dltensor",
                                    [](PyObject* self) { delete_unused<DLManagedTensor>(self, "dltensor"); });
  if (capsule != nullptr) (void)owner.release();
  return capsule;
}

// Import --------------------------------------------------------------------------------------------------------------

DType dtype_from(DLDataType type) {
  for (int i = 0; i < 15; ++i)
    if (kTypes[i].code == type.code && kTypes[i].bits == type.bits && type.lanes == 1) return static_cast<DType>(i);
  refuse("the dtype with code " + std::to_string(type.code) + ", " + std::to_string(type.bits) + " bits, " +
         std::to_string(type.lanes) + " lanes is not supported");
}

template <typename Managed>
void release_managed(void* owner) {
  auto* managed = static_cast<Managed*>(owner);
  if (managed->deleter != nullptr) managed->deleter(managed);
}

template <typename Managed>
Value adopt(PyObject* capsule, const char* name, const char* used_name, int device, bool must_copy, bool may_copy) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, name));
  if (managed == nullptr) throw CallbackFailed();
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>)
    if (managed->version.major != 1) refuse("only version 1 of the standard is understood, got " + std::to_string(managed->version.major));
  const DLTensor& tensor = managed->tensor;
  if (tensor.device.device_type != kDLCPU) refuse("only memory of the CPU can be borrowed, got device type " + std::to_string(tensor.device.device_type));
  const DType dtype = dtype_from(tensor.dtype);
  Meta* meta = meta_intern(dtype, tensor.shape, tensor.strides, tensor.ndim, device);
  char* data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  const size_t item = info(dtype).itemsize, alignment = dtype == DType::complex128 || dtype == DType::complex64 ? item / 2 : item;
  const bool misaligned = reinterpret_cast<uintptr_t>(data) % alignment != 0;
  Value value;
  try {
    if (misaligned && !may_copy) refuse("the memory is not aligned to its elements, and copy=False forbids to copy it");
    if (PyCapsule_SetName(capsule, used_name) != 0) throw CallbackFailed();
    Storage* storage = borrow_memory(data + meta->lowest, static_cast<size_t>(meta->extent), device, managed, release_managed<Managed>);
    meta_retain(meta);
    value = Value(storage, meta, data);
    if (must_copy || misaligned || meta->size == 0) value = contiguous_copy(value);
  } catch (...) {
    meta_release(meta);
    throw;
  }
  meta_release(meta);
  return value;
}

// Whether a producer says that its memory is the CPU's; one that doesn't say is asked for it anyway.
bool on_cpu(PyObject* source) {
  Ref device(PyObject_CallMethod(source, "__dlpack_device__", nullptr));
  if (!device) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw CallbackFailed();
    PyErr_Clear();
    return true;
  }
  Ref pair = checked(PySequence_Tuple(device.get()));
  if (PyTuple_GET_SIZE(pair.get()) != 2) refuse("expected __dlpack_device__ to return a pair");
  const int type = static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(pair.get(), 0)));
  if (PyErr_Occurred()) throw CallbackFailed();
  return type == kDLCPU;
}

}  // namespace

Value dlpack_import(PyObject* source, int device, PyObject* copy) {
  if (device < 0 || device >= kDeviceCount) throw Error(ErrorKind::value, "[from_dlpack] expected 0 <= device < 16");
  Ref capsule;
  if (PyCapsule_CheckExact(source)) {
    capsule = Ref::borrow(source);
  } else {
    Ref method = checked(PyObject_GetAttrString(source, "__dlpack__"));
    Ref empty = checked(PyTuple_New(0));
    const bool elsewhere = !on_cpu(source);
    if (elsewhere && copy == Py_False) refuse("the memory is on another kind of device, and copy=False forbids to copy it");
    // Producers from before 2023.12 know neither dl_device nor copy, those from before version 1.0 no max_version.
    Ref full = checked(Py_BuildValue("{s(ii)s(ii)sO}", "max_version", 1, 0, "dl_device", int{kDLCPU}, 0, "copy", copy));
    Ref versioned = checked(Py_BuildValue("{s(ii)}", "max_version", 1, 0));
    PyObject* const tries[] = {elsewhere || copy != Py_None ? full.get() : nullptr, elsewhere ? nullptr : versioned.get(), nullptr};
    for (size_t i = 0; i < 3 && !capsule; ++i) {
      if (tries[i] == nullptr && i < 2) continue;
      if (elsewhere && i > 0) refuse("only memory of the CPU can be borrowed, and the producer doesn't copy it there");
      capsule = Ref(PyObject_Call(method.get(), empty.get(), tries[i]));
      if (capsule) break;
      if (i == 2 || !PyErr_ExceptionMatches(PyExc_TypeError)) throw CallbackFailed();
      PyErr_Clear();
    }
  }
  const bool must_copy = copy == Py_True, may_copy = copy != Py_False;
  if (PyCapsule_IsValid(capsule.get(), "dltensor_versioned"))
    return adopt<DLManagedTensorVersioned>(capsule.get(), "dltensor_versioned", "used_dltensor_versioned", device, must_copy, may_copy);
  if (PyCapsule_IsValid(capsule.get(), "dltensor"))
    return adopt<DLManagedTensor>(capsule.get(), "dltensor", "used_dltensor", device, must_copy, may_copy);
  refuse("expected a DLPack capsule that nobody has used yet");
}

PyObject* tensor_dlpack(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"stream", "max_version", "dl_device", "copy", nullptr};
  PyObject *stream = Py_None, *max_version = Py_None, *dl_device = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO", const_cast<char**>(names), &stream, &max_version, &dl_device, &copy))
    return nullptr;
  return guarded([&]() -> PyObject* {
    if (stream != Py_None) refuse("a CPU tensor has no streams: expected stream=None");
    if (dl_device != Py_None) {
      int type, number;
      if (!PyArg_ParseTuple(dl_device, "ii", &type, &number)) return nullptr;
      if (type != kDLCPU || number != 0) refuse("the tensor can be exported to the CPU only, that is dl_device=(1, 0)");
    }
    int major = 0, minor = 0;
    if (max_version != Py_None && !PyArg_ParseTuple(max_version, "ii", &major, &minor)) return nullptr;
    report_read(self, "dlpack");
    Value value = value_of(self).detached();
    if (is_weak(value.meta->dtype)) refuse("the tensor is a Python scalar");
    const bool can_be_read_only = major >= 1;
    const bool copied = copy == Py_True || (!can_be_read_only && copy != Py_False);
    if (copied) value = contiguous_copy(value);
    if (can_be_read_only) return versioned_capsule(std::move(value), copied ? kDLCopied : kDLReadOnly);
    return legacy_capsule(std::move(value));
  });
}

PyObject* tensor_dlpack_device(PyObject*, PyObject*) { return Py_BuildValue("(ii)", kDLCPU, 0); }

}  // namespace twain
