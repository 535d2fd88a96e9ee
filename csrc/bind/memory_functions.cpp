// _core functions about memory and caches.
#include "bind/call_memory.h"
#include "bind/module_parts.h"
#include "bind/python.h"

namespace twain {
namespace {

bool read_size(PyObject* object, size_t* size, const char* function) {
  *size = object == Py_None ? 0 : PyLong_AsSize_t(object);
  if (*size != static_cast<size_t>(-1) || !PyErr_Occurred()) return true;
  if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "[%s] expected a number of bytes from 0 on that fits into 64 bits, or None, got %R", function, object);
  } else if (PyErr_ExceptionMatches(PyExc_TypeError)) {
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError, "[%s] expected a number of bytes or None, got %R", function, object);
  }
  return false;
}

PyObject* memory_stats(PyObject*, PyObject* args) {
  int device = -1;
  if (!PyArg_ParseTuple(args, "|i", &device)) return nullptr;
  if (device < -1 || device >= kDeviceCount) {
    PyErr_Format(PyExc_ValueError, "[memory_stats] expected device: -1 (all) to 15, got %d", device);
    return nullptr;
  }
  size_t in_use = 0, peak = 0, blocks = 0;
  for (int i = 0; i < kDeviceCount; ++i) {
    if (device >= 0 && i != device) continue;
    in_use += allocator.accounts[i].in_use;
    peak += allocator.accounts[i].peak;
    blocks += allocator.accounts[i].blocks;
  }
  return Py_BuildValue("{sKsKsKsKsKsK}", "allocated", static_cast<unsigned long long>(in_use), "cached",
                       static_cast<unsigned long long>(allocator.cached), "peak", static_cast<unsigned long long>(peak),
                       "cap", static_cast<unsigned long long>(allocator.cap), "count",
                       static_cast<unsigned long long>(blocks), "held", static_cast<unsigned long long>(allocator.held));
}

PyObject* set_memory_cap(PyObject*, PyObject* bytes) {
  size_t cap;
  if (!read_size(bytes, &cap, "set_memory_cap")) return nullptr;
  allocator.cap = cap;
  Py_RETURN_NONE;
}

PyObject* set_memory_cache_bound(PyObject*, PyObject* bytes) {
  size_t bound;
  if (!read_size(bytes, &bound, "set_memory_cache_bound")) return nullptr;
  set_cached_bound(bound);
  Py_RETURN_NONE;
}

PyObject* empty_cache_function(PyObject*, PyObject*) {
  empty_cache();
  Py_RETURN_NONE;
}

PyObject* reset_peak(PyObject*, PyObject*) {
  for (Account& account : allocator.accounts) account.peak = account.in_use;
  Py_RETURN_NONE;
}

PyObject* cache_stats(PyObject*, PyObject*) {
  return Py_BuildValue("{sIsIsKsKsK}", "programs", table.count, "bound", table.bound, "misses",
                       static_cast<unsigned long long>(table.misses), "evicted",
                       static_cast<unsigned long long>(table.evicted), "metas",
                       static_cast<unsigned long long>(meta_count()));
}

PyObject* clear_caches(PyObject*, PyObject*) {
  return guarded([]() -> PyObject* {
    forget_calls();
    table_clear();
    Py_RETURN_NONE;
  });
}

PyObject* set_cache_bound(PyObject*, PyObject* bound) {
  const long count = PyLong_AsLong(bound);
  if (count == -1 && PyErr_Occurred()) return nullptr;
  if (count < 16 || count > 1 << 24) {
    PyErr_Format(PyExc_ValueError, "[set_cache_bound] expected 16 to 16777216 programs, got %ld", count);
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    table_set_bound(static_cast<uint32_t>(count));
    Py_RETURN_NONE;
  });
}

PyMethodDef functions[] = {
    {"memory_stats", memory_stats, METH_VARARGS,
     "memory_stats(device=-1) -> dict: bytes allocated, cached, peak, cap, held from the system; count of blocks."},
    {"set_memory_cap", set_memory_cap, METH_O, "The most bytes to hold from the system; 0 or None: no cap."},
    {"set_memory_cache_bound", set_memory_cache_bound, METH_O, "The most bytes of freed memory to keep for reuse."},
    {"empty_cache", empty_cache_function, METH_NOARGS, "Give freed memory back to the system."},
    {"reset_peak", reset_peak, METH_NOARGS, "Start measuring the peak anew."},
    {"cache_stats", cache_stats, METH_NOARGS, "How many programs and metas are known; misses and evictions so far."},
    {"clear_caches", clear_caches, METH_NOARGS, "Forget every prepared program."},
    {"set_cache_bound", set_cache_bound, METH_O, "The most programs to remember."},
    {nullptr}};

}  // namespace

bool add_memory(PyObject* module) { return PyModule_AddFunctions(module, functions) == 0; }

}  // namespace twain
