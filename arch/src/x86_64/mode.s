# The lift: from pml4 to pml5 and back.
#
# CR4.LA57 cannot change while long mode is active, and long mode is left only through 32-bit code with paging off
# (SDM vol. 3A, 4.1.2, 9.8.5). That code runs where the address of an instruction is the same with paging and without:
# on one page of the kernel's image, mapped at its physical address. The page is only read and executed.
#
# Nothing of the upper halves of the registers survives the 32-bit code, so whatever a function has to preserve is on
# the stack, and the stack's address in a variable: both are in the image, which lies at the same address in both maps.
#
# NMIs and machine checks cannot be shut out, so the page has an IDT of its own. One table serves both kinds of mode: vector n's
# gate is at 8 * n outside long mode and at 16 * n in it, and for 2 and 18 the four places do not overlap. The handlers only note
# in `mode_missed` what came; the kernel raises it again once its own tables are back.

    .set KERNEL_OFFSET, 0xFFFFFFFF80000000
    .set CODE_64, 0x08
    .set DATA, 0x10
    .set CODE_32, 0x18
    .set CR0_PG, 1 << 31
    .set IA32_EFER, 0xC0000080
    .set EFER_LME, 1 << 8

    .set NMI, 2
    .set MACHINE_CHECK, 18
    # Their stacks' numbers in the interrupt stack table, which the CPU uses in long mode.
    .set NMI_STACK, 1
    .set MACHINE_CHECK_STACK, 3
    .set MISSED_NMI, 1 << 0
    .set MISSED_MACHINE_CHECK, 1 << 1

    .local mode_stack
    .comm mode_stack, 8, 8

    # What came meanwhile.
    .global mode_missed
    .comm mode_missed, 1, 1

    # The stack outside long mode: three words for each handler, as a machine check may interrupt the other.
    .set LEGACY_STACK, 64
    .local mode_legacy_stack
    .comm mode_legacy_stack, LEGACY_STACK, 16

# fn mode_switch(root: u32, cr4: u32) -> u32
#
# Enters long mode anew with the root `root` and `cr4` in CR4. Returns 0. When it does, CS is a segment of the GDT
# below, and the IDT has no gates but the two below.
    .text
    .global mode_switch
    .type mode_switch, @function
mode_switch:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushfq
    mov %rsp, mode_stack(%rip)
    mov $(mode_page - KERNEL_OFFSET), %eax
    jmp *%rax
mode_switched:
    mov mode_stack(%rip), %rsp
    popfq
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    xor %eax, %eax
    ret
    .size mode_switch, . - mode_switch

    .section .trampoline, "ax", @progbits
    .balign 4096
    .global mode_page
    .type mode_page, @function
mode_page:
    lidt mode_idt_pointer(%rip)
    lgdt mode_gdt_pointer(%rip)
    ljmpl *mode_compatibility(%rip)

    .code32
1:
    mov $DATA, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    # Not used before paging is off: until then gates name stacks of their own.
    mov $(mode_legacy_stack + LEGACY_STACK - KERNEL_OFFSET), %esp
    mov %cr0, %eax
    and $~CR0_PG, %eax
    mov %eax, %cr0
    # Paging is off, and with it long mode; the address of the next instruction is a physical one.
    mov $IA32_EFER, %ecx
    rdmsr
    and $~EFER_LME, %eax
    wrmsr
    mov %esi, %cr4
    mov %edi, %cr3
    or $EFER_LME, %eax
    wrmsr
    mov %cr0, %eax
    or $CR0_PG, %eax
    mov %eax, %cr0
    # Paging and long mode are on; the jump into a 64-bit segment ends compatibility mode.
    ljmp $CODE_64, $(2f - KERNEL_OFFSET)

    .code64
2:
    mov $mode_switched, %rax
    jmp *%rax

# They run at the page's physical address, and reach the variable where the segments or the tables have it.
mode_nmi_long:
    orb $MISSED_NMI, mode_missed
    iretq
