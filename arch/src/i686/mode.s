# The lift: from pml2 to pml3 and back.
#
# With paging on, toggling CR4.PAE would make the CPU read the tables of one mode as those of the other, so it is done
# with paging off, by code that runs where the address of an instruction is the same with paging and without: on one
# page of the kernel's image, mapped at its physical address. The page is only read and executed, unless an NMI or a machine
# check comes.
#
# Those two cannot be shut out, so the page has an IDT of its own, and a stack that is at the same address with paging and without.
# No mapping lets the stack be written; CR0.WP is clear meanwhile, so that ring 0 may. The handlers only note in `mode_missed` what
# came; the kernel raises it again once its own tables are back.

    .set KERNEL_OFFSET, 0xC0000000
    .set CODE, 0x08
    .set DATA, 0x10
    .set CR0_PG, 1 << 31
    .set CR0_WP, 1 << 16

    .set NMI, 2
    .set MACHINE_CHECK, 18
    .set MISSED_NMI, 1 << 0
    .set MISSED_MACHINE_CHECK, 1 << 1

    .local mode_stack
    .comm mode_stack, 4, 4

# fn mode_switch(root: u32, cr4: u32) -> u32
#
# Turns paging off and on again, with the root `root` and `cr4` in CR4. Returns 0. When it does, the segment registers
# hold segments of the GDT below, and the IDT has no gates but the two below.
    .text
    .global mode_switch
    .type mode_switch, @function
mode_switch:
    push %ebx
    push %ebp
    push %esi
    push %edi
    pushfl
    # Above the five: the return address, the root, CR4.
    mov 24(%esp), %edi
    mov 28(%esp), %esi
    mov %esp, mode_stack
    mov $(mode_page - KERNEL_OFFSET), %eax
    jmp *%eax
mode_switched:
    mov mode_stack, %esp
    mov %ebx, %cr0
    popfl
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    xor %eax, %eax
    ret
    .size mode_switch, . - mode_switch

    .section .trampoline, "ax", @progbits
    .balign 4096
    .global mode_page
    .type mode_page, @function
mode_page:
    mov %cr0, %ebx
    mov %ebx, %ecx
    and $~CR0_WP, %ecx
    mov %ecx, %cr0
    lidt mode_idt_pointer - KERNEL_OFFSET
    lgdt mode_gdt_pointer - KERNEL_OFFSET
    mov $DATA, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    mov $(mode_legacy_stack_top - KERNEL_OFFSET), %esp
    and $~CR0_PG, %ecx
    mov %ecx, %cr0
    # A jump, because early CPUs have fetched and decoded ahead under the old rules.
    jmp 1f
1:
    mov %esi, %cr4
    mov %edi, %cr3
    or $CR0_PG, %ecx
    # In pml3 this loads the four directory pointers too.
    mov %ecx, %cr0
    ljmp $CODE, $mode_switched

mode_nmi:
    orb $MISSED_NMI, mode_missed - KERNEL_OFFSET
    iret
mode_machine_check:
    orb $MISSED_MACHINE_CHECK, mode_missed - KERNEL_OFFSET
    iret
    .size mode_page, . - mode_page

    # An interrupt gate (SDM vol. 3A, 6.11). The linker knows where the page is.
    .macro gate vector, handler
    .org mode_idt + \vector * 8
    .word __trampoline_low + (\handler - mode_page)
    .word CODE
    .byte 0, 0x8E
    .word __trampoline_high
    .endm

    # Data among code: said to be so, for those who disassemble the page.
    .balign 8
    .type mode_gdt, @object
    .type mode_gdt_pointer, @object
    .type mode_idt_pointer, @object
    .type mode_idt, @object
    .type mode_legacy_stack, @object
    .type mode_missed, @object
mode_gdt:
    # Flat, accessed bits set: the page is not writable. They are where the kernel's own are.
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
mode_gdt_pointer:
    .word . - mode_gdt - 1
    .long mode_gdt - KERNEL_OFFSET
mode_idt_pointer:
    .word mode_idt_end - mode_idt - 1
    .long mode_idt - KERNEL_OFFSET
    .balign 8
mode_idt:
    # What is between them is not present.
    gate NMI, mode_nmi
    gate MACHINE_CHECK, mode_machine_check
mode_idt_end:
    # Three words for each handler, as a machine check may interrupt the other.
    .balign 16
mode_legacy_stack:
    .skip 64
mode_legacy_stack_top:
    # What came meanwhile.
    .global mode_missed
mode_missed:
    .byte 0
    # All of the page belongs to this, so that nothing else is mapped with it.
    .org mode_page + 4096, 0xCC

# fn mode_switch_checked(root: u32, cr4: u32) -> u32
#
# The same, with a pattern in each register that a function has to preserve. Returns how many were not preserved.
    .macro differs register, value
    cmp \value, \register
    setne %cl
    movzbl %cl, %ecx
    add %ecx, %eax
    .endm

    .local mode_checked_stack
    .comm mode_checked_stack, 4, 4

    .text
    .global mode_switch_checked
    .type mode_switch_checked, @function
mode_switch_checked:
    push %ebx
    push %ebp
    push %esi
    push %edi
    # Above the four: the return address, the root, CR4. The second push finds the stack one lower.
    pushl 24(%esp)
    pushl 24(%esp)
    mov %esp, mode_checked_stack
    mov $0xB0B1B2B3, %ebx
    mov $0x50515253, %ebp
    mov $0xE0E1E2E3, %esi
    mov $0xD0D1D2D3, %edi
    call mode_switch
    differs %ebx, $0xB0B1B2B3
    differs %ebp, $0x50515253
    differs %esi, $0xE0E1E2E3
    differs %edi, $0xD0D1D2D3
    differs %esp, mode_checked_stack
    mov mode_checked_stack, %esp
    add $8, %esp
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    ret
    .size mode_switch_checked, . - mode_switch_checked
