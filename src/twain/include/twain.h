/* Tensors in extensions written in C or C++: look at one, make one, wrap memory as one.
 *
 *   const TwainApi* twain = twain_import();        once, with Python's lock held; NULL: a Python error is set
 *   TwainView view;
 *   if (twain->view(object, &view) < 0) return NULL;
 *   ... view.data, view.shape, view.strides ...
 *   twain->release(&view);
 *
 * All functions need Python's lock. A view stays as it is until it is released, whatever becomes of the tensor, so the
 * lock may be let go while its memory is read. Memory of a tensor is never written once others can see the tensor.
 * Compile with the folder that twain.extend.include() names; there is nothing to link with. Besides this, tensors speak
 * DLPack (__dlpack__) and the buffer protocol.
 */
#ifndef TWAIN_H
#define TWAIN_H

#include <Python.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TWAIN_API_VERSION 1
#define TWAIN_API_CAPSULE "twain._core.c_api"

/* Element types. bfloat16 is the upper half of a float32; complex numbers are two components. */
enum {
  TWAIN_BOOL, TWAIN_INT8, TWAIN_INT16, TWAIN_INT32, TWAIN_INT64, TWAIN_UINT8, TWAIN_UINT16, TWAIN_UINT32, TWAIN_UINT64,
  TWAIN_FLOAT16, TWAIN_BFLOAT16, TWAIN_FLOAT32, TWAIN_FLOAT64, TWAIN_COMPLEX64, TWAIN_COMPLEX128
};

typedef struct {
  const void* data;       /* the first element */
  const int64_t* shape;
  const int64_t* strides; /* in elements; may be 0 or negative */
  int64_t size;           /* elements */
  int32_t dtype;
  int32_t ndim;
  int32_t device;         /* n of cpu:n */
  int32_t contiguous;     /* row-major without gaps */
  void* owner;            /* for release() */
} TwainView;

typedef struct {
  int32_t version; /* of the library: at least the TWAIN_API_VERSION you compiled with */
  int (*is_tensor)(PyObject* object);
  /* Look at a tensor. 0, or -1 with a Python error set. A view is to be released. */
  int (*view)(PyObject* tensor, TwainView* view);
  void (*release)(TwainView* view);
  /* A new row-major tensor. *data is its memory, to be filled before anybody else sees it. NULL: a Python error is set. */
  PyObject* (*make)(int32_t dtype, int32_t ndim, const int64_t* shape, void** data);
  /* A tensor on your memory, which is never written and given back by release(context), with Python's lock held.
   * strides: in elements, NULL for row-major. NULL: a Python error is set, and release is not called. */
  PyObject* (*wrap)(const void* data, int32_t dtype, int32_t ndim, const int64_t* shape, const int64_t* strides,
                    void (*release)(void* context), void* context);
} TwainApi;

static inline const TwainApi* twain_import(void) {
  const TwainApi* api = (const TwainApi*)PyCapsule_Import(TWAIN_API_CAPSULE, 0);
  if (api != NULL && api->version < TWAIN_API_VERSION) {
    PyErr_Format(PyExc_ImportError, "[twain.h] expected twain's C API of version %d, got %d", TWAIN_API_VERSION,
                 (int)api->version);
    return NULL;
  }
  return api;
}

#ifdef __cplusplus
}
#endif
#endif
