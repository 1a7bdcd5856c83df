"""Memory that the allocator has free and keeps: given back to the kernel.

Owns nothing. What a thousand stalled clients have been holding comes back to the allocator when they are ended, but
between blocks that are still in use, and then the C library keeps it until it is asked. With another C library than
glibc this does nothing.
"""

cdef extern from *:
    """
    #include <stdlib.h>
    #ifdef __GLIBC__
    #include <malloc.h>
    #if __GLIBC_PREREQ(2, 33)
    #define fairlead_free_bytes() ((size_t) mallinfo2().fordblks)
    #else
    #define fairlead_free_bytes() ((size_t) (unsigned int) mallinfo().fordblks)
    #endif
    #define fairlead_trim() malloc_trim(0)
    #else
    #define fairlead_free_bytes() ((size_t) 0)
    #define fairlead_trim() ((void) 0)
    #endif
    """
    size_t fairlead_free_bytes() nogil
    void fairlead_trim() nogil


def give_back(size_t least):
    """Give free memory back when there is as much as `least` bytes; says whether there was.

    64 MB cost 4 ms. What was given back before counts as free, too, but costs next to nothing: 15 us.
    """
    if fairlead_free_bytes() < least:
        return False
    fairlead_trim()
    return True
