// New entries into the rows of a history, and rows out of it. insertion.py says what; here, runs of bytes are moved.
#include <algorithm>
#include <cstring>
#include <vector>

#include "csr.hpp"
#include "parallel.hpp"

namespace nb = nanobind;

namespace tastemaker {
namespace {

using Times = Array1<const int64_t>;

using Found = nb::ndarray<nb::numpy, int64_t, nb::ndim<1>>;

constexpr int64_t kRowsPerShard = 512;
constexpr int64_t kEntriesPerShard = 1 << 18;

struct Columns {  // of entries, as they are read; null where there is no such column
  const int32_t* indices;
  const float *value, *weight;
  const int64_t* timestamp;
};

struct Outcome {  // and as they are written
  int32_t* indices;
  float *value, *weight;
  int64_t* timestamp;
};

template <class T>
T* column(const Array1<T>& values) {
  return values.size() ? values.data() : nullptr;
}

template <class T>
void copy(const T* from, int64_t begin, int64_t end, T* to, int64_t at) {
  if (from && begin < end) std::memcpy(to + at, from + begin, size_t(end - begin) * sizeof(T));
}

void copy_run(const Columns& from, int64_t begin, int64_t end, const Outcome& to, int64_t& at) {
  copy(from.indices, begin, end, to.indices, at);
  copy(from.value, begin, end, to.value, at);
  copy(from.weight, begin, end, to.weight, at);
  copy(from.timestamp, begin, end, to.timestamp, at);
  at += end - begin;
}

template <class Body>
void for_row_shards(int64_t rows, int threads, Body&& body) {
  parallel_for((rows + kRowsPerShard - 1) / kRowsPerShard, threads, [&](int64_t shard, int thread) {
    body(shard * kRowsPerShard, std::min(rows, (shard + 1) * kRowsPerShard), thread);
  });
}

// For each new entry the position of the row's old entry with the same index, or -1. Nearly all old entries end at the bitmap.
void find_entries(Offsets old_indptr, Codes old_indices, Offsets new_indptr, Codes new_indices, int64_t columns,
                  int threads, Array1<int64_t> found) {
  struct Wanted {
    std::vector<uint64_t> bits;   // whether a column is asked for
    std::vector<int64_t> by;  // and by which new entry
  };
  const int64_t old_rows = int64_t(old_indptr.size()) - 1;
  std::vector<Wanted> wanted(threads);
  for_row_shards(int64_t(new_indptr.size()) - 1, threads, [&](int64_t begin, int64_t end, int thread) {
    auto& [bits, by] = wanted[thread];
    bits.resize((columns + 63) / 64);
    by.resize(columns);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t first = new_indptr.data()[row], last = new_indptr.data()[row + 1];
      if (first == last) continue;
      for (int64_t e = first; e < last; ++e) {
        const int32_t column = new_indices.data()[e];
        found.data()[e] = -1;
        by[column] = e;
        bits[column >> 6] |= uint64_t(1) << (column & 63);
      }
      if (row < old_rows)
        for (int64_t e = old_indptr.data()[row]; e < old_indptr.data()[row + 1]; ++e) {
          const int32_t column = old_indices.data()[e];
          if (bits[column >> 6] >> (column & 63) & 1) found.data()[by[column]] = e;
        }
      for (int64_t e = first; e < last; ++e) bits[new_indices.data()[e] >> 6] = 0;
    }
  });
}

// Every row's old entries but for `dropped` ones (ascending), and its new ones, by time; equal times: the old ones first.
void insert_entries(Offsets old_indptr, Codes old_indices, Values old_value, Values old_weight, Times old_time,
                    Times dropped, Offsets new_indptr, Codes new_indices, Values new_value, Values new_weight,
                    Times new_time, int threads, Offsets indptr, Array1<int32_t> indices, Array1<float> value,
                    Array1<float> weight, Array1<int64_t> timestamp) {
  const Columns old{column(old_indices), column(old_value), column(old_weight), column(old_time)};
  const Columns more{column(new_indices), column(new_value), column(new_weight), column(new_time)};
  const Outcome out{indices.data(), value.data(), weight.data(), timestamp.data()};
  const int64_t old_rows = int64_t(old_indptr.size()) - 1;
  const int64_t *gone = dropped.data(), *gone_end = gone + dropped.size();
  for_row_shards(int64_t(indptr.size()) - 1, threads, [&](int64_t begin, int64_t end, int) {
    int64_t at = indptr.data()[begin];
    int64_t from = old_indptr.data()[std::min(begin, old_rows)];  // old entries before it are written
    const int64_t* skip = std::lower_bound(gone, gone_end, from);
    const auto write_old_until = [&](int64_t until) {
      for (; skip != gone_end && *skip < until; from = *skip++ + 1) copy_run(old, from, *skip, out, at);
      copy_run(old, from, until, out, at);
      from = until;
    };
    for (int64_t row = begin; row < end; ++row) {
      const int64_t row_begin = old_indptr.data()[std::min(row, old_rows)];
      const int64_t row_end = old_indptr.data()[std::min(row + 1, old_rows)];
      for (int64_t e = new_indptr.data()[row]; e < new_indptr.data()[row + 1]; ++e) {
        int64_t until = row_end;  // nearly always: what is new is later
        const int64_t since = std::max(from, row_begin);
        if (more.timestamp && since < until && old.timestamp[until - 1] > more.timestamp[e])
          until = std::upper_bound(old.timestamp + since, old.timestamp + until, more.timestamp[e]) - old.timestamp;
        write_old_until(until);
        copy_run(more, e, e + 1, out, at);
      }
    }
    write_old_until(old_indptr.data()[std::min(end, old_rows)]);
  });
}

void take_entries(Offsets indptr, Codes indices, Values value, Values weight, Times timestamp, Times rows,
                  int threads, Offsets out_indptr, Array1<int32_t> out_indices, Array1<float> out_value,
                  Array1<float> out_weight, Array1<int64_t> out_timestamp) {
  const Columns all{column(indices), column(value), column(weight), column(timestamp)};
  const Outcome out{out_indices.data(), out_value.data(), out_weight.data(), out_timestamp.data()};
  for_row_shards(int64_t(rows.size()), threads, [&](int64_t begin, int64_t end, int) {
    int64_t at = out_indptr.data()[begin];
    for (int64_t n = begin; n < end; ++n)
      copy_run(all, indptr.data()[rows.data()[n]], indptr.data()[rows.data()[n] + 1], out, at);
  });
}

// The positions of the entries in `wanted` columns, ascending.
Found find_columns(Codes indices, Array1<const uint8_t> wanted, int threads) {
  const int64_t entries = int64_t(indices.size()), shards = (entries + kEntriesPerShard - 1) / kEntriesPerShard;
  std::vector<std::vector<int64_t>> parts(shards);
  parallel_for(shards, threads, [&](int64_t shard, int) {
    const int64_t begin = shard * kEntriesPerShard, end = std::min(entries, begin + kEntriesPerShard);
    for (int64_t e = begin; e < end; ++e)
      if (wanted.data()[indices.data()[e]]) parts[shard].push_back(e);
  });
  auto* found = new std::vector<int64_t>;
  nb::capsule owner(found, [](void* all) noexcept { delete static_cast<std::vector<int64_t>*>(all); });
  for (const auto& part : parts) found->insert(found->end(), part.begin(), part.end());
  return Found(found->data(), {found->size()}, owner);
}

}  // namespace
}  // namespace tastemaker

void bind_insertion(nb::module_& m) {
  m.def("find_entries", &tastemaker::find_entries);
  m.def("insert_entries", &tastemaker::insert_entries);
  m.def("find_columns", &tastemaker::find_columns);
  m.def("take_entries", &tastemaker::take_entries);
}
