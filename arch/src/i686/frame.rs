//! The interrupted code's registers, as the CPU and `trap.s` leave them on the stack.

use core::fmt;

/// The interrupted code's registers. What is written here is what it goes on with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // The registers' names say what they are.
pub struct Frame {
    pub cr2: u32,
    pub edi: u32,
    pub esi: u32,
    pub ebp: u32,
    /// The interrupted code's stack pointer. Written, it has no effect.
    pub esp: u32,
    pub ebx: u32,
    pub edx: u32,
    pub ecx: u32,
    pub eax: u32,
    pub(super) vector: u32,
    pub(super) error: u32,
    pub eip: u32,
    pub cs: u32,
    pub eflags: u32,
}

impl Frame {
    /// Which exception or interrupt this is.
    pub const fn vector(&self) -> u8 {
        self.vector as u8
    }

    /// The error code; 0 for an exception without one.
    pub const fn error(&self) -> u64 {
        self.error as u64
    }

    /// The address that a page fault is about.
    pub const fn fault_address(&self) -> u64 {
        self.cr2 as u64
    }

    /// The instruction that was interrupted, or the one after it.
    pub const fn instruction(&self) -> u64 {
        self.eip as u64
    }

    /// The interrupted code's stack pointer.
    pub const fn stack(&self) -> u64 {
        self.esp as u64
    }

    /// The interrupted code's frame pointer: where a backtrace begins.
    pub const fn frame_pointer(&self) -> u64 {
        self.ebp as u64
    }

    /// Whether a program was interrupted, and not the kernel.
    pub const fn from_user(&self) -> bool {
        self.cs & 3 != 0
    }

    /// The registers that an address may have been in, and their names. None is: in 32 bits every address is canonical.
    pub const fn general(&self) -> [(&'static str, u64); 0] {
        []
    }

    /// Goes on in the kernel, at `address`, with `result` in the register in which a function returns its own.
    pub(crate) const fn return_to_kernel(&mut self, address: usize, _stack: usize, result: usize) {
        self.cs = super::descriptors::KERNEL_CODE as u32;
        self.eip = address as u32;
        self.eax = result as u32;
    }

    /// Goes on at `address` instead.
    pub const fn resume_at(&mut self, address: u64) {
        self.eip = address as u32;
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "eip {:08x}  esp {:08x}  ebp {:08x}  cr2 {:08x}", self.eip, self.esp, self.ebp, self.cr2)?;
        writeln!(f, "eax {:08x}  ebx {:08x}  ecx {:08x}  edx {:08x}", self.eax, self.ebx, self.ecx, self.edx)?;
        write!(f, "esi {:08x}  edi {:08x}  cs {:x}  eflags {:x}  ", self.esi, self.edi, self.cs, self.eflags)?;
        writeln!(f, "vector {}  error {:#x}", self.vector, self.error)
    }
}
