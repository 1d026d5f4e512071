//! What is asked of the host: memory in large pages, one CPU, its time-stamp counter, its name.

use std::ptr;

/// `bytes` of zeroed memory, aligned to 2 MiB and in 2 MiB pages if the host gives them: a kernel sees its page tables
/// through large pages too.
pub fn map(bytes: usize) -> *mut u8 {
    const LARGE: usize = 2 << 20;
    let length = bytes + LARGE;
    let (rights, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    // SAFETY: a new mapping at a place of the host's choice.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, rights, kind, -1, 0) };
    assert!(at != libc::MAP_FAILED, "the host has no {bytes} bytes");
    let at = at.cast::<u8>();
    let at = at.wrapping_add(at.align_offset(LARGE));
    // SAFETY: the range lies in the mapping; the advice changes nothing that can be seen.
    unsafe { libc::madvise(at.cast(), bytes, libc::MADV_HUGEPAGE) };
    at
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

/// How many CPUs this process may use.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
