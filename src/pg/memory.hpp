// Containers that live in PostgreSQL memory contexts.
#pragma once
#include "pg/postgres.hpp"

#include <boost/container/small_vector.hpp>
#include <boost/container/vector.hpp>

namespace upkeep::pg {

/// Allocator over a memory context (the current one unless told). Nothing is freed singly: the context's reset
/// or deletion frees all, so that a longjmp past a container loses nothing and a destructor after a reset is harmless.
template <typename T> struct Palloc {
    using value_type = T;
    MemoryContext context = CurrentMemoryContext;
    Palloc() = default;
    explicit Palloc(MemoryContext c) : context(c) {}
    template <typename U> Palloc(const Palloc<U> &o) : context(o.context) {}
    T *allocate(std::size_t n) {
        static_assert(alignof(T) <= MAXIMUM_ALIGNOF, "palloc aligns to 8 bytes only");
        return static_cast<T *>(MemoryContextAllocExtended(context, n * sizeof(T), MCXT_ALLOC_HUGE));
    }
    void deallocate(T *, std::size_t) {}
    template <typename U> bool operator==(const Palloc<U> &o) const { return context == o.context; }
    template <typename U> bool operator!=(const Palloc<U> &o) const { return context != o.context; }
};

template <typename T> using Vector = boost::container::vector<T, Palloc<T>>;

/// Switches to a memory context for a scope (normal path only; an error's abort restores by itself).
class InContext {
  public:
    explicit InContext(MemoryContext c) : saved_(MemoryContextSwitchTo(c)) {}
    ~InContext() { MemoryContextSwitchTo(saved_); }
    InContext(const InContext &) = delete;
    InContext &operator=(const InContext &) = delete;

  private:
    MemoryContext saved_;
};

/// Zeroed palloc of one trivially destructible T in the current context.
template <typename T> T *create() {
    return static_cast<T *>(palloc0(sizeof(T)));
}
template <typename T> T *create_array(std::size_t n) {
    return static_cast<T *>(
        MemoryContextAllocExtended(CurrentMemoryContext, (n ? n : 1) * sizeof(T), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
}

} // namespace upkeep::pg
