//! What is asked of the host: memory in large pages, one CPU, its time-stamp counter, its name.

use std::ptr;
use std::sync::OnceLock;

/// `bytes` of zeroed memory, aligned to 2 MiB and in 2 MiB pages if the host gives them: a kernel sees its page tables
/// through large pages too.
pub fn map(bytes: usize) -> *mut u8 {
    std::mem::ManuallyDrop::new(Mapping::new(bytes, 2 << 20)).at()
}

/// Zeroed memory of the host's that goes back when it is dropped.
pub struct Mapping {
    start: *mut libc::c_void,
    length: usize,
    at: *mut u8,
}

// SAFETY: whoever holds the mapping is the only one who does.
unsafe impl Send for Mapping {}
// SAFETY: all that can be done with a shared one is to ask where it is.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `bytes` of it, aligned to `align`, in 2 MiB pages if the host gives them.
    pub fn new(bytes: usize, align: usize) -> Self {
        let length = bytes + align;
        let start = reserve(length);
        let at = start.cast::<u8>();
        let at = at.wrapping_add(at.align_offset(align));
        // SAFETY: the range lies in the mapping; the advice changes nothing that can be seen.
        unsafe { libc::madvise(at.cast(), bytes, libc::MADV_HUGEPAGE) };
        Self { start, length, at }
    }

    /// Where it begins.
    pub fn at(&self) -> *mut u8 {
        self.at
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and its owner uses it no more.
        unsafe { libc::munmap(self.start, self.length) };
    }
}

fn reserve(length: usize) -> *mut libc::c_void {
    let (rights, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    // SAFETY: a new mapping at a place of the host's choice.
    let start = unsafe { libc::mmap(ptr::null_mut(), length, rights, kind, -1, 0) };
    assert!(start != libc::MAP_FAILED, "the host has no {length} bytes");
    start
}

/// Keeps this thread on CPU `cpu`, so that no measurement has a migration in it.
pub fn pin(cpu: usize) {
    // SAFETY: the set is plain data, filled in before it is used.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// Nanoseconds that this thread has had a CPU.
pub fn cpu_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists wherever threads do, and the time is ours to write.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How many CPUs this process may use, counted before any of its threads was kept on one of them.
pub fn cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// What the CPU calls itself.
pub fn cpu_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let name = field("model name").unwrap_or_else(|| "unknown".into());
    match (field("cpu family"), field("model\t")) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name,
    }
}
