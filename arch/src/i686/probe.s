# An access that may fault. What the handler in probe.rs changes in the interrupted registers leads to probe_resume.

    .local probe_saved
    .comm probe_saved, 4, 4

    .text
# fn probe_run(begin, address, flags, kernel_stack) -> usize
#
# Goes to `begin` with `flags`: in ring 0 if `kernel_stack` is null (then `begin` is one of the three below), else in
# ring 3, with the stack pointer for what interrupts it stored there. Returns what the handler says, or 0.
    .global probe_run
    .type probe_run, @function
probe_run:
    push %ebx
    push %ebp
    push %esi
    push %edi
    pushfl
    # Above the five: the return address, and then what was handed over.
    mov 24(%esp), %edi
    mov 28(%esp), %esi
    mov 32(%esp), %edx
    mov 36(%esp), %ecx
    mov %esp, probe_saved
    test %ecx, %ecx
    jnz 1f
    push %edx
    popfl
    jmp *%edi
1:
    mov %esp, (%ecx)
    # Ring 3 cannot keep segments that are the kernel's.
    mov $USER_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    push $USER_DATA
    push $0
    push %edx
    push $USER_CODE
    push %edi
    iretl
    .size probe_run, . - probe_run

    .global probe_read, probe_write, probe_fetch, probe_resume
    .type probe_read, @function
probe_read:
    mov (%esi), %al
    jmp 2f
    .size probe_read, . - probe_read
    .type probe_write, @function
probe_write:
    mov %al, (%esi)
    jmp 2f
    .size probe_write, . - probe_write
    .type probe_fetch, @function
probe_fetch:
    call *%esi
2:
    xor %eax, %eax
    .size probe_fetch, . - probe_fetch
    .type probe_resume, @function
probe_resume:
    # The segments are flat, whosoever they are.
    mov probe_saved, %esp
    mov $KERNEL_DATA, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    popfl
    pop %edi
    pop %esi
    pop %ebp
    pop %ebx
    ret
    .size probe_resume, . - probe_resume
