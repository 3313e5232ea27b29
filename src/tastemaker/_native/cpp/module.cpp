// The one extension module, compiled once for each instruction set. Every kernel family has a file of its own with a bind_*.
#include <nanobind/nanobind.h>

#include <initializer_list>

namespace nb = nanobind;

void bind_attention(nb::module_&);
void bind_dot(nb::module_&);
void bind_dropout(nb::module_&);
void bind_mlp(nb::module_&);
void bind_ncf(nb::module_&);
void bind_touched(nb::module_&);
void bind_tower(nb::module_&);
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
void bind_graph(nb::module_&);
void bind_grouping(nb::module_&);
void bind_insertion(nb::module_&);
void bind_walks(nb::module_&);

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>

// What the processor says of itself, and which registers the system saves when it changes threads. The compilers' own
// __builtin_cpu_supports needs a run-time library that Windows lacks.
static const char* best_isa() {
  unsigned a, b, c, d, extended = 0, low, high;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return "baseline";
  if (__get_cpuid_max(0, nullptr) >= 7) __cpuid_count(7, 0, a, extended, low, d);
  const auto all_of = [](unsigned word, std::initializer_list<int> bits) {
    for (const int bit : bits)
      if (!(word >> bit & 1)) return false;
    return true;
  };
  if (!all_of(c, {27})) return "baseline";  // OSXSAVE: the next instruction exists
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const bool v3 = all_of(c, {12, 28}) && all_of(extended, {5, 8}) && all_of(low, {1, 2});  // FMA AVX, AVX2 BMI2, XMM YMM
  const bool v4 = all_of(extended, {16, 17, 28, 30, 31}) && all_of(low, {5, 6, 7});  // F DQ CD BW VL, the registers of 512 bits
  return v3 && v4 ? "avx512" : v3 ? "avx2" : "baseline";
}
#else
static const char* best_isa() { return "baseline"; }
#endif

NB_MODULE(TASTEMAKER_MODULE, m) {
  m.attr("isa") = TASTEMAKER_ISA_NAME;
  m.def("best_isa", &best_isa, "The widest instruction set that this processor runs: baseline, avx2 or avx512.");
  bind_attention(m);
  bind_dot(m);
  bind_dropout(m);
  bind_mlp(m);
  bind_ncf(m);
  bind_touched(m);
  bind_tower(m);
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
  bind_graph(m);
  bind_grouping(m);
  bind_insertion(m);
  bind_walks(m);
}
