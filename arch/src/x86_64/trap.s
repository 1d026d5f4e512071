# The way into trap::dispatch and back, for all 256 vectors.
#
# What lies on the stack then is x86_64::frame::Frame, so the two must change together.

    .text
    .balign 16
    .global trap_stubs
# One stub a vector, 16 bytes apart. All leave the same picture: where the CPU pushes no error code, they push a 0.
    .type trap_stubs, @function
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .set pushed, 0
    .if vector < 32
    .set pushed, (TRAP_ERROR_CODES >> vector) & 1
    .endif
    .if pushed == 0
    push $0
    .endif
    push $vector
    jmp trap_common
    .set vector, vector + 1
    .endr
    .size trap_stubs, . - trap_stubs

    .type trap_common, @function
trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    # Before anything else can fault and overwrite it.
    mov %cr2, %rax
    push %rax
    # The ABI wants the direction flag clear and, at a call, the stack aligned to 16.
    cld
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    call trap_entry
    mov %rbx, %rsp
    # CR2 is not put back.
    pop %rax
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    # The vector and the error code.
    add $16, %rsp
    iretq
    .size trap_common, . - trap_common
