# An access that may fault. What the handler in probe.rs changes in the interrupted registers leads to probe_resume.

    .local probe_saved
    .comm probe_saved, 8, 8

    .text
# fn probe_run(begin, address, flags, kernel_stack) -> usize
#
# Goes to `begin` with `flags`: in ring 0 if `kernel_stack` is null (then `begin` is one of the three below), else in
# ring 3, with the stack pointer for what interrupts it stored there. Returns what the handler says, or 0.
    .global probe_run
    .type probe_run, @function
probe_run:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    pushfq
    mov %rsp, probe_saved(%rip)
    test %rcx, %rcx
    jnz 1f
    push %rdx
    popfq
    jmp *%rdi
1:
    mov %rsp, (%rcx)
    mov $USER_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    push $USER_DATA
    push $0
    push %rdx
    push $USER_CODE
    push %rdi
    iretq
    .size probe_run, . - probe_run

    .global probe_read, probe_write, probe_fetch, probe_resume
    .type probe_read, @function
probe_read:
    mov (%rsi), %al
    jmp 2f
    .size probe_read, . - probe_read
    .type probe_write, @function
probe_write:
    mov %al, (%rsi)
    jmp 2f
    .size probe_write, . - probe_write
    .type probe_fetch, @function
probe_fetch:
    call *%rsi
2:
    xor %eax, %eax
    .size probe_fetch, . - probe_fetch
    .type probe_resume, @function
probe_resume:
    mov probe_saved(%rip), %rsp
    mov $KERNEL_DATA, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    popfq
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size probe_resume, . - probe_resume