mode_machine_check_long:
    orb $MISSED_MACHINE_CHECK, mode_missed
    iretq

    .code32
mode_nmi_legacy:
    orb $MISSED_NMI, mode_missed - KERNEL_OFFSET
    iretl
mode_machine_check_legacy:
    orb $MISSED_MACHINE_CHECK, mode_missed - KERNEL_OFFSET
    iretl
    .size mode_page, . - mode_page
    .code64

    # Interrupt gates (SDM vol. 3A, 6.11 and 6.14.1). The linker knows where the page is, and that it lies below 4 GiB.
    .macro gate vector, handler, selector, bytes, stack=0
    .org mode_idt + \vector * \bytes
    .word __trampoline_low + (\handler - mode_page)
    .word \selector
    .byte \stack, 0x8E
    .word __trampoline_high
    .endm

    # Data among code: said to be so, for those who disassemble the page.
    .balign 8
    .type mode_gdt, @object
    .type mode_gdt_pointer, @object
    .type mode_idt_pointer, @object
    .type mode_idt, @object
    .type mode_compatibility, @object
mode_gdt:
    # Flat, accessed bits set: the page is not writable. The first two are where the kernel's own are.
    .quad 0
    .quad 0x00AF9B000000FFFF
    .quad 0x00CF93000000FFFF
    .quad 0x00CF9B000000FFFF
mode_gdt_pointer:
    .word . - mode_gdt - 1
    .quad mode_gdt - KERNEL_OFFSET
mode_idt_pointer:
    .word mode_idt_end - mode_idt - 1
    .quad mode_idt - KERNEL_OFFSET
mode_compatibility:
    .long 1b - KERNEL_OFFSET
    .word CODE_32
    .balign 16
mode_idt:
    # In ascending order of place. What is between them is not present.
    gate NMI, mode_nmi_legacy, CODE_32, 8
    gate NMI, mode_nmi_long, CODE_64, 16, NMI_STACK
    gate MACHINE_CHECK, mode_machine_check_legacy, CODE_32, 8
    gate MACHINE_CHECK, mode_machine_check_long, CODE_64, 16, MACHINE_CHECK_STACK
    # The upper half of the last one's address.
    .quad 0
mode_idt_end:
    # All of the page belongs to this, so that nothing else is mapped with it.
    .org mode_page + 4096, 0xCC

# fn mode_switch_checked(root: u32, cr4: u32) -> u32
#
# The same, with a pattern in each register that a function has to preserve. Returns how many were not preserved.
    .macro differs register, pattern
    movabs $\pattern, %rcx
    cmp %rcx, \register
    setne %cl
    movzbl %cl, %ecx
    add %ecx, %eax
    .endm

    .local mode_checked_stack
    .comm mode_checked_stack, 8, 8

    .text
    .global mode_switch_checked
    .type mode_switch_checked, @function
mode_switch_checked:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    movabs $0xB0B1B2B3B4B5B6B7, %rbx
    movabs $0x5051525354555657, %rbp
    movabs $0xC0C1C2C3C4C5C6C7, %r12
    movabs $0xD0D1D2D3D4D5D6D7, %r13
    movabs $0xE0E1E2E3E4E5E6E7, %r14
    movabs $0xF0F1F2F3F4F5F6F7, %r15
    mov %rsp, mode_checked_stack(%rip)
    call mode_switch
    differs %rbx, 0xB0B1B2B3B4B5B6B7
    differs %rbp, 0x5051525354555657
    differs %r12, 0xC0C1C2C3C4C5C6C7
    differs %r13, 0xD0D1D2D3D4D5D6D7
    differs %r14, 0xE0E1E2E3E4E5E6E7
    differs %r15, 0xF0F1F2F3F4F5F6F7
    cmp mode_checked_stack(%rip), %rsp
    setne %cl
    movzbl %cl, %ecx
    add %ecx, %eax
    mov mode_checked_stack(%rip), %rsp
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size mode_switch_checked, . - mode_switch_checked
