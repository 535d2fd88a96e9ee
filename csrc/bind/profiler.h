// What the runtime calls while a thread is profiled.
#pragma once
#include "bind/python.h"
#include "dispatch/runtime.h"

namespace twain {

void on_profile(const ProfiledCall& call);
extern PyMethodDef profiler_functions[];

}  // namespace twain
