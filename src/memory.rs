//! How the system's allocator deals with the large buffers of networks.

/// Keeps memory that is freed for the next use, instead of handing it back to the system: a network takes and frees the
/// same large buffers in every step, and memory fresh from the system costs a page fault every 4 KiB.
///
/// Of the whole process, for good. Has an effect with glibc only.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// glibc takes no more: larger buffers are mapped and unmapped each time.
        const LARGEST_KEPT: libc::c_int = 32 << 20;
        /// Free memory at the top of the heap above this goes back.
        const MOST_KEPT: libc::c_int = 1 << 30;
        // SAFETY: mallopt changes two numbers of the allocator's, under its lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, MOST_KEPT);
        }
    }
}
