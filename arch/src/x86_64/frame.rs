//! The interrupted code's registers, as the CPU and `trap.s` leave them on the stack.

use core::fmt;

/// The interrupted code's registers. What is written here is what it goes on with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // The registers' names say what they are.
pub struct Frame {
    pub cr2: u64,
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rax: u64,
    vector: u64,
    error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl Frame {
    /// Which exception or interrupt this is.
    pub const fn vector(&self) -> u8 {
        self.vector as u8
    }

    /// The error code; 0 for an exception without one.
    pub const fn error(&self) -> u64 {
        self.error
    }

    /// The address that a page fault is about.
    pub const fn fault_address(&self) -> u64 {
        self.cr2
    }

    /// The instruction that was interrupted, or the one after it.
    pub const fn instruction(&self) -> u64 {
        self.rip
    }

    /// The interrupted code's stack pointer.
    pub const fn stack(&self) -> u64 {
        self.rsp
    }

    /// The interrupted code's frame pointer: where a backtrace begins.
    pub const fn frame_pointer(&self) -> u64 {
        self.rbp
    }

    /// Whether a program was interrupted, and not the kernel.
    pub const fn from_user(&self) -> bool {
        self.cs & 3 != 0
    }

    /// The registers that an address may have been in, and their names.
    pub const fn general(&self) -> [(&'static str, u64); 17] {
        [
            ("rax", self.rax),
            ("rcx", self.rcx),
            ("rdx", self.rdx),
            ("rbx", self.rbx),
            ("rsp", self.rsp),
            ("rbp", self.rbp),
            ("rsi", self.rsi),
            ("rdi", self.rdi),
            ("r8", self.r8),
            ("r9", self.r9),
            ("r10", self.r10),
            ("r11", self.r11),
            ("r12", self.r12),
            ("r13", self.r13),
            ("r14", self.r14),
            ("r15", self.r15),
            ("rip", self.rip),
        ]
    }

    /// Goes on in the kernel, at `address` on the stack `stack`, with `result` in the register in which a function returns
    /// its own.
    pub(crate) const fn return_to_kernel(&mut self, address: usize, stack: usize, result: usize) {
        self.cs = super::descriptors::KERNEL_CODE as u64;
        self.ss = super::descriptors::KERNEL_DATA as u64;
        self.rip = address as u64;
        self.rsp = stack as u64;
        self.rax = result as u64;
    }

    /// Goes on at `address` instead.
    pub const fn resume_at(&mut self, address: u64) {
        self.rip = address;
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "rip {:016x}  rsp {:016x}  rbp {:016x}", self.rip, self.rsp, self.rbp)?;
        writeln!(f, "rax {:016x}  rbx {:016x}  rcx {:016x}", self.rax, self.rbx, self.rcx)?;
        writeln!(f, "rdx {:016x}  rsi {:016x}  rdi {:016x}", self.rdx, self.rsi, self.rdi)?;
        writeln!(f, "r8  {:016x}  r9  {:016x}  r10 {:016x}", self.r8, self.r9, self.r10)?;
        writeln!(f, "r11 {:016x}  r12 {:016x}  r13 {:016x}", self.r11, self.r12, self.r13)?;
        writeln!(f, "r14 {:016x}  r15 {:016x}  cr2 {:016x}", self.r14, self.r15, self.cr2)?;
        write!(f, "cs {:x}  ss {:x}  rflags {:x}  ", self.cs, self.ss, self.rflags)?;
        writeln!(f, "vector {}  error {:#x}", self.vector, self.error)
    }
}
