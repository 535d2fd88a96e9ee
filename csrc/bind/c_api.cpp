// What twain.h promises to extensions in C: a capsule with a table of functions.
#include <memory>
#include <string>

#include "bind/module_parts.h"
#include "dispatch/error.h"
#include "memory/allocator.h"
#include "tensor/scalar.h"

#include <twain.h>

namespace twain {
namespace {

int is_tensor_object(PyObject* object) { return is_tensor(object) ? 1 : 0; }

int view_tensor(PyObject* tensor, TwainView* view) {
  return guarded_int([&] {
    expect_tensor(tensor, "twain.h view", "tensor");
    report_read(tensor, "twain.h");
    auto held = std::make_unique<Value>(value_of(tensor).detached());
    const Meta* meta = held->meta;
    if (is_weak(meta->dtype)) throw Error(ErrorKind::type, "[twain.h view] expected a tensor, got a Python scalar");
    view->data = held->data;
    view->shape = meta->shape;
    view->strides = meta->strides;
    view->size = meta->size;
    view->dtype = static_cast<int32_t>(meta->dtype);
    view->ndim = meta->ndim;
    view->device = meta->device;
    view->contiguous = meta->contiguous ? 1 : 0;
    view->owner = held.release();
    return 0;
  });
}

void release_view(TwainView* view) {
  delete static_cast<Value*>(view->owner);
  view->owner = nullptr;
}

// A description with a new reference, released at the end of the scope.
class Described {
 public:
  Described(const char* function, int32_t dtype, int32_t ndim, const int64_t* shape, const int64_t* strides) {
    if (dtype < 0 || dtype > static_cast<int32_t>(DType::complex128))
      throw Error(ErrorKind::value, std::string("[twain.h ") + function + "] dtype: expected 0 to 14, got " + std::to_string(dtype));
    if (ndim < 0 || ndim > kMaxDimensions)
      throw Error(ErrorKind::value, std::string("[twain.h ") + function + "] ndim: expected 0 to 64, got " + std::to_string(ndim));
    meta = meta_intern(static_cast<DType>(dtype), shape, strides, ndim, 0);
  }
  ~Described() { meta_release(meta); }
  Described(const Described&) = delete;
  Described& operator=(const Described&) = delete;
  Meta* meta;
};

PyObject* make_tensor(int32_t dtype, int32_t ndim, const int64_t* shape, void** data) {
  return guarded([&]() -> PyObject* {
    const Described described("make", dtype, ndim, shape, nullptr);
    Meta* meta = described.meta;
    Storage* storage = allocate(static_cast<size_t>(meta->extent), meta->size_class, 0);
    meta_retain(meta);
    *data = storage->data;
    return wrap(Value(storage, meta, storage->data));
  });
}

struct Lent {
  void (*release)(void*);
  void* context;
};

void give_back(void* owner) {
  const std::unique_ptr<Lent> lent(static_cast<Lent*>(owner));
  if (lent->release != nullptr) lent->release(lent->context);
}

PyObject* wrap_memory(const void* data, int32_t dtype, int32_t ndim, const int64_t* shape, const int64_t* strides,
                      void (*release)(void*), void* context) {
  return guarded([&]() -> PyObject* {
    const Described described("wrap", dtype, ndim, shape, strides);
    Meta* meta = described.meta;
    char* first = static_cast<char*>(const_cast<void*>(data));  // borrowed storage is never written
    if (first == nullptr && meta->size != 0) throw Error(ErrorKind::value, "[twain.h wrap] data: expected memory, got NULL");
    const uintptr_t alignment = static_cast<uintptr_t>(info(meta->dtype).itemsize);
    if (reinterpret_cast<uintptr_t>(first) % (alignment > 8 ? 8 : alignment) != 0)
      throw Error(ErrorKind::value, "[twain.h wrap] data: expected memory aligned to its elements");
    auto lent = std::make_unique<Lent>(Lent{release, context});
    Storage* storage = borrow_memory(first + meta->lowest, static_cast<size_t>(meta->extent), 0, lent.get(), give_back);
    (void)lent.release();
    meta_retain(meta);
    return wrap(Value(storage, meta, first));
  });
}

const TwainApi api = {TWAIN_API_VERSION, is_tensor_object, view_tensor, release_view, make_tensor, wrap_memory};

}  // namespace

bool add_c_api(PyObject* module) {
  PyObject* capsule = PyCapsule_New(const_cast<TwainApi*>(&api), TWAIN_API_CAPSULE, nullptr);
  return capsule != nullptr && PyModule_AddObject(module, "c_api", capsule) == 0;
}

}  // namespace twain
