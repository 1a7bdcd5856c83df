cdef class Router:
    cdef readonly object only
    cdef dict _tables
    cdef dict _known
    cdef int _depth

    cpdef object match(self, bytes host, bytes target)
    cdef tuple _tables_of(self, bytes host)
    cdef object _search(self, tuple tables, bytes path)
