// The one extension module, compiled once for each instruction set. Every kernel family has a file of its own with a bind_*.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_attention(nb::module_&);
void bind_dot(nb::module_&);
void bind_mlp(nb::module_&);
void bind_ncf(nb::module_&);
void bind_touched(nb::module_&);
void bind_training(nb::module_&);
void bind_topk(nb::module_&);
void bind_neighbors(nb::module_&);
void bind_sgd(nb::module_&);
void bind_ridge(nb::module_&);
void bind_linear(nb::module_&);
void bind_slim(nb::module_&);
void bind_softmax(nb::module_&);
void bind_bpr(nb::module_&);
void bind_als(nb::module_&);
void bind_grouping(nb::module_&);
void bind_insertion(nb::module_&);

static const char* best_isa() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512cd");
  return v4 ? "avx512" : v3 ? "avx2" : "baseline";
#else
  return "baseline";
#endif
}

NB_MODULE(TASTEMAKER_MODULE, m) {
  m.attr("isa") = TASTEMAKER_ISA_NAME;
  m.def("best_isa", &best_isa, "The widest instruction set that this processor runs: baseline, avx2 or avx512.");
  bind_attention(m);
  bind_dot(m);
  bind_mlp(m);
  bind_ncf(m);
  bind_touched(m);
  bind_training(m);
  bind_topk(m);
  bind_neighbors(m);
  bind_sgd(m);
  bind_ridge(m);
  bind_linear(m);
  bind_slim(m);
  bind_softmax(m);
  bind_bpr(m);
  bind_als(m);
  bind_grouping(m);
  bind_insertion(m);
}
