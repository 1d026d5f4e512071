# From one thread's stack to another's, in long mode.

# fn context_switch(save: *mut usize, to: usize)
#
# Keeps what a function has to preserve on this stack, stores the stack pointer to `save`, and goes on with what was kept on the
# stack at `to`. Everything else the caller does not rely on, whoever it is.
    .text
    .global context_switch
    .type context_switch, @function
context_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size context_switch, . - context_switch

# A new thread comes here, with 0 in RBP and what it is to do in RBX. The 0 where a return address would be ends its backtraces.
    .global context_begin
    .type context_begin, @function
context_begin:
    push $0
    jmp *%rbx
    .size context_begin, . - context_begin

# fn context_hold(seed: usize) -> usize
#
# Holds numbers made of `seed` in the registers for a while, and then counts those that are not there any more.
#
# First the flags, while RCX counts; then all general registers but RSP, while a word on the stack counts.
    .set ROUNDS, 200000
    # CF, PF, AF, ZF, SF, DF, OF; and IF and bit 1, which are set.
    .set FLAGS, 0xED7
    .set FLAGS_KEPT, 0xED5
    .global context_hold
    .type context_hold, @function
context_hold:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    push $ROUNDS
    # From here on: the counter at 0, the seed at 8.
    mov $ROUNDS, %ecx
    pushfq
    pop %r8
    push $FLAGS
    popfq
1:  loop 1b
    pushfq
    pop %rdx
    push %r8
    popfq
    xor %ebp, %ebp
    and $FLAGS_KEPT, %edx
    cmp $FLAGS_KEPT, %edx
    setne %bpl
    mov %rbp, %r9
    push %r9
    # From here on everything is 8 further up.
    mov 16(%rsp), %rax
    lea 1(%rax), %rcx
    lea 2(%rax), %rdx
    lea 3(%rax), %rbx
    lea 4(%rax), %rbp
    lea 5(%rax), %rsi
    lea 6(%rax), %rdi
    lea 7(%rax), %r8
    lea 8(%rax), %r9
    lea 9(%rax), %r10
    lea 10(%rax), %r11
    lea 11(%rax), %r12
    lea 12(%rax), %r13
    lea 13(%rax), %r14
    lea 14(%rax), %r15
2:  decl 8(%rsp)
    jnz 2b
    push %r15
    push %r14
    push %r13
    push %r12
    push %r11
    push %r10
    push %r9
    push %r8
    push %rdi
    push %rsi
    push %rbp
    push %rbx
    push %rdx
    push %rcx
    push %rax
    # The 15 numbers lie in their order; behind them what the flags came to, the counter and the seed.
    mov (15 * 8 + 0)(%rsp), %rax
    mov (15 * 8 + 16)(%rsp), %rdx
    xor %ecx, %ecx
3:  cmp %rdx, (%rsp,%rcx,8)
    je 4f
    inc %rax
4:  inc %rdx
    inc %ecx
    cmp $15, %ecx
    jne 3b
    add $(18 * 8), %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size context_hold, . - context_hold
