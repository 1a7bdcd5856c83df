"""How many bytes are kept in user memory for a set of streams, against how many may be.

Counts what waits and nothing that passes: a write that the kernel takes whole, and a read that is served whole, never
come here. Invariant: whoever has told of bytes takes them back when it lets go of them.
"""

from libc.stdint cimport int64_t


cdef class Budget:
    """`on_change` is called when `is_over` has changed; it must call no stream."""

    def __cinit__(self):
        self._limit = <int64_t> 1 << 62

    cpdef object keep(self, int64_t size):
        """So many more bytes are kept; a negative number gives them back."""
        self.kept += size
        if (self.kept > self._limit) != self.is_over:
            self._judge()

    cpdef object set_limit(self, int64_t limit):
        """0 means no limit, as before the first call."""
        self._limit = limit if limit else <int64_t> 1 << 62
        self._judge()

    cdef _judge(self):
        cdef bint is_over = self.kept > self._limit
        if is_over != self.is_over:
            self.is_over = is_over
            if self.on_change is not None:
                self.on_change()
