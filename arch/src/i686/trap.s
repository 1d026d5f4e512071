# The way into trap::dispatch and back, for all 256 vectors.
#
# What lies on the stack then is i686::frame::Frame, so the two must change together.

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
    pusha
    # Before anything else can fault and overwrite it.
    mov %cr2, %eax
    push %eax
    # The ABI wants the direction flag clear and, at a call, the stack aligned to 16.
    cld
    mov %esp, %ebx
    and $-16, %esp
    sub $12, %esp
    push %ebx
    call trap_entry
    mov %ebx, %esp
    # CR2 is not put back.
    pop %eax
    popa
    # The vector and the error code.
    add $8, %esp
    iret
    .size trap_common, . - trap_common

# The exceptions' tasks begin here, each on its own stack, with its vector in EAX and nothing on the stack but the error
# code, if there is one. The last 0 stands where a return address would.
    .global task_without_error
    .global task_with_error
    .type task_without_error, @function
task_without_error:
    push $0
    .size task_without_error, . - task_without_error
    .type task_with_error, @function
task_with_error:
    push %eax
    push $0
    jmp task_entry
    .size task_with_error, . - task_with_error
