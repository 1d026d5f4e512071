# From one thread's stack to another's, in 32 bits.

# fn context_switch(save: *mut usize, to: usize)
#
# Keeps what a function has to preserve on this stack, stores the stack pointer to `save`, and goes on with what was kept on the
# stack at `to`. Everything else the caller does not rely on, whoever it is.
    .text
    .global context_switch
    .type context_switch, @function
context_switch:
    mov 4(%esp), %eax
    mov 8(%esp), %edx
    push %ebp
    push %ebx
    push %esi
    push %edi
    mov %esp, (%eax)
    mov %edx, %esp
    pop %edi
    pop %esi
    pop %ebx
    pop %ebp
    ret
    .size context_switch, . - context_switch

# A new thread comes here, with 0 in EBP and what it is to do in EBX. The 0 where a return address would be ends its backtraces.
    .global context_begin
    .type context_begin, @function
context_begin:
    push $0
    jmp *%ebx
    .size context_begin, . - context_begin

# fn context_hold(seed: usize) -> usize
#
# Holds numbers made of `seed` in the registers for a while, and then counts those that are not there any more.
#
# First the flags, while ECX counts; then all general registers but ESP, while a word on the stack counts.
    .set ROUNDS, 200000
    # CF, PF, AF, ZF, SF, DF, OF; and IF and bit 1, which are set.
    .set FLAGS, 0xED7
    .set FLAGS_KEPT, 0xED5
    .global context_hold
    .type context_hold, @function
context_hold:
    push %ebp
    push %ebx
    push %esi
    push %edi
    pushl 20(%esp)
    push $ROUNDS
    # From here on: the counter at 0, the seed at 4.
    mov $ROUNDS, %ecx
    pushfl
    pop %ebx
    push $FLAGS
    popfl
1:  loop 1b
    pushfl
    pop %edx
    push %ebx
    popfl
    xor %eax, %eax
    and $FLAGS_KEPT, %edx
    cmp $FLAGS_KEPT, %edx
    setne %al
    push %eax
    # From here on everything is 4 further up.
    mov 8(%esp), %eax
    lea 1(%eax), %ecx
    lea 2(%eax), %edx
    lea 3(%eax), %ebx
    lea 4(%eax), %ebp
    lea 5(%eax), %esi
    lea 6(%eax), %edi
2:  decl 4(%esp)
    jnz 2b
    push %edi
    push %esi
    push %ebp
    push %ebx
    push %edx
    push %ecx
    push %eax
    # The 7 numbers lie in their order; behind them what the flags came to, the counter and the seed.
    mov (7 * 4 + 0)(%esp), %eax
    mov (7 * 4 + 8)(%esp), %edx
    xor %ecx, %ecx
3:  cmp %edx, (%esp,%ecx,4)
    je 4f
    inc %eax
4:  inc %edx
    inc %ecx
    cmp $7, %ecx
    jne 3b
    add $(10 * 4), %esp
    pop %edi
    pop %esi
    pop %ebx
    pop %ebp
    ret
    .size context_hold, . - context_hold
